//! What is understood, and what is refused by name.

use layer::Compression;
use oci::media_type::Flavour;
use solver::BaseLayers;

use super::*;

fn host() -> Platform {
    Platform::new("linux", "amd64")
}

fn parse(text: &str) -> OutputSpec {
    OutputSpec::parse(text, &host()).unwrap()
}

fn image(text: &str) -> ImageOptions {
    parse(text).image().unwrap().clone()
}

fn refusal(text: &str) -> String {
    OutputSpec::parse(text, &host()).unwrap_err().to_string()
}

fn file(path: &str) -> Destination {
    Destination::Path(PathBuf::from(path))
}

#[test]
fn a_path_is_a_directory_and_a_dash_an_archive_on_standard_output() {
    for (text, long) in [
        ("out", "type=local,dest=out"),
        ("a=b", "type=local,dest=a=b"),
        ("-", "type=tar,dest=-"),
        ("type=tar", "type=tar,dest=-"),
        ("type=oci", "type=oci,dest=-"),
    ] {
        assert_eq!(parse(text), parse(long), "{text}");
    }
}

#[test]
fn an_image_layout_is_an_archive_or_a_directory() {
    for (text, destination, form) in [
        (
            "type=oci,dest=out.tar",
            file("out.tar"),
            LayoutForm::Archive,
        ),
        (
            "type=oci,dest=out,tar=false",
            file("out"),
            LayoutForm::Directory,
        ),
        ("type=oci,dest=-", Destination::Stdout, LayoutForm::Archive),
    ] {
        let OutputSpec::Oci {
            destination: found,
            form: found_form,
            ..
        } = parse(text)
        else {
            panic!("{text}")
        };
        assert_eq!((found, found_form), (destination, form), "{text}");
    }
}

#[test]
fn what_images_are_like_is_understood() {
    let plain = image("type=oci");
    assert_eq!(
        (plain.flavour, plain.base),
        (Flavour::Oci, BaseLayers::AsTheyAre)
    );
    assert_eq!(image("type=docker,dest=x").flavour, Flavour::Docker);
    assert_eq!(
        image("type=docker,dest=x,oci-mediatypes=1").flavour,
        Flavour::Oci
    );
    assert_eq!(
        image("type=oci,oci-mediatypes=false").flavour,
        Flavour::Docker
    );
    assert_eq!(
        image("type=oci,force-compression=").base,
        BaseLayers::Recompressed
    );
    let level = image("type=oci,compression-level=7,compression=zstd").compression;
    assert_eq!(level, Compression::Zstd { level: 7 });
    let names = image("type=oci,dest=x,\"name=a:1,example.org/b\"").names;
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["docker.io/library/a:1", "example.org/b:latest"]);
    let said = image("type=oci,annotation-index.Org.A=b,annotation[linux/arm64].c=d").annotations;
    assert_eq!(
        said.iter()
            .map(|said| said.key.as_str())
            .collect::<Vec<_>>(),
        ["Org.A", "c"]
    );
}

#[test]
fn times_come_from_the_output_or_else_from_the_build() {
    let at = |seconds| Timestamp::from_unix_seconds(seconds).unwrap();
    for (text, expected) in [
        ("type=oci", Times::Kept),
        ("type=oci,rewrite-timestamp=true", Times::NotAfter(at(7))),
        (
            "type=oci,rewrite-timestamp=true,source-date-epoch=9",
            Times::NotAfter(at(9)),
        ),
    ] {
        let mut spec = parse(text);
        spec.set_time(at(7));
        assert_eq!(spec.pack_plan().unwrap().times, expected, "{text}");
    }
    for (text, expected) in [("out", 7), ("type=tar,source-date-epoch=9", 9)] {
        let mut spec = parse(text);
        spec.set_time(at(7));
        assert_eq!(
            spec.tree_mut().unwrap().times,
            Times::All(at(expected)),
            "{text}"
        );
    }
}

#[test]
fn trees_are_split_by_platform_if_there_are_several_or_as_it_is_asked_for() {
    for (text, expected) in [
        ("out", PlatformSplit::IfSeveral),
        (
            "type=local,dest=x,platform-split=true",
            PlatformSplit::Always,
        ),
        ("type=tar,platform-split=false", PlatformSplit::Never),
    ] {
        assert_eq!(parse(text).tree_mut().unwrap().split, expected, "{text}");
    }
    let OutputSpec::Local { mode, .. } = parse("type=local,dest=x,mode=delete") else {
        panic!("it is a directory")
    };
    assert_eq!(mode, LocalMode::Delete);
}

