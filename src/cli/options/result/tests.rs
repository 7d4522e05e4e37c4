//! What flags ask for, what they refuse, and what they refuse together.

use clap::Parser as _;
use export::output::{Destination, LayoutForm, Naming};

use layer::Times;

use super::*;
use crate::args::{Arguments, Command};

/// The platforms of a build for one.
const ONE: &[&str] = &["linux/amd64"];

fn env() -> Environment {
    Environment {
        current_directory: PathBuf::from("/home/ana"),
        ..Environment::default()
    }
}

fn arguments(flags: &[&str]) -> ResultArguments {
    let typed = [&["careen", "build", "context"], flags].concat();
    match Arguments::try_parse_from(typed).unwrap().command {
        Command::Build(build) => build.result,
        other => panic!("{other:?}"),
    }
}

fn parse_in(
    env: &Environment,
    flags: &[&str],
    platforms: &[&str],
) -> Result<ResultOptions, ResultError> {
    let host = Platform::new("linux", "amd64");
    let parse = |text: &&str| Platform::parse(text, &host).unwrap();
    let platforms: Vec<_> = platforms.iter().map(parse).collect();
    let arguments = arguments(flags);
    let around = Surroundings {
        env,
        platforms: &platforms,
        build_args: &BTreeMap::new(),
        tags: &[Reference::parse_docker_ref("app").unwrap()],
        host: &host,
        allowed: &["network.host".to_owned()],
    };
    ResultOptions::new(&arguments, &around)
}

fn parse(flags: &[&str]) -> ResultOptions {
    parse_in(&env(), flags, ONE).unwrap()
}

fn refusal(flags: &[&str]) -> String {
    parse_in(&env(), flags, ONE).unwrap_err().to_string()
}

fn image(flags: &[&str]) -> ImageOptions {
    let options = parse(&[&["-o", "type=oci,dest=x"], flags].concat());
    options.outputs[0].image().unwrap().clone()
}

#[test]
fn outputs_are_relative_to_the_working_directory() {
    let options = parse(&[
        "-o",
        "out",
        "-o",
        "type=oci,dest=a.tar",
        "-o",
        "",
        "-o",
        "/x",
    ]);
    let paths: Vec<_> = options
        .outputs
        .iter()
        .filter_map(OutputSpec::path)
        .collect();
    let expected = ["/home/ana/out", "/home/ana/a.tar", "/x"].map(Path::new);
    assert_eq!(paths, expected);
    let OutputSpec::Oci {
        destination, form, ..
    } = &options.outputs[1]
    else {
        panic!("{:?}", options.outputs[1])
    };
    let expected = Destination::Path(PathBuf::from("/home/ana/a.tar"));
    assert_eq!((destination, *form), (&expected, LayoutForm::Archive));
}

#[test]
fn flags_say_what_every_image_is_like() {
    let plain = image(&[]);
    assert_eq!((plain.squash, plain.rewrite), (Squash::None, Rewrite::None));
    assert_eq!(plain.names[0].to_string(), "docker.io/library/app:latest");
    for (flag, expected) in [
        ("--squash", Squash::New),
        ("--squash=new", Squash::New),
        ("--squash=all", Squash::All),
    ] {
        assert_eq!(image(&[flag]).squash, expected, "{flag}");
    }
    assert_eq!(image(&["--omit-history"]).history, HistoryDetail::Omitted);
    let time = Timestamp::from_unix_seconds(7).unwrap();
    let plan = image(&["--timestamp", "7"]).pack_plan();
    assert_eq!(plan.times, Times::All(time));
    let said = image(&["--annotation", "manifest,manifest-descriptor:a=b"]).annotations;
    assert_eq!(said.len(), 2);
}

#[test]
fn names_of_an_output_come_after_those_of_the_build_and_are_its_own() {
    let flags = ["-o", "type=oci,dest=x,name=other", "-o", "type=oci,dest=y"];
    let outputs = parse(&flags).outputs;
    let names = |number: usize| {
        let names = outputs[number].image().unwrap().names.iter();
        names.map(ToString::to_string).collect::<Vec<_>>()
    };
    let (app, other) = (
        "docker.io/library/app:latest",
        "docker.io/library/other:latest",
    );
    assert_eq!(
        (names(0), names(1)),
        (vec![app.to_owned(), other.to_owned()], vec![app.to_owned()])
    );
}

