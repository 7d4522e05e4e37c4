//! What hostile contexts, images and repositories do not reach; `docs/attacks.md` has a row for each.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use oci::Digest;
use serde_json::{Value, json};
use support::layout::host_platform;
use support::{
    BaseImage, Bench, Entry, Feature, Gate, GitRepository, HttpServer, Reply, compress, needs,
    process, tarball,
};

use crate::bench;

/// What must not be seen anywhere.
const CANARY: &str = "canary-7f3a91";

/// Makes an image of one file for this machine.
fn base(entries: Vec<Entry>) -> BaseImage {
    BaseImage::new(&host_platform(), entries)
}

#[test]
fn t_a17_no_program_of_the_path_unpacks_an_archive() {
    let bench = bench();
    let tar = tarball::write(&[Entry::file("file", "packed\n")]);
    let programs = bench.path("programs");
    fs::create_dir(&programs).unwrap();
    let started = bench.path("started");
    let script = format!("#!/bin/sh\necho started > {}\n", started.display());
    for name in [
        "gzip", "gunzip", "unpigz", "zstd", "unzstd", "xz", "unxz", "bzip2", "tar",
    ] {
        let path = programs.join(name);
        fs::write(&path, &script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    bench.file("plain.tar", &tar);
    bench.file("one.tar.gz", compress::gzip(&tar));
    bench.file("two.tar.zst", compress::zstd(&tar));
    bench.dockerfile("FROM scratch\nADD plain.tar /0/\nADD one.tar.gz /1/\nADD two.tar.zst /2/\n");
    let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", programs.display());
    let output = "type=oci,dest=out.tar,compression=zstd";
    let run = bench.careen_build(&["-o", output]).env("PATH", &path);
    run.run().success();
    let archive = support::Archive::read(&fs::read(bench.path("out.tar")).unwrap());
    for path in ["0/file", "1/file", "2/file"] {
        assert_eq!(archive.image().text(path), "packed\n", "{path}");
    }
    assert!(!started.try_exists().unwrap());
}

/// Adds annotations to the manifest of the base of a bench and to its layers.
fn annotate(layout: &Path, annotations: &Value) {
    let read = |digest: &Value| -> Value {
        let digits = digest.as_str().unwrap().replace(':', "/");
        serde_json::from_slice(&fs::read(layout.join("blobs").join(digits)).unwrap()).unwrap()
    };
    let put = |document: &Value, descriptor: &mut Value| {
        let bytes = serde_json::to_vec(document).unwrap();
        let digest = Digest::of(&bytes);
        fs::write(layout.join("blobs/sha256").join(digest.encoded()), &bytes).unwrap();
        descriptor["digest"] = json!(digest);
        descriptor["size"] = json!(bytes.len());
    };
    let names = layout.join("index.json");
    let mut top: Value = serde_json::from_slice(&fs::read(&names).unwrap()).unwrap();
    let mut index = read(&top["manifests"][0]["digest"]);
    let mut manifest = read(&index["manifests"][0]["digest"]);
    manifest["annotations"] = annotations.clone();
    manifest["layers"][0]["annotations"] = annotations.clone();
    put(&manifest, &mut index["manifests"][0]);
    index["annotations"] = annotations.clone();
    put(&index, &mut top["manifests"][0]);
    fs::write(names, serde_json::to_vec(&top).unwrap()).unwrap();
}

#[test]
fn t_a18_a_title_is_no_name_of_a_file() {
    let bench = bench().with_base(&[base(vec![Entry::file("file", "x")])]);
    let title = json!({
        "org.opencontainers.image.title": "../../escaped",
        "org.opencontainers.image.ref.name": "../../escaped",
        "io.containerd.image.name": "../../escaped",
    });
    annotate(&bench.path("base"), &title);
    bench.dockerfile("FROM base\n");
    for output in [
        "type=local,dest=a/b/out",
        "type=oci,dest=a/b/layout,tar=false",
    ] {
        fs::create_dir_all(bench.path("a/b")).unwrap();
        bench.careen_build(&["-o", output]).run().success();
    }
    assert!(bench.path("a/b/out/file").try_exists().unwrap());
    for path in ["escaped", "a/escaped", "a/b/escaped", "a/b/out/escaped"] {
        assert!(!bench.path(path).try_exists().unwrap(), "{path}");
    }
}

#[test]
fn t_b01_a_dockerfile_in_an_archive_is_no_link_out_of_it() {
    let bench = bench();
    let outside = bench.path("outside");
    fs::write(&outside, format!("FROM scratch\nLABEL a={CANARY}\n")).unwrap();
    let server = HttpServer::start();
    for target in [outside.display().to_string(), "../outside".to_owned()] {
        let tar = tarball::write(&[Entry::symlink("Dockerfile", &target)]);
        fs::write(bench.path("stdin"), &tar).unwrap();
        server.serve("/context.tar", Reply::file(tar));
        let from_server = bench.careen(&["build", &server.url("/context.tar")]);
        let from_input = bench
            .careen(&["build", "-"])
            .stdin(File::open(bench.path("stdin")).unwrap());
        for run in [from_server, from_input] {
            let finished = run.run();
            let said = finished.error(1);
            assert!(
                said.contains("cannot read the Dockerfile"),
                "{target}: {said}"
            );
            assert!(!said.contains(CANARY), "{target}: {said}");
        }
    }
}

#[test]
fn t_b04_a_server_whose_branch_is_an_option_gives_its_files_alone() {
    needs!(Feature::Git);
    let (server, bench) = (HttpServer::start(), bench());
    let repository = GitRepository::create(&bench.path("repository"));
    repository.file("file", "content\n");
    let commit = repository.commit("one");
    let touched = bench.path("context/touched");
    for name in ["--upload-pack=touch\u{a0}touched", "-x", "--output=touched"] {
        let name = format!("refs/heads/{name}");
        let served = repository.served();
        fs::write(served.join("HEAD"), format!("ref: {name}\n")).unwrap();
        fs::write(served.join("info/refs"), format!("{commit}\t{name}\n")).unwrap();
        server.serve_directory("/r.git", &served);
        bench.dockerfile(&format!("FROM scratch\nADD {} /r/\n", server.url("/r.git")));
        let output = ["-o", "type=local,dest=out"];
        let finished = bench.careen_build(&output).run();
        if finished.code() == 0 {
            assert_eq!(
                fs::read_to_string(bench.path("out/r/file")).unwrap(),
                "content\n"
            );
        } else {
            assert!(finished.error(1).starts_with("error: "), "{name}");
        }
        for place in [
            touched.clone(),
            bench.path("touched"),
            bench.path("home/touched"),
        ] {
            assert!(!place.try_exists().unwrap(), "{name}");
        }
    }
}

#[test]
fn t_b07_names_that_no_tree_may_have_are_not_checked_out() {
    needs!(Feature::Git);
    let (server, bench) = (HttpServer::start(), bench());
    let repository = GitRepository::create(&bench.path("repository"));
    repository.file("file", "content\n");
    repository.commit("one");
    let blob = repository.git(&["rev-parse", "HEAD:file"]);
    let tree = repository.git(&["rev-parse", "HEAD^{tree}"]);
    // A tree is its entries: mode, name, a zero, and the object's number.
    let entry = |mode: &str, name: &str, object: &str| {
        let digits: Vec<char> = object.chars().collect();
        let pairs = digits.chunks(2).map(|pair| pair.iter().collect::<String>());
        let number = pairs.map(|pair| u8::from_str_radix(&pair, 16).unwrap());
        let mut bytes = format!("{mode} {name}\0").into_bytes();
        bytes.extend(number);
        bytes
    };
    let link = {
        fs::write(bench.path("target"), "..").unwrap();
        let path = bench.path("target").display().to_string();
        repository.git(&["hash-object", "-w", &path])
    };
    let hostile = [
        ("..", entry("40000", "..", &tree)),
        (".git", entry("40000", ".git", &tree)),
        (".GIT", entry("40000", ".GIT", &tree)),
        ("../escaped", entry("100644", "../escaped", &blob)),
        (
            "a link and a directory of one name",
            [entry("120000", "a", &link), entry("40000", "a", &tree)].concat(),
        ),
    ];
    let mut accepted = Vec::new();
    for (name, bytes) in hostile {
        fs::write(bench.path("tree"), &bytes).unwrap();
        let path = bench.path("tree").display().to_string();
        let tree = repository.git(&["hash-object", "-t", "tree", "--literally", "-w", &path]);
        let commit = repository.git(&["commit-tree", "-m", "hostile", &tree]);
        repository.git(&["update-ref", "refs/heads/main", &commit]);
        repository.publish();
        server.serve_directory("/r.git", &repository.served());
        bench.dockerfile(&format!("FROM scratch\nADD {} /r/\n", server.url("/r.git")));
        let finished = bench.careen_build(&["-o", "type=local,dest=out"]).run();
        let out = bench.path("out");
        if finished.code() == 0 {
            accepted.push(name);
            assert_eq!(names_in(&out), ["r"], "{name}");
            let inside = names_in(&out.join("r"));
            let is_git = |name: &String| name.eq_ignore_ascii_case(".git");
            assert!(!inside.iter().any(is_git), "{name}: {inside:?}");
            fs::remove_dir_all(out).unwrap();
        } else {
            assert!(finished.error(1).starts_with("error: "), "{name}");
        }
        bench.forget();
    }
    // Of two entries of one name git takes the second, in the place of the first.
    assert_eq!(accepted, ["a link and a directory of one name"]);
}

/// Returns the names in a directory, sorted.
fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[test]
fn t_b08_an_ignore_file_that_is_a_link_out_is_not_read() {
    let bench = bench();
    fs::write(bench.path("outside"), format!("{CANARY}[\nfile\n")).unwrap();
    bench.file("file", "content\n");
    bench.dockerfile("FROM scratch\nCOPY . /\n");
    for target in [
        bench.path("outside").display().to_string(),
        "../outside".to_owned(),
    ] {
        let path = bench.path("context/.dockerignore");
        drop(fs::remove_file(&path));
        symlink(&target, &path).unwrap();
        let output = ["-o", "type=local,dest=out"];
        let finished = bench.careen_build(&output).run();
        assert!(!finished.stderr.contains(CANARY), "{}", finished.stderr);
        if finished.code() == 0 {
            // Nothing was ignored: the patterns are those of another file.
            assert!(bench.path("out/file").try_exists().unwrap(), "{target}");
        }
    }
}

#[test]
fn t_b09_places_that_are_links_of_the_image_stay_inside() {
    needs!(Feature::Busybox);
    let mut image = BaseImage::busybox();
    let host = bench();
    let out = host.path("host");
    fs::create_dir(&out).unwrap();
    let mut entries = vec![
        Entry::symlink("work", &format!("../../../..{}", out.display())),
        Entry::symlink("loop", "loop"),
        Entry::directory("end"),
        Entry::symlink("l0", "/end"),
    ];
    entries.extend((1..=41).map(|at| Entry::symlink(&format!("l{at}"), &format!("/l{}", at - 1))));
    image.layers.push(entries);
    let bench = host.with_base(&[image]);
    bench.file("f", "content\n");
    bench.dockerfile("FROM base\nWORKDIR /work\nCOPY f /work/f\nCOPY f /l39/f\nRUN test -f f\n");
    let built = bench.build(&[]);
    assert_eq!(built.image().text("end/f"), "content\n");
    let inside = format!("{}/f", out.display());
    assert_eq!(
        built.image().text(inside.trim_start_matches('/')),
        "content\n"
    );
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
    for place in ["/loop/f", "/l41/f"] {
        bench.dockerfile(&format!("FROM base\nCOPY f {place}\n"));
        let said = bench.refusal(&[]);
        assert!(
            said.contains("Too many levels of symbolic links"),
            "{place}: {said}"
        );
    }
}

#[test]
fn t_b10_a_directory_that_is_swapped_while_it_is_copied_leads_nowhere() {
    let bench = bench();
    let outside = bench.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), CANARY).unwrap();
    bench.file("dir/file", "inside\n");
    bench.dockerfile("FROM scratch\nCOPY dir /dir\nCOPY dir/file /file\n");
    let (there, kept) = (bench.path("context/dir"), bench.path("kept"));
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                fs::rename(&there, &kept).unwrap();
                symlink(&outside, &there).unwrap();
                fs::remove_file(&there).unwrap();
                fs::rename(&kept, &there).unwrap();
            }
        });
        let mut built = Vec::new();
        for _ in 0..12 {
            let output = ["--no-cache", "-o", "type=local,dest=out"];
            let finished = bench.careen_build(&output).run();
            built.push((finished.code(), found(&bench)));
        }
        is_over.store(true, Ordering::Relaxed);
        for (code, found) in built {
            assert!(code == 0 || code == 1, "{code}");
            assert!(!found.contains(CANARY), "{found}");
        }
    });
}