/// Checks that each text is refused, with its message.
fn assert_refused(table: &[(&str, &str)]) {
    for (text, message) in table {
        assert_eq!(refusal(text), *message, "{text}");
    }
}

#[test]
fn kinds_that_are_not_supported_or_not_known_are_refused_by_name() {
    let kinds = "`local`, `tar`, `oci`, `docker`, `image`, `registry` and `cacheonly` are";
    let unsupported = format!("`--output type=moby` is not supported: {kinds}");
    let unknown = format!("`--output type=x` is not known: {kinds}");
    assert_refused(&[
        ("type=moby", &unsupported),
        ("type=x", &unknown),
        (
            "dest=x,tar=true",
            "`--output dest=x,tar=true` does not say its `type`",
        ),
        ("type=", "`--output type=` does not say its `type`"),
        (
            "type=oci,push=true",
            "`--output type=oci` has no attribute `push`",
        ),
        (
            "type=local,dest=x,name=y",
            "`--output type=local` has no attribute `name`",
        ),
        (
            "type=cacheonly,dest=x",
            "`--output type=cacheonly` has no attribute `dest`",
        ),
        (
            "type=oci,dest",
            "`dest` in `--output type=oci,dest` is no `key=value`",
        ),
        (
            "type=oci,\"name=a",
            "`--output type=oci,\"name=a` has a quotation mark that is not closed",
        ),
    ]);
}

#[test]
fn outputs_without_a_place_are_refused() {
    assert_refused(&[
        (
            "type=oci,tar=false",
            "`--output type=oci,tar=false` needs a directory as its destination",
        ),
        (
            "type=local,dest=-",
            "`--output type=local` needs a directory as its destination",
        ),
        (
            "type=local",
            "`--output type=local` needs a directory: `dest=PATH`",
        ),
    ]);
}

#[test]
fn values_that_cannot_be_are_refused_with_those_that_can() {
    assert_refused(&[
        (
            "type=oci,tar=maybe",
            "`tar=maybe` in `--output`: the value must be `true` or `false`",
        ),
        (
            "type=local,dest=x,mode=move",
            "`mode=move` in `--output`: the value must be `copy` or `delete`",
        ),
        (
            "type=docker,dest=x,context=y",
            "`context=y` in `--output` is not supported yet",
        ),
        (
            "type=oci,compression=estargz",
            "`compression=estargz` in `--output` is not supported yet",
        ),
        (
            "type=oci,compression=lzma",
            "`compression=lzma` in `--output`: the value must be `gzip`, `zstd` or `uncompressed`",
        ),
        (
            "type=oci,compression-level=40",
            "`compression-level=40` in `--output`: the value must be 1 to 9 for gzip, 1 to 22 for zstd",
        ),
        (
            "type=oci,name=A:",
            "`name=A:` in `--output` is no name of an image",
        ),
        (
            "type=tar,source-date-epoch=x",
            "`source-date-epoch=x` in `--output` is no time",
        ),
    ]);
}

#[test]
fn an_output_holds_the_platforms_that_are_built_or_says_that_it_does_not() {
    let two = [host(), Platform::new("linux", "arm64")];
    let check = |text: &str, platforms: &[Platform]| {
        let checked = parse(text).check(platforms);
        checked.map_err(|error| error.to_string())
    };
    assert_eq!(check("type=docker,dest=x", &two[..1]), Ok(()));
    let one = "`--output type=docker` is an archive of one image, and the build has 2 platforms: `type=oci` takes several";
    assert_eq!(check("type=docker,dest=x", &two), Err(one.to_owned()));
    assert_eq!(check("type=oci,annotation-index.a=b", &two), Ok(()));
    let index = "the annotation `a` is for an index, and the image of one platform has none";
    assert_eq!(
        check("type=oci,annotation-index.a=b", &two[..1]),
        Err(index.to_owned())
    );
    assert!(parse("type=oci,rewrite-timestamp=true").lacks_time());
    assert!(!parse("type=oci").lacks_time());
}
