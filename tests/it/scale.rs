//! Sizes that no build has by hand, and that generated ones have.

use std::fmt::Write as _;

use support::{Feature, Kind, Outcome, needs};

use crate::bench;

/// Adds lines to a Dockerfile.
fn add(dockerfile: &mut String, lines: std::fmt::Arguments<'_>) {
    dockerfile.write_fmt(lines).unwrap();
    dockerfile.push('\n');
}

#[test]
fn a_dockerfile_of_three_hundred_stages_builds() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let mut dockerfile = "FROM base AS stage0\nRUN echo 0 > /log\n".to_owned();
    // By turns: a copy alone, a command on a copy, and one that goes on from the stage before.
    for number in 1..299 {
        let before = number - 1;
        let copy = format_args!("COPY --from=stage{before} /log /").to_string();
        let run = format!("RUN echo {number} >> /log");
        match number % 3 {
            0 => add(
                &mut dockerfile,
                format_args!("FROM scratch AS stage{number}\n{copy}"),
            ),
            1 => add(
                &mut dockerfile,
                format_args!("FROM base AS stage{number}\n{copy}\n{run}"),
            ),
            _ => add(
                &mut dockerfile,
                format_args!("FROM stage{before} AS stage{number}\n{run}"),
            ),
        }
    }
    add(
        &mut dockerfile,
        format_args!("FROM scratch\nCOPY --from=stage298 /log /"),
    );
    bench.dockerfile(&dockerfile);
    let built = bench.build(&[]);
    let counted: Vec<u32> = built
        .image()
        .text("log")
        .lines()
        .map(|line| line.parse().unwrap())
        .collect();
    let expected: Vec<u32> = (0..299)
        .filter(|number| *number == 0 || number % 3 != 0)
        .collect();
    assert_eq!(counted, expected);
}

#[test]
fn an_image_of_a_hundred_and_twenty_layers_builds_and_its_last_command_sees_them_all() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let mut dockerfile = "FROM base\n".to_owned();
    for number in 0..119 {
        match number % 2 {
            0 => add(&mut dockerfile, format_args!("COPY file /file{number}")),
            _ => add(
                &mut dockerfile,
                format_args!("RUN echo {number} > /file{number}"),
            ),
        }
    }
    add(
        &mut dockerfile,
        format_args!("RUN ls -d /file* | wc -l > /count"),
    );
    bench.dockerfile(&dockerfile);
    bench.file("file", "of the context\n");
    let built = bench.build(&[]);
    let image = built.image();
    assert_eq!(image.text("count"), "119\n");
    assert_eq!(image.text("file118"), "of the context\n");
    assert_eq!(image.text("file117"), "117\n");
    // One of the base.
    assert_eq!(image.layers.len(), 121);
    let again = bench
        .careen_build(&["--output", "type=oci,dest=out.tar"])
        .run()
        .success();
    assert_eq!(
        again.outcome("RUN ls -d /file* | wc -l > /count"),
        Some(Outcome::Cached)
    );
}

#[test]
fn two_thousand_ignore_patterns_leave_out_what_they_match_and_nothing_else() {
    let bench = bench();
    let mut patterns = String::new();
    for number in 0..500 {
        add(&mut patterns, format_args!("tree/d{number}/**/*.o{number}"));
        add(&mut patterns, format_args!("**/left{number}-*"));
        add(&mut patterns, format_args!("*-{number}/out"));
        add(&mut patterns, format_args!("!**/left{number}-kept"));
    }
    bench.file(".dockerignore", &patterns);
    bench.dockerfile("FROM scratch\nCOPY . /\n");
    for number in [0, 17, 499] {
        for name in ["a.o17", "left499-x", "left0-kept", "plain"] {
            bench.file(&format!("tree/d{number}/below/{name}"), "");
        }
        bench.file(&format!("made-{number}/out/x"), "");
        bench.file(&format!("made-{number}/in/x"), "");
    }
    let built = bench.build(&[]);
    let tree = built.image().tree();
    let files = tree
        .iter()
        .filter(|(_, entry)| matches!(entry.kind, Kind::File(_)));
    let files: Vec<_> = files.map(|(path, _)| *path).collect();
    assert_eq!(
        files,
        [
            ".dockerignore",
            "Dockerfile",
            "made-0/in/x",
            "made-17/in/x",
            "made-499/in/x",
            "tree/d0/below/a.o17",
            "tree/d0/below/left0-kept",
            "tree/d0/below/plain",
            "tree/d17/below/left0-kept",
            "tree/d17/below/plain",
            "tree/d499/below/a.o17",
            "tree/d499/below/left0-kept",
            "tree/d499/below/plain",
        ]
    );
}

