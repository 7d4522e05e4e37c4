//! Users, groups and capabilities of our processes and of commands.

use caps::{CapSet, Capability, CapsHashSet};
use nix::errno::Errno;
use nix::sys::prctl;
use nix::unistd::{Gid, Uid, setfsgid, setfsuid, setgroups, setresgid, setresuid};

use crate::executor::ExecutorMode;
use crate::spec::{Confinement, SandboxUser};
use crate::sys::{CallError, Called as _};
use crate::userns::{BuilderId, IdMap};

/// What root of a sandbox may do, all of it over its own user namespace alone. It is `BuildKit`'s
/// set.
pub(crate) const SANDBOX_CAPABILITIES: [Capability; 14] = [
    Capability::CAP_CHOWN,
    Capability::CAP_DAC_OVERRIDE,
    Capability::CAP_FSETID,
    Capability::CAP_FOWNER,
    Capability::CAP_MKNOD,
    Capability::CAP_NET_RAW,
    Capability::CAP_SETGID,
    Capability::CAP_SETUID,
    Capability::CAP_SETFCAP,
    Capability::CAP_SETPCAP,
    Capability::CAP_NET_BIND_SERVICE,
    Capability::CAP_SYS_CHROOT,
    Capability::CAP_KILL,
    Capability::CAP_AUDIT_WRITE,
];

/// Returns what root of a sandbox may do in this mode.
///
/// Where commands have nothing but another root directory, they may not change it again: that is how it is left. Landlock
/// stands behind that, and it knows neither `stat`, `chmod` and `chown` nor connecting to the sockets of the container's
/// daemons; and a command under emulation is let read everywhere.
fn capabilities_of_root(mode: ExecutorMode) -> CapsHashSet {
    let mut capabilities = CapsHashSet::from(SANDBOX_CAPABILITIES);
    if mode == ExecutorMode::Chroot {
        capabilities.remove(&Capability::CAP_SYS_CHROOT);
    }
    capabilities
}

/// Returns whether this process may map any id of its namespace into a new one.
pub(crate) fn may_map_ids() -> bool {
    // Linux 5.12 asks for CAP_SETFCAP too where the caller's root is mapped.
    [
        Capability::CAP_SETUID,
        Capability::CAP_SETGID,
        Capability::CAP_SETFCAP,
    ]
    .iter()
    .all(|capability| caps::has_cap(None, CapSet::Effective, *capability).unwrap_or(false))
}

/// Takes the ids of root in the user namespace that this process has just entered.
pub(crate) fn become_namespace_root(ids: IdMap) -> Result<(), CallError> {
    become_user(&SandboxUser::default(), ids)
}

/// Takes the ids of `user`, as far as there are such.
pub(crate) fn become_user(user: &SandboxUser, ids: IdMap) -> Result<(), CallError> {
    let (uid, gid) = match ids.mode() {
        ExecutorMode::UsernsMulti | ExecutorMode::Chroot => {
            let groups: Vec<Gid> = user.groups.iter().copied().map(Gid::from_raw).collect();
            setgroups(&groups).called(|| format!("setgroups({:?})", user.groups))?;
            (Uid::from_raw(user.uid), Gid::from_raw(user.gid))
        }
        // A namespace with one id was made without the right to change groups: the caller's stay, as nobody's. Whoever
        // the command is to be, it only seems to be (`notify/ids.rs`).
        ExecutorMode::UsernsSingle | ExecutorMode::Nothing => (Uid::from_raw(0), Gid::from_raw(0)),
    };
    setresgid(gid, gid, gid).called(|| format!("setresgid({gid}, {gid}, {gid})"))?;
    setresuid(uid, uid, uid).called(|| format!("setresuid({uid}, {uid}, {uid})"))
}

/// Has `make` make files that belong to these ids from the start, with this thread's rights over all directories: a
/// file system of another user namespace takes no file of an id that it does not know.
pub(crate) fn with_file_ids<T>(
    user: BuilderId,
    group: BuilderId,
    make: impl FnOnce() -> Result<T, CallError>,
) -> Result<T, CallError> {
    // Both return what was before, and cannot fail for root of the builder's namespace.
    let (group, user) = (Gid::from_raw(group.0), Uid::from_raw(user.0));
    let before = (setfsgid(group), setfsuid(user));
    // The change of user took it away; whoever goes back to being root has it again.
    let made = caps::raise(None, CapSet::Effective, Capability::CAP_DAC_OVERRIDE)
        .map_err(|_text| refused("capset(CAP_DAC_OVERRIDE)"))
        .and_then(|()| make());
    setfsuid(before.1);
    setfsgid(before.0);
    made
}

