//! A range of ids that is too small for an image: it is built with one id.

use std::fs;

use insta::assert_snapshot;
use support::{Bench, Feature, Finished, Invocation, needs};

use crate::bench;

/// Runs careen as root of a user namespace with 2001 ids, of which 2000 are for containers.
const FEW_IDS: &str = "
    mkfifo \"$HOME/go\"
    exec 4<&0
    unshare --user sh -ec 'read -r _ < \"$HOME/go\"; exec \"$0\" \"$@\"' \"$0\" \"$@\" <&4 &
    exec 3> \"$HOME/go\"
    rm \"$HOME/go\"
    printf '0 0 1\\n1 1 2000\\n' > /proc/$!/uid_map
    printf '0 0 1\\n1 1 2000\\n' > /proc/$!/gid_map
    echo >&3
    wait $!
";

/// Returns a build with few ids.
fn build(bench: &Bench, arguments: &[&str]) -> Invocation {
    build_by(FEW_IDS, bench, arguments)
}

fn build_by(script: &str, bench: &Bench, arguments: &[&str]) -> Invocation {
    // Root has all ids already.
    let is_root = std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self").unwrap()) == 0;
    let with_range: &[&str] = if is_root {
        &[]
    } else {
        &["unshare", "--user", "--map-root-user", "--map-auto"]
    };
    let wrapper = [with_range, &["sh", "-ec", script]].concat();
    bench.careen_build_under(&wrapper, arguments)
}

/// Returns the warning of what commands are run with.
fn warning(run: &Finished) -> String {
    let lines = run.stderr.lines();
    let from = lines.skip_while(|line| !line.starts_with("warning: commands are run with"));
    let lines: Vec<_> = from.take_while(|line| !line.starts_with('#')).collect();
    lines.join("\n")
}

/// Makes tables of users that are within the range, for the image to have in place of its own.
fn low_users(bench: &Bench) {
    bench.file("etc/passwd", "root:x:0:0::/:\nlast:x:1999:1999::/:\n");
    bench.file("etc/group", "root:x:0:\n");
}

fn says(run: &Finished, mode: &str) -> bool {
    let line = format!("[internal] commands are run with {mode}\n");
    run.stderr.contains(&line)
}

