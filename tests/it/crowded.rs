//! Stores that cannot hold the upper directory of an overlay, since they lie in one: as the root directory of a container.
//!
//! Each build runs in a mount namespace of its own, in which an overlay is mounted for the store.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use support::process::{self, Role};
use support::{Archive, Bench, Feature, Finished, Invocation, needs};

use crate::bench;
use crate::chroot::layers;

/// Mounts the overlay and goes on as `careen`. Where all is in an overlay already, nothing is to be mounted.
const IN_OVERLAY: &str = "cd home/.local; mkdir -p over/lower over/upper over/work over/top; cd over; \
    mount -t overlay overlay -o userxattr,lowerdir=lower,upperdir=upper,workdir=work top \
    || test \"$(stat -f -c %T .)\" = overlayfs; cd ../../..; ";

/// What `unshare` is asked for, for a mode.
fn namespaces(mode: &str) -> &'static [&'static str] {
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    match (is_root, mode) {
        (true, _) => &["--mount"],
        (false, "userns-multi") => &["--map-root-user", "--map-auto", "--mount"],
        (false, _) => &["--map-root-user", "--mount"],
    }
}

/// Returns a run of careen with its store in an overlay: with the arguments of a build, or others.
fn careen(bench: &Bench, mode: &str, arguments: &[&str], others: Option<&str>) -> Invocation {
    fs::create_dir_all(bench.path("home/.local")).unwrap();
    let script = format!("{IN_OVERLAY}exec \"$0\" {}", others.unwrap_or("\"$@\""));
    let unshare = ["/usr/bin/unshare"].into_iter();
    let wrapper: Vec<&str> = unshare
        .chain(namespaces(mode).iter().copied())
        .chain(["/bin/sh", "-ec", &script])
        .collect();
    let run = bench.careen_build_under(&wrapper, arguments);
    let run = run.env("CAREEN_STORE", bench.path("home/.local/over/top/store"));
    run.env("CAREEN_EXECUTOR", mode)
}

/// Builds what has to succeed.
pub(crate) fn build(bench: &Bench, mode: &str, arguments: &[&str]) -> (Archive, Finished) {
    let arguments = [arguments, &["--output", "type=oci,dest=out.tar"]].concat();
    let log = careen(bench, mode, &arguments, None).run().success();
    (
        Archive::read(&fs::read(bench.path("out.tar")).unwrap()),
        log,
    )
}

/// Returns the modes that the machine has, of those with namespaces.
pub(crate) fn modes() -> &'static [&'static str] {
    if needs::has(Feature::IdRange) {
        &["userns-multi", "userns-single"]
    } else {
        &["userns-single"]
    }
}

fn told(log: &Finished) -> usize {
    let begin = "warning: each command runs on a copy of its files, which takes time and room, since the store `";
    let end = "; `--store DIR` or `CAREEN_STORE` names a directory on another file system";
    let lines = log.stderr.lines();
    lines
        .filter(|line| line.starts_with(begin) && line.ends_with(end))
        .count()
}

/// Returns the directory of the store in which unfinished work is, as it is seen from outside.
fn unfinished(bench: &Bench) -> Vec<PathBuf> {
    let places =
        ["upper", "top"].map(|at| bench.path(&format!("home/.local/over/{at}/store/ingest")));
    let place = places.iter().find_map(|place| fs::read_dir(place).ok());
    let entries = place.unwrap().map(|entry| entry.unwrap().path());
    entries.collect()
}

#[test]
fn the_layers_are_those_of_an_overlay() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.file("file", "text");
    bench.dockerfile(
        "FROM base AS one\n\
         RUN mkdir -p /a/b /c /e/f && echo 1 > /a/b/f && ln /a/b/f /a/g && ln -s g /a/l && chown 3:6 /a/b/f && chmod 4755 /a/b/f\n\
         RUN chown -h 5:5 /a/l && mkdir -m 2775 /shared && chgrp 9 /shared && touch /shared/x\n\
         RUN rm /a/l && echo 2 >> /c/new && mknod /c/pipe p && mknod /c/disk b 8 0 && chmod 600 /c\n\
         COPY --chown=5:7 file /a/\n\
         RUN echo more >> /a/file && mkdir /new && rm -r /c && rm -r /home/app && ln -s /new /c\n\
         WORKDIR /made/here\n\
         RUN pwd > where\n\
         RUN mknod /made/null c 1 3 && chown 8:9 /made/null && rm -r /e && echo now > /e\n\
         RUN stat -c '%n %u %g %a %F' /a/* /e /made/* /new /shared/* > /stat\n\
         USER 1000:1000\n\
         WORKDIR /tmp\n\
         RUN echo mine > file && id -u > id && id -G >> id\n\
         FROM one\n\
         USER 0\n\
         COPY --from=one /shared /other\n\
         RUN rm -r /shared && echo 3 > /other/x\n",
    );
    for mode in modes() {
        bench.forget();
        let expected = bench.build(&["--executor", mode]);
        let (found, log) = build(&bench, mode, &[]);
        assert_eq!(layers(&found), layers(&expected.archive), "{mode}");
        assert_eq!(told(&log), 1, "{}", log.stderr);
        assert_eq!(unfinished(&bench), [""; 0].map(PathBuf::from), "{mode}");
        let (again, log) = build(&bench, mode, &[]);
        assert_eq!(again.top_digest(), found.top_digest());
        assert_eq!(told(&log), 0, "{}", log.stderr);
    }
}