/// Returns what was written of the files, and removes it.
fn found(bench: &Bench) -> String {
    let read = |path: &str| fs::read_to_string(bench.path(path)).unwrap_or_default();
    let found = read("out/dir/file") + &read("out/file");
    drop(fs::remove_dir_all(bench.path("out")));
    found
}

#[test]
fn t_b14_labels_and_variables_of_a_base_change_nothing_of_a_build() {
    needs!(Feature::Busybox);
    let build = |labels: &[&str], env: &[&str]| {
        let mut image = BaseImage::busybox();
        for label in labels {
            let value = "binary:///bin/sh?-c=id";
            image
                .config
                .labels
                .insert((*label).to_owned(), value.to_owned());
        }
        image
            .config
            .env
            .extend(env.iter().map(|pair| (*pair).to_owned()));
        let bench = bench().with_base(&[image]);
        bench.dockerfile("FROM base\nRUN echo made > /made\n");
        let built = bench.build_as(&[], "type=oci,dest=out.tar,rewrite-timestamp=true");
        let image = built.archive.image();
        let layers: Vec<_> = image
            .config
            .rootfs
            .diff_ids
            .iter()
            .map(ToString::to_string)
            .collect();
        (layers, built.log.steps().into_keys().collect::<Vec<_>>())
    };
    let labels = [
        "containerd.io/restart.loguri",
        "containerd.io/restart.status",
        "io.cri-containerd.image",
        "io.containerd.image.name",
        "io.buildkit.cache",
        "careen.executor",
        "com.docker.compose.project",
    ];
    let env = [
        "CAREEN_STORE=/tmp/x",
        "CAREEN_EXECUTOR=none",
        "DOCKER_CONFIG=/x",
        "HOME=/nowhere",
    ];
    assert_eq!(build(&labels, &env), build(&[], &[]));
}

