//! `import`.

use std::fs::{self, File};

use insta::assert_snapshot;
use support::{Archive, Bench, Entry, HttpServer, Reply, compress, tarball};

use super::{copy, digest};
use crate::bench;

/// Makes a bench with a root file system in `root.tar`.
fn root() -> Bench {
    let bench = bench();
    let tar = tarball::write(&[Entry::directory("etc"), Entry::file("etc/name", "imported")]);
    fs::write(bench.path("root.tar"), &tar).unwrap();
    fs::write(bench.path("root.tar.gz"), compress::gzip(&tar)).unwrap();
    bench
}

/// Returns an image of the store.
fn image(bench: &Bench, name: &str) -> Archive {
    drop(fs::remove_dir_all(bench.path("new")));
    copy(bench, &format!("store:{name}"), "oci:new:1");
    Archive::read_directory(&bench.path("new"))
}

#[test]
fn the_archive_of_a_root_file_system_becomes_an_image() {
    let bench = root();
    let arguments = [
        "import",
        "root.tar",
        "app:1",
        "-c",
        "CMD [\"sh\"]",
        "-c",
        "ENV A=b",
        "-c",
        "EXPOSE 80",
        "-m",
        "made by hand",
        "--platform",
        "linux/arm64",
    ];
    let imported = bench.careen(&arguments).run().success();
    assert_eq!(imported.text().trim(), digest(&bench, "store:app:1", &[]));
    let archive = image(&bench, "app:1");
    let image = archive.image();
    assert_eq!(image.text("etc/name"), "imported");
    assert_eq!(image.platform(), "linux/arm64");
    assert_eq!(
        image.media_types,
        ["application/vnd.oci.image.layer.v1.tar+gzip"]
    );
    let config = &image.config.config;
    assert_eq!(config.cmd, ["sh"]);
    assert!(config.env.contains(&"A=b".to_owned()));
    assert_eq!(
        image.config.history[0].comment.as_deref(),
        Some("made by hand")
    );
    // Once more, it is the same image.
    let again = bench.careen(&arguments).run().success();
    assert_eq!(again.text(), imported.text());
}

#[test]
fn a_compressed_archive_stays_the_layer_that_it_is() {
    let bench = root();
    bench
        .careen(&["import", "root.tar.gz", "app"])
        .run()
        .success();
    let archive = image(&bench, "app");
    let layer = oci::Digest::of(&fs::read(bench.path("root.tar.gz")).unwrap());
    assert!(archive.blobs().contains(&&layer));
    assert_eq!(archive.image().text("etc/name"), "imported");
    let piped = File::open(bench.path("root.tar.gz")).unwrap();
    let piped = bench.careen(&["import", "-", "piped"]).stdin(piped);
    piped.run().success();
    let comment = image(&bench, "piped").image().config.history[0]
        .comment
        .clone();
    assert_eq!(comment.as_deref(), Some("Imported from -"));
}

#[test]
fn an_archive_is_fetched_from_a_server() {
    let bench = root();
    let tar = fs::read(bench.path("root.tar")).unwrap();
    let server = HttpServer::start();
    server.serve("/root.tar", Reply::file(tar));
    let url = server.url("/root.tar");
    bench.careen(&["import", &url, "app"]).run().success();
    assert_eq!(image(&bench, "app").image().text("etc/name"), "imported");
}

#[test]
fn what_is_no_root_file_system_and_no_change_is_refused() {
    let bench = root();
    fs::write(bench.path("text"), "no archive").unwrap();
    fs::write(bench.path("empty"), "").unwrap();
    let said = |arguments: &[&str], code| {
        let run = bench.careen(&["import"]).args(arguments);
        run.run().error(code).to_owned()
    };
    assert_snapshot!(said(&["text", "app"], 1), @r"
    error: cannot import `text`
      = caused by: read the archive
      = caused by: the archive ends inside an entry
    ");
    assert_snapshot!(said(&["empty", "app"], 1), @r"
    error: cannot import `empty`
      = caused by: there is nothing in the archive, not even its end
    ");
    assert_snapshot!(said(&["nothing", "app"], 1), @r"
    error: cannot import `nothing`
      = caused by: open `$BENCH/nothing`
      = caused by: No such file or directory (os error 2)
    ");
    assert_snapshot!(said(&["root.tar", "-c", "RUN ls"], 2), @"error: `--change RUN ls` is none of CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR");
    assert_snapshot!(said(&["root.tar", "-c", "EXPOSE abc"], 1), @r"
    error: `abc` is no port between 0 and 65535 and no range of ports
     --> --change:2:8
      |
    2 | EXPOSE abc
      |        ^^^
    ");
    let images = bench.careen(&["images", "-q"]).run().success();
    assert_eq!(images.text(), "");
}
