//! Owners of files where a build has one id: in the layers they are those that a build with many ids gives.

use support::{Archive, Bench, Feature, Kind, needs};

use crate::bench;

/// Has what follows run in a user namespace that has one id, which careen takes for what its user has.
const WITH_ONE_ID: [&str; 3] = ["unshare", "--user", "--map-root-user"];

/// Builds, and returns every path of the image with its kind, mode and owner.
fn paths(bench: &Bench, wrapper: &[&str]) -> Vec<String> {
    let run = bench.careen_build_under(wrapper, &["--output", "type=oci,dest=out.tar"]);
    run.run().success();
    let archive = std::fs::read(bench.path("out.tar")).unwrap();
    let archive = Archive::read(&archive);
    let tree = archive.image().tree();
    let row = |(path, entry): (&&str, &&support::Entry)| {
        let (mode, owner) = (entry.mode, entry.owner);
        let kind = match &entry.kind {
            Kind::File(content) => format!("File of {} bytes", content.len()),
            kind => format!("{kind:?}"),
        };
        format!("{path} {kind} {mode:o} {owner:?}")
    };
    tree.iter().map(row).collect()
}

/// Builds with one id and with many, and returns what is the same in both.
fn same_paths(dockerfile: &str) -> Vec<String> {
    let [one, many] = [&WITH_ONE_ID[..], &[]].map(|wrapper| {
        let bench = bench().with_busybox();
        bench.dockerfile(dockerfile);
        paths(&bench, wrapper)
    });
    let other: Vec<_> = one.iter().filter(|path| !many.contains(path)).collect();
    assert!(other.is_empty(), "{other:#?}");
    assert_eq!(one.len(), many.len());
    one
}

fn has(paths: &[String], beginning: &str, end: &str) -> bool {
    let mut paths = paths.iter();
    paths.any(|path| path.starts_with(beginning) && path.ends_with(end))
}

#[test]
fn commands_with_one_id_give_files_to_others() {
    needs!(Feature::Busybox, Feature::IdRange);
    let paths = same_paths(
        "FROM base\n\
         RUN mkdir /d && echo text > /d/f && chown 33:44 /d/f && chown -R :7 /d && chmod 4750 /d/f && ln /d/f /d/g\n\
         RUN ln -s f /d/l && chown -h 5:6 /d/l && mkfifo /d/p && chown 8 /d/p && mknod /null c 1 3 && chown 0:9 /null\n\
         RUN cp -a /d /e && mv /d/l /l && chown 3:3 /etc/passwd && mkdir -m 700 /tmp/x && tar -c /d | tar -x -C /tmp/x\n",
    );
    assert!(has(&paths, "l Symlink", " 777 (5, 6)"), "{paths:#?}");
    assert!(has(&paths, "e/p Fifo", " 644 (8, 0)"), "{paths:#?}");
    assert!(
        has(&paths, "null Character(1, 3)", " 644 (0, 9)"),
        "{paths:#?}"
    );
    assert!(has(&paths, "etc/passwd ", " (3, 3)"), "{paths:#?}");
}

#[test]
fn later_steps_and_stages_see_the_owners_that_earlier_ones_gave() {
    needs!(Feature::Busybox, Feature::IdRange);
    let dockerfile = "FROM base AS one\n\
         RUN mkdir /d && touch /d/f && ln -s x /d/l && ln -s y /d/m && chown -h 5:6 /d/f /d/l /d/m\n\
         RUN stat -c '%u:%g %n' /d/f /d/l && rm /d/m && ln -s z /d/m && stat -c '%u:%g %n' /d/m\n\
         FROM base\n\
         COPY --from=one /d /copied\n\
         RUN mv /copied/l /moved && stat -c '%u:%g %n' /moved > /seen\n";
    let paths = same_paths(dockerfile);
    assert!(has(&paths, "moved Symlink", " 777 (5, 6)"), "{paths:#?}");
    assert!(has(&paths, "copied/m Symlink", " 777 (0, 0)"), "{paths:#?}");
    assert!(has(&paths, "copied/f ", " 644 (5, 6)"), "{paths:#?}");
}

#[test]
fn files_in_a_directory_that_hands_its_group_down_belong_to_it() {
    needs!(Feature::Busybox, Feature::IdRange);
    let paths = same_paths(
        "FROM base\n\
         RUN mkdir /d && chown 0:8 /d && chmod 2775 /d\n\
         RUN cd /d && mkdir s && echo > s/f && ln -s x l && mkfifo p && umask 077 && echo > g\n",
    );
    assert!(has(&paths, "d/s Directory", " 2755 (0, 8)"), "{paths:#?}");
    assert!(has(&paths, "d/s/f ", " 644 (0, 8)"), "{paths:#?}");
    assert!(has(&paths, "d/l Symlink", " 777 (0, 8)"), "{paths:#?}");
    assert!(has(&paths, "d/g ", " 600 (0, 8)"), "{paths:#?}");
}

#[test]
fn a_link_is_not_taken_for_an_earlier_one_whose_number_it_has() {
    needs!(Feature::Busybox, Feature::IdRange);
    let paths = same_paths(
        "FROM base\n\
         RUN cd /tmp && ln -s x a && chown -h 5:6 a && rm a && for i in 1 2 3 4; do ln -s y l$i; done; mkfifo p\n",
    );
    for name in ["l1", "l2", "l3", "l4"] {
        let path = format!("tmp/{name} Symlink");
        assert!(has(&paths, &path, " 777 (0, 0)"), "{paths:#?}");
    }
    assert!(has(&paths, "tmp/p Fifo", " (0, 0)"), "{paths:#?}");
}