#[test]
fn one_platform_can_look_as_several_do() {
    let mut build_args = BTreeMap::new();
    let mut is_multi = |value: &str| {
        build_args.insert(MULTI_PLATFORM.to_owned(), value.to_owned());
        is_multi_platform(&build_args).map_err(|error| error.to_string())
    };
    assert_eq!((is_multi("1"), is_multi("false")), (Ok(true), Ok(false)));
    let expected = "`BUILDKIT_MULTI_PLATFORM=yes`: the value must be `true` or `false`";
    assert_eq!(is_multi("yes"), Err(expected.to_owned()));
    let mut image = OutputSpec::parse("type=oci", &Platform::new("linux", "amd64")).unwrap();
    force_several(&mut image);
    assert_eq!(image.image().unwrap().index, IndexForm::Always);
    for (text, expected) in [
        ("out", PlatformSplit::Always),
        ("type=tar,platform-split=false", PlatformSplit::Never),
    ] {
        let mut tree = OutputSpec::parse(text, &Platform::new("linux", "amd64")).unwrap();
        force_several(&mut tree);
        assert_eq!(tree.tree_mut().unwrap().split, expected, "{text}");
    }
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_built() {
    for (flags, message) in [
        (
            &["-o", "type=oci,compresion=gzip"][..],
            "`--output type=oci` has no attribute `compresion`: did you mean `compression`?",
        ),
        (
            &["-o", "out", "-o", "type=oci,dest=/home/ana/out"],
            "two outputs go to `/home/ana/out`",
        ),
        (
            &["-o", "-", "-o", "type=oci"],
            "standard output has room for one result: `--output type=tar` and `--output type=oci`",
        ),
        (
            &["-o", "-", "-q"],
            "standard output has room for one result: `--output type=tar` and `--quiet`",
        ),
        (
            &["-o", "type=local,dest=/,mode=delete"],
            "`mode=delete` removes what is in `/`, which is not below the working directory: \
             `--allow buildx.local.delete` allows it",
        ),
        (&["--timestamp", "now"], "`--timestamp now` is no time"),
        (
            &["--iidfile", "id", "-o", "out"],
            "`--iidfile` needs an image: `--load`, `--push`, `--output type=oci` and `type=docker` write one",
        ),
        (
            &["-o", "type=oci,dest=x", "--annotation", "a"],
            "the annotation `a` is no `KEY=VALUE`",
        ),
    ] {
        assert_eq!(refusal(flags), message, "{flags:?}");
    }
}

/// Returns whether each image that becomes no file is pushed, and whether the store keeps it.
fn published(flags: &[&str]) -> Vec<(Push, bool)> {
    let mut outputs = parse(flags).outputs;
    let published = outputs.iter_mut().filter_map(OutputSpec::publication_mut);
    published.map(|one| (one.push, one.store)).collect()
}

#[test]
fn push_and_load_are_outputs_or_say_more_of_those_there_are() {
    let (pushed, stored) = ((Push::Named, false), (Push::No, true));
    for (flags, expected) in [
        (&["--push"][..], &[pushed][..]),
        (&["--load"], &[stored]),
        (&["--load", "--push"], &[(Push::Named, true)]),
        (&["--push", "-o", "out"], &[pushed]),
        (&["--push", "-o", "type=image"], &[(Push::Named, true)]),
        (&["--load", "-o", "type=image"], &[stored]),
        (&["--load", "-o", "type=registry"], &[pushed, stored]),
        (
            &["--push", "-o", "type=registry,push-by-digest=1,push=0"],
            &[(Push::Named, true)],
        ),
    ] {
        assert_eq!(published(flags), expected, "{flags:?}");
    }
    let names = parse(&["--push"]).outputs[0].image().unwrap().names.clone();
    assert_eq!(names[0].to_string(), "docker.io/library/app:latest");
    let error = refusal(&["-o", "type=registry,push-by-digest=true,name=e.com/a"]);
    let expected = "`push-by-digest=true` pushes without a tag, and `docker.io/library/app:latest` has one: \
                    `name=REPOSITORY` in `--output` names a repository";
    assert_eq!(error, expected);
}

#[test]
fn an_archive_is_not_written_to_a_terminal() {
    let env = Environment {
        stdout_is_terminal: true,
        ..env()
    };
    let error = parse_in(&env, &["-o", "-"], ONE).unwrap_err();
    let expected =
        "`--output type=tar` would write an archive to the terminal: `dest=FILE` names a file";
    assert_eq!(error.to_string(), expected);
    parse_in(&env, &["-o", "out"], ONE).unwrap();
}

#[test]
fn what_is_removed_is_below_the_working_directory_wherever_links_lead() {
    let dir = tempfile::tempdir().unwrap();
    let work = dir.path().join("work");
    std::fs::create_dir(&work).unwrap();
    std::os::unix::fs::symlink("..", work.join("up")).unwrap();
    std::os::unix::fs::symlink("work", dir.path().join("again")).unwrap();
    for (path, expected) in [
        ("work/out", true),
        ("again/out", true),
        ("work", false),
        ("work/up/out", false),
        ("work/../out", false),
        ("workshop", false),
    ] {
        assert_eq!(is_below(&dir.path().join(path), &work), expected, "{path}");
    }
}

#[test]
fn what_is_removed_may_be_elsewhere_where_that_is_allowed() {
    let host = Platform::new("linux", "amd64");
    let output = OutputSpec::parse("type=local,dest=/,mode=delete", &host).unwrap();
    let check = |allowed: &[&str]| {
        let allowed: Vec<_> = allowed.iter().map(ToString::to_string).collect();
        let around = Surroundings {
            env: &env(),
            platforms: &[],
            build_args: &BTreeMap::new(),
            tags: &[],
            host: &host,
            allowed: &allowed,
        };
        check_removal(&output, &around).is_ok()
    };
    assert!(check(&["network.host", LOCAL_DELETE]));
    assert!(!check(&["network.host"]));
}

#[test]
fn flags_that_say_something_of_an_image_say_nothing_of_files() {
    let flags = ["-o", "out", "--annotation", "a=b", "--squash"];
    assert_eq!(parse(&flags).idle, ["--annotation", "--squash"]);
    let flags = [&flags[..], &["-o", "type=oci,dest=x"]].concat();
    assert!(parse(&flags).idle.is_empty());
}

#[test]
fn quiet_is_a_progress_of_its_own() {
    use ProgressArgument::{Auto, None as Nothing, Plain, Quiet};
    let quiet = arguments(&["-q"]);
    for (progress, expected) in [
        (None, Some(Quiet)),
        (Some(Auto), Some(Quiet)),
        (Some(Nothing), Some(Nothing)),
    ] {
        assert_eq!(quiet_progress(&quiet, progress).unwrap(), expected);
    }
    let error = quiet_progress(&quiet, Some(Plain)).unwrap_err();
    let expected = "`--quiet` and `--progress plain` contradict each other";
    assert_eq!(error.to_string(), expected);
    assert_eq!(quiet_progress(&arguments(&[]), Some(Plain)).unwrap(), None);
}

#[test]
fn what_is_added_to_an_index_is_an_index_and_has_a_tag() {
    let of = |flags: &[&str]| {
        let options = parse(&[&["--append"], flags].concat());
        let image = options.outputs[0].image().unwrap();
        (image.naming, image.index)
    };
    for flags in [
        &["--push"][..],
        &["--load"],
        &["-o", "type=image,push=true"],
        &["-o", "type=oci,tar=false,dest=x"],
        &["--push", "--annotation", "index:a=b"],
    ] {
        assert_eq!(of(flags), (Naming::Append, IndexForm::Always), "{flags:?}");
    }
    for (flags, message) in [
        (
            &[][..],
            "`--append` needs an image that is added: `--push`, `--load` and `--output type=oci,tar=false` write one",
        ),
        (
            &["-o", "out"],
            "`--append` needs an image that is added: `--push`, `--load` and `--output type=oci,tar=false` write one",
        ),
        (
            &["--push", "-o", "type=oci,dest=x"],
            "`--append` adds to an index, and `--output type=oci` writes an archive anew: `type=image`, \
             `type=registry` and `type=oci,tar=false` can be added to",
        ),
        (
            &["-o", "type=docker,dest=x"],
            "`--append` adds to an index, and `--output type=docker` writes an archive anew: `type=image`, \
             `type=registry` and `type=oci,tar=false` can be added to",
        ),
        (
            &["-o", "type=registry,push-by-digest=true,name=e.com/a"],
            "`push-by-digest` names an image by its digest, and `--append` adds to the index of a tag",
        ),
        (
            &["-o", "type=image,name-canonical=true"],
            "`name-canonical` names an image by its digest, and `--append` adds to the index of a tag",
        ),
        (
            &["--push", "--annotation", "index-descriptor:a=b"],
            "the annotation `a` is for the descriptor of the index, and `--append` adds to an index that has one \
             already",
        ),
    ] {
        assert_eq!(
            refusal(&[&["--append"], flags].concat()),
            message,
            "{flags:?}"
        );
    }
}

#[test]
fn what_is_added_to_an_index_needs_its_name() {
    let host = Platform::new("linux", "amd64");
    let mut output = OutputSpec::parse("type=docker", &host).unwrap();
    output.image_mut().unwrap().append();
    let error = output.check(&[host]).unwrap_err().to_string();
    let expected = "`--append` needs the tag of an index: `-t NAME`, or `name=NAME` in `--output`";
    assert_eq!(error, expected);
}
