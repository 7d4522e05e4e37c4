//! A first process that did something alone, and has a thread that does not end when it has to be copied.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::thread;

use libtest_mimic::{Failed, Trial};
use runtime::userns::Alone;

use crate::harness::this_program;

/// What such a process is started with.
pub(crate) const CROWDED: &str = "crowded";

/// What it is started with besides, and finds again.
const ARGUMENTS: [&str; 2] = ["build", "a b"];
const PLAIN: (&str, &str) = ("PLAIN", "seen by all");
const SECRET: (&str, &str) = ("SECRET", "word");

pub(crate) fn tests() -> Vec<Trial> {
    vec![Trial::test(
        "a_process_with_a_thread_that_does_not_end_begins_again_with_all_that_it_had",
        begins_again,
    )]
}

fn begins_again() -> Result<(), Failed> {
    let program = fs::read_link("/proc/self/exe")?;
    let mut command = this_program(Path::new("/bin/sh"));
    command.env_clear().envs([PLAIN, SECRET]);
    command.args(["-c", "umask 027; exec \"$0\" \"$@\""]);
    command.arg(program).arg(CROWDED).args(ARGUMENTS);
    let output = command.output()?;
    let said = String::from_utf8(output.stdout)?;
    let expected = "[\"crowded\", \"build\", \"a b\"]\nPLAIN=seen by all\0SECRET=word\0\n1 thread, mask 0027\n";
    if said == expected && output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(format!("{}: {said:?}, {stderr}", output.status).into())
}

/// Is the process, the first time: it never tells anything, since it begins again.
pub(crate) fn first(arguments: &[OsString]) -> ExitCode {
    let alone = match Alone::begin(&[SECRET.0.as_bytes()]) {
        Ok(alone) => alone,
        Err(error) => return failed(&error),
    };
    thread::spawn(|| {
        loop {
            thread::park();
        }
    });
    let Err(alone) = alone.end() else {
        eprintln!("there is a thread");
        return ExitCode::FAILURE;
    };
    let variables = [PLAIN, SECRET].map(|(name, value)| (OsStr::new(name), value.as_bytes()));
    failed(&alone.begin_again(arguments, variables))
}

/// Is the process that began again.
pub(crate) fn again(arguments: &[OsString]) -> ExitCode {
    let texts = || {
        let environment = fs::read("/proc/self/environ")?;
        let status = fs::read_to_string("/proc/self/status")?;
        let line = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_default().trim().to_owned()
        };
        std::io::Result::Ok((environment, line("Threads:"), line("Umask:")))
    };
    let Ok((environment, threads, mask)) = texts() else {
        return ExitCode::FAILURE;
    };
    let environment = OsStr::from_bytes(&environment).to_string_lossy();
    let own = arguments.get(1..).unwrap_or(&[]);
    print(&format!(
        "{own:?}\n{environment}\n{threads} thread, mask {mask}\n"
    ))
}

fn print(text: &str) -> ExitCode {
    match std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn failed(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("{}", crate::harness::chain(error));
    ExitCode::FAILURE
}
