//! `--mount=type=secret` and `--secret`.

use std::fs;

use insta::assert_snapshot;
use support::process::{self, Role};
use support::{Bench, Feature, Gate, needs, scan};

use crate::bench;

/// Makes a bench with the file `token` beside the context.
fn bench_with_secret() -> Bench {
    let bench = bench().with_busybox();
    fs::write(bench.path("token"), "hidden").unwrap();
    bench
}

/// Builds a step with a secret and returns the text of `/out`.
fn out(bench: &Bench, arguments: &[&str], options: &str, command: &str) -> String {
    bench.dockerfile(&format!(
        "FROM base\nWORKDIR /w\nENV TOKEN=of-the-image\nRUN --mount=type=secret,{options} {command}\n"
    ));
    let built = bench.build(arguments);
    for path in ["run", "t", "w/sub", "etc/t"] {
        assert!(!built.image().has(path), "{path}");
    }
    built.image().text("out").to_owned()
}

#[test]
fn a_secret_is_a_file_a_variable_or_both() {
    needs!(Feature::Busybox);
    let bench = bench_with_secret();
    let given = ["--secret", "id=t,src=token"];
    let mask = "sed s/hidden/shown/";
    for (options, command, expected) in [
        ("id=t", "cat /run/secrets/t | MASK > /out", "shown"),
        ("id=t,target=/etc/t", "cat /etc/t | MASK > /out", "shown"),
        ("source=t,dst=sub/t", "cat /w/sub/t | MASK > /out", "shown"),
        ("target=/etc/t", "cat /etc/t | MASK > /out", "shown"),
        (
            "id=t,env=TOKEN",
            "echo $TOKEN | MASK > /out && ! test -e /run/secrets",
            "shown\n",
        ),
        (
            "id=t,env=NEW,target=/t",
            "echo $NEW$(cat /t) | MASK | MASK > /out",
            "shownshown\n",
        ),
        (
            "id=missing",
            "ls /run/secrets 2>/dev/null | wc -l > /out",
            "0\n",
        ),
        (
            "id=missing,env=TOKEN",
            "echo $TOKEN > /out",
            "of-the-image\n",
        ),
    ] {
        let found = out(&bench, &given, options, &command.replace("MASK", mask));
        assert_eq!(found, expected, "{options}");
    }
}

#[test]
fn the_file_has_the_owner_and_mode_that_are_asked_for() {
    needs!(Feature::Busybox, Feature::IdRange);
    let bench = bench_with_secret();
    let given = ["--secret", "id=t,src=token"];
    let stat = "stat -c '%a %u %g' /run/secrets/t > /out && ! echo x 2>/dev/null > /run/secrets/t";
    assert_eq!(out(&bench, &given, "id=t", stat), "400 0 0\n");
    assert_eq!(
        out(&bench, &given, "id=t,mode=0440,uid=1000,gid=1001", stat),
        "440 1000 1001\n"
    );
}

#[test]
fn a_secret_comes_from_a_file_or_a_variable() {
    needs!(Feature::Busybox);
    let bench = bench_with_secret();
    bench.dockerfile(
        "FROM base\nRUN --mount=type=secret,id=t wc -c < /run/secrets/t > /out && \
         md5sum < /run/secrets/t >> /out\n",
    );
    let found = |given: &str| {
        let arguments = [
            "--no-cache",
            "--secret",
            given,
            "-o",
            "type=oci,dest=out.tar",
        ];
        let run = bench
            .careen_build(&arguments)
            .env("t", "hidden")
            .env("T", "hidden");
        run.run().success();
        let archive = support::Archive::read(&fs::read(bench.path("out.tar")).unwrap());
        archive.image().text("out").to_owned()
    };
    let expected = found("id=t,src=token");
    assert!(expected.starts_with("6\n"), "{expected}");
    for given in [
        "type=file,id=t,source=token",
        "id=t",
        "id=t,env=T",
        "type=env,id=t,src=T",
    ] {
        assert_eq!(found(given), expected, "{given}");
    }
}

#[test]
fn another_value_does_not_run_a_step_again() {
    needs!(Feature::Busybox);
    let bench = bench_with_secret();
    let run = "RUN --mount=type=secret,id=t,required true";
    bench.dockerfile(&format!("FROM base\n{run}\n"));
    bench.build(&["--secret", "id=t,src=token"]);
    fs::write(bench.path("token"), "other").unwrap();
    let second = bench.build(&["--secret", "id=t,src=token"]);
    assert_eq!(second.log.outcome(run), Some(support::Outcome::Cached));
    // As in BuildKit, a step that is not run needs no secret.
    assert_eq!(
        bench.build(&[]).log.outcome(run),
        Some(support::Outcome::Cached)
    );
}

