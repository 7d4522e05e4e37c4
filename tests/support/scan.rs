//! Looks for bytes that must not be anywhere.
#![expect(
    clippy::disallowed_methods,
    reason = "the files of a store have ids that only another program can read"
)]

use std::path::Path;
use std::process::{Command, Stdio};

/// Tells whether a program that starts another one can do so here.
fn works(wrapper: &[&str]) -> bool {
    let words = [wrapper, &["true"][..]].concat();
    let (program, arguments) = words.split_first().expect("there is a program");
    let status = Command::new(program)
        .args(arguments)
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

/// Returns the files below a directory that have these bytes in them, as paths from there.
///
/// Files of subordinate ids are read too: where the caller is not root, from within a namespace that maps them.
pub fn files_with(directory: &Path, needle: &str) -> Vec<String> {
    let is_root = rustix::process::getuid().is_root();
    let wrappers: &[&[&str]] = if is_root {
        &[&[]]
    } else {
        &[
            &["unshare", "--user", "--map-root-user", "--map-auto", "--"],
            &["unshare", "--user", "--map-root-user", "--"],
        ]
    };
    for wrapper in wrappers {
        if !works(wrapper) {
            continue;
        }
        let words = [wrapper, &["grep", "-rlaF", "-e", needle, "."][..]].concat();
        let (program, arguments) = words.split_first().expect("there is a program");
        let output = Command::new(program)
            .args(arguments)
            .current_dir(directory)
            .stderr(Stdio::null())
            .output()
            .expect("grep can be run");
        // grep's codes: found, and not found; all else is that it could not look.
        if matches!(output.status.code(), Some(0 | 1)) {
            let text = String::from_utf8(output.stdout).expect("the store has no strange names");
            let mut files: Vec<_> = text.lines().map(str::to_owned).collect();
            files.sort();
            return files;
        }
    }
    crate::fail("the files cannot be searched");
}
