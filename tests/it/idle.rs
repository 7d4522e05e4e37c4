//! A build that has nothing to do, and what a step leaves for those after it.

use std::fs;
use std::path::Path;

use support::{Feature, Outcome, needs};

use crate::bench;

/// Puts zeros in the place of every blob that is no document.
fn blank_layers(blobs: &Path) -> usize {
    let mut blanked = 0;
    for entry in fs::read_dir(blobs).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        if bytes.first() != Some(&b'{') {
            // A blob cannot be written, and so can its directory.
            fs::remove_file(&path).unwrap();
            fs::write(&path, vec![0; bytes.len()]).unwrap();
            blanked += 1;
        }
    }
    blanked
}

#[test]
fn a_build_with_nothing_to_do_reads_no_layer() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.file("a", "1\n");
    bench.dockerfile("FROM base\nCOPY a /\nRUN cat a > b\nRUN cat b > c\n");
    bench.build(&[]);
    let bytes = fs::read(bench.path("out.tar")).unwrap();
    let store = bench.path("home/.local/share/careen/content/blobs/sha256");
    assert!(blank_layers(&bench.path("base/blobs/sha256")) > 0);
    assert!(blank_layers(&store) > 0);
    let again = bench.build(&[]);
    let steps = again.log.steps();
    // The base only ever is looked up.
    let steps = steps.iter().filter(|(name, _)| !name.starts_with("FROM "));
    let outcomes: Vec<_> = steps.map(|(_, outcome)| *outcome).collect();
    assert_eq!(outcomes, [Outcome::Cached; 3]);
    assert_eq!(fs::read(bench.path("out.tar")).unwrap(), bytes);
}

#[test]
fn what_a_failed_build_made_is_there_for_the_next_one() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let steps: Vec<_> = (0..20)
        .map(|number| format!("RUN echo {number} >> log\n"))
        .collect();
    let steps = steps.concat();
    bench.dockerfile(&format!("FROM base\n{steps}RUN exit 3\n"));
    bench.failure(&[], 1);
    bench.dockerfile(&format!("FROM base\n{steps}RUN wc -l < log\n"));
    let built = bench.build(&[]);
    let steps = built.log.steps();
    let cached = steps
        .values()
        .filter(|outcome| **outcome == Outcome::Cached);
    assert_eq!(cached.count(), 20);
    assert_eq!(built.log.output(), ["20"]);
    let ingest = bench.path("home/.local/share/careen/ingest");
    assert_eq!(fs::read_dir(ingest).unwrap().count(), 0);
}
