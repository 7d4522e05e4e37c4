//! Registries: what is asked of them, and what is said.

use std::fs;

use support::registry::{Door, Manners, Seen};
use support::{Bench, Registry};

use super::{copy, digest, images, own, shared, sorted};

/// Returns the requests that the registry has seen since it was asked for them the last time.
fn seen(registry: &Registry) -> Vec<String> {
    registry.seen().iter().map(Seen::line).collect()
}

/// Pushes both images to `app:1` of a new registry.
fn pushed(bench: &Bench) -> Registry {
    let registry = Registry::start();
    copy(bench, "oci:base", &format!("{}/app:1", registry.host()));
    registry
}

#[test]
fn a_pull_for_one_platform_asks_for_no_blob_of_another() {
    let bench = images();
    let registry = pushed(&bench);
    let host = registry.host();
    let name = format!("{host}/app:1");
    let index = digest(&bench, &name, &[]);
    seen(&registry);
    let pull = ["pull", "--platform", "linux/arm64", &name];
    let pulled = bench.careen(&pull).run().success();
    assert_eq!(
        pulled.text(),
        format!("Digest: {index}\nStatus: Downloaded newer image for {name}\n{name}\n")
    );
    assert_eq!(
        sorted(&pulled.stderr),
        sorted(&format!(
            "1: Pulling from app\n{}: Pull complete\n{}: Pull complete\n",
            shared(),
            own("linux/arm64")
        ))
    );
    let asked = seen(&registry);
    let blobs = asked.iter().filter(|line| line.contains("/blobs/"));
    // Two layers and the configuration.
    assert_eq!(blobs.count(), 3, "{asked:#?}");

    seen(&registry);
    let again = bench.careen(&pull).run().success();
    assert_eq!(
        again.text(),
        format!("Digest: {index}\nStatus: Image is up to date for {name}\n{name}\n")
    );
    let asked = seen(&registry);
    assert!(
        !asked.iter().any(|line| line.contains("/blobs/")),
        "{asked:#?}"
    );
    let quiet = bench.careen(&["pull", "-q", "--all-platforms", &name]);
    let quiet = quiet.run().success();
    assert_eq!((quiet.text(), &*quiet.stderr), (&*format!("{name}\n"), ""));
    assert_eq!(digest(&bench, &format!("store:{name}"), &[]), index);
}

#[test]
fn a_push_of_an_unchanged_image_transfers_no_blob() {
    let bench = images();
    let registry = Registry::start();
    let host = registry.host();
    copy(&bench, "oci:base", &format!("store:{host}/app:1"));
    let push = ["push", &format!("{host}/app:1")];
    let pushed = bench.careen(&push).run().success();
    let index = digest(&bench, "oci:base", &[]);
    let size = registry.tagged("app", "1").unwrap().len();
    assert_eq!(pushed.text(), format!("1: digest: {index} size: {size}\n"));
    let mut expected = vec![format!("The push refers to repository [{host}/app]")];
    let layers = [shared(), own("linux/amd64"), own("linux/arm64")];
    expected.extend(layers.map(|layer| format!("{layer}: Pushed")));
    expected.sort();
    assert_eq!(sorted(&pushed.stderr), expected);

    seen(&registry);
    let again = bench.careen(&push).run().success();
    assert_eq!(again.text(), pushed.text());
    assert_eq!(again.stderr.matches("Layer already exists").count(), 3);
    let asked = seen(&registry);
    let uploads = asked
        .iter()
        .any(|line| line.starts_with("POST") || line.starts_with("PATCH"));
    assert!(!uploads, "{asked:#?}");
}

#[test]
fn all_tags_of_a_repository_are_pushed_and_pulled() {
    let bench = images();
    let registry = Registry::start();
    let host = registry.host();
    for tag in ["1", "2"] {
        copy(&bench, "oci:base", &format!("store:{host}/app:{tag}"));
    }
    copy(&bench, "oci:base", &format!("store:{host}/other:3"));
    let push = bench.careen(&["push", "-q", "-a", &format!("{host}/app")]);
    let pushed = push.run().success();
    assert_eq!(pushed.text(), format!("{host}/app:1\n{host}/app:2\n"));
    bench.forget();
    let pull = bench.careen(&["pull", "-a", &format!("{host}/app")]);
    let pulled = pull.run().success();
    assert!(pulled.text().ends_with(&format!(
        "Status: Downloaded newer image for {host}/app\n{host}/app\n"
    )));
    let tags = bench.careen(&["tags", &format!("store:{host}/app")]);
    assert_eq!(tags.run().success().text(), "1\n2\n");
}

#[test]
fn a_repository_without_latest_is_pushed_with_all_its_tags() {
    let bench = images();
    let registry = Registry::start();
    let host = registry.host();
    let push = || {
        bench
            .careen(&["push", &format!("{host}/app")])
            .run()
            .success()
    };
    for tag in ["1", "2"] {
        copy(&bench, "oci:base", &format!("store:{host}/app:{tag}"));
    }
    let all = push();
    let pushed = |said: &str| -> Vec<String> {
        let tags = said.lines().map(|line| line.split(':').next());
        tags.map(|tag| tag.unwrap().to_owned()).collect()
    };
    assert_eq!(pushed(all.text()), ["1", "2"]);
    let expected = format!("There is no `{host}/app:latest`: all tags of it are pushed");
    assert_eq!(all.stderr.lines().next(), Some(&*expected));
    copy(&bench, "oci:base", &format!("store:{host}/app:latest"));
    let latest = push();
    assert_eq!(pushed(latest.text()), ["latest"]);
    assert!(!latest.stderr.contains("all tags"), "{}", latest.stderr);
}