#[test]
fn stages_at_once_change_files_of_their_own() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile(
        "FROM base AS below\nRUN echo below > /x && mkdir /d && echo kept > /d/kept\n\
         FROM below AS one\nRUN echo one >> /x && rm /d/kept\n\
         FROM below AS two\nRUN echo two >> /x && cat /d/kept >> /x\n\
         FROM below\nCOPY --from=one /x /one\nCOPY --from=two /x /two\nRUN cat /x /one /two /d/kept > /all\n",
    );
    let (built, _) = build(&bench, "userns-single", &[]);
    assert_eq!(
        built.image().text("all"),
        "below\nbelow\none\nbelow\ntwo\nkept\nkept\n"
    );
}

#[test]
fn what_is_mounted_is_in_no_layer() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.file("from/context", "context\n");
    bench.file("secret.txt", "hidden\n");
    bench.dockerfile(
        "FROM base AS tools\nRUN mkdir /opt && echo tool > /opt/tool && rm -r /home/app\n\
         FROM base\n\
         RUN mkdir -p /keep && echo image > /keep/image && touch -d @1000000000 /keep\n\
         RUN --mount=type=bind,source=from,target=/keep --mount=type=cache,target=/var/cache/x \\\n\
             --mount=type=tmpfs,target=/t --mount=type=secret,id=s,target=/run/x/s \\\n\
             --mount=type=bind,from=tools,target=/tools --mount=type=bind,from=tools,source=/opt,target=/own,rw \\\n\
             cat /keep/context /run/x/s /tools/opt/tool > /seen && echo 1 >> /var/cache/x/count && touch /t/x \\\n\
             && echo other > /own/tool && cat /own/tool >> /seen && test ! -e /tools/home/app && ! touch /tools/x\n\
         RUN --mount=type=cache,target=/other,id=/var/cache/x --mount=type=bind,from=tools,target=/tools \\\n\
             cat /other/count /keep/image /tools/opt/tool > /later\n",
    );
    let secret = format!("id=s,src={}", bench.path("context/secret.txt").display());
    let (built, _) = build(&bench, "userns-single", &["--secret", &secret]);
    let image = built.image();
    let layers = image.layers.iter().skip(2);
    let paths: Vec<Vec<&str>> = layers
        .map(|layer| layer.iter().map(|entry| entry.path.as_str()).collect())
        .collect();
    assert_eq!(paths, [["seen"], ["later"]]);
    assert_eq!(image.text("seen"), "context\nhidden\ntool\nother\n");
    assert_eq!(image.text("later"), "1\nimage\ntool\n");
    assert_eq!(image.entry("keep").mtime, 1_000_000_000);
}

#[test]
fn copies_of_a_build_that_was_killed_are_collected_by_the_next() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nRUN echo 1 > /x\nRUN sleep 1000\n");
    let running = careen(&bench, "userns-single", &[], None).start();
    process::wait_for(running.id(), Role::Command);
    let all = process::tree(running.id());
    process::wait_for(running.id(), Role::Builder).kill();
    assert_ne!(running.finish().code(), 0);
    process::wait_for_end(&all);
    assert_ne!(unfinished(&bench), [""; 0].map(PathBuf::from));
    bench.dockerfile("FROM base\nRUN echo 1 > /x\nRUN exit 7\n");
    let failed = careen(&bench, "userns-single", &[], None).run();
    assert_eq!(failed.code(), 1, "{}", failed.stderr);
    assert_eq!(unfinished(&bench), [""; 0].map(PathBuf::from));
}

#[test]
fn an_image_is_tried_on_a_copy_and_the_doctor_says_so() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let command = "run oci:base sh -c 'echo tried > /x; cat /x'";
    let tried = careen(&bench, "userns-single", &[], Some(command)).run();
    assert_eq!(tried.success().text(), "tried\n");
    let doctor = careen(&bench, "auto", &[], Some("doctor --json")).run();
    let doctor = doctor.success();
    let said: serde_json::Value = serde_json::from_str(doctor.text()).unwrap();
    assert_eq!(
        said["instead"][0]["primitive"],
        "upper",
        "{}",
        doctor.text()
    );
}
