//! What the table of shared cases does not say: hosts, refusals, JSON, order.

use proptest::prelude::*;

use super::*;

fn host() -> Platform {
    Platform::new("linux", "amd64")
}

fn platform(text: &str) -> Platform {
    Platform::parse(text, &host()).unwrap()
}

#[test]
fn what_a_lone_word_leaves_out_comes_from_the_host() {
    let arm = Platform::new("linux", "arm").with_variant("v6");
    let mac = Platform::new("macos", "aarch64");
    let table = [
        ("linux", &arm, "linux/arm/v6"),
        ("windows", &mac, "windows/arm64"),
        ("x86-64", &mac, "darwin/amd64"),
        ("armhf", &arm, "linux/arm"),
        ("riscv64", &arm, "linux/riscv64"),
    ];
    for (text, host, expected) in table {
        assert_eq!(
            Platform::parse(text, host).unwrap().to_string(),
            expected,
            "{text}"
        );
    }
}

#[test]
fn every_platform_of_the_builder_is_read_and_printed() {
    let table = [
        ("linux/amd64/v2", "linux/amd64/v2"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("linux/arm64/v8", "linux/arm64/v8"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm/7", "linux/arm/v7"),
        ("linux/arm/v6", "linux/arm/v6"),
        ("linux/i386", "linux/386"),
        ("linux/riscv64", "linux/riscv64"),
        ("linux/ppc64le", "linux/ppc64le"),
        ("linux/s390x", "linux/s390x"),
        ("linux/mips64", "linux/mips64"),
        ("linux/mips64le", "linux/mips64le"),
        ("linux/loong64", "linux/loong64"),
        ("LINUX/AMD64", "linux/amd64"),
    ];
    for (text, expected) in table {
        assert_eq!(platform(text).to_string(), expected, "{text}");
    }
}

#[test]
fn what_is_written_of_versions_and_features_can_be_read() {
    let table = [
        (
            "10.0+b 1",
            &["x:y", "é", "", "é"][..],
            "windows(10.0%2Bb%201+x%3Ay+%C3%A9)/amd64",
        ),
        ("", &["a~b"], "windows(+a%7Eb)/amd64"),
        ("", &[""], "windows/amd64"),
        ("1-2_3.4", &[], "windows(1-2_3.4)/amd64"),
    ];
    for (version, features, expected) in table {
        let written = Platform {
            os_version: Some(version.to_owned()).filter(|version| !version.is_empty()),
            os_features: features
                .iter()
                .map(|feature| (*feature).to_owned())
                .collect(),
            ..Platform::new("windows", "amd64")
        };
        assert_eq!(written.format_all(), expected);
        let read = platform(expected);
        assert_eq!(read.os_version, written.os_version);
        assert_eq!(read.format_all(), expected);
    }
}

#[test]
fn refusals_name_the_part() {
    let table = [
        ("", "platform `` has the invalid part ``"),
        ("linux//v7", "platform `linux//v7` has the invalid part ``"),
        (
            "linux/a b",
            "platform `linux/a b` has the invalid part `a b`",
        ),
        (
            "li*nux/amd64",
            "platform `li*nux/amd64` has the invalid part `li*nux`",
        ),
        (
            "windows(1.0/amd64",
            "platform `windows(1.0/amd64` has the invalid part `windows(1.0`",
        ),
        (
            "windows(1+)",
            "platform `windows(1+)` has the invalid part `windows(1+)`",
        ),
        (
            "windows(50%zz)",
            "platform `windows(50%zz)` has `50%zz`, which is not percent-encoded UTF-8",
        ),
        (
            "windows(%ff)",
            "platform `windows(%ff)` has `%ff`, which is not percent-encoded UTF-8",
        ),
        (
            "a/b/c/d",
            "platform `a/b/c/d` is not of the form os/architecture/variant",
        ),
        (
            "plan10",
            "platform `plan10` is neither a known operating system nor a known architecture",
        ),
        (
            "amd64(1)",
            "platform `amd64(1)` is neither a known operating system nor a known architecture",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(
            Platform::parse(text, &host()).unwrap_err().to_string(),
            expected
        );
    }
}

#[test]
fn json_has_the_names_of_the_specification() {
    let json = r#"{"architecture":"amd64","os":"windows","os.version":"10.0.17763","os.features":["win32k"]}"#;
    let parsed: Platform = serde_json::from_str(json).unwrap();
    assert_eq!(parsed, platform("windows(10.0.17763+win32k)/amd64"));
    assert!(parsed.is_windows());
    assert_eq!(serde_json::to_string(&parsed).unwrap(), json);
    let json = r#"{"architecture":"arm","os":"linux","os.features":null,"variant":""}"#;
    let parsed: Platform = serde_json::from_str(json).unwrap();
    assert_eq!(parsed, Platform::new("linux", "arm"));
}

#[test]
fn older_variants_run_and_newer_ones_do_not() {
    let table = [
        ("linux/amd64/v3", "linux/amd64/v2", true),
        ("linux/amd64/v3", "linux/386", true),
        ("linux/amd64", "linux/amd64/v3", false),
        ("linux/arm64/v9.2", "linux/arm64/v8.7", true),
        ("linux/arm64/v9.2", "linux/arm64/v8.8", false),
        ("linux/arm64/v9", "linux/arm/v8", true),
        ("linux/arm64", "linux/arm/v4", false),
        ("linux/riscv64", "linux/riscv64", true),
        ("linux/amd64/v99999999999", "linux/amd64", false),
        (
            "windows(10.0.20348)/amd64",
            "windows(10.0.17763)/amd64",
            false,
        ),
        (
            "windows(10.0.26100.1)/amd64",
            "windows(10.0.20348.9)/amd64",
            true,
        ),
        (
            "windows(10.0.17763)/amd64",
            "windows(10.0.20348)/amd64",
            false,
        ),
        ("windows(10.0.17763)/amd64", "windows(x)/amd64", false),
        ("linux(+gpu)/amd64", "linux(+gpu+other)/amd64", false),
    ];
    for (own, other, expected) in table {
        assert_eq!(
            platform(own).can_run(&platform(other)),
            expected,
            "{own} runs {other}"
        );
    }
}

#[test]
fn candidates_are_ordered_from_the_newest_that_runs() {
    let texts = [
        "linux/386",
        "linux/arm/v6",
        "linux/arm64/v8",
        "linux/arm/v7",
        "linux/arm64/v8.2",
    ];
    let mut candidates = texts.map(platform).to_vec();
    let own = platform("linux/arm64/v8.4");
    candidates.sort_by_key(|candidate| own.preference(candidate));
    let found: Vec<_> = candidates.iter().map(ToString::to_string).collect();
    let expected = [
        "linux/arm64/v8.2",
        "linux/arm64/v8",
        "linux/arm/v7",
        "linux/arm/v6",
        "linux/386",
    ];
    assert_eq!(found, expected);
}

#[test]
fn the_unknown_platform_is_that_of_attestations() {
    assert!(Platform::new("unknown", "unknown").is_unknown());
    assert!(!Platform::new("linux", "unknown").is_unknown());
    assert_eq!(Platform::new("", "amd64").to_string(), "unknown");
}

proptest! {
    #![proptest_config(crate::unrecorded())]

    #[test]
    fn no_text_makes_the_parser_panic_and_printing_is_undone_by_parsing(
        text in "(linux|windows|[a-z%()+/.]{1,8})(\\(([a-z0-9.+]|%[2-7][0-9A-F]|%C3%A9){0,4}\\))?(/[a-z0-9]{1,6}){0,3}",
    ) {
        if let Ok(parsed) = Platform::parse(&text, &host()) {
            let again = Platform::parse(&parsed.format_all(), &host()).unwrap();
            prop_assert_eq!(again.normalized(), parsed.normalized());
        }
    }

    #[test]
    fn a_platform_runs_itself(text in "linux/(amd64|arm64|arm|386|s390x)(/v[1-9](\\.[0-9])?)?") {
        let parsed = platform(&text);
        prop_assert!(parsed.can_run(&parsed.normalized()));
        prop_assert!(parsed.is_same(&parsed.normalized()));
    }
}
