//! How progress is shown, and where it is recorded.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;
use support::{Bench, Feature, Gate, Invocation, Terminal, needs};

use crate::bench;

/// What a command prints that would drive a terminal.
const HOSTILE: &str = r"printf '\033]0;title\007\033[2J\033[31mred\033[0m\n'";

fn build(bench: &Bench, arguments: &[&str]) -> Invocation {
    let base = format!("base=oci-layout://{}", bench.path("base").display());
    let run = bench.careen(&["build", "--build-context", &base, "-o", "type=cacheonly"]);
    run.args(arguments).arg("context")
}

/// Builds on a terminal of its own, and returns what that shows until `end`.
fn shown_on_terminal(run: Invocation, end: &str) -> String {
    let terminal = Terminal::open(24, 80);
    let running = run.stderr(terminal.stream()).start();
    let shown = terminal.wait_for(end);
    running.finish().success();
    shown
}

#[test]
fn a_terminal_has_a_live_display_that_steps_cannot_drive() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let gate = Gate::open();
    let wait = gate.command();
    bench.dockerfile(&format!("FROM base\nRUN {HOSTILE}; {wait}\n"));
    let terminal = Terminal::open(24, 80);
    let run = build(&bench, &[])
        .env("TERM", "xterm")
        .env("LANG", "C.UTF-8");
    let running = run.stderr(terminal.stream()).start();
    let live = terminal.wait_for("=> => # red");
    drop(gate.wait());
    let end = terminal.wait_for("\u{1b}[34m => [2/2] RUN");
    running.finish().success();
    assert!(live.contains(" => [2/2] RUN printf"), "{live:?}");
    let shown = live + &end;
    assert!(!shown.contains("\u{1b}]0;"), "{shown:?}");
    assert!(!shown.contains("\u{1b}[2J"), "{shown:?}");
    assert!(shown.contains("FINISHED"), "{shown:?}");
    // The last frame may not have come whole.
    let (hidden, seen) = ("\u{1b}[?25l", "\u{1b}[?25h");
    let hidden = shown.matches(hidden).count() - shown.matches(seen).count();
    assert!(hidden <= 1, "{shown:?}");
}

#[test]
fn a_terminal_says_what_it_can_show() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nRUN echo heard\n");
    let xterm = |name: &str, value: &str| {
        let run = build(&bench, &["--no-cache"]);
        run.env("TERM", "xterm").env(name, value)
    };
    let green = xterm("BUILDKIT_COLORS", "run=green");
    let green = shown_on_terminal(green, "\u{1b}[32m => [2/2]");
    assert!(!green.contains("\u{1b}[34m"), "{green:?}");
    let plain = shown_on_terminal(xterm("NO_COLOR", "1"), "FINISHED");
    let mut sequences = plain.split("\u{1b}[").skip(1);
    let is_colour = |sequence: &str| {
        let numbers = |byte: char| byte.is_ascii_digit() || byte == ';';
        sequence.trim_start_matches(numbers).starts_with('m')
    };
    assert!(!sequences.any(is_colour), "{plain:?}");
    let dumb = build(&bench, &["--no-cache"]).env("TERM", "dumb");
    let dumb = shown_on_terminal(dumb, "#5 DONE");
    assert!(
        dumb.contains("[2/2] RUN echo heard\r\n") && !dumb.contains('\u{1b}'),
        "{dumb:?}"
    );
}

#[test]
fn what_is_interrupted_has_its_line_in_the_end() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let gate = Gate::open();
    bench.dockerfile(&format!("FROM base\nRUN {}\n", gate.command()));
    let terminal = Terminal::open(10, 40);
    let run = build(&bench, &[]).env("TERM", "xterm");
    let running = run.stderr(terminal.stream()).start();
    let _stopped = gate.wait();
    running.id().interrupt();
    let shown = terminal.wait_for(" => CANCELED [2/2] RUN");
    assert_eq!(running.finish().code(), 130);
    assert!(!shown.contains("FINISHED"), "{shown:?}");
}

#[test]
fn a_live_display_needs_a_terminal() {
    let bench = bench();
    bench.dockerfile("FROM scratch\n");
    let refused = bench
        .careen(&["build", "--progress", "tty", "context"])
        .run();
    assert_eq!(
        refused.error(2),
        "error: `--progress tty` needs a terminal as standard error; `--progress plain` needs none"
    );
    let quiet = ["build", "--quiet", "--progress", "rawjson", "context"];
    assert_eq!(
        bench.careen(&quiet).run().error(2),
        "error: `--quiet` and `--progress rawjson` contradict each other"
    );
}

