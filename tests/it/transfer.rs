//! Images on their way: `copy`, `pull`, `push`, `save`, `load`, `import`, `digest`, `tags`, `delete`.

mod archive;
mod import;
mod place;
mod registry;

use support::{BaseImage, Bench, Entry, tarball};

use crate::bench;

/// What the images of [`images`] are for.
const PLATFORMS: [&str; 2] = ["linux/amd64", "linux/arm64"];

/// Makes a bench with a layout `base`, whose tag `latest` is an index of two images of two layers, one of which both
/// have.
fn images() -> Bench {
    let shared = vec![Entry::file("shared", "of both")];
    let image = |platform: &str| {
        let mut image = BaseImage::new(platform, shared.clone());
        image.layers.push(vec![Entry::file("own", platform)]);
        image
    };
    bench().with_base(&PLATFORMS.map(image))
}

/// Returns the first digits of the digest of a layer, as they are shown.
fn shown(entry: Entry) -> String {
    let digest = oci::Digest::of(&tarball::write(&[entry]));
    digest.encoded().chars().take(12).collect()
}

fn shared() -> String {
    shown(Entry::file("shared", "of both"))
}

fn own(platform: &str) -> String {
    shown(Entry::file("own", platform))
}

/// Returns the digest that a place's name leads to.
fn digest(bench: &Bench, location: &str, arguments: &[&str]) -> String {
    let run = bench.careen(&["digest", location]).args(arguments);
    run.run().success().text().trim().to_owned()
}

/// Copies all of an image without a word.
fn copy(bench: &Bench, from: &str, to: &str) {
    let run = bench.careen(&["copy", "-q", "--all", from, to]);
    assert_eq!(run.run().success().text(), "");
}

/// Returns the lines, sorted: blobs are copied side by side.
fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines
}