#[test]
fn t_b15_no_label_and_no_annotation_becomes_an_argument() {
    needs!(Feature::Busybox);
    let mut image = BaseImage::busybox();
    let value = format!("--{CANARY}; touch {CANARY}");
    image.config.labels.insert("run".to_owned(), value.clone());
    let bench = bench().with_base(&[image]);
    annotate(&bench.path("base"), &json!({ "run": value }));
    let gate = Gate::open();
    bench.dockerfile(&format!("FROM base\nRUN {}\n", gate.command()));
    let output = [
        "--network=host",
        "--allow=network.host",
        "-o",
        "type=local,dest=out",
    ];
    let running = bench.careen_build(&output).start();
    let stopped = gate.wait();
    for id in process::tree(running.id()) {
        let texts = String::from_utf8_lossy(&id.texts()).into_owned();
        assert!(!texts.contains(CANARY), "{texts}");
    }
    drop(stopped);
    running.finish().success();
    for place in ["", "context/", "out/", "home/"] {
        assert!(
            !bench
                .path(&format!("{place}{CANARY}"))
                .try_exists()
                .unwrap()
        );
    }
}

#[test]
fn t_g02_nothing_is_told_to_a_server_of_measurements() {
    let (server, bench) = (HttpServer::start(), bench());
    bench.file("file", "content\n");
    bench.dockerfile("FROM scratch\nCOPY file /\n");
    let cache = ["--cache-to", "type=local,dest=cache,token=canary"];
    for arguments in [&["--cache-to", "type=local,dest=cache"], &cache] {
        let mut run = bench.careen_build(arguments);
        for name in [
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
            "BUILDX_OTEL_EXPORTER_OTLP_ENDPOINT",
            "JAEGER_TRACE",
        ] {
            run = run.env(name, server.url("/"));
        }
        drop(run.run());
    }
    assert!(server.asked().is_empty());
}
