//! `WORKDIR`.

use support::{Feature, needs};

use crate::bench;

#[test]
fn directories_are_made_and_relative_ones_go_on_from_the_last() {
    let bench = bench();
    bench.dockerfile("FROM scratch\nENV D=two\nWORKDIR /one\nWORKDIR $D/../three\n");
    let built = bench.build(&[]);
    let image = built.image();
    assert_eq!(
        image.config.config.working_dir.as_deref(),
        Some("/one/three")
    );
    assert_eq!(
        image.history(),
        ["(empty) ENV D=two", "WORKDIR /one", "WORKDIR /one/three"]
    );
    let tree = image.tree();
    let directories: Vec<_> = tree
        .iter()
        .map(|(path, entry)| (*path, entry.mode, entry.owner))
        .collect();
    assert_eq!(
        directories,
        [("one", 0o755, (0, 0)), ("one/three", 0o755, (0, 0))]
    );
}

#[test]
fn a_directory_that_is_there_makes_an_empty_layer() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nWORKDIR /tmp\nRUN pwd\n");
    let built = bench.build(&[]);
    assert_eq!(built.log.output(), ["/tmp"]);
    assert_eq!(built.image().entry("tmp").mode, 0o1777);
}
