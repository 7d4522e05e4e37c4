//! Layers that become one, fixed times, and images that do not tell how they were made.

use support::layout::host_platform;
use support::{BaseImage, Bench, Entry, Feature, needs};

use crate::bench;

/// Makes a bench whose build adds, changes and removes files of its base and of its own.
fn bench_with_layers() -> Bench {
    let bench = bench().with_busybox();
    bench.file("file", "context\n");
    bench.dockerfile(
        "FROM base\n\
         RUN mkdir -p /own/deep && echo one > /own/one && echo two > /own/deep/two && rm /etc/group\n\
         ENV a=b\n\
         RUN rm -r /own/deep /home && mkdir /home && echo new > /home/new && ln /own/one /own/link\n\
         COPY file /own/one\n",
    );
    bench
}

/// Returns the paths of an image, and what is in some files.
fn tree(image: &support::Image) -> Vec<String> {
    image.tree().keys().map(ToString::to_string).collect()
}

#[test]
fn new_layers_become_one_and_the_files_stay_what_they_are() {
    needs!(Feature::Busybox);
    let bench = bench_with_layers();
    let plain = bench.build(&[]);
    let squashed = bench.build(&["--squash"]);
    let (plain, squashed) = (plain.image(), squashed.image());
    assert_eq!((plain.layers.len(), squashed.layers.len()), (4, 2));
    assert_eq!(plain.layers[0], squashed.layers[0]);
    assert_eq!(tree(plain), tree(squashed));
    assert_eq!(squashed.text("own/one"), "context\n");
    assert_eq!(squashed.text("own/link"), "one\n");
    assert_eq!(squashed.text("home/new"), "new\n");
    // What the base does not have need not be removed.
    let removed: Vec<_> = squashed
        .top_paths()
        .into_iter()
        .filter(|path| path.contains(".wh."))
        .collect();
    assert_eq!(removed, ["etc/.wh.group", "home/.wh..wh..opq"]);
    let history = squashed.history();
    let last = squashed.config.history.last().unwrap();
    assert_eq!(last.comment.as_deref(), Some("3 layers squashed into one"));
    assert_eq!(
        history
            .iter()
            .filter(|line| !line.starts_with("(empty)"))
            .count(),
        2
    );
    assert_eq!(history.len(), plain.history().len() + 1);
}

#[test]
fn all_layers_become_one() {
    needs!(Feature::Busybox);
    let bench = bench_with_layers();
    let plain = bench.build(&[]);
    let squashed = bench.build(&["--squash=all"]);
    let (plain, squashed) = (plain.image(), squashed.image());
    assert_eq!(squashed.layers.len(), 1);
    assert_eq!(tree(plain), tree(squashed));
    assert!(tree(squashed).iter().all(|path| !path.contains(".wh.")));
    let history = squashed.history();
    assert_eq!(
        history
            .iter()
            .filter(|line| !line.starts_with("(empty)"))
            .count(),
        1
    );
    assert_eq!(history.len(), plain.history().len() + 1);
}

#[test]
fn one_new_layer_stays_what_it_is() {
    let base = BaseImage::new(&host_platform(), vec![Entry::file("base", "base\n")]);
    let bench = bench().with_base(&[base]);
    bench.dockerfile("FROM base\nCOPY Dockerfile /\n");
    let plain = bench.build(&[]).archive.top_digest();
    assert_eq!(bench.build(&["--squash"]).archive.top_digest(), plain);
}

#[test]
fn what_was_squashed_is_not_squashed_again() {
    let bench = bench();
    bench.dockerfile("FROM scratch\nCOPY Dockerfile /a\nCOPY Dockerfile /b\n");
    let first = bench.build(&["--squash"]);
    assert!(
        first.log.stderr.contains("packing squash-"),
        "{}",
        first.log.stderr
    );
    let second = bench.build_as(&["--squash"], "type=oci,dest=out.tar,name=other");
    assert!(
        !second.log.stderr.contains("packing"),
        "{}",
        second.log.stderr
    );
    assert_eq!(first.archive.top_digest(), second.archive.top_digest());
}

#[test]
fn a_time_on_the_command_line_is_that_of_everything_new() {
    let base = vec![Entry::file("base", "base\n").mtime(5)];
    let bench = bench().with_base(&[BaseImage::new(&host_platform(), base)]);
    bench.dockerfile("FROM base\nCOPY Dockerfile /\nENV a=b\n");
    let built = bench.build(&["--timestamp", "4000000000"]);
    let image = built.image();
    assert_eq!(image.entry("Dockerfile").mtime, 4_000_000_000);
    assert_eq!(image.entry("base").mtime, 5);
    let seconds = |time: Option<oci::Timestamp>| time.map(oci::Timestamp::seconds);
    assert_eq!(seconds(image.config.created), Some(4_000_000_000));
    let of_steps = image.config.history.iter().skip(1);
    let times: Vec<_> = of_steps.map(|entry| seconds(entry.created)).collect();
    assert_eq!(times, [Some(4_000_000_000); 2]);
}

#[test]
fn an_image_need_not_tell_how_it_was_made() {
    let base = BaseImage::new(&host_platform(), vec![Entry::file("base", "base\n")]);
    let bench = bench().with_base(&[base]);
    bench.dockerfile("FROM base\nCOPY Dockerfile /\n");
    let built = bench.build(&["--omit-history"]);
    assert!(built.image().history().is_empty());
    assert_eq!(built.image().layers.len(), 2);
}
