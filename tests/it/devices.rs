//! Device nodes that commands make: they are in the layer, whoever builds it.

use support::{BaseImage, Bench, Entry, Feature, Kind, needs, tarball};

use crate::bench;

/// Builds and returns kind, mode and owner of these paths of the image.
fn found(bench: &Bench, paths: &[&str]) -> Vec<(Kind, u32, (u64, u64))> {
    let built = bench.build(&[]);
    let image = built.image();
    let look = |path: &&str| {
        let entry = image.entry(path);
        (entry.kind.clone(), entry.mode, entry.owner)
    };
    paths.iter().map(look).collect()
}

#[test]
fn a_command_makes_device_nodes() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile(
        "FROM base\n\
         RUN umask 027; mkdir /d && mknod /d/null c 1 3 && mknod -m 604 /d/disk b 259 70000 && mknod /d/pipe p\n",
    );
    assert_eq!(
        found(&bench, &["d/null", "d/disk", "d/pipe"]),
        [
            (Kind::Character(1, 3), 0o640, (0, 0)),
            (Kind::Block(259, 70_000), 0o604, (0, 0)),
            (Kind::Fifo, 0o640, (0, 0)),
        ]
    );
}

#[test]
fn tar_unpacks_device_nodes() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let entries = [
        Entry::directory("tree"),
        Entry::character("tree/console", 5, 1).mode(0o600),
        Entry::character("tree/null", 1, 3).mode(0o666).mtime(7),
        Entry::hard_link("tree/again", "tree/null"),
    ];
    bench.file("tree.tar", tarball::write(&entries));
    bench.dockerfile(
        "FROM base\n\
         COPY tree.tar /\n\
         RUN tar -x -f tree.tar && rm tree.tar\n\
         RUN chmod 622 tree/console && mv tree/null tree/moved\n",
    );
    let built = bench.build(&[]);
    let image = built.image();
    let console = image.entry("tree/console");
    assert_eq!(
        (&console.kind, console.mode),
        (&Kind::Character(5, 1), 0o622)
    );
    let moved = image.entry("tree/moved");
    assert_eq!((moved.mode, moved.mtime), (0o666, 7));
    // Whichever name comes first is the node, and the other one a link to it.
    let kinds = ["tree/again", "tree/moved"].map(|path| image.entry(path).kind.clone());
    assert!(kinds.contains(&Kind::Character(1, 3)), "{kinds:?}");
    assert!(!image.has("tree/null"));
}

#[test]
fn a_device_node_belongs_to_whom_it_is_given() {
    needs!(Feature::Busybox, Feature::IdRange);
    let bench = bench().with_busybox();
    bench.dockerfile(
        "FROM base\n\
         RUN mknod /disk b 8 0 && chown 3:6 /disk && chmod 660 /disk\n\
         RUN cp -p /disk /copy && echo lost > /disk\n",
    );
    let disk = (Kind::Block(8, 0), 0o660, (3, 6));
    assert_eq!(found(&bench, &["disk"]), [disk]);
}

#[test]
fn later_steps_and_stages_have_the_same_device_node() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile(
        "FROM base AS one\n\
         RUN mkdir /d && mknod -m 640 /d/null c 1 3\n\
         RUN ln /d/null /d/again && mv /d/null /null && rm /d/again\n\
         FROM base\n\
         COPY --from=one /null /copied/\n\
         RUN --mount=type=bind,from=one,target=/one test -e /one/null && chmod 600 /copied/null\n",
    );
    let null = (Kind::Character(1, 3), 0o600, (0, 0));
    assert_eq!(found(&bench, &["copied/null"]), std::slice::from_ref(&null));
    bench.dockerfile("FROM base\nCOPY <<end /file\nend\nRUN mknod -m 600 /null c 1 3\n");
    assert_eq!(found(&bench, &["null"]), [null]);
}

#[test]
fn a_device_node_is_replaced_by_a_file_of_its_name() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile(
        "FROM base\n\
         RUN mknod /null c 1 3\n\
         RUN rm /null && echo text > /null\n",
    );
    assert_eq!(bench.build(&[]).image().text("null"), "text\n");
}

#[test]
fn a_mark_of_a_removed_name_cannot_be_made() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile(
        "FROM base\nRUN mknod /etc/passwd c 0 0; mknod /white c 0 0; ls /white; true\n",
    );
    let built = bench.build(&[]);
    assert!(!built.image().has("white"));
    let names = built.image().top_paths();
    assert!(names.iter().all(|name| !name.contains(".wh.")), "{names:?}");
}

#[test]
fn a_device_node_of_the_steps_own_dev_is_in_no_layer() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile(
        "FROM base\n\
         RUN mkdir /dev/net && mknod /dev/net/tun c 10 200 && chmod 600 /dev/net/tun && touch /made\n",
    );
    let built = bench.build(&[]);
    assert!(built.image().has("made"));
    assert!(!built.image().has("dev/net"));
}

#[test]
fn a_user_who_is_not_root_makes_no_device_node() {
    needs!(Feature::Busybox, Feature::IdRange);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nUSER 1000\nRUN cd /tmp && mknod null c 1 3 2>&1; ls -A /tmp\n");
    let log = bench.careen_build(&[]).run().success();
    assert_eq!(log.output(), ["mknod: null: Operation not permitted"]);
}

#[test]
fn a_layer_with_a_record_of_a_device_is_refused() {
    needs!(Feature::Busybox);
    let mut base = BaseImage::busybox();
    let forged = Entry::file("null", "").xattr("user.careen.owner", b"0:0:0666:b8,0");
    base.layers.push(vec![forged]);
    let bench = bench().with_base(&[base]);
    bench.dockerfile("FROM base\nRUN true\n");
    let text = bench.refusal(&[]);
    assert!(text.contains("user.careen.owner"), "{text}");
}
