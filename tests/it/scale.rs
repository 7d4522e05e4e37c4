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
