//! The mode `chroot`: commands change a copy of their files, with Landlock as the wall.
//!
//! The mode is asked for, so that machines that allow more can show it; `scripts/e2e/container.sh` shows it where nothing
//! more is allowed.

use std::fs;

use support::{Archive, Bench, Entry, Feature, Finished, Image, Kind, needs, tarball};

use crate::bench;

/// Builds in the mode.
fn run(bench: &Bench, arguments: &[&str]) -> Finished {
    let build = bench.careen_build(arguments);
    let build = build.args(&["--output", "type=oci,dest=out.tar"]);
    build.env("CAREEN_EXECUTOR", "chroot").run()
}

/// Builds in the mode what has to succeed.
fn build(bench: &Bench, arguments: &[&str]) -> Archive {
    run(bench, arguments).success();
    Archive::read(&fs::read(bench.path("out.tar")).unwrap())
}

/// Returns all that an entry says but its time; a hard link is what it is a link to.
fn line(image: &Image, entry: &Entry) -> String {
    let kind = match &entry.kind {
        Kind::HardLink(target) => &image.entry(target).kind,
        own => own,
    };
    let kind = match kind {
        Kind::File(bytes) if bytes.len() < 1000 => String::from_utf8_lossy(bytes).into_owned(),
        Kind::File(bytes) => format!("{} bytes", bytes.len()),
        other => format!("{other:?}"),
    };
    format!("{} {kind:?} {:o} {:?}", entry.path, entry.mode, entry.owner)
}

/// Returns the layers above the base, in the order of their paths.
pub(crate) fn layers(archive: &Archive) -> Vec<Vec<String>> {
    let image = archive.image();
    let lines = |layer: &Vec<Entry>| {
        let mut lines: Vec<String> = layer.iter().map(|entry| line(image, entry)).collect();
        lines.sort();
        lines
    };
    image.layers.iter().skip(1).map(lines).collect()
}

/// Returns what all layers together make, without the programs.
fn tree(archive: &Archive) -> Vec<String> {
    let image = archive.image();
    let entries = image.tree().into_values();
    let entries = entries.filter(|entry| !entry.path.starts_with("bin"));
    entries.map(|entry| line(image, entry)).collect()
}

#[test]
fn the_layers_are_those_of_namespaces() {
    needs!(Feature::Busybox, Feature::Root);
    let bench = bench().with_busybox();
    bench.file("file", "text");
    bench.dockerfile(
        "FROM base\n\
         RUN mkdir -p /a/b /c && echo 1 > /a/b/f && ln -s g /a/l && chown 3:6 /a/b/f && chmod 4755 /a/b/f\n\
         RUN rm /a/l && echo 2 >> /c/new && mknod /c/pipe p && mknod /c/disk b 8 0 && chmod 600 /c\n\
         COPY --chown=5:7 file /a/\n\
         RUN echo more >> /a/file && mkdir /new && rm -r /c && rm -r /home/app && ln -s /new /c\n\
         WORKDIR /made/here\n\
         RUN pwd > where\n\
         USER 1000:1000\n\
         WORKDIR /tmp\n\
         RUN echo mine > file && id -u > id && id -G >> id\n",
    );
    let expected = bench.build(&[]);
    let found = build(&bench, &[]);
    assert_eq!(layers(&found), layers(&expected.archive));
    assert_eq!(found.image().text("tmp/id"), "1000\n1000\n");
}

#[test]
fn the_files_are_those_of_namespaces_however_they_came_about() {
    needs!(Feature::Busybox, Feature::Root);
    let bench = bench().with_busybox();
    let entries = [
        Entry::directory("tree"),
        Entry::character("tree/console", 5, 1).mode(0o600),
        Entry::character("tree/null", 1, 3).mode(0o666),
        Entry::hard_link("tree/again", "tree/null"),
    ];
    bench.file("tree.tar", tarball::write(&entries));
    bench.dockerfile(
        "FROM base AS one\n\
         RUN mkdir -p /a/b /c && echo 1 > /a/b/f && ln /a/b/f /a/g && touch /c/x\n\
         COPY --chown=5:7 tree.tar /a/\n\
         RUN tar -x -f /a/tree.tar && rm -r /a && mkdir /a && echo 3 > /a/x && chown -h 9:9 /a/x\n\
         RUN chmod 622 tree/console && mv tree/null tree/moved && mv c d && touch d/y\n\
         FROM base\n\
         COPY --from=one /tree /d /all/\n\
         RUN rm /all/x && mv /all/console /all/other && echo 4 >> /etc/group\n",
    );
    for target in ["one", "1"] {
        let expected = bench.build(&["--target", target]);
        let found = build(&bench, &["--target", target]);
        assert_eq!(tree(&found), tree(&expected.archive));
    }
}

