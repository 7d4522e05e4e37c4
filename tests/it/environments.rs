//! What careen does where machines allow less: other ids, a hidden `/proc`, no commands at all.

use std::os::unix::fs::MetadataExt as _;

use insta::assert_snapshot;
use support::{Feature, needs};

use crate::bench;

/// Runs careen in a user namespace of one id, as root of it, with a part of `/proc` hidden: what a container has.
const HIDDEN_PROC: [&str; 6] = [
    "/usr/bin/unshare",
    "--map-root-user",
    "--mount",
    "/bin/sh",
    "-ec",
    "mount -t tmpfs none /proc/tty; exec \"$0\" \"$@\"",
];

#[test]
fn what_needs_no_commands_is_built_where_none_can_be_run() {
    let bench = bench();
    bench.file("a", "text");
    bench.dockerfile(
        "FROM scratch AS one\nCOPY --chown=7:8 a /a\nFROM scratch\nCOPY --from=one /a /b\n",
    );
    let built = bench.build(&["--executor", "none"]);
    let [layer] = built.image().layers.as_slice() else {
        panic!("one layer");
    };
    let b = layer.iter().find(|entry| entry.path == "b").unwrap();
    assert_eq!(b.owner, (7, 8));
}

#[test]
fn what_is_built_without_commands_is_what_is_built_with_them() {
    let bench = bench();
    bench.file("a/b", "text");
    bench.dockerfile("FROM scratch\nCOPY --chown=7:8 --chmod=600 a /a\nWORKDIR /w\n");
    let usual = bench.build(&[]).archive.top_digest();
    let without = bench.build(&["--executor", "none"]).archive.top_digest();
    assert_eq!(usual, without);
}

#[test]
fn a_command_that_cannot_be_run_is_refused_at_its_place() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nRUN true\n");
    let error = bench.failure(&["--executor", "none"], 3);
    assert_snapshot!(error, @r"
    error: no command can be run on this machine
     --> Dockerfile:2:1
      |
    2 | RUN true
      | ^^^^^^^^ step 2/2
      |
      = help: `careen doctor` tells what this machine allows
    ");
    let run = bench.careen(&["run", "--executor", "none", "base"]).run();
    assert_eq!(run.code(), 125);
}

#[test]
fn one_id_can_be_asked_for() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile(
        "FROM base\nRUN wc -l < /proc/self/uid_map && awk '{ print $3 }' /proc/self/uid_map\n",
    );
    let run = bench
        .careen_build(&[])
        .env("CAREEN_EXECUTOR", "userns-single")
        .run()
        .success();
    assert_eq!(run.output(), ["1", "1"]);
}

#[test]
fn an_executor_that_is_none_is_a_mistake_of_the_command_line() {
    let bench = bench();
    bench.dockerfile("FROM scratch\n");
    let error = bench.failure(&["--executor", "docker"], 2);
    assert_snapshot!(error, @"error: `docker` is no executor: there are `auto`, `userns-multi`, `userns-single`, `chroot` and `none`");
}

#[test]
fn without_new_privileges_there_is_one_id_and_a_warning() {
    needs!(Feature::Busybox, Feature::IdRange);
    if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
        // Root needs no helper to map ids.
        return;
    }
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nRUN awk '{ print $3 }' /proc/self/uid_map\n");
    let wrapper = ["/usr/bin/setpriv", "--no-new-privs"];
    let run = bench.careen_build_under(&wrapper, &[]).run().success();
    assert_eq!(run.output(), ["1"]);
    let warning =
        "warning: commands are run with `userns-single`, since `userns-multi` does not work here";
    assert!(run.stderr.starts_with(warning), "{}", run.stderr);
}

#[test]
fn where_proc_is_hidden_steps_have_the_outer_one_and_see_nothing_of_others() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    // The own shell is in the list, with a number that is not its own; whoever else is there is not to be looked into.
    bench.dockerfile(
        "FROM base\n\
         RUN readlink /proc/self/exe\n\
         RUN test ! -e /proc/$$/ns/pid || test $(readlink /proc/$$/ns/pid) != $(readlink /proc/self/ns/pid)\n\
         RUN for p in /proc/[0-9]*; do \
               [ \"$(readlink $p/ns/pid)\" != \"$(readlink /proc/self/ns/pid)\" ] || continue; \
               if cat $p/environ >/dev/null 2>&1 || ls $p/root/ >/dev/null 2>&1 || readlink $p/cwd || readlink $p/exe || readlink $p/fd/0; \
               then echo FAIL $p; fi; done; echo looked\n\
         RUN echo x 2>/dev/null > /proc/sys/kernel/hostname && echo FAIL; echo written\n",
    );
    let run = bench.careen_build_under(&HIDDEN_PROC, &[]).run().success();
    let output = run.output();
    assert_eq!(output, ["/bin/busybox", "looked", "written"]);
}

