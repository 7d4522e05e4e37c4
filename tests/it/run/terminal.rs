//! `-t`: the command has a terminal of its own, and the user's passes every key on.

use support::{Feature, Gate, Running, Terminal, needs};

use crate::bench;

/// What a shell is told to begin with: it says what the test waits for, and nothing else.
const QUIET: &str = "stty -echo; PS1=; exec sh";

fn start(bench: &support::Bench, terminal: &Terminal, words: &[&str]) -> Running {
    let run = bench.careen(&["run"]).args(words);
    run.stdin(terminal.stream())
        .stdout(terminal.stream())
        .start()
}

#[test]
fn a_shell_is_talked_to() {
    needs!(Feature::Busybox);
    let (bench, terminal) = (bench().with_busybox(), Terminal::open(33, 111));
    let running = start(&bench, &terminal, &["-it", "oci:base", "sh", "-c", QUIET]);
    terminal.send("tty; stty size; echo $TERM; echo first-$((1 + 1))\r");
    let shown = terminal.wait_for("first-2\r\n");
    assert!(
        shown.contains("/dev/pts/0\r\n33 111\r\nxterm\r\n"),
        "{shown}"
    );
    assert!(terminal.is_raw());
    terminal.resize(40, 100);
    running.id().resized();
    // The command is told by a signal, too, but here it is asked.
    terminal.send("while test \"$(stty size)\" != '40 100'; do :; done; echo second-$((1 + 1))\r");
    terminal.wait_for("second-2\r\n");
    terminal.send("exit 5\r");
    assert_eq!(running.finish().code(), 5);
    assert!(!terminal.is_raw());
}

#[test]
fn a_key_makes_a_signal_in_the_sandbox_and_not_here() {
    needs!(Feature::Busybox);
    let (bench, terminal) = (bench().with_busybox(), Terminal::open(24, 80));
    let gate = Gate::open();
    let script = format!(
        "trap 'echo interrupted; exit 6' INT; {}; sleep 100000",
        gate.command()
    );
    let words = ["-i", "-t", "oci:base", "sh", "-c", &script];
    let running = start(&bench, &terminal, &words);
    let _stopped = gate.wait();
    terminal.send("\x03");
    terminal.wait_for("interrupted\r\n");
    assert_eq!(running.finish().code(), 6);
}

#[test]
fn both_streams_are_the_terminal() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let script = "echo out; echo err >&2; test -t 0 && test -t 1 && test -t 2 && echo all";
    let words = ["run", "-t", "oci:base", "sh", "-c", script];
    let ended = bench.careen(&words).run().success();
    assert_eq!(
        (ended.text(), &*ended.stderr),
        ("out\r\nerr\r\nall\r\n", "")
    );
}

#[test]
fn everything_that_was_written_to_a_terminal_arrives() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let script = "seq 20000";
    let words = ["run", "-t", "oci:base", "sh", "-c", script];
    let ended = bench.careen(&words).run().success();
    let lines: Vec<String> = ended.text().lines().map(str::to_owned).collect();
    assert_eq!(
        (lines.len(), lines.last().map(String::as_str)),
        (20000, Some("20000"))
    );
}

#[test]
fn a_terminal_is_put_back_when_careen_is_killed_inside() {
    needs!(Feature::Busybox);
    let (bench, terminal) = (bench().with_busybox(), Terminal::open(24, 80));
    let gate = Gate::open();
    let words = ["-it", "oci:base", "sh", "-c", &gate.command()];
    let running = start(&bench, &terminal, &words);
    let _stopped = gate.wait();
    assert!(terminal.is_raw());
    support::process::wait_for(running.id(), support::process::Role::Builder).kill();
    assert_eq!(running.finish().code(), 137);
    assert!(!terminal.is_raw());
}