#[test]
fn a_secret_that_is_required_and_missing_is_named_at_its_place() {
    needs!(Feature::Busybox);
    let bench = bench_with_secret();
    bench.dockerfile("FROM base\nRUN --mount=type=secret,id=npm,required \\\n    make\n");
    assert_snapshot!(bench.refusal(&["--secret", "id=other,src=token"]), @r"
    error: the secret `npm` was not given
     --> Dockerfile:2:25
      |
    2 | RUN --mount=type=secret,id=npm,required \
      |                         ^^^^^^ required
      |
      = help: `--secret id=npm,src=FILE` or `--secret id=npm,env=NAME` gives it
    ");
}

#[test]
fn a_secret_that_cannot_be_read_is_an_error() {
    needs!(Feature::Busybox);
    let bench = bench_with_secret();
    bench.dockerfile("FROM base\nRUN true\n");
    assert_snapshot!(bench.refusal(&["--secret", "id=t,src=missing"]), @r"
    error: cannot read the secret `t` from `$BENCH/missing`
      = caused by: No such file or directory (os error 2)
    ");
    fs::write(bench.path("large"), vec![b'x'; 500 * 1024 + 1]).unwrap();
    assert_snapshot!(bench.refusal(&["--secret", "id=t,src=large"]), @"error: the secret `t` has more than 512000 bytes");
    assert_snapshot!(bench.failure(&["--secret", "id=t,scr=token"], 2), @"error: `--secret id=t,scr=token`: there is no `scr`: `id`, `src`, `env` and `type` are");
}

#[test]
fn a_variable_that_is_not_set_is_an_empty_secret_and_warned_of() {
    needs!(Feature::Busybox);
    let bench = bench_with_secret();
    let found = out(
        &bench,
        &["--secret", "id=t,env=NOT_SET"],
        "id=t",
        "wc -c < /run/secrets/t > /out",
    );
    assert_eq!(found, "0\n");
    let log = bench.careen_build(&["--secret", "id=t,env=NOT_SET"]).run();
    let expected = "the secret `t` is empty: the variable `NOT_SET` is not set";
    assert!(log.stderr.contains(expected), "{}", log.stderr);
}

#[test]
fn the_display_has_stars_where_a_secret_is() {
    needs!(Feature::Busybox);
    let bench = bench_with_secret();
    bench.dockerfile(
        "FROM base\nENV TOKEN=of-the-image\nRUN --mount=type=secret,id=t,env=TOKEN test \"$TOKEN\" = hidden\n",
    );
    let log = bench.build(&["--secret", "id=t,src=token"]).log;
    let shown = "RUN --mount=type=secret,id=t,env=TOKEN test \"****\" = hidden";
    assert_eq!(
        log.outcome(shown),
        Some(support::Outcome::Done),
        "{}",
        log.stderr
    );
}

/// Bytes that are nowhere else.
const FROM_FILE: &str = "kF7dQ2zR9wXcV4bN-file";
const FROM_VARIABLE: &str = "kF7dQ2zR9wXcV4bN-variable";
const CANARY: &str = "kF7dQ2zR9wXcV4bN-canary";

/// Every form in which a step gets secrets; it stops at the gate with them, and leaves the canary.
fn every_form(gate: &Gate) -> String {
    format!(
        "FROM base\nRUN --mount=type=secret,id=file --mount=type=secret,id=file,target=/etc/f,mode=0444 \
         --mount=type=secret,id=variable,env=TOKEN --mount=type=secret,id=variable,target=v \
         --mount=type=secret,id=NAMED,env=NAMED \
         --mount=type=cache,target=/c --mount=type=tmpfs,target=/t \
         test -n \"$TOKEN$NAMED\" && cp /run/secrets/file /t/ && cat /etc/f /v > /dev/null && {} && \
         echo kF7dQ2zR9wXcV4bN-can''ary > /canary && touch /c/used\nRUN ! test -e /run/secrets && env\n",
        gate.command()
    )
}

/// Looks at the processes of a build while its step stands at a gate.
fn look_at_processes(root: process::Id) {
    let (mut of_step, mut others) = (0, 0);
    for id in process::tree(root) {
        let texts = id.texts();
        assert!(!has(&texts, FROM_FILE));
        if id.role() == Role::Command {
            of_step += usize::from(has(&texts, FROM_VARIABLE));
        } else {
            assert!(!has(&texts, FROM_VARIABLE), "{:?}", id.role());
            others += 1;
        }
    }
    // There were others to be looked at. The step has it, which root may see in any case.
    assert!(others >= 3, "{others}");
    assert!(of_step > 0 || !process::sees_all());
}

fn has(bytes: &[u8], secret: &str) -> bool {
    bytes
        .windows(secret.len())
        .any(|part| part == secret.as_bytes())
}

/// Makes sure that the store has none of the secrets.
fn look_at_store(bench: &Bench) {
    for secret in [FROM_FILE, FROM_VARIABLE] {
        assert_eq!(scan::files_with(&bench.path("home"), secret), [""; 0]);
    }
}

#[test]
fn t_c08_no_secret_is_anywhere_but_in_its_step() {
    needs!(Feature::Busybox);
    let (bench, gate) = (bench().with_busybox(), Gate::open());
    fs::write(bench.path("token"), FROM_FILE).unwrap();
    bench.dockerfile(&every_form(&gate));
    let running = bench
        .careen_build(&[
            "--secret=id=file,src=token",
            "--secret=id=variable,env=SECRET_VARIABLE",
            "--secret=id=NAMED",
            "--output=type=oci,dest=out.tar,compression=uncompressed",
        ])
        .env("SECRET_VARIABLE", FROM_VARIABLE)
        .env("NAMED", FROM_VARIABLE)
        .start();
    let stopped = gate.wait();
    process::wait_for(running.id(), Role::Command);
    look_at_processes(running.id());
    look_at_store(&bench);
    drop(stopped);
    let log = running.finish().success();
    look_at_store(&bench);
    let tar = fs::read(bench.path("out.tar")).unwrap();
    for secret in [FROM_FILE, FROM_VARIABLE] {
        assert!(!log.stderr.contains(secret), "{}", log.stderr);
        assert!(!has(&tar, secret));
    }
    // The search finds what is there.
    let found = scan::files_with(&bench.path("home"), CANARY);
    let is_canary = |path: &String| path.ends_with("/fs/canary");
    assert!(found.iter().any(is_canary), "{found:?}");
    assert!(has(&tar, CANARY));
}
