//! `--push`: what goes to a registry, and what does not.

use std::collections::BTreeSet;
use std::fs;

use support::layout::host_platform;
use support::program::Outcome;
use support::registry::{Door, Manners};
use support::{Bench, Feature, Registry, needs};

use crate::bench;
use crate::served::{Served, count, push_base, uploads};

/// A bench with a registry that has `lib/base:1`.
fn bench_with_base() -> (Bench, Served) {
    let bench = bench();
    let mut served = Served::start(&bench);
    push_base(&bench, &served, &[&host_platform(), "linux/s390x"]);
    bench.file("one", "1");
    bench.file("two", "2");
    served.again(&bench);
    (bench, served)
}

/// Builds what has a layer of the base and two linked ones.
fn linked(bench: &Bench, served: &Served) {
    bench.dockerfile(&format!(
        "FROM {}\nCOPY --link one /\nCOPY --link two /\n",
        served.name("lib/base:1")
    ));
}

/// Returns a text of a metadata file.
fn known_value<'a>(known: &'a str, key: &str) -> &'a str {
    let (_, rest) = known.split_once(&format!("\"{key}\": \"")).unwrap();
    rest.split('"').next().unwrap()
}

/// Builds and pushes to `me/app:1`.
fn push(bench: &Bench, served: &Served, flags: &[&str]) {
    let name = served.name("me/app:1");
    let run = bench.careen_build(&["--push", "-t", &name]);
    // The context stands last.
    let run = run.args(flags);
    run.run().success();
}

#[test]
fn a_layer_of_the_base_is_mounted_and_not_fetched() {
    let (bench, mut served) = bench_with_base();
    linked(&bench, &served);
    push(&bench, &served, &[]);
    let asked = served.again(&bench);
    assert_eq!(count(&asked, "POST", "mount=sha256:"), 1, "{asked:#?}");
    // The configuration of the base, and none of its layers.
    assert_eq!(count(&asked, "GET", "/v2/lib/base/blobs/"), 1, "{asked:#?}");
    // Two layers and the configuration.
    assert_eq!(uploads(&asked), 3, "{asked:#?}");
    // What was pushed is whole: it can be built on.
    bench.forget();
    bench.dockerfile(&format!("FROM {}\n", served.name("me/app:1")));
    let built = bench.build(&[]);
    let tree: Vec<_> = built.image().tree().into_keys().collect();
    assert_eq!(tree, ["base", "one", "two"]);
}

#[test]
fn an_image_that_did_not_change_is_not_sent_again_and_of_a_changed_one_what_changed() {
    let (bench, mut served) = bench_with_base();
    linked(&bench, &served);
    push(&bench, &served, &[]);
    served.again(&bench);
    push(&bench, &served, &[]);
    let asked = served.again(&bench);
    assert_eq!(count(&asked, "POST", ""), 0, "{asked:#?}");
    assert_eq!(count(&asked, "PUT", "/blobs/"), 0, "{asked:#?}");
    bench.file("two", "changed");
    push(&bench, &served, &[]);
    let asked = served.end();
    // One layer and the configuration.
    assert_eq!(uploads(&asked), 2, "{asked:#?}");
    assert_eq!(count(&asked, "PUT", "/manifests/"), 1, "{asked:#?}");
}

#[test]
fn several_platforms_go_as_an_index_under_all_names() {
    let (bench, served) = bench_with_base();
    linked(&bench, &served);
    let platforms = format!("{},linux/s390x", host_platform());
    let other = served.name("you/other:x");
    let latest = served.name("me/app");
    let flags = ["--platform", &platforms, "-t", &latest, "-t", &other];
    push(
        &bench,
        &served,
        &[
            &flags[..],
            &["--metadata-file", "known.json", "--iidfile", "id"],
        ]
        .concat(),
    );
    let known = fs::read_to_string(bench.path("known.json")).unwrap();
    let names = format!("{},{latest}:latest,{other}", served.name("me/app:1"));
    assert_eq!(known_value(&known, "image.name"), names);
    let digest = known_value(&known, "containerimage.digest");
    assert_eq!(fs::read_to_string(bench.path("id")).unwrap(), digest);
    bench.forget();
    for name in names.split(',') {
        bench.dockerfile(&format!("FROM {name}\n"));
        let built = bench.build(&["--platform", &platforms]);
        assert_eq!(built.archive.images.len(), 2, "{name}");
    }
    let asked = served.end();
    for (repository, tags) in [("me/app", &["1", "latest"][..]), ("you/other", &["x"])] {
        for tag in tags {
            let put = format!("/v2/{repository}/manifests/{tag} 201");
            assert_eq!(count(&asked, "PUT", &put), 1, "{asked:#?}");
        }
        // The names come last.
        let puts = |line: &&String| line.starts_with(&format!("PUT /v2/{repository}/"));
        let puts: Vec<_> = asked.iter().filter(puts).collect();
        let named = puts.iter().rev().take(tags.len());
        assert!(
            named
                .clone()
                .all(|line| !line.contains("manifests/sha256:")),
            "{puts:#?}"
        );
    }
}

