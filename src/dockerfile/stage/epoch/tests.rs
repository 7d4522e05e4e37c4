use oci::Platform;

use super::*;
use crate::parse::parse;
use crate::source::SourceFile;

fn options(build_args: &[(&str, &str)]) -> PlanOptions {
    let platform = Platform::new("linux", "amd64");
    let pairs = build_args.iter().copied();
    PlanOptions {
        build_args: pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        contexts: ["src".to_owned()].into(),
        ..PlanOptions::new(platform.clone(), vec![platform])
    }
}

/// Returns what a Dockerfile says, or the title of the first fault and the word that it is at.
fn read(text: &str, build_args: &[(&str, &str)]) -> Result<SourceDateEpoch, (String, String)> {
    let source = SourceFile::new("Dockerfile", text);
    source_date_epoch(&parse(&source), &options(build_args)).map_err(|faults| {
        let fault = faults.into_iter().next().unwrap();
        (fault.title.clone(), source.slice(fault.span).to_owned())
    })
}

fn seconds(seconds: i64) -> EpochValue {
    EpochValue::At(Timestamp::from_unix_seconds(seconds).unwrap())
}

fn http(url: &str, checksum: Option<&str>) -> EpochValue {
    EpochValue::Of(EpochSource::Http(HttpSource {
        url: url.to_owned(),
        checksum: checksum.map(|text| Digest::parse(text).unwrap()),
    }))
}

#[test]
fn the_argument_of_the_command_line_goes_before_the_default() {
    let text = "ARG SOURCE_DATE_EPOCH=5\nFROM scratch\n";
    for (build_args, value, origin) in [
        (vec![], seconds(5), EpochOrigin::Default),
        (
            vec![("SOURCE_DATE_EPOCH", "7")],
            seconds(7),
            EpochOrigin::Argument,
        ),
        (
            vec![("SOURCE_DATE_EPOCH", "-7")],
            seconds(-7),
            EpochOrigin::Argument,
        ),
        (
            vec![("SOURCE_DATE_EPOCH", "")],
            EpochValue::Unset,
            EpochOrigin::Argument,
        ),
    ] {
        let found = read(text, &build_args).unwrap();
        assert_eq!(
            (found.value, found.origin),
            (value, origin),
            "{build_args:?}"
        );
    }
}

#[test]
fn a_value_is_a_time_or_names_what_has_one() {
    let stage = "FROM scratch AS Web\nADD https://example.org/a.tar /\n";
    let checked = "ARG V=9\nARG E=ee60b9752c5353b4b47577ec9c15d3e52cd83889fbc9daa66c97f6c7f2264c54\nFROM $EMPTY AS web\nARG U=https://example.org\n\
                   ADD --checksum=sha256:$E $U/$V.tar /x\n";
    let git = "FROM scratch AS web\nADD https://example.org/r.git#v1:docs /\n";
    let url = parse_git_url("https://example.org/r.git#v1:docs")
        .unwrap()
        .unwrap();
    for (value, stages, expected) in [
        ("1700000000", "", seconds(1_700_000_000)),
        ("$EMPTY_ARGUMENT", "", EpochValue::Unset),
        ("context", "", EpochValue::Of(EpochSource::Context)),
        (
            "src",
            "",
            EpochValue::Of(EpochSource::Named("src".to_owned())),
        ),
        ("web", stage, http("https://example.org/a.tar", None)),
        ("WEB", stage, http("https://example.org/a.tar", None)),
        (
            "web",
            checked,
            http(
                "https://example.org/9.tar",
                Some("sha256:ee60b9752c5353b4b47577ec9c15d3e52cd83889fbc9daa66c97f6c7f2264c54"),
            ),
        ),
        (
            "web",
            git,
            EpochValue::Of(EpochSource::Git(Box::new(url.source()))),
        ),
    ] {
        let text =
            format!("ARG EMPTY=scratch\nARG SOURCE_DATE_EPOCH={value}\n{stages}FROM scratch\n");
        assert_eq!(read(&text, &[]).unwrap().value, expected, "{text}");
    }
}

