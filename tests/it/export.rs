//! The outputs of a build.

mod annotation;
mod docker;
mod local;
mod oci;
mod result;
mod squash;
mod tar;

use support::layout::host_platform;
use support::{BaseImage, Bench, Entry};

use crate::bench;

/// Makes a bench whose image has a layer of its base and one of its own.
fn bench_on_base() -> Bench {
    let base = BaseImage::new(&host_platform(), vec![Entry::file("base", "base\n")]);
    let bench = bench().with_base(&[base]);
    bench.file("file", "content\n");
    bench.dockerfile("FROM base\nCOPY file /\n");
    bench
}
