//! Steps that fail: what they leave is kept, entered and removed.

use support::{Bench, Feature, Finished, Gate, Terminal, needs};

use crate::bench;

const SCENE: &str = "FROM base AS tools\n\
    RUN mkdir /t && echo tool > /t/tool\n\
    FROM base\n\
    ARG COLOR=red\n\
    ENV A=1\n\
    RUN mkdir -m 777 /work && echo old > /gone && ln -s gone /link && chown -h 7:7 /link\n\
    WORKDIR /work\n\
    USER 1000:1000\n\
    RUN --mount=type=bind,from=tools,source=/t,target=/mnt/t \\\n\
        --mount=type=bind,target=/context,rw \\\n\
        --mount=type=cache,target=/cache,uid=1000 \\\n\
        --mount=type=secret,id=token,env=TOKEN \\\n\
        --mount=type=tmpfs,target=/memory \\\n\
        echo made > made && echo cached > /cache/file && test $TOKEN = hidden && exit 3\n";

/// Looks at all that the step saw.
const LOOK: &str = "pwd; id -u; echo $A $COLOR $HOME; cat made /gone /mnt/t/tool /context/file /cache/file; \
    stat -c '%n %u' /link made; touch /memory/x && echo written; echo ${TOKEN:-no token}";

const SEEN: &str =
    "/work\n1000\n1 red /home/app\nmade\nold\ntool\nfile\ncached\n/link 7\nmade 1000\nwritten\n";

fn scene() -> Bench {
    let bench = bench().with_busybox();
    bench.file("file", "file\n");
    bench.dockerfile(SCENE);
    bench
}

const SECRET: [&str; 2] = ["--secret", "id=token,env=TOKEN"];

/// Runs `build` in a mode, with the secret; the default mode is the machine's best.
fn build(bench: &Bench, executor: &str, options: &[&str]) -> support::Invocation {
    let build = bench.careen_build(&SECRET).args(options);
    build
        .env("CAREEN_EXECUTOR", executor)
        .env("TOKEN", "hidden")
}

fn debug(bench: &Bench, executor: &str, words: &[&str]) -> Finished {
    let debug = bench.careen(&["debug"]).args(words);
    debug.env("CAREEN_EXECUTOR", executor).run()
}

/// Returns the ids of the kept steps, the latest first.
fn ids(bench: &Bench, executor: &str) -> Vec<String> {
    let listed = debug(bench, executor, &["ls", "-q"]).success();
    listed.text().lines().map(str::to_owned).collect()
}

/// Returns as much of an id as tells it from others.
fn beginning(id: &str) -> &str {
    id.get(..6).unwrap()
}

/// Fails, keeps, and looks into what is kept with a command and with a shell of the build's.
fn is_entered(executor: &str) {
    let bench = scene();
    let failed = build(&bench, executor, &["--on-failure=keep"]).run();
    let said = failed.error(1).to_owned();
    let [id] = ids(&bench, executor).try_into().unwrap();
    let way_in = format!(
        "\n  = note: what the step left is kept as `{id}`\n  = help: `careen debug {id}` opens a shell in it"
    );
    assert!(said.ends_with(&way_in), "{said}");
    let look = |script: &str| {
        let ended = debug(
            &bench,
            executor,
            &[beginning(&id), "--", "sh", "-c", script],
        );
        (ended.code(), ended.text().to_owned())
    };
    assert_eq!(look(LOOK), (0, format!("{SEEN}no token\n")));
    assert_eq!(
        look("echo other > made; cat made; exit 9"),
        (9, "other\n".to_owned())
    );
    assert_eq!(look("cat made; ls /memory"), (0, "made\n".to_owned()));

    let terminal = Terminal::open(33, 111);
    let shell = build(&bench, executor, &["--on-failure=shell"]);
    let shell = shell.stdin(terminal.stream()).stdout(terminal.stream());
    let mut running = shell.start();
    running.wait_for("what it changes goes with it");
    terminal.send("stty -echo; PS1=; stty size; echo $TERM; echo first-$((1 + 1))\r");
    let shown = terminal.wait_for("first-2\r\n");
    assert!(shown.contains("33 111\r\nxterm\r\nfirst-2\r\n"), "{shown}");
    terminal.send(&format!("{LOOK}; echo second-$((1 + 1))\r"));
    let shown = terminal.wait_for("second-2\r\n").replace("\r\n", "\n");
    assert!(shown.contains(&format!("{SEEN}hidden\n")), "{shown}");
    assert!(terminal.is_raw());
    terminal.send("exit 5\r");
    let ended = running.finish();
    assert_eq!(ended.code(), 1, "{}", ended.stderr);
    assert!(!terminal.is_raw());
    assert_eq!(ids(&bench, executor), [id]);
}

#[test]
fn a_step_that_failed_is_entered_as_it_was() {
    needs!(Feature::Busybox, Feature::IdRange);
    is_entered("userns-multi");
}

#[test]
fn a_step_of_one_id_that_failed_is_entered_as_it_was() {
    needs!(Feature::Busybox);
    is_entered("userns-single");
}

#[test]
fn a_step_without_namespaces_that_failed_is_entered_as_it_was() {
    needs!(Feature::Busybox, Feature::Root);
    is_entered("chroot");
}