#[test]
fn rawjson_is_buildkits_status_a_line_each() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nRUN echo heard\nRUN echo warn >&2\n");
    let said = build(&bench, &["--progress", "rawjson"])
        .run()
        .success()
        .stderr;
    let mut names = BTreeSet::new();
    let (mut logs, mut known) = (Vec::new(), BTreeSet::new());
    for line in said.lines() {
        let status: Value = serde_json::from_str(line).unwrap();
        for vertex in status["vertexes"].as_array().into_iter().flatten() {
            let digest = vertex["digest"].as_str().unwrap().to_owned();
            assert!(digest.starts_with("sha256:"), "{digest}");
            for input in vertex["inputs"].as_array().into_iter().flatten() {
                assert!(known.contains(input.as_str().unwrap()), "{line}");
            }
            if !vertex["completed"].is_null() {
                names.insert(vertex["name"].as_str().unwrap().to_owned());
            }
            known.insert(digest);
        }
        for log in status["logs"].as_array().into_iter().flatten() {
            assert!(known.contains(log["vertex"].as_str().unwrap()), "{line}");
            logs.push((
                log["stream"].as_u64().unwrap(),
                log["data"].as_str().unwrap().to_owned(),
            ));
        }
    }
    names.retain(|name| !name.starts_with("[internal] "));
    let expected = [
        "[1/3] FROM base",
        "[2/3] RUN echo heard",
        "[3/3] RUN echo warn >&2",
    ];
    assert_eq!(names, expected.map(str::to_owned).into());
    let expected = [(1, "aGVhcmQK".to_owned()), (2, "d2Fybgo=".to_owned())];
    assert_eq!(logs, expected);
}

#[test]
fn all_that_a_step_prints_is_kept_as_it_was() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    // More than BuildKit keeps of a step (2 MiB).
    let much = "yes 0123456789abcdef | head -n 200000";
    bench.dockerfile(&format!("FROM base\nRUN {HOSTILE}\nRUN {much}\nRUN true\n"));
    let records = ["--log-dir", "logs/all", "--event-log", "events.jsonl"];
    let run = build(&bench, &["--progress", "none"]).args(&records);
    assert_eq!(run.run().success().stderr, "");
    let mut logs = Vec::new();
    for entry in fs::read_dir(bench.path("logs/all")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        logs.push((name, fs::read(entry.path()).unwrap()));
    }
    logs.sort();
    let names: Vec<_> = logs.iter().map(|(name, _)| &**name).collect();
    assert_eq!(
        names,
        [
            "001-2-4-RUN-printf-033-0-title-007-033-2J-033-31mred-033-0m-n.log",
            "002-3-4-RUN-yes-0123456789abcdef-head-n-200000.log",
        ]
    );
    assert_eq!(logs[0].1, b"\x1b]0;title\x07\x1b[2J\x1b[31mred\x1b[0m\n");
    assert_eq!(logs[1].1, b"0123456789abcdef\n".repeat(200_000));
    let events = fs::read_to_string(bench.path("events.jsonl")).unwrap();
    let mut events = events
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let head = events.next().unwrap();
    assert_eq!(
        (&head["careen"], &head["version"]),
        (&"events".into(), &1.into())
    );
    let mut kinds: Vec<_> = events
        .map(|event| event["event"].as_str().unwrap().to_owned())
        .collect();
    kinds.dedup();
    let first: Vec<_> = kinds.iter().take(8).map(|kind| &**kind).collect();
    // What commands are run with is known before there is a plan, and the Dockerfile and the ignore file are read.
    let expected = [
        "started", "finished", "started", "progress", "finished", "started", "progress", "finished",
    ];
    assert_eq!(first, expected);
    assert_eq!(kinds[8], "planned");
}

#[test]
fn a_record_that_cannot_be_made_ends_the_build_before_it_begins() {
    let bench = bench();
    bench.dockerfile("FROM scratch\nCOPY Dockerfile /\n");
    let arguments = [
        "-o",
        "type=oci,dest=out.tar",
        "--event-log",
        "missing/events",
    ];
    let refused = bench.careen_build(&arguments).run();
    assert_eq!(
        refused.error(1),
        "error: cannot write `missing/events`\n  = caused by: No such file or directory (os error 2)"
    );
    assert!(!fs::exists(bench.path("out.tar")).unwrap());
}