#[test]
fn a_stage_that_does_more_than_to_fetch_one_thing_has_no_time() {
    let why = "the stage of SOURCE_DATE_EPOCH";
    for (stage, title, word) in [
        (
            "FROM busybox AS a\nADD http://x/y /\n",
            "must be `FROM scratch`",
            "busybox",
        ),
        (
            "FROM scratch AS a\nADD http://x/y /\nRUN x\n",
            "may have nothing but `ARG` and one `ADD`",
            "RUN",
        ),
        (
            "FROM scratch AS a\nADD http://x/y /\nADD http://x/z /\n",
            "may have nothing but `ARG` and one `ADD`",
            "ADD",
        ),
        (
            "FROM scratch AS a\nADD http://x/y http://x/z /d/\n",
            "must have an `ADD` with exactly one source",
            "/d/",
        ),
        (
            "FROM scratch AS a\nADD file /\n",
            "must have one `ADD` of a URL or a git repository",
            "file",
        ),
        (
            "FROM scratch AS a\nARG b\n",
            "must have one `ADD` of a URL or a git repository",
            "scratch",
        ),
    ] {
        let text = format!("ARG SOURCE_DATE_EPOCH=a\n{stage}");
        let expected = (format!("{why} {title}"), word.to_owned());
        assert_eq!(read(&text, &[]).unwrap_err(), expected, "{text}");
    }
}

#[test]
fn what_a_policy_denies_gives_no_time() {
    let rules = r#"{"rules": [{"action": "DENY", "selector": {"identifier": "https://x/*"}}]}"#;
    let policy = graph::SourcePolicy::parse(rules.as_bytes()).unwrap();
    let text = "ARG SOURCE_DATE_EPOCH=a\nFROM scratch AS a\nADD https://x/y /\nFROM scratch\n";
    let source = SourceFile::new("Dockerfile", text);
    let options = PlanOptions {
        policy,
        ..options(&[])
    };
    let faults = source_date_epoch(&parse(&source), &options).unwrap_err();
    assert_eq!(
        faults[0].title,
        "source `https://x/y` denied by policy (rule 1)"
    );
    assert_eq!(source.slice(faults[0].span), "https://x/y");
}

#[test]
fn a_value_that_means_nothing_is_refused_where_it_stands() {
    let nothing = "is no time and names nothing that has one";
    for (text, build_args, title, word) in [
        (
            "ARG SOURCE_DATE_EPOCH=yesterday\nFROM scratch\n",
            vec![],
            format!("`SOURCE_DATE_EPOCH=yesterday` {nothing}"),
            "yesterday",
        ),
        (
            "FROM scratch\n",
            vec![("SOURCE_DATE_EPOCH", "1.5")],
            format!("`SOURCE_DATE_EPOCH=1.5` {nothing}"),
            "FROM",
        ),
        (
            "ARG SOURCE_DATE_EPOCH\nFROM scratch\n",
            vec![("SOURCE_DATE_EPOCH", "253402300800")],
            "`SOURCE_DATE_EPOCH=253402300800` is no time".to_owned(),
            "SOURCE_DATE_EPOCH",
        ),
    ] {
        let expected = (title, word.to_owned());
        assert_eq!(read(text, &build_args).unwrap_err(), expected, "{text}");
    }
}

#[test]
fn stages_see_the_time_that_was_found_and_not_where_it_is_from() {
    let text = "ARG SOURCE_DATE_EPOCH=context\nFROM scratch\n";
    let parsed = parse(&SourceFile::new("Dockerfile", text));
    let mut options = options(&[]);
    options.epoch_default = Some("17".to_owned());
    let platform = options.build_platform.clone();
    let globals = arguments::global(&parsed.ast, &options, &platform).unwrap();
    assert_eq!(globals.get("SOURCE_DATE_EPOCH"), Some("17"));
}
