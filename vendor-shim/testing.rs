//! What tests of several modules make.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Writes an executable shell script.
///
/// Another process does it: what this one has open for writing, each thread that starts a program hands on for a moment, and
/// the kernel executes nothing that somebody has open for writing (`ETXTBSY`, `execve(2)`).
#[expect(
    clippy::disallowed_methods,
    reason = "a shell that a test uses is no program of the builder's"
)]
pub(crate) fn write_script(path: &Path, text: &str) {
    let mut writer = Command::new("/bin/sh")
        .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = writer.stdin.take().unwrap();
    write!(input, "#!/bin/sh\n{text}\n").unwrap();
    drop(input);
    assert!(writer.wait().unwrap().success());
}
