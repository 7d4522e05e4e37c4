//! What a machine's owner can turn so that a better mode works: found by what failed, and named with the command.
//!
//! That something is refused is found by doing it. Which of several settings refuses it the kernel does not say, so
//! the settings that are known to are read then, and only then.

use std::fmt;
use std::fs;
use std::path::Path;

use runtime::Errno;
use runtime::probe::{Obstacle, Primitive};
use runtime::userns::{Caller, SingleReason};

/// What the machine says of itself, as far as it explains a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Facts {
    /// `user.max_user_namespaces` is 0.
    pub(crate) no_user_namespaces: bool,
    /// `kernel.unprivileged_userns_clone` is 0: kernels of Debian before 11, and others.
    pub(crate) no_unprivileged_namespaces: bool,
    /// `kernel.apparmor_restrict_unprivileged_userns` is 1: Ubuntu since 23.10.
    pub(crate) restricted_by_apparmor: bool,
    /// Somebody put a filter of system calls on this process: a container, as a rule.
    pub(crate) filtered: bool,
    /// `no_new_privs`: `newuidmap` does not get the rights that its file has.
    pub(crate) no_new_privileges: bool,
}

/// What can be done, by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Advice {
    /// What is in the way.
    pub(crate) because: &'static str,
    /// What changes it: a command, or what to start the container with.
    pub(crate) command: String,
}

impl fmt::Display for Advice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: `{}`", self.because, self.command)
    }
}

impl Facts {
    /// Reads what there is below `root`, which is `/` but for tests.
    pub(crate) fn read(root: &Path) -> Self {
        let setting = |name: &str| {
            let text = fs::read_to_string(root.join("proc/sys").join(name)).ok()?;
            text.trim().parse::<u64>().ok()
        };
        let status = fs::read_to_string(root.join("proc/self/status")).unwrap_or_default();
        let right = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.is_some_and(|value| value.trim() != "0")
        };
        Self {
            no_user_namespaces: setting("user/max_user_namespaces") == Some(0),
            no_unprivileged_namespaces: setting("kernel/unprivileged_userns_clone") == Some(0),
            restricted_by_apparmor: setting("kernel/apparmor_restrict_unprivileged_userns")
                == Some(1),
            filtered: right("Seccomp:"),
            no_new_privileges: right("NoNewPrivs:"),
        }
    }
}

/// Says what takes an obstacle away; `None` where that is not known.
pub(crate) fn advise(obstacle: &Obstacle, facts: Facts, caller: &Caller) -> Option<Advice> {
    let (because, command) = match obstacle {
        Obstacle::Ids(reason) => of_ids(*reason, caller)?,
        Obstacle::Refused { primitive, finding } => of_refusal(*primitive, finding.errno(), facts)?,
        Obstacle::Untried(_) => return None,
    };
    Some(Advice { because, command })
}

type Known = (&'static str, String);

fn of_ids(reason: SingleReason, caller: &Caller) -> Option<Known> {
    match reason {
        SingleReason::NoSubuids | SingleReason::NoSubgids => {
            let command = add_ids((100_000, 165_535), caller);
            Some((
                "a range of ids that no other user has would keep owners apart",
                command,
            ))
        }
        SingleReason::NoHelpers => Some((
            "the helpers that map ids are not installed",
            "sudo apt-get install --no-install-recommends uidmap".to_owned(),
        )),
        SingleReason::TooFew { id, .. } if caller.uid != 0 => Some(of_short_range(id, caller)),
        SingleReason::TooFew { .. } | SingleReason::OneIdInNamespace | SingleReason::NotUsed => {
            None
        }
    }
}

/// Says how a range becomes larger. Ranges count together, so that the new one goes behind what there is; it begins where
/// few have any.
fn of_short_range(id: u32, caller: &Caller) -> Known {
    /// As many as other users have.
    const USUAL: u32 = 65_536;
    const START: u32 = 1_000_000;
    let last = START.saturating_add(id.max(USUAL - 1));
    (
        "more ids that no other user has would be enough for the image",
        add_ids((START, last), caller),
    )
}

fn add_ids((first, last): (u32, u32), caller: &Caller) -> String {
    let number = || caller.uid.to_string();
    let user = caller.name.clone().unwrap_or_else(number);
    format!("sudo usermod --add-subuids {first}-{last} --add-subgids {first}-{last} {user}")
}

fn of_refusal(primitive: Primitive, errno: Option<Errno>, facts: Facts) -> Option<Known> {
    match primitive {
        Primitive::UserNamespace => of_namespace(errno, facts),
        Primitive::Ids if facts.no_new_privileges => Some((
            "with `no_new_privs`, `newuidmap` has no right to map a range",
            "allowPrivilegeEscalation: true".to_owned(),
        )),
        Primitive::Ids
        | Primitive::PrivateMounts
        | Primitive::MemoryDirectory
        | Primitive::NestedNamespace
        | Primitive::StepNamespaces
            if facts.restricted_by_apparmor =>
        {
            Some(apparmor())
        }
        Primitive::PrivateMounts | Primitive::MemoryDirectory if errno == Some(Errno::EACCES) => {
            Some((
                "a security module of the container forbids mounts",
                "--security-opt apparmor=unconfined".to_owned(),
            ))
        }
        Primitive::Overlay if errno == Some(Errno::ENODEV) => Some((
            "the kernel has no overlayfs loaded",
            "sudo modprobe overlay".to_owned(),
        )),
        Primitive::FreshProc | Primitive::OuterProc => Some(hidden_proc()),
        Primitive::PrivateMounts
        | Primitive::MemoryDirectory
        | Primitive::StepNamespaces
        | Primitive::NestedNamespace
            if facts.filtered =>
        {
            Some(seccomp())
        }
        _ => None,
    }
}

fn of_namespace(errno: Option<Errno>, facts: Facts) -> Option<Known> {
    let setting = |because, command: &str| Some((because, command.to_owned()));
    match errno {
        _ if facts.no_user_namespaces => setting(
            "this machine allows no user namespaces",
            "sudo sysctl user.max_user_namespaces=15000",
        ),
        _ if facts.no_unprivileged_namespaces => setting(
            "this machine allows user namespaces to root alone",
            "sudo sysctl kernel.unprivileged_userns_clone=1",
        ),
        Some(Errno::ENOSPC) => setting(
            "there are as many user namespaces as are allowed, or as many below each other",
            "sysctl user.max_user_namespaces",
        ),
        _ if facts.filtered => Some(seccomp()),
        Some(Errno::EACCES | Errno::EPERM) if facts.restricted_by_apparmor => Some(apparmor()),
        _ => None,
    }
}

/// Says what gives steps a `/proc` of their own where they have the outer one.
pub(crate) fn hidden_proc_advice() -> Advice {
    let (because, command) = hidden_proc();
    Advice { because, command }
}

fn hidden_proc() -> Known {
    (
        "parts of the container's `/proc` are hidden",
        "--security-opt systempaths=unconfined".to_owned(),
    )
}

fn seccomp() -> Known {
    (
        "the container's filter of system calls forbids namespaces",
        "--security-opt seccomp=unconfined".to_owned(),
    )
}

fn apparmor() -> Known {
    let command = "careen doctor --apparmor-profile | sudo tee /etc/apparmor.d/careen >/dev/null && \
                   sudo apparmor_parser --replace /etc/apparmor.d/careen";
    (
        "AppArmor lets programs with a profile alone make user namespaces",
        command.to_owned(),
    )
}

#[cfg(test)]
mod tests;
