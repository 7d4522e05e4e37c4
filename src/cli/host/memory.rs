//! That the best mode worked, remembered for as long as the machine looks the same.
//!
//! What is kept is the whole look of the machine at that time, a line each: the boot, the kernel, the user, the namespaces,
//! capabilities and filters of the caller, the ids that the host gives. A build that finds the same text need not try
//! anything; a machine that looks different, and a build that this machine then refuses, are tried anew.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use runtime::probe::Plans;
use tracing::debug;

use crate::env::Environment;

/// No machine looks so complicated. A file that is longer is none of ours.
const LIMIT_BYTES: u64 = 64 * 1024;

/// The lines of `/proc/self/status` that say what this process may do (`proc_pid_status(5)`).
const RIGHTS: [&str; 8] = [
    "Uid:",
    "Gid:",
    "CapPrm:",
    "CapEff:",
    "CapBnd:",
    "NoNewPrivs:",
    "Seccomp:",
    "Seccomp_filters:",
];

/// Returns where it is remembered: where what is there is gone with the session, else among the user's caches.
pub(super) fn place(env: &Environment) -> Option<PathBuf> {
    let cache = || env.cache_directory();
    let directory = env.runtime_directory.clone().or_else(cache)?;
    Some(directory.join("careen/host"))
}

/// Returns what this machine looks like; `None` where that cannot be found out.
pub(super) fn fingerprint(plans: &Plans) -> Option<String> {
    let read = |path: &str| fs::read_to_string(path).ok();
    let namespace = |name: &str| fs::read_link(Path::new("/proc/self/ns").join(name)).ok();
    let status = read("/proc/self/status")?;
    let rights: Vec<&str> = status
        .lines()
        .filter(|line| RIGHTS.iter().any(|name| line.starts_with(name)))
        .collect();
    Some(format!(
        "careen {}\nboot {}kernel {}{}\n{} {}\n{plans:?}\n",
        env!("CARGO_PKG_VERSION"),
        read("/proc/sys/kernel/random/boot_id")?,
        read("/proc/sys/kernel/osrelease")?,
        rights.join("\n"),
        namespace("user")?.display(),
        namespace("mnt")?.display(),
    ))
}

/// Tells whether the best mode worked on a machine that looked like this.
pub(super) fn knows(place: Option<&Path>, print: Option<&str>) -> bool {
    let (Some(place), Some(print)) = (place, print) else {
        return false;
    };
    read(place).is_some_and(|known| known == print)
}

/// Returns what is remembered behind the look of the machine, if it looked like this.
pub(super) fn rest(place: Option<&Path>, print: Option<&str>) -> Option<String> {
    let known = read(place?)?;
    known.strip_prefix(print?).map(str::to_owned)
}

/// Reads what is remembered. A file of somebody else's says nothing to us.
fn read(place: &Path) -> Option<String> {
    let file = fs::File::open(place).ok()?;
    let metadata = file.metadata().ok()?;
    let own = fs::metadata("/proc/self").ok()?.uid();
    if !metadata.is_file() || metadata.uid() != own {
        return None;
    }
    let mut text = String::new();
    file.take(LIMIT_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Remembers that the best mode works. What cannot be written is found out again at the next build.
pub(super) fn remember(place: Option<&Path>, print: Option<&str>) {
    if let (Some(place), Some(print)) = (place, print)
        && let Err(error) = write(place, print)
    {
        debug!(%error, place = %place.display(), "not remembered");
    }
}

fn write(place: &Path, print: &str) -> std::io::Result<()> {
    let directory = place.parent().unwrap_or(Path::new("/"));
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    let temporary = place.with_extension(std::process::id().to_string());
    // Nothing of it needs to survive a loss of power: it is of use for one boot.
    let mut file = fs::File::options();
    let file = file
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)?;
    std::io::Write::write_all(&mut &file, print.as_bytes())
        .and_then(|()| fs::rename(&temporary, place))
        .inspect_err(|_error| drop(fs::remove_file(&temporary)))
}

/// Forgets it.
pub(super) fn forget(place: Option<&Path>) {
    if let Some(place) = place {
        // There is nothing to be forgotten, as a rule.
        drop(fs::remove_file(place));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_known_again_until_it_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("careen/host");
        let place = Some(place.as_path());
        assert!(!knows(place, Some("a\n")));
        remember(place, Some("a\n"));
        assert!(knows(place, Some("a\n")));
        assert!(!knows(place, Some("a\nb\n")));
        assert!(!knows(place, None));
        remember(place, Some("b\n"));
        assert!(knows(place, Some("b\n")));
        assert_eq!(rest(place, Some("b")), Some("\n".to_owned()));
        assert_eq!(rest(place, Some("a")), None);
        assert_eq!(rest(place, None), None);
        forget(place);
        assert!(!knows(place, Some("b\n")));
        assert_eq!(
            fs::read_dir(directory.path().join("careen"))
                .unwrap()
                .count(),
            0
        );
    }

    #[test]
    fn nothing_is_known_where_nothing_can_be_kept() {
        remember(None, Some("a"));
        forget(None);
        assert!(!knows(None, Some("a")));
    }
}