#[test]
fn nothing_is_kept_that_nobody_asked_for() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nRUN false\n");
    bench.refusal(&[]);
    assert_eq!(
        debug(&bench, "auto", &["ls"]).success().text(),
        "ID        CREATED   FAILURE   STEP\n"
    );
}

#[test]
fn kept_steps_are_listed_removed_and_not_more_than_five() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    for number in 0..6 {
        bench.dockerfile(&format!("FROM base\nRUN exit {}\n", 10 + number));
        bench.refusal(&["--on-failure=keep"]);
    }
    let format = "{{.Failure}} {{.Step}} {{.Platform}}";
    let listed = debug(&bench, "auto", &["ls", "--format", format]).success();
    let lines: Vec<&str> = listed.text().lines().collect();
    assert_eq!(lines.len(), 5, "{lines:?}");
    assert!(
        lines[0].starts_with("exited with status 15 [2/2] RUN exit 15 linux/"),
        "{lines:?}"
    );
    let kept = ids(&bench, "auto");
    let removed = debug(&bench, "auto", &["rm", &kept[0], beginning(&kept[4])]).success();
    assert_eq!(removed.text(), format!("{}\n{}\n", kept[0], kept[4]));
    assert_eq!(ids(&bench, "auto"), kept[1..4]);
    assert_eq!(
        debug(&bench, "auto", &["rm", &kept[0]]).error(1),
        format!(
            "error: there is no kept step `{}`\n  = help: `careen debug ls` lists them",
            kept[0]
        )
    );
    debug(&bench, "auto", &["rm", "--all"]).success();
    assert_eq!(ids(&bench, "auto"), [""; 0]);
}

#[test]
fn a_step_that_somebody_looks_into_is_not_removed() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nRUN --network=host exit 1\n");
    bench.failure(&["--on-failure=keep", "--allow", "network.host"], 1);
    let [id] = ids(&bench, "auto").try_into().unwrap();
    let gate = Gate::open();
    let words = ["debug", &id, "--", "sh", "-c", &gate.command()];
    let looking = bench.careen(&words).start();
    let stopped = gate.wait();
    assert_eq!(
        debug(&bench, "auto", &["rm", &id]).error(1),
        format!("error: the kept step `{id}` is in use")
    );
    drop(stopped);
    assert_eq!(looking.finish().code(), 0);
    debug(&bench, "auto", &["rm", &id]).success();
}

#[test]
fn a_shell_without_a_terminal_is_refused_before_anything_is_built() {
    let bench = bench();
    bench.dockerfile("FROM scratch\nRUN false\n");
    assert_eq!(
        bench.failure(&["--on-failure=shell"], 2),
        "error: `--on-failure=shell` needs a terminal, and standard input is none\n  = help: `--on-failure=keep` \
         needs none, and neither does `careen debug ID -- COMMAND` later"
    );
    assert_eq!(
        debug(&bench, "auto", &["0123"]).error(2),
        "error: standard input is no terminal, and a shell needs one\n  = help: `careen debug ID -- COMMAND` runs a \
         command without one"
    );
}

#[test]
fn a_command_that_cannot_be_run_has_the_codes_of_run() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nRUN exit 1\n");
    bench.refusal(&["--on-failure=keep"]);
    let [id] = ids(&bench, "auto").try_into().unwrap();
    let said = |word: &str, code| {
        let ended = debug(&bench, "auto", &[&id, "--", word]);
        ended
            .error(code)
            .lines()
            .find(|line| line.starts_with("error"))
            .unwrap()
            .to_owned()
    };
    assert_eq!(said("absent", 127), "error: the step has no `absent`");
    assert_eq!(
        said("/etc", 126),
        "error: the step's `/etc` cannot be executed"
    );
    assert_eq!(
        debug(&bench, "auto", &[&id, "--", "sh", "-c", "kill -KILL $$"]).code(),
        137
    );
}

const NO_TERMINAL: &str =
    "error: `--on-failure=shell` needs a terminal, and standard input is none";
const NO_SUCH: &str = "error: `--invoke /bin/sh` is not supported: `--on-failure=shell` opens a shell in a step \
    that fails, and `careen run` runs a command on an image";

#[test]
fn the_words_of_buildx_mean_the_same() {
    let bench = bench();
    bench.dockerfile("FROM scratch\nRUN false\n");
    let said = |words: &[&str]| {
        let ended = bench.careen(words).arg("context").run();
        ended.error(2).lines().next().unwrap().to_owned()
    };
    for (words, expected) in [
        (&["buildx", "debug", "build"][..], NO_TERMINAL),
        (&["buildx", "debug", "--on", "error", "build"], NO_TERMINAL),
        (
            &["buildx", "debug", "--invoke", "on-error", "build"],
            NO_TERMINAL,
        ),
        (&["buildx", "build", "--invoke=on-error"], NO_TERMINAL),
        (
            &["buildx", "debug", "--invoke", "/bin/sh", "build"],
            NO_SUCH,
        ),
        (&["build", "--invoke", "/bin/sh"], NO_SUCH),
        (
            &["buildx", "debug", "bake"],
            "error: there is no command `buildx debug`",
        ),
    ] {
        assert_eq!(said(words), expected, "{words:?}");
    }
}