/// Keeps the permitted capabilities over the next change of user, but not over `execve`.
pub(crate) fn keep_capabilities() -> Result<(), CallError> {
    prctl::set_keepcaps(true).called(|| "prctl(PR_SET_KEEPCAPS, 1)".to_owned())
}

/// Makes every permitted capability effective again, which a change of user ends.
pub(crate) fn raise_kept() -> Result<(), CallError> {
    let permitted = caps::read(None, CapSet::Permitted).map_err(|_text| refused("capget()"))?;
    set(CapSet::Effective, &permitted)
}

/// Takes out of the bounding set what a sandbox has not.
///
/// Programs with file capabilities and set-user-id programs cannot get more than this set.
pub(crate) fn limit_bounding_set(
    confinement: Confinement,
    mode: ExecutorMode,
) -> Result<(), CallError> {
    if confinement == Confinement::Namespace {
        return Ok(());
    }
    // What the kernel does not know it does not have in the set either.
    let mut known: Vec<_> = caps::runtime::thread_all_supported().into_iter().collect();
    known.sort_by_key(Capability::index);
    let kept = capabilities_of_root(mode);
    for capability in known {
        if !kept.contains(&capability) {
            caps::drop(None, CapSet::Bounding, capability)
                .map_err(|_text| refused(&format!("prctl(PR_CAPBSET_DROP, {capability})")))?;
        }
    }
    Ok(())
}

/// Leaves a command what it is to have.
pub(crate) fn set_final(
    user: &SandboxUser,
    confinement: Confinement,
    mode: ExecutorMode,
) -> Result<(), CallError> {
    match confinement {
        Confinement::Container => set_container(user, mode),
        Confinement::Namespace => set_all(),
    }
}

/// Leaves root its capabilities, everybody else none.
///
/// A capability that is not permitted is not ambient either, and nothing is left to be inherited
/// (CVE-2022-24769 and its like).
fn set_container(user: &SandboxUser, mode: ExecutorMode) -> Result<(), CallError> {
    let capabilities = if user.uid == 0 {
        capabilities_of_root(mode)
    } else {
        CapsHashSet::new()
    };
    // The effective set first: it must not have what the permitted set has not.
    set(CapSet::Effective, &capabilities)?;
    set(CapSet::Permitted, &capabilities)?;
    set(CapSet::Inheritable, &CapsHashSet::new())
}

/// Leaves every capability that is permitted, which is all that the namespace has, and hands them to
/// whatever is executed: a user other than root has them too, as under `BuildKit`.
fn set_all() -> Result<(), CallError> {
    let permitted = caps::read(None, CapSet::Permitted).map_err(|_text| refused("capget()"))?;
    set(CapSet::Effective, &permitted)?;
    set(CapSet::Inheritable, &permitted)?;
    set(CapSet::Ambient, &permitted)
}

fn set(which: CapSet, capabilities: &CapsHashSet) -> Result<(), CallError> {
    let describe = || format!("capset({which:?}, {} capabilities)", capabilities.len());
    caps::set(None, which, capabilities).map_err(|_text| refused(&describe()))
}

/// The crate tells what failed as text; the kernel's number is still there.
fn refused(call: &str) -> CallError {
    CallError::new(call, Errno::last())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_root_directory_that_is_all_there_is_cannot_be_changed_again() {
        let all = CapsHashSet::from(SANDBOX_CAPABILITIES);
        assert_eq!(capabilities_of_root(ExecutorMode::UsernsMulti), all);
        assert_eq!(capabilities_of_root(ExecutorMode::UsernsSingle), all);
        let kept = capabilities_of_root(ExecutorMode::Chroot);
        let lacking: Vec<_> = all.difference(&kept).collect();
        assert_eq!(lacking, [&Capability::CAP_SYS_CHROOT]);
    }
}