#[test]
fn what_a_command_sees_besides_is_in_no_layer() {
    needs!(Feature::Busybox, Feature::Root);
    let bench = bench().with_busybox();
    bench.file("from/context", "context\n");
    bench.file("secret.txt", "hidden");
    bench.dockerfile(
        "FROM base\n\
         RUN mkdir -p /keep && echo image > /keep/image && touch -d @1000000000 /keep\n\
         RUN --mount=type=bind,source=from,target=/keep --mount=type=cache,target=/var/cache/x \\\n\
             --mount=type=tmpfs,target=/keep/t --mount=type=secret,id=s,target=/run/x/s \\\n\
             cat /keep/context /run/x/s > /seen && echo 1 >> /var/cache/x/count && touch /keep/t/x \\\n\
             && cat /etc/hosts >> /seen && test -c /dev/null && echo lost > /dev/lost\n\
         RUN --mount=type=cache,target=/other,id=/var/cache/x cat /other/count /keep/image > /later\n",
    );
    let arguments = [
        "--secret",
        &format!("id=s,src={}", bench.path("context/secret.txt").display()),
    ];
    let built = build(&bench, &arguments);
    let paths: Vec<Vec<&str>> = built
        .image()
        .layers
        .iter()
        .skip(2)
        .map(|layer| layer.iter().map(|entry| entry.path.as_str()).collect())
        .collect();
    assert_eq!(paths, [["seen"], ["later"]]);
    let image = built.image();
    assert_eq!(
        image.text("seen"),
        "context\nhidden127.0.0.1\tlocalhost buildkitsandbox\n::1\tlocalhost ip6-localhost ip6-loopback\n"
    );
    assert_eq!(image.text("later"), "1\nimage\n");
    assert_eq!(image.entry("keep").mtime, 1_000_000_000);
}

#[test]
fn nobody_outside_is_seen_or_signalled() {
    needs!(Feature::Busybox, Feature::Root);
    let bench = bench().with_busybox();
    let me = std::process::id();
    // With a signal that does nothing.
    bench.dockerfile(&format!(
        "FROM base\n\
         RUN kill -0 {me} && echo SIGNALLED; test -e /proc/{me} && echo SEEN; test -e /proc/self && echo SELF; true\n"
    ));
    let log = run(&bench, &[]).success();
    let said: Vec<&str> = log
        .output()
        .into_iter()
        .filter(|line| line.ends_with("ED") || line.ends_with("SE"))
        .collect();
    assert_eq!(said, [""; 0], "{}", log.text());
}

/// Whoever is left behind ends with the step, whatever session it is in and however often it forked.
#[test]
fn nothing_that_a_command_started_outlives_it() {
    needs!(Feature::Busybox, Feature::Root);
    let bench = bench().with_busybox();
    // Seconds that nobody else sleeps for.
    let seconds = 1_000_000 + u64::from(std::process::id());
    bench.dockerfile(&format!(
        "FROM base\n\
         RUN (sleep {seconds} > /dev/null 2>&1 &); setsid sh -c '(sleep {seconds} &) ; sleep {seconds}' > /dev/null 2>&1 & \
         echo left\n"
    ));
    let log = run(&bench, &[]).success();
    assert_eq!(log.output(), ["left"], "{}", log.text());
    let wanted = format!("sleep\0{seconds}\0");
    let left = fs::read_dir("/proc").unwrap().flatten().filter(|process| {
        let arguments = fs::read(process.path().join("cmdline")).unwrap_or_default();
        arguments == wanted.as_bytes()
    });
    assert_eq!(left.count(), 0);
}

#[test]
fn the_user_is_told_once_that_isolation_is_reduced() {
    needs!(Feature::Busybox, Feature::Root);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nRUN true\nRUN echo > /x\n");
    let log = run(&bench, &[]).success();
    let warning = "warning: commands are less isolated here: nothing lets namespaces be made or file systems be \
                   mounted, so that each runs on a copy of its files, as root of this container, with its network and \
                   its processes; ";
    let told = log.stderr.lines().filter(|line| line.starts_with(warning));
    assert_eq!(told.count(), 1, "{}", log.stderr);
}

#[test]
fn what_needs_a_namespace_is_refused_by_name() {
    needs!(Feature::Busybox, Feature::Root);
    let bench = bench().with_busybox();
    let cases = [
        (
            "RUN --network=none true",
            "a network of its own needs a namespace, and this machine allows none",
        ),
        (
            "RUN --mount=type=ssh,required=true,target=/agent true",
            "cannot give the command the socket of an SSH agent at `/agent`: nothing can be mounted on this machine",
        ),
    ];
    for (instruction, expected) in cases {
        bench.dockerfile(&format!("FROM base\n{instruction}\n"));
        let refused = run(&bench, &[]);
        let said = refused.error(3);
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn without_a_command_nothing_is_copied_or_told() {
    needs!(Feature::Root);
    let bench = bench();
    bench.file("file", "text");
    bench.dockerfile(
        "FROM scratch AS one\nCOPY file /a/\nFROM scratch\nCOPY --from=one /a/file /b\n",
    );
    let log = run(&bench, &[]).success();
    assert!(!log.stderr.contains("warning"), "{}", log.stderr);
    let archive = Archive::read(&fs::read(bench.path("out.tar")).unwrap());
    assert_eq!(archive.image().text("b"), "text");
}
