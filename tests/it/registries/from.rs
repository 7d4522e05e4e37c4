//! `FROM` a registry.

use std::fs;

use insta::assert_snapshot;
use support::archive::Image;
use support::layout::host_platform;

use crate::bench;
use crate::served::{Served, count, push_base};

/// A bench with a registry that has `lib/base:1` for this machine and for another one.
fn bench_with_base() -> (support::Bench, Served) {
    let bench = bench();
    let mut served = Served::start(&bench);
    push_base(&bench, &served, &[&host_platform(), "linux/s390x"]);
    served.again(&bench);
    bench.file("file", "new");
    let from = format!("FROM {}\nCOPY file /\n", served.name("lib/base:1"));
    bench.dockerfile(&from);
    (bench, served)
}

#[test]
fn only_the_layers_of_the_platform_are_fetched_and_a_second_build_asks_for_the_tag_alone() {
    let (bench, served) = bench_with_base();
    let address = served.address();
    let built = bench.build(&[]);
    assert_eq!(built.image().text("base"), host_platform());
    assert_eq!(built.image().text("file"), "new");
    let asked = served.end();
    // The index, the manifest, the configuration and the one layer.
    assert_eq!(
        count(&asked, "HEAD", "/v2/lib/base/manifests/1 200"),
        1,
        "{asked:?}"
    );
    assert_eq!(count(&asked, "GET", "/manifests/"), 2, "{asked:?}");
    assert_eq!(count(&asked, "GET", "/blobs/"), 2, "{asked:?}");

    let served = Served::with(&bench, &address, &[]);
    bench.file("file", "newer");
    bench.build(&[]);
    let asked = served.end();
    // Whether the registry speaks TLS is found out anew by each process, on the loopback.
    let asked: Vec<_> = asked
        .iter()
        .filter(|line| !line.starts_with("GET /v2/ "))
        .collect();
    assert_eq!(asked, ["HEAD /v2/lib/base/manifests/1 200"]);
}

#[test]
fn a_base_that_is_only_looked_into_is_read_once_and_never_unpacked() {
    let (bench, served) = bench_with_base();
    let address = served.address();
    let from = served.name("lib/base:1");
    bench.dockerfile(&format!(
        "FROM {from}\nCOPY file /made/here/\nWORKDIR /made/there\n"
    ));
    let built = bench.build(&[]);
    assert_eq!(built.image().text("made/here/file"), "new");
    let asked = served.end();
    assert_eq!(count(&asked, "GET", "/blobs/"), 2, "{asked:?}");
    assert_eq!(snapshots(&bench), Vec::<String>::new());

    // Another copy finds its place by what is known of the layers.
    bench.file("file", "newer");
    let served = Served::with(&bench, &address, &[]);
    let built = bench.build(&[]);
    assert_eq!(built.image().text("made/here/file"), "newer");
    assert_eq!(count(&served.end(), "GET", "/v2/lib"), 0);
    assert_eq!(snapshots(&bench), Vec::<String>::new());
}