#[test]
fn a_layer_that_several_platforms_have_is_sent_once() {
    let (bench, served) = bench_with_base();
    linked(&bench, &served);
    bench.file("one", "1".repeat(4 << 20));
    let platforms = format!("{},linux/s390x", host_platform());
    push(&bench, &served, &["--platform", &platforms]);
    let asked = served.end();
    // Two layers, which both platforms have, and two configurations; the layers of the bases are mounted.
    assert_eq!(uploads(&asked), 4, "{asked:#?}");
    assert_eq!(count(&asked, "POST", "mount=sha256:"), 2, "{asked:#?}");
}

#[test]
fn a_push_by_digest_gives_no_name() {
    let (bench, served) = bench_with_base();
    linked(&bench, &served);
    let output = format!(
        "type=image,push=true,push-by-digest=true,name={}",
        served.name("me/app")
    );
    let flags = ["-o", &output, "--metadata-file", "known.json"];
    bench.careen_build(&flags).run().success();
    let known = fs::read_to_string(bench.path("known.json")).unwrap();
    let digest = known_value(&known, "containerimage.digest").to_owned();
    bench.forget();
    bench.dockerfile(&format!("FROM {}@{digest}\n", served.name("me/app")));
    assert_eq!(bench.build(&[]).image().text("two"), "2");
    let asked = served.end();
    let puts = asked
        .iter()
        .filter(|line| line.starts_with("PUT ") && line.contains("/manifests/"));
    let puts: Vec<_> = puts.collect();
    assert_eq!(puts, [&format!("PUT /v2/me/app/manifests/{digest} 201")]);
}

#[test]
fn a_token_that_a_registry_wants_is_a_step_and_only_once() {
    let bench = bench();
    let door = Door::Token {
        user: "me".to_owned(),
        password: "secret".to_owned(),
        // Two transfers side by side do not use up one that the other has just got.
        uses: 6,
    };
    let server = Registry::with(Manners {
        door,
        ..Manners::default()
    });
    bench.file("one", "1");
    bench.dockerfile("FROM scratch\nCOPY one /\n");
    let name = format!("{}/team/app:1", server.host());
    let flags = ["--push", "-t", &name, "--creds", "me:secret"];
    let log = bench.careen_build(&flags).run().success();
    let step = format!("[auth] team/app:pull,push token for {}", server.host());
    let lines: BTreeSet<_> = log
        .stderr
        .lines()
        .filter(|line| line.contains("[auth]"))
        .collect();
    let [line] = lines.iter().collect::<Vec<_>>()[..] else {
        panic!("{}", log.stderr);
    };
    assert!(line.ends_with(&step), "{line}");
}

#[test]
fn a_push_that_is_refused_loses_nothing() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let served = Served::start(&bench);
    let address = served.address();
    served.end();
    let served = Served::with(&bench, &address, &["--read-only"]);
    bench.dockerfile("FROM base\nRUN echo built > /made\n");
    let name = served.name("me/app:1");
    let said = bench
        .failure(&["--push", "-t", &name], 4)
        .replace(&address, "HOST");
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[0], "error: cannot push to `HOST/me/app`");
    let note = "  = note: what was built is in the store: the same command goes on from there";
    assert!(lines.contains(&note), "{said}");
    served.end();
    // Nobody is there.
    bench.failure(&["--push", "-t", &name], 4);
    let served = Served::with(&bench, &address, &[]);
    let log = bench.careen_build(&["--push", "-t", &name]).run().success();
    let step = "RUN echo built > /made";
    assert_eq!(log.outcome(step), Some(Outcome::Cached), "{}", log.stderr);
    assert_eq!(count(&served.end(), "PUT", "/v2/me/app/manifests/1 201"), 1);
}

#[test]
fn layers_are_in_the_registry_while_later_steps_run() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let served = Served::start(&bench);
    // The last step ends only when the base's layer and that of the step before it are there: a manifest, which
    // would be a third blob, comes when it has ended.
    let volume = format!("{}:/registry:ro", bench.path("registry").display());
    bench.dockerfile(
        "FROM base\nRUN echo first > /first\n\
         RUN until [ $(ls /registry/blobs/sha256 | wc -l) = 2 ]; do :; done\n",
    );
    push(&bench, &served, &["-v", &volume]);
    let asked = served.end();
    // The configuration, and the layer of the last step.
    assert_eq!(uploads(&asked), 4, "{asked:#?}");
}

#[test]
fn a_build_that_fails_ends_what_is_pushed_meanwhile() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let served = Served::start(&bench);
    bench.dockerfile("FROM base\nRUN echo first > /first\nRUN false\n");
    let name = served.name("me/app:1");
    let said = bench.refusal(&["--push", "-t", &name]);
    assert!(said.starts_with("error: RUN failed"), "{said}");
    let asked = served.end();
    assert_eq!(count(&asked, "PUT", "/manifests/"), 0, "{asked:#?}");
}
