//! The environment of a command: that of the step, and what leaves no trace in keys and history.

use std::collections::BTreeSet;

use graph::ExecOp;
use rootfs::ResolvedUser;

use super::mounts::MountTable;
use super::trust;
use crate::worker::Step;

/// Returns the environment without secrets, as `NAME=value`.
///
/// A secret takes the place of a variable of its name, as in BuildKit. What the job adds counts only where the step
/// does not say it.
pub(super) fn of(
    step: &Step<'_>,
    op: &ExecOp,
    user: &ResolvedUser,
    mounts: &MountTable,
) -> Vec<Vec<u8>> {
    let secrets: BTreeSet<&[u8]> = mounts.secret_names().collect();
    let own = op.env.iter().map(String::as_bytes);
    let mut env = Environment::default();
    for entry in own.filter(|entry| !secrets.contains(name(entry))) {
        env.push(entry);
    }
    let options = &step.job.options;
    let trust = trust::variables(&options.authorities);
    for entry in options.untracked_env.iter().chain(&trust) {
        let entry = entry.as_bytes();
        if !secrets.contains(name(entry)) {
            env.add(entry);
        }
    }
    if !secrets.contains(b"HOME".as_slice()) {
        let home = user.home.as_deref().unwrap_or(b"/");
        env.add(&[b"HOME=".as_slice(), home].concat());
    }
    env.entries
}

#[derive(Default)]
struct Environment {
    entries: Vec<Vec<u8>>,
}

impl Environment {
    fn push(&mut self, entry: &[u8]) {
        self.entries.push(entry.to_vec());
    }

    /// Adds a variable unless one of its name is there.
    fn add(&mut self, entry: &[u8]) {
        let is_there = |other: &Vec<u8>| name(other) == name(entry);
        if !self.entries.iter().any(is_there) {
            self.push(entry);
        }
    }
}

fn name(entry: &[u8]) -> &[u8] {
    entry.split(|byte| *byte == b'=').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_not_added_again() {
        let mut env = Environment::default();
        env.push(b"A=1");
        env.add(b"A=2");
        env.add(b"B=3");
        assert_eq!(env.entries, [b"A=1".to_vec(), b"B=3".to_vec()]);
    }
}