/// Returns the names of the snapshots in the store.
fn snapshots(bench: &support::Bench) -> Vec<String> {
    let names = |path: &std::path::Path| -> Vec<_> {
        let entries = fs::read_dir(path).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let maps = names(&bench.path("home/.local/share/careen/snapshots"));
    let snapshots = maps.iter().flat_map(|map| names(map));
    snapshots.map(|path| path.display().to_string()).collect()
}

#[test]
fn one_name_is_asked_for_once_whatever_it_is_wanted_for() {
    let (bench, served) = bench_with_base();
    let name = served.name("lib/base:1");
    bench.dockerfile(&format!(
        "FROM {name} AS one\nFROM {name}\nCOPY --link --from=one base /copy\n"
    ));
    let platforms = format!("{},linux/s390x", host_platform());
    let built = bench.build(&["--platform", &platforms]);
    let texts: Vec<_> = built
        .archive
        .images
        .iter()
        .map(|image| image.text("copy"))
        .collect();
    assert_eq!(texts, [host_platform().as_str(), "linux/s390x"]);
    let asked = served.end();
    assert_eq!(count(&asked, "HEAD", "/manifests/"), 1, "{asked:?}");
    // The index, and for each platform manifest, configuration and layer.
    assert_eq!(count(&asked, "GET", "/manifests/"), 3, "{asked:?}");
    assert_eq!(count(&asked, "GET", "/blobs/"), 4, "{asked:?}");
}

#[test]
fn a_digest_is_never_asked_for_twice() {
    let (bench, served) = bench_with_base();
    bench.build(&["--metadata-file", "known.json"]);
    let address = served.address();
    let asked = served.end();
    let index = asked.iter().find_map(|line| {
        let (_, digest) = line.strip_prefix("GET ")?.split_once("/manifests/")?;
        digest.split(' ').next().map(str::to_owned)
    });
    let index = index.unwrap();
    bench.forget();
    bench.dockerfile(&format!("FROM {address}/lib/base@{index}\nCOPY file /\n"));
    let served = Served::with(&bench, &address, &[]);
    bench.build(&[]);
    let asked = served.end();
    assert_eq!(count(&asked, "HEAD", "/manifests/"), 0, "{asked:?}");
    // Nobody answers any more, and nobody is asked.
    let built = bench.build(&["--no-cache"]);
    assert_eq!(built.image().text("base"), host_platform());
    assert!(
        !built.log.stderr.contains("warning"),
        "{}",
        built.log.stderr
    );
}

#[test]
fn without_an_answer_a_name_is_what_it_was_the_last_time() {
    let (bench, served) = bench_with_base();
    let address = served.address();
    bench.build(&[]);
    served.end();
    let built = bench.build(&["--no-cache"]);
    let warning = built
        .log
        .stderr
        .lines()
        .find(|line| line.starts_with("warning"));
    let warning = warning.unwrap().replace(&address, "HOST");
    let (said, _) = warning.split_once(" is taken to be sha256:").unwrap();
    assert_eq!(said, "warning: `HOST` does not answer: `HOST/lib/base:1`");
    let quiet = bench.build(&["--pull=never", "--no-cache"]);
    assert!(
        !quiet.log.stderr.contains("warning"),
        "{}",
        quiet.log.stderr
    );
    let newer = bench.build(&["--pull=newer", "--no-cache"]);
    assert!(
        newer.log.stderr.contains("does not answer"),
        "{}",
        newer.log.stderr
    );
    let failed = bench.failure(&["--pull"], 4).replace(&address, "HOST");
    let title = failed.lines().next().unwrap();
    assert_eq!(title, "error: cannot get the image `HOST/lib/base:1`");
}

#[test]
fn an_image_that_the_registry_does_not_have_is_named_with_the_registry() {
    let (bench, served) = bench_with_base();
    bench.dockerfile(&format!("FROM {}\n", served.name("lib/base:2")));
    let said = bench
        .failure(&[], 4)
        .replace(&served.address(), "127.0.0.1:0000");
    // The carets are as many as the name with its port has letters.
    let said: Vec<_> = said.lines().map(str::trim_end).take(4).collect();
    assert_snapshot!(said.join("\n"), @r"
    error: `127.0.0.1:0000` has no image `127.0.0.1:0000/lib/base:2`
     --> Dockerfile:1:6
      |
    1 | FROM 127.0.0.1:0000/lib/base:2
    ");
    bench.dockerfile(&format!("FROM {}\n", served.name("lib/base:1")));
    let said = bench.failure(&["--platform", "linux/ppc64le"], 1);
    assert!(said.contains("has no image for linux/ppc64le"), "{said}");
    assert!(said.contains("linux/s390x"), "{said}");
}

#[test]
fn all_platforms_are_those_of_the_registrys_image() {
    let (bench, served) = bench_with_base();
    bench.dockerfile(&format!(
        "FROM {}\nCOPY --link file /\n",
        served.name("lib/base:1")
    ));
    let built = bench.build(&["--all-platforms"]);
    let mut platforms: Vec<_> = built.archive.images.iter().map(Image::platform).collect();
    platforms.sort();
    let mut expected = [host_platform(), "linux/s390x".to_owned()];
    expected.sort();
    assert_eq!(platforms, expected);
}

#[test]
fn a_name_without_a_registry_is_of_the_one_that_the_user_configured() {
    let (bench, served) = bench_with_base();
    let directory = bench.path("home/.config/containers");
    fs::create_dir_all(&directory).unwrap();
    let alias = format!("[aliases]\n\"short\" = \"{}\"\n", served.name("lib/base"));
    fs::write(directory.join("registries.conf"), alias).unwrap();
    bench.dockerfile("FROM short:1\nCOPY file /\n");
    assert_eq!(bench.build(&[]).image().text("base"), host_platform());
    let search = "unqualified-search-registries = [\"one.example\", \"two.example\"]\n";
    fs::write(directory.join("registries.conf"), search).unwrap();
    assert_snapshot!(bench.refusal(&[]), @r"
    error: cannot tell which image `short:1` is
     --> Dockerfile:1:6
      |
    1 | FROM short:1
      |      ^^^^^^^
      |
      = caused by: `short:1` names no registry, and `unqualified-search-registries` has several: `one.example/short:1`, `two.example/short:1`
    ");
}