/// Returns the commands that GitHub's runner would obey, and makes sure that all of them are careen's.
fn obeyed(said: &str) -> Vec<String> {
    let (mut obeyed, mut stopped) = (Vec::new(), None);
    for line in said.split(['\n', '\r']) {
        match &stopped {
            Some(token) if line == format!("::{token}::") => stopped = None,
            Some(_) => {}
            None if line.contains("##[") || line.trim_start().starts_with("::") => {
                stopped = line.strip_prefix("::stop-commands::").map(str::to_owned);
                if stopped.is_none() {
                    obeyed.push(line.to_owned());
                }
            }
            None => {}
        }
    }
    assert_eq!(stopped, None, "{said}");
    obeyed
}

#[test]
fn githubs_runner_folds_steps_and_obeys_none_of_them() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let commands = r"printf '::set-output name=a::b\n\r::add-path::/x\n##[set-env name=A;]B\n'";
    bench.dockerfile(&format!("FROM base\nRUN {commands}\n"));
    let output = bench.path("github-output");
    let github = |run: Invocation| {
        run.env("GITHUB_ACTIONS", "true")
            .env("GITHUB_OUTPUT", &output)
    };
    let build = |arguments: &[&str]| {
        let base = format!("base=oci-layout://{}", bench.path("base").display());
        let run = bench.careen(&["build", "--build-context", &base, "--no-cache"]);
        github(run.args(arguments).arg("context"))
    };
    let said = build(&["-o", "type=oci,dest=out.tar"])
        .run()
        .success()
        .stderr;
    let groups = obeyed(&said);
    let folded: Vec<_> = groups
        .iter()
        .filter(|line| **line != "::endgroup::")
        .collect();
    assert_eq!(folded.len() * 2, groups.len(), "{groups:?}");
    assert!(
        folded.iter().all(|line| line.starts_with("::group::#")),
        "{groups:?}"
    );
    assert!(said.contains("##[set-env name=A;]B\n"), "{said}");
    let told = fs::read_to_string(&output).unwrap();
    let names: Vec<_> = told
        .lines()
        .filter_map(|line| line.split_once('='))
        .collect();
    let keys: Vec<_> = names.iter().map(|(name, _)| *name).collect();
    assert_eq!(keys, ["imageid", "digest", "metadata"]);
    let metadata: Value = serde_json::from_str(names[2].1).unwrap();
    assert_eq!(metadata["containerimage.digest"], names[1].1);
    let said = build(&["--progress", "plain", "-o", "type=cacheonly"])
        .run()
        .success()
        .stderr;
    assert_eq!(obeyed(&said), [""; 0], "{said}");
    assert!(said.contains("\n#4 [1/2] FROM base\n"), "{said}");
}

#[test]
fn an_error_is_an_annotation_of_githubs() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nRUN echo '##[error]mine'; exit 3\n");
    let run = build(&bench, &["--progress", "quiet"])
        .env("GITHUB_ACTIONS", "true")
        .run();
    assert_eq!(run.code(), 1);
    let expected = "::error file=Dockerfile,line=2::RUN failed: `/bin/sh -c` exited with status 3";
    assert_eq!(obeyed(&run.stderr), [expected], "{}", run.stderr);
}

#[test]
fn gitlabs_sections_are_not_those_of_steps() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nRUN printf 'section_%s:0:mine\\r\\n' end\n");
    let said = build(&bench, &[])
        .env("GITLAB_CI", "true")
        .run()
        .success()
        .stderr;
    assert!(!said.contains("section_end:0:mine"), "{said}");
    let (begun, ended) = (
        said.matches("section_start:").count(),
        said.matches("section_end:").count(),
    );
    assert_eq!((begun > 0, begun), (true, ended), "{said}");
}

#[test]
fn a_timeline_is_one_page_that_loads_nothing() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nRUN echo '<script>'\n");
    build(&bench, &["--timeline", "time.html"]).run().success();
    let page = fs::read_to_string(bench.path("time.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>\n"), "{page}");
    assert!(page.contains("RUN echo '&lt;script&gt;'"), "{page}");
    for loads in ["<script", "src=", "href=", "http:", "https:", "url("] {
        assert!(!page.contains(loads), "{loads}: {page}");
    }
}
