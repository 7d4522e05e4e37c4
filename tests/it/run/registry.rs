//! Images that come from a registry.

use support::{Feature, Registry, needs};

use super::run;
use crate::bench;

#[test]
fn an_image_that_the_store_lacks_is_pulled_and_kept() {
    needs!(Feature::Busybox);
    let (bench, registry) = (bench().with_busybox(), Registry::start());
    let name = format!("{}/app:1", registry.host());
    bench
        .careen(&["unpack", "--image", "oci:base", "bundle"])
        .run()
        .success();
    std::fs::write(bench.path("bundle/rootfs/made"), "made\n").unwrap();
    bench
        .careen(&["repack", "--image", &name, "bundle"])
        .run()
        .success();
    let absent = run(&bench, &["--pull", "never", &name, "cat", "/made"]);
    assert_eq!(absent.error(125), format!("error: no such image: `{name}`"));
    let pulled = run(&bench, &[&name, "cat", "/made"]).success();
    assert_eq!(
        (pulled.text(), &*pulled.stderr),
        ("made\n", &*format!("Pulling `{name}`"))
    );
    assert!(!registry.seen().is_empty());
    let kept = run(&bench, &[&name, "cat", "/made"]).success();
    assert_eq!((kept.text(), &*kept.stderr), ("made\n", ""));
    assert!(registry.seen().is_empty());
}

#[test]
fn a_registry_without_the_image_says_so() {
    let (bench, registry) = (bench(), Registry::start());
    let name = format!("{}/app:1", registry.host());
    let refused = run(&bench, &[&name, "true"]);
    let said = refused.error(125);
    assert_eq!(
        said.lines().next(),
        Some(&*format!("error: cannot read `{name}`"))
    );
    assert!(said.contains("404"), "{said}");
}
