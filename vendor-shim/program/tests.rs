//! Programs that are found, run, fed, heard, and ended.

use std::time::Instant;

use super::*;

const LIMIT: Duration = Duration::from_secs(20);

fn shell(script: &str, limit: Duration) -> Result<ProgramOutput, ProgramError> {
    Program::at("/bin/sh".into()).run(&["-c".into(), script.into()], limit)
}

fn executable(directory: &Path, name: &str, mode: u32) {
    let path = directory.join(name);
    std::fs::write(&path, "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn find_takes_the_first_executable_file() {
    let first = tempfile::tempdir().unwrap();
    let second = tempfile::tempdir().unwrap();
    executable(first.path(), "helper", 0o644);
    executable(second.path(), "helper", 0o755);
    let path = std::env::join_paths([Path::new("relative"), first.path(), second.path()]).unwrap();
    let found = Program::find("helper", &path).unwrap();
    assert_eq!(found.path(), second.path().join("helper"));
}

#[test]
fn find_says_where_it_looked() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("helper")).unwrap();
    let error = Program::find("helper", directory.path().as_os_str()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "find the program `helper` in {}",
            directory.path().display()
        )
    );
}

#[test]
fn run_returns_what_was_printed() {
    let output = shell("echo out; echo err >&2", LIMIT).unwrap();
    assert_eq!(
        output,
        ProgramOutput {
            stdout: b"out\n".to_vec(),
            last_words: "err".to_owned()
        }
    );
}

#[test]
fn run_gives_a_clean_environment_and_an_empty_standard_input() {
    let output = shell("cat; env | grep -v -e '^PWD=' -e '^_=' -e '^SHLVL='", LIMIT).unwrap();
    let mut lines: Vec<_> = std::str::from_utf8(&output.stdout)
        .unwrap()
        .lines()
        .collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "LC_ALL=C",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        ]
    );
}

#[test]
fn run_to_end_gives_the_program_its_input_and_returns_status_and_output() {
    let input = "line\n".repeat(40_000);
    let arguments = ["-c".into(), "wc -l; echo $WHO >&2; exit 3".into()];
    let invocation = Invocation {
        arguments: &arguments,
        environment: &[("WHO".into(), "me".into())],
        input: input.as_bytes(),
        directory: None,
        limit: LIMIT,
        cancelled: &|| false,
    };
    let shell = Program::at("/bin/sh".into());
    let (status, output) = shell.run_to_end(&invocation).unwrap();
    assert_eq!(status.code(), Some(3));
    assert_eq!(output.stdout, b"40000\n");
    assert_eq!(output.last_words, "me");
}

#[test]
fn a_program_need_not_read_its_input() {
    let input = vec![b'x'; 1 << 20];
    let invocation = Invocation {
        arguments: &["-c".into(), "exec 0<&-; echo done".into()],
        environment: &[],
        input: &input,
        directory: None,
        limit: LIMIT,
        cancelled: &|| false,
    };
    let output = Program::at("/bin/sh".into()).run_as(&invocation).unwrap();
    assert_eq!(output.stdout, b"done\n");
}

#[test]
fn run_reports_the_status_with_the_last_words() {
    let error = shell("echo first >&2; echo refused >&2; exit 3", LIMIT).unwrap_err();
    assert_eq!(
        error.to_string(),
        "run `/bin/sh`: exit status: 3, saying `first\nrefused`"
    );
}

#[test]
fn run_kills_a_program_that_takes_too_long() {
    let started = Instant::now();
    let error = shell(
        "echo waiting >&2; exec sleep 60",
        Duration::from_millis(200),
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "run `/bin/sh`: not finished after 200ms, saying `waiting`"
    );
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn run_kills_a_program_that_closed_its_streams() {
    let error = shell("exec >/dev/null 2>&1 sleep 60", Duration::from_millis(200)).unwrap_err();
    assert!(matches!(error, ProgramError::TimedOut { .. }), "{error}");
}

#[test]
fn run_does_not_wait_for_what_the_program_leaves_behind() {
    let started = Instant::now();
    let output = shell("sleep 60 & echo done", LIMIT).unwrap();
    assert_eq!(output.stdout, b"done\n");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn run_keeps_the_end_of_a_long_standard_error() {
    let output = shell(
        "i=0; while [ $i -lt 2000 ]; do echo line$i >&2; i=$((i+1)); done",
        LIMIT,
    );
    let last_words = output.unwrap().last_words;
    assert!(last_words.ends_with("line1998\nline1999"), "{last_words}");
    assert!(last_words.len() <= LAST_WORDS_LIMIT_BYTES);
}

#[test]
fn run_drops_standard_output_over_the_limit() {
    let output = shell("head -c 3000000 /dev/zero", LIMIT).unwrap();
    assert_eq!(output.stdout.len(), OUTPUT_LIMIT_BYTES);
}

#[test]
fn run_says_which_file_did_not_start() {
    let error = Program::at("/nonexistent/helper".into())
        .run(&[], LIMIT)
        .unwrap_err();
    assert_eq!(error.to_string(), "start `/nonexistent/helper`");
}
