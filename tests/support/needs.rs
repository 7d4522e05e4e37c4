//! What a test needs of the machine.
//!
//! A test says it in its first line, `needs!(Feature::Busybox)`. Where it is missing the test is passed over
//! and says so on standard error, past what the test harness captures; with `CAREEN_TESTS_STRICT=1` it fails.
#![expect(
    clippy::disallowed_methods,
    reason = "the tests look at the machine that they run on"
)]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::thread;

use crate::agent::SSH_ADD;

/// Debian's `busybox-static`, or any other that needs no library.
pub(crate) const BUSYBOX: &str = "/bin/busybox";
/// The emulator of `arm64`, where the machine is something else.
const QEMU_ARM64: &str = "/usr/bin/qemu-aarch64-static";

/// What a test may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// A statically linked busybox: the base image of commands.
    Busybox,
    /// More ids than the caller's own, for files and processes of several users.
    IdRange,
    /// Root of the machine, as jobs in containers have it.
    Root,
    /// The program `git`.
    Git,
    /// OpenSSH's client and agent.
    SshClient,
    /// A network of a build's own: a program that connects one, and its device.
    UserNetwork,
    /// Programs of `arm64`: natively, or by QEMU and a `binfmt_misc` in a user namespace.
    Arm64,
}

/// Passes the test over unless the machine has all of these.
#[macro_export]
macro_rules! needs {
    ($($feature:expr),+ $(,)?) => {
        $(
            if !$crate::needs::has($feature) {
                return;
            }
        )+
    };
}

/// Tells whether the machine has something; if not, reports the current test as skipped.
pub fn has(feature: Feature) -> bool {
    let Err(reason) = look(feature) else {
        return true;
    };
    let strict = std::env::var_os("CAREEN_TESTS_STRICT").is_some_and(|value| value == "1");
    // The device of networks is the machine's: no script installs it.
    let can_be_installed = feature != Feature::UserNetwork;
    assert!(!(strict && can_be_installed), "needs {reason}");
    let thread = thread::current();
    let name = thread.name().unwrap_or("a test");
    // What cannot be told on standard error cannot be told.
    drop(writeln!(
        std::io::stderr(),
        "{name}: skipped: needs {reason}"
    ));
    false
}

/// Looks for a feature; fails with what is needed.
fn look(feature: Feature) -> Result<(), &'static str> {
    let (there, reason) = match feature {
        Feature::Busybox => (
            is_static(Path::new(BUSYBOX)),
            "a static /bin/busybox (package busybox-static)",
        ),
        Feature::IdRange => (
            has_id_range(),
            "newuidmap (package uidmap) and a line in /etc/subuid, or root",
        ),
        Feature::Root => (is_root(), "root of the machine, who may make device nodes"),
        Feature::Git => (has_git(), "git (package git)"),
        Feature::SshClient => (
            fs::exists(SSH_ADD).unwrap_or(false),
            "/usr/bin/ssh-add (package openssh-client)",
        ),
        Feature::UserNetwork => (
            has_user_network(),
            "pasta (package passt) or slirp4netns, and a /dev/net/tun that this user may open",
        ),
        Feature::Arm64 => (
            runs_arm64(),
            "an arm64 machine, or Linux 6.7 and the package qemu-user-static",
        ),
    };
    if there { Ok(()) } else { Err(reason) }
}

/// Tells whether an ELF program names no dynamic linker (elf(5), `PT_INTERP`), which is always a path below
/// `/lib`.
fn is_static(program: &Path) -> bool {
    let Ok(bytes) = fs::read(program) else {
        return false;
    };
    let start = bytes.get(..4096).unwrap_or(&bytes);
    start.starts_with(b"\x7fELF") && !start.windows(4).any(|word| word == b"/lib")
}

/// Tells whether the caller is root, and in no user namespace (`user_namespaces(7)`, "User and group ID mappings").
fn is_root() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let is_whole = map.split_whitespace().eq(["0", "0", "4294967295"]);
    rustix::process::getuid().is_root() && is_whole
}

fn has_git() -> bool {
    ["/usr/bin/git", "/usr/local/bin/git", "/bin/git"]
        .iter()
        .any(|path| fs::exists(path).unwrap_or(false))
}

fn has_user_network() -> bool {
    let programs = ["/usr/bin/pasta", "/usr/bin/slirp4netns"];
    let is_there = programs
        .iter()
        .any(|path| fs::exists(path).unwrap_or(false));
    let mut device = fs::OpenOptions::new();
    is_there && device.read(true).write(true).open("/dev/net/tun").is_ok()
}

fn has_id_range() -> bool {
    if rustix::process::getuid().is_root() {
        return true;
    }
    let ids = fs::read_to_string("/etc/subuid").unwrap_or_default();
    let mapper = fs::exists("/usr/bin/newuidmap").unwrap_or(false);
    mapper
        && ids
            .lines()
            .filter_map(|line| line.split(':').next())
            .any(is_caller)
}

/// Tells whether a name, or number, of /etc/subuid is the caller.
fn is_caller(name: &str) -> bool {
    let id = rustix::process::getuid().as_raw().to_string();
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let mut lines = users.lines().map(|line| line.split(':'));
    name == id || lines.any(|mut user| user.next() == Some(name) && user.nth(1) == Some(&id))
}

fn runs_arm64() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release
        .split('.')
        .map(|part| part.parse::<u32>().unwrap_or(0));
    let is_new = (numbers.next(), numbers.next()) >= (Some(6), Some(7));
    cfg!(target_arch = "aarch64") || is_new && is_static(Path::new(QEMU_ARM64))
}