#[test]
fn where_the_machine_allows_no_namespace_a_run_names_the_setting_and_the_rest_is_built() {
    needs!(Feature::Busybox);
    // The setting belongs to a namespace, so that it can be tried in one without changing the machine's.
    let forbidden = [
        "/usr/bin/unshare",
        "--map-root-user",
        "/bin/sh",
        "-ec",
        "echo 0 > /proc/sys/user/max_user_namespaces; exec \"$0\" \"$@\"",
    ];
    let bench = bench().with_busybox();
    bench.file("a", "text");
    bench.dockerfile("FROM base\nCOPY a /\n");
    bench.careen_build_under(&forbidden, &[]).run().success();
    bench.dockerfile("FROM base\nRUN true\n");
    let run = bench.careen_build_under(&forbidden, &[]).run();
    assert_eq!(run.code(), 3, "{}", run.stderr);
    for line in [
        "ERROR: failed to build: failed to solve: no command can be run on this machine",
        "  = note: `userns-single`: user namespace: unshare(CloneFlags(CLONE_NEWNS | CLONE_NEWUSER)): No space left on device",
        "  = note: this machine allows no user namespaces: `sudo sysctl user.max_user_namespaces=15000`",
    ] {
        assert!(
            run.stderr.lines().any(|said| said == line),
            "{}",
            run.stderr
        );
    }
}

#[test]
fn where_the_machine_allows_no_more_namespaces_no_disk_is_said_to_be_full() {
    needs!(Feature::Busybox);
    let few = [
        "/usr/bin/unshare",
        "--map-root-user",
        "/bin/sh",
        "-ec",
        "echo 3 > /proc/sys/user/max_pid_namespaces; exec \"$0\" \"$@\"",
    ];
    let bench = bench().with_busybox();
    // Each waits for all others to run, which they never do; what runs when another fails may end.
    let stage = |number: usize| {
        format!(
            "FROM base AS s{number}\nRUN --mount=type=cache,target=/c touch /c/{number}; for i in $(seq 50); do \
             test -e /c/0 -a -e /c/1 -a -e /c/2 -a -e /c/3 && break; sleep 0.1; done\n"
        )
    };
    let copy = |number| format!("COPY --from=s{number} /bin/busybox /{number}\n");
    let stages = [0, 1, 2, 3].map(stage).concat();
    let copies = [0, 1, 2, 3].map(copy).concat();
    bench.dockerfile(&format!("{stages}FROM base\n{copies}"));
    let run = bench.careen_build_under(&few, &["-j4"]).run();
    assert_eq!(run.code(), 3, "{}", run.stderr);
    assert!(!run.stderr.contains("is full"), "{}", run.stderr);
    for part in [
        "CLONE_NEWPID",
        "  = help: there are as many namespaces as are allowed",
    ] {
        assert!(run.stderr.contains(part), "{}", run.stderr);
    }
}

#[test]
fn the_doctor_tells_what_commands_are_run_with() {
    let bench = bench();
    let told = bench.careen(&["doctor"]).run().success();
    let text = told.text();
    let first = text.lines().next().unwrap();
    assert!(
        first.starts_with("executor                  userns-"),
        "{text}"
    );
    let json = bench.careen(&["doctor", "--json"]).run().success();
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let executor = json["executor"].as_str().unwrap();
    let ids = if executor == "userns-multi" {
        "id-range"
    } else {
        "one-id"
    };
    assert_eq!(json["trials"][ids]["user-namespace"], "works");
    assert_eq!(
        json["store"]["path"].as_str(),
        bench.path("home/.local/share/careen").to_str()
    );
    assert_eq!(json["store"]["is_refused"], false);
}

#[test]
fn the_doctor_says_with_its_code_that_no_command_can_be_run() {
    let bench = bench();
    let told = bench.careen(&["doctor", "--executor", "none"]).run();
    assert_eq!(told.code(), 3);
    let text = told.text();
    let line =
        "executor                  none: a Dockerfile with a RUN cannot be built, others can";
    assert_eq!(text.lines().next(), Some(line));
}

#[test]
fn the_doctor_leaves_nothing_behind() {
    let bench = bench();
    let names = || {
        let entries = std::fs::read_dir(bench.path("home")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name());
        names.collect::<std::collections::BTreeSet<_>>()
    };
    let before = names();
    bench.careen(&["doctor"]).run().success();
    assert_eq!(names(), before);
}

#[test]
fn the_profile_of_apparmor_names_this_program() {
    let bench = bench();
    let told = bench
        .careen(&["doctor", "--apparmor-profile"])
        .run()
        .success();
    let text = told.text();
    let attachment = format!(
        "profile careen \"{}\" flags=(unconfined) {{",
        env!("CARGO_BIN_EXE_careen")
    );
    assert!(text.lines().any(|line| line == attachment), "{text}");
}

#[test]
fn what_worked_is_remembered_until_a_build_cannot_be_done() {
    let bench = bench();
    bench.dockerfile("FROM scratch\nCOPY Dockerfile /\n");
    let memory = bench.path("home/.cache/careen/host");
    bench.build(&[]);
    let known = std::fs::read(&memory).unwrap();
    bench.build(&[]);
    assert_eq!(std::fs::read(&memory).unwrap(), known);
    // Of another machine, or another time: it is found out again.
    std::fs::write(&memory, "of another boot").unwrap();
    bench.build(&[]);
    assert_eq!(std::fs::read(&memory).unwrap(), known);
    // A store that cannot be opened is the machine's fault.
    let failed = bench.careen_build(&["--store", "/proc/nothing"]).run();
    assert_eq!(failed.code(), 3);
    assert!(!memory.try_exists().unwrap());
}