/// A Dockerfile of more layers than the kernel mounts on each other: most of them copy the file `file`, and some commands
/// change what lies many layers below.
fn dockerfile_of_many_layers() -> String {
    let mut dockerfile =
        "FROM base\nRUN mkdir -p /tree/kept /tree/gone /again && echo old > /again/old\n"
            .to_owned();
    for number in 0..520 {
        match number {
            // Each in another run of those that are merged, or in none.
            150 => add(
                &mut dockerfile,
                format_args!("RUN rm /f10 /tree/f1 && rm -r /tree/gone"),
            ),
            300 => add(
                &mut dockerfile,
                format_args!(
                    "RUN rm -r /again && mkdir /again && echo new > /again/new && rm /f200"
                ),
            ),
            301 => add(
                &mut dockerfile,
                format_args!("RUN echo more >> /f290 && chmod 700 /tree/kept && rm /f250"),
            ),
            _ if number % 50 == 1 => {
                add(&mut dockerfile, format_args!("COPY file /tree/f{number}"));
            }
            _ => add(&mut dockerfile, format_args!("COPY file /f{number}")),
        }
    }
    add(
        &mut dockerfile,
        format_args!(
            "RUN ls -d /f[0-9]* | wc -l > /seen && ls /again /tree >> /seen && stat -c %a /tree/kept >> /seen \
             && cat /again/new /f290 >> /seen && rm /f20 && rm -r /again"
        ),
    );
    dockerfile
}

#[test]
fn of_five_hundred_and_twenty_layers_a_command_sees_what_is_left_of_them_and_so_does_one_on_them() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.file("file", "of the context\n");
    bench.dockerfile(&dockerfile_of_many_layers());
    let many = ["--output", "type=oci,dest=many,tar=false"];
    bench.careen_build(&many).run().success();
    let archive = support::Archive::read_directory(&bench.path("many"));
    let image = archive.image();
    // The base's, the first command's and the last one's.
    assert_eq!(image.layers.len(), 523);
    // But for three commands, the tree's eleven, and three that were removed.
    let in_tree = "f101\nf151\nf201\nf251\nf351\nf401\nf451\nf501\nf51\nkept";
    let expected = format!(
        "{}\n/again:\nnew\n\n/tree:\n{in_tree}\n700\nnew\nof the context\nmore\n",
        520 - 3 - 10 - 3,
    );
    assert_eq!(image.text("seen"), expected);
    for gone in [
        "f10",
        "f200",
        "f250",
        "f20",
        "tree/f1",
        "tree/gone",
        "again",
    ] {
        assert!(!image.has(gone), "{gone}");
    }
    assert_eq!(image.top_paths(), [".wh.again", ".wh.f20", "seen"]);
    // As a base, of which nothing is there.
    bench.forget();
    bench.dockerfile(
        "FROM many\n\
         RUN ls -d /f[0-9]* | wc -l > /seen && rm /f30\n\
         COPY --from=many /f290 /copied\n\
         RUN test ! -e /f30 && test ! -e /again && cat /copied >> /seen\n",
    );
    let built = bench.build(&["--build-context", "many=oci-layout://many", "--squash"]);
    let image = built.image();
    assert_eq!(image.layers.len(), 524);
    assert_eq!(image.text("seen"), "503\nof the context\nmore\n");
    assert!(!image.has("f30"));
}