#[test]
fn a_base_with_a_higher_id_is_built_with_one_id() {
    needs!(Feature::Busybox, Feature::IdRange);
    let bench = bench().with_busybox();
    bench.file("a", "text");
    bench.dockerfile("FROM base\nCOPY --chown=5000:6000 a /a\n");
    let other = [
        "--executor",
        "none",
        "--output",
        "type=oci,dest=other,tar=false",
    ];
    bench.careen_build(&other).run().success();
    bench.dockerfile("FROM other\nRUN stat -c %u:%g /a > /b && cat /b\n");
    let context = format!("other=oci-layout://{}", bench.path("other").display());
    let run = build(&bench, &["--build-context", &context])
        .run()
        .success();
    assert_eq!(run.output(), ["5000:6000"]);
    assert!(says(&run, "userns-multi") && says(&run, "userns-single"));
    assert_snapshot!(warning(&run), @r"
    warning: commands are run with `userns-single`, since `userns-multi` does not work here
      = caused by: the range has 2000 ids, 0 to 1999, and the image has the id 5000
    ");
    let whole = bench
        .careen_build(&["--build-context", &context])
        .run()
        .success();
    assert!(says(&whole, "userns-multi") && !says(&whole, "userns-single"));
}

#[test]
fn the_doctor_names_a_range_that_is_too_small() {
    needs!(Feature::IdRange);
    let bench = bench();
    let asks = |arguments: &str| {
        let script = FEW_IDS.replace("exec \"$0\" \"$@\"", &format!("exec \"$0\" {arguments}"));
        build_by(&script, &bench, &[]).run().success()
    };
    let told = asks("doctor");
    let rows: Vec<&str> = told.text().lines().take(2).collect();
    assert_eq!(
        rows,
        [
            "executor                  userns-multi, 2000 ids",
            "range of ids              too small for most images: 2000 ids, 0 to 1999, and `nobody` is 65534; \
             they are built with one id",
        ]
    );
    let json = |told: &Finished| -> serde_json::Value {
        let all: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
        all["short_range"].clone()
    };
    let expected = serde_json::json!({ "ids": 2000, "lacks": 65534 });
    assert_eq!(json(&asks("doctor --json")), expected);
    let whole = bench.careen(&["doctor", "--json"]).run().success();
    assert_eq!(json(&whole), serde_json::Value::Null);
}

#[test]
fn that_a_range_was_too_small_is_remembered() {
    needs!(Feature::Busybox, Feature::IdRange);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nRUN true\n");
    // Another namespace would be another machine.
    let twice = FEW_IDS.replace("exec \"$0\" \"$@\"", "\"$0\" \"$@\"; exec \"$0\" \"$@\"");
    let run = build_by(&twice, &bench, &[]).run().success();
    let modes = run.stderr.lines().filter_map(|line| {
        let (_, mode) = line.split_once("commands are run with userns-")?;
        Some(mode)
    });
    assert_eq!(modes.collect::<Vec<_>>(), ["multi", "single", "single"]);
    assert_eq!(run.stderr.matches("the image has the id 65534").count(), 2);
}

#[test]
fn an_image_whose_ids_are_there_is_built_with_the_range() {
    needs!(Feature::Busybox, Feature::IdRange);
    let bench = bench().with_busybox();
    low_users(&bench);
    bench.dockerfile(
        "FROM base\nCOPY --chown=1999 etc /etc\nUSER last\nRUN awk '{ print $3 }' /proc/self/uid_map\n",
    );
    let run = build(&bench, &[]).run().success();
    assert_eq!(run.output(), ["2000"]);
    assert!(says(&run, "userns-multi") && !run.stderr.contains("userns-single"));
}

#[test]
fn an_image_with_a_user_beyond_the_range_is_built_with_one_id() {
    needs!(Feature::Busybox, Feature::IdRange);
    for (table, line, step) in [
        ("passwd", "nobody:x:65534:7::/:\n", "RUN id -u\n"),
        ("group", "nogroup:x:65534:\n", "RUN id -u\n"),
        ("passwd", "", "USER 5000\nRUN id -u > /dev/null && echo 0\n"),
        ("passwd", "", "COPY --chown=:5000 etc /d\nRUN id -u\n"),
        (
            "passwd",
            "",
            "RUN --mount=type=cache,target=/c,uid=5000 id -u\n",
        ),
    ] {
        let bench = bench().with_busybox();
        low_users(&bench);
        bench.file(&format!("etc/{table}"), line);
        bench.dockerfile(&format!("FROM base\nCOPY etc /etc\n{step}"));
        let run = build(&bench, &[]).run().success();
        assert_eq!(run.output(), ["0"], "{line}{step}");
        assert!(says(&run, "userns-single"), "{line}{step}");
    }
}

#[test]
fn what_was_asked_for_or_cannot_be_read_again_is_not_begun_again() {
    needs!(Feature::Busybox, Feature::IdRange);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nCOPY --chown=5000 Dockerfile /a\nRUN true\n");
    let asked = build(&bench, &["--executor", "userns-multi"]).run();
    let expected = "  = caused by: the image has the id 5000, and ids 0 to 1999 can be held here\n  \
                    = help: `--executor userns-single` keeps owners beside the files, and needs no range of ids";
    let says_so = |run: &Finished| run.error(3).trim_end().ends_with(expected);
    assert!(says_so(&asked), "{}", asked.stderr);
    let file = fs::File::open(bench.path("context/Dockerfile")).unwrap();
    let piped = build(&bench, &["-f", "-"]).stdin(file).run();
    assert!(says_so(&piped), "{}", piped.stderr);
}

#[test]
fn an_id_that_turns_up_in_a_command_is_no_id_there() {
    needs!(Feature::Busybox, Feature::IdRange);
    let bench = bench().with_busybox();
    low_users(&bench);
    bench.dockerfile("FROM base\nCOPY etc /etc\nRUN touch /a && ! chown 5000 /a 2> /b && cat /b\n");
    let run = build(&bench, &[]).run().success();
    assert_eq!(run.output(), ["chown: /a: Invalid argument"]);
    assert!(says(&run, "userns-multi"));
}