#[test]
fn a_copy_within_a_registry_moves_no_byte() {
    let bench = images();
    let registry = pushed(&bench);
    let host = registry.host();
    seen(&registry);
    let to = format!("{host}/other:2");
    let copied = bench.careen(&["copy", "--all", &format!("{host}/app:1"), &to]);
    let copied = copied.run().success();
    assert_eq!(copied.text().trim(), digest(&bench, "oci:base", &[]));
    let line = format!("{}: Mounted from {host}/app", shared());
    assert!(copied.stderr.contains(&line), "{}", copied.stderr);
    let asked = seen(&registry);
    let reads = asked
        .iter()
        .filter(|line| line.starts_with("GET") && line.contains("/blobs/"));
    assert_eq!(reads.count(), 0, "{asked:#?}");
}

#[test]
fn digests_and_tags_are_read_and_images_deleted() {
    let bench = images();
    let registry = pushed(&bench);
    let host = registry.host();
    registry.behave(Manners {
        page: Some(1),
        ..Manners::default()
    });
    copy(&bench, "oci:base", &format!("{host}/app:2"));
    let tags = |arguments: &[&str]| {
        let run = bench
            .careen(&["tags", &format!("{host}/app")])
            .args(arguments);
        run.run().success().text().to_owned()
    };
    assert_eq!(tags(&[]), "1\n2\n");
    assert_eq!(tags(&["--limit", "1"]), "1\n");
    let name = format!("{host}/app:1");
    let arm64 = digest(&bench, "oci:base", &["--platform", "linux/arm64"]);
    assert_eq!(digest(&bench, &name, &["--platform", "linux/arm64"]), arm64);
    let index = digest(&bench, "oci:base", &[]);
    let full = format!("{host}/app@{index}");
    assert_eq!(digest(&bench, &name, &["--full-ref"]), full);
    let deleted = bench.careen(&["delete", &name]).run().success();
    assert_eq!(deleted.text(), format!("Deleted: {full}\n"));
    assert_eq!(tags(&[]), "");
}

#[test]
fn what_a_registry_does_not_give_is_said_with_its_exit_code() {
    let bench = images();
    let registry = pushed(&bench);
    let host = registry.host();
    let said = |arguments: &[&str], code| {
        let text = bench.careen(arguments).run().error(code).to_owned();
        text.replace(&host, "$HOST")
    };
    let missing = said(&["pull", &format!("{host}/app:9")], 4);
    assert!(
        missing.starts_with("error: cannot read `$HOST/app:9`\n"),
        "{missing}"
    );
    assert!(missing.contains("404 Not Found"), "{missing}");
    let missing = said(&["delete", &format!("{host}/app:9")], 4);
    assert_eq!(missing, "error: no image `$HOST/app:9` in the registry");
    let platform = said(
        &[
            "pull",
            "--platform",
            "linux/s390x",
            &format!("{host}/app:1"),
        ],
        1,
    );
    assert_eq!(
        platform,
        "error: `$HOST/app:1` has no image for linux/s390x\n  = note: it has linux/amd64, linux/arm64"
    );
    copy(&bench, "oci:base", &format!("store:{host}/app:1"));
    let nobody = said(&["push", &format!("{host}/ap:1")], 1);
    assert_eq!(
        nobody,
        "error: no such image: `$HOST/ap:1`\n  = help: the store has an image of a similar name: `$HOST/app:1`"
    );
    registry.behave(Manners {
        door: Door::Basic("me".to_owned(), "right".to_owned()),
        ..Manners::default()
    });
    let refused = said(
        &["push", "--creds", "me:wrong", &format!("{host}/app:1")],
        4,
    );
    assert!(refused.contains("401 Unauthorized"), "{refused}");
    assert!(
        refused.contains("= help: `careen login $HOST`"),
        "{refused}"
    );
    assert!(!refused.contains("wrong"), "{refused}");
    let name = format!("{host}/app:1");
    let push = bench.careen(&["push", "-q", "--creds", "me:right", &name]);
    assert_eq!(push.run().success().text(), format!("{name}\n"));
}

#[test]
fn a_name_without_a_registry_is_read_from_the_one_that_the_user_configured() {
    let bench = images();
    let registry = pushed(&bench);
    let name = format!("{}/app", registry.host());
    let directory = bench.path("home/.config/containers");
    fs::create_dir_all(&directory).unwrap();
    let file = directory.join("registries.conf");
    fs::write(&file, format!("[aliases]\n\"short\" = \"{name}\"\n")).unwrap();
    let pulled = bench.careen(&["pull", "-q", "short:1"]).run().success();
    assert_eq!(pulled.text(), format!("{name}:1\n"));
    assert_eq!(
        digest(&bench, "short:1", &[]),
        digest(&bench, &format!("{name}:1"), &[])
    );
    let tags = bench.careen(&["tags", "short"]).run().success();
    assert_eq!(tags.text(), "1\n");
    let raw = bench.careen(&["imagetools", "inspect", "--raw", "short:1"]);
    let raw = raw.run().success();
    assert_eq!(
        raw.text().trim_end().as_bytes(),
        registry.tagged("app", "1").unwrap()
    );
    copy(&bench, "short:1", "oci:copied:1");

    let search = "unqualified-search-registries = [\"one.example\", \"two.example\"]\n";
    fs::write(&file, search).unwrap();
    let refused = bench.careen(&["pull", "app:1"]).run();
    assert_eq!(
        refused.error(2).trim_end(),
        "error: cannot tell which image `app:1` is\n  \
         = caused by: `app:1` names no registry, and `unqualified-search-registries` has several: \
         `one.example/app:1`, `two.example/app:1`"
    );
}
