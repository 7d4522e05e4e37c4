//! The files of images that are there: `export`, `unpack`, `repack`, `diff`, `check-base`.

mod base;
mod bundle;
mod diff;
mod export;

use support::layout::host_platform;
use support::{BaseImage, Bench, Entry};

use crate::bench;

/// An image of two layers, the upper of which hides something of the lower; nothing in it is run.
fn two_layers() -> BaseImage {
    let mut image = BaseImage::new(
        &host_platform(),
        vec![
            Entry::directory("dir"),
            Entry::file("dir/gone", "gone\n"),
            Entry::file("dir/kept", "kept\n"),
            Entry::file("first", "one\n").mode(0o600),
            Entry::hard_link("second", "first"),
        ],
    );
    image.layers.push(vec![
        Entry::directory("dir"),
        Entry::file("dir/.wh.gone", ""),
        Entry::file("tool", "tool\n").mode(0o4755).owner(7, 8),
        Entry::symlink("link", "dir/kept"),
    ]);
    image.config.cmd = vec!["/tool".to_owned()];
    image
}

fn with_two_layers() -> Bench {
    bench().with_base(&[two_layers()])
}
