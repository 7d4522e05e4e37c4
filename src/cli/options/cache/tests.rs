use std::path::PathBuf;

use super::*;

fn options(from: &[&str], to: &[&str]) -> Result<CacheOptions, String> {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let arguments = CacheArguments {
        cache_from: texts(from),
        cache_to: texts(to),
        ..CacheArguments::default()
    };
    let env = Environment {
        current_directory: PathBuf::from("/here"),
        ..Environment::default()
    };
    CacheOptions::new(&arguments, &BTreeMap::new(), &env).map_err(|error| error.to_string())
}

fn to(text: &str) -> Result<CacheTo, String> {
    let mut options = options(&[], &[text])?;
    match options.to.pop() {
        Some(CacheDestination::Place(to)) => Ok(to),
        other => Err(format!("{other:?}")),
    }
}

fn place(place: &CachePlace) -> String {
    match place {
        CachePlace::Registry(cache) => format!("{} {:?}", cache.reference, cache.protection),
        CachePlace::Local(cache) => {
            format!(
                "{} {:?} {:?}",
                cache.path.display(),
                cache.selector,
                cache.unnamed
            )
        }
        CachePlace::Gha(cache) => format!("{cache:?}"),
    }
}

#[test]
fn a_place_is_a_reference_or_a_directory() {
    for (text, expected) in [
        ("reg.example/app:cache", "reg.example/app:cache Configured"),
        (
            "type=registry,ref=reg.example/app",
            "reg.example/app:latest Configured",
        ),
        (
            "type=registry,ref=localhost:5000/a:b,registry.insecure=1",
            "localhost:5000/a:b None",
        ),
        ("type=local,src=dir", r#"/here/dir Tag("latest") Kept"#),
        ("type=local,src=/abs,tag=main", r#"/abs Tag("main") Kept"#),
    ] {
        let found = options(&[text], &[]).map(|options| place(&options.from[0].place));
        assert_eq!(found, Ok(expected.to_owned()), "{text}");
    }
}

#[test]
fn what_is_written_has_the_attributes_of_buildx() {
    let plain = to("type=local,dest=dir").unwrap();
    assert_eq!(place(&plain.place), r#"/here/dir Tag("latest") Kept"#);
    assert_eq!(plain.mode, Mode::Min);
    assert_eq!(plain.earlier, Earlier::Kept);
    assert_eq!(plain.compression, None);
    assert_eq!(plain.compressed, BaseLayers::AsTheyAre);
    assert_eq!(plain.failure, CacheFailure::Fails);
    let full = "type=local,dest=dir,tag=t,reset=true,mode=max,compression=zstd,compression-level=9,\
                force-compression=true,oci-mediatypes=true,image-manifest=true,ignore-error=true";
    let full = to(full).unwrap();
    assert_eq!(place(&full.place), r#"/here/dir Tag("t") Removed"#);
    assert_eq!(full.mode, Mode::Max);
    assert_eq!(full.earlier, Earlier::Dropped);
    assert_eq!(full.compression, Some(Compression::Zstd { level: 9 }));
    assert_eq!(full.compressed, BaseLayers::Recompressed);
    assert_eq!(full.failure, CacheFailure::IsIgnored);
}

/// Checks what is said about texts that are refused.
fn refused(flag: &str, cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let found = match flag {
            "--cache-from" => options(&[text], &[]),
            _ => options(&[], &[text]),
        };
        assert_eq!(found.map(drop), Err((*expected).to_owned()), "{text}");
    }
}

#[test]
fn cache_mounts_are_taken_unless_it_is_said_and_written_only_where_it_is() {
    let from = |text: &str| options(&[text], &[]).unwrap().from[0].mounts.clone();
    let ids = |ids: &[&str]| MountSelection::parse(ids.iter().copied());
    assert_eq!(from("type=local,src=dir"), MountSelection::All);
    assert_eq!(from("type=local,src=dir,mounts=none"), MountSelection::None);
    assert_eq!(
        from("type=local,src=dir,mounts=a,mounts=b"),
        ids(&["a", "b"])
    );
    let to = |text: &str| to(text).unwrap().mounts;
    assert_eq!(to("type=local,dest=dir"), MountSelection::None);
    assert_eq!(to("type=local,dest=dir,mounts=all"), MountSelection::All);
    assert_eq!(to("type=local,dest=dir,\"mounts=a,b\""), ids(&["a", "b"]));
}

#[test]
fn an_import_that_is_not_understood_is_refused_by_name() {
    let cases = [
        (
            "type=s3,bucket=b",
            "`--cache-from type=s3` is not supported: `registry`, `local`, `gha` and `inline` are",
        ),
        (
            "ref=a",
            "`--cache-from ref=a` does not say its `type`: `registry`, `local`, `gha` and `inline` are known",
        ),
        (
            "type=inline",
            "`--cache-from type=inline`: an image with a cache in it is `--cache-from type=registry,ref=IMAGE`",
        ),
        ("type=registry", "`--cache-from type=registry` needs `ref=`"),
        (
            "type=local,src=a,mode=max",
            "`--cache-from type=local` has no attribute `mode`: `src`, `tag`, `digest`, `mounts` are known",
        ),
        (
            "type=local,src=a,digest=b",
            "`digest=b` in `--cache-from` is no digest",
        ),
        (
            "type=local,src",
            "`--cache-from type=local,src`: `src` is no `key=value`",
        ),
    ];
    refused("--cache-from", &cases);
}

#[test]
fn an_export_that_is_not_understood_is_refused_by_name() {
    let cases = [
        (
            "type=azblob,name=b",
            "`--cache-to type=azblob` is not supported: `registry`, `local`, `gha` and `inline` are",
        ),
        ("type=local", "`--cache-to type=local` needs `dest=`"),
        (
            "type=registry,ref=a,mode=most",
            "`mode=most` in `--cache-to`: the value must be `min` or `max`",
        ),
        (
            "type=inline,mode=max",
            "`mode=max` in `--cache-to`: the value must be `min`: an image has its own layers and no others",
        ),
        (
            "type=registry,ref=a,oci-mediatypes=false",
            "`oci-mediatypes=false` in `--cache-to` is not supported: caches have OCI's media types",
        ),
        (
            "type=registry,ref=a,image-manifest=false",
            "`image-manifest=false` in `--cache-to` is not supported: a cache is an index of manifests, one for each platform",
        ),
        ("type=registry,ref=A", "`A` in `--cache-to` is no reference"),
        (
            "type=registry,ref=a,compression-level=10",
            "`compression-level=10` in `--cache-to`: the value must be 1 to 9 for gzip, 1 to 22 for zstd",
        ),
        (
            "type=registry,ref=a,ignore-error=maybe",
            "`ignore-error=maybe` in `--cache-to`: the value must be `true` or `false`",
        ),
    ];
    refused("--cache-to", &cases);
}

#[test]
fn a_cache_is_not_written_to_a_digest() {
    let digest = format!("a@sha256:{}", "0".repeat(64));
    let found = to(&digest).map(drop).unwrap_err();
    assert_eq!(
        found,
        format!(
            "`ref=docker.io/library/{digest}` in `--cache-to`: a cache is written to a tag, and not to a digest"
        )
    );
}

#[test]
fn buildx_argument_asks_for_a_cache_in_the_image() {
    for (value, expected) in [("1", 1), ("true", 1), ("0", 0), ("", 0)] {
        let build_args = [(INLINE_ARGUMENT.to_owned(), value.to_owned())].into();
        let env = Environment::default();
        let found = CacheOptions::new(&CacheArguments::default(), &build_args, &env).unwrap();
        assert_eq!(found.to.len(), expected, "{value}");
    }
}

#[test]
fn flags_of_kaniko_name_what_there_is() {
    let arguments = CacheArguments {
        kaniko: KanikoCacheArguments {
            cache_copy_layers: Some("true".to_owned()),
            ..KanikoCacheArguments::default()
        },
        ..CacheArguments::default()
    };
    let found = CacheOptions::new(&arguments, &BTreeMap::new(), &Environment::default());
    let expected = "`--cache-copy-layers` is not supported: `--cache-to …,mode=min` leaves the layers of the image, and `mode=max` all";
    assert_eq!(found.map(drop).unwrap_err().to_string(), expected);
}
