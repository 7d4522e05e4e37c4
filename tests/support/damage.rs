//! Damages files of a store.
#![expect(
    clippy::disallowed_methods,
    reason = "the files of layers have ids that only another program can write as"
)]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

/// Makes the first byte of a file `0xff`, which no text has. The file may belong to a subordinate id.
///
/// # Panics
///
/// Panics where nobody can write to it.
pub fn change_first_byte(path: &Path) {
    if let Ok(mut file) = fs::File::options().write(true).open(path) {
        file.write_all(b"\xff").expect("a byte can be written");
        return;
    }
    let status = Command::new("unshare")
        .args(["--user", "--map-root-user", "--map-auto", "--"])
        .args([
            "sh",
            "-ec",
            r#"printf '\377' | dd "of=$0" conv=notrunc status=none"#,
        ])
        .arg(path)
        .status()
        .expect("unshare can be run");
    assert!(status.success(), "{}", path.display());
}
