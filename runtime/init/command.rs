//! The command's own process, up to `execve`.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag};
use nix::unistd::{
    AccessFlags, chdir, dup2_stderr, dup2_stdin, dup2_stdout, faccessat, getcwd, setsid,
};

use crate::channel::{Channel, ChannelError};
use crate::executor::ExecutorMode;
use crate::init::InitEnd;
use crate::protocol::{FromInit, InitFailure, Setup, SetupStep};
use crate::spec::{Confinement, SecretVariable};
use crate::sys::security::{self, Instruction};
use crate::sys::{CallError, Called as _, file, process, quoted, signal, terminal};
use crate::{credentials, rlimit, seccomp};

/// What a step of the command's process works with.
pub(crate) struct Launch<'l> {
    setup: &'l Setup,
    dev: BorrowedFd<'l>,
    streams: &'l Streams<'l>,
    filter: Option<&'l [Instruction]>,
    builder: &'l InitEnd,
}

/// Where the command's process tells PID 1 that it came to nothing. It closes when the command is executed.
pub(super) type Report = Channel<InitFailure, ()>;

/// What the command reads from and writes to, beside the pipes that this process has.
#[derive(Debug)]
pub(super) struct Streams<'s> {
    /// What it reads; nothing without one.
    pub(super) input: Option<&'s OwnedFd>,
    /// The terminal that all three streams are.
    pub(super) terminal: Option<&'s OwnedFd>,
}

type Prepare = fn(&Launch<'_>) -> Result<(), CallError>;

/// What is done, in this order. The last step does not return if it succeeds.
pub(crate) const STEPS: &[(SetupStep, Prepare)] = &[
    (SetupStep::Session, leave_terminal),
    (SetupStep::Descriptors, |_| close_descriptors()),
    (SetupStep::BoundingSet, |launch| {
        credentials::limit_bounding_set(launch.setup.spec.confinement, launch.setup.ids.mode())
    }),
    (SetupStep::Identity, change_user),
    (SetupStep::Keyring, |_| leave_session_keyring()),
    (SetupStep::Seccomp, filter_system_calls),
    (SetupStep::Limits, set_limits),
    (SetupStep::WorkingDirectory, enter_working_directory),
    (SetupStep::Capabilities, |launch| {
        let spec = &launch.setup.spec;
        credentials::set_final(&spec.user, spec.confinement, launch.setup.ids.mode())
    }),
    (SetupStep::Execute, execute_command),
];

/// Becomes the command. Returns only if that failed.
pub(super) fn execute(
    setup: &Setup,
    dev: BorrowedFd<'_>,
    streams: &Streams<'_>,
    (filter, builder): (Option<&[Instruction]>, &InitEnd),
) -> InitFailure {
    let launch = Launch {
        setup,
        dev,
        streams,
        filter,
        builder,
    };
    for (step, prepare) in STEPS {
        if let Err(error) = prepare(&launch) {
            return InitFailure::new(*step, &error);
        }
    }
    let call = CallError::new("execve()", Errno::EINVAL);
    InitFailure::new(SetupStep::Execute, &call)
}

fn leave_terminal(launch: &Launch<'_>) -> Result<(), CallError> {
    setsid().called(|| "setsid()".to_owned())?;
    signal::reset()?;
    if let Some(terminal) = launch.streams.terminal {
        return enter_terminal(terminal);
    }
    if let Some(input) = launch.streams.input {
        return dup2_stdin(input).called(|| "dup2(input, 0)".to_owned());
    }
    let null = file::open(launch.dev, c"null", OFlag::O_RDONLY, 0)?;
    dup2_stdin(null.as_fd()).called(|| "dup2(/dev/null, 0)".to_owned())
}

/// Makes a terminal that of this session, and all three streams.
fn enter_terminal(terminal: &OwnedFd) -> Result<(), CallError> {
    terminal::take_control(terminal.as_fd())?;
    dup2_stdin(terminal)
        .and_then(|()| dup2_stdout(terminal))
        .and_then(|()| dup2_stderr(terminal))
        .called(|| "dup2(terminal, 0, 1, 2)".to_owned())
}

fn close_descriptors() -> Result<(), CallError> {
    let first = io::stderr().as_raw_fd().cast_unsigned() + 1;
    process::close_range_on_exec(first, u32::MAX)
}

fn change_user(launch: &Launch<'_>) -> Result<(), CallError> {
    credentials::keep_capabilities()?;
    credentials::become_user(&launch.setup.spec.user, launch.setup.ids)?;
    credentials::raise_kept()
}

/// A session keyring is inherited, over `execve` and into a user namespace, and who has it may read the keys in it:
/// tickets and passwords of the user's. The filter withholds the calls for that, but not every command has one.
fn leave_session_keyring() -> Result<(), CallError> {
    match security::join_new_session_keyring() {
        // No kernel or container that refuses this call to us grants it to a command of ours.
        Err(error) if matches!(error.errno(), Errno::ENOSYS | Errno::EPERM) => Ok(()),
        joined => joined,
    }
}

fn filter_system_calls(launch: &Launch<'_>) -> Result<(), CallError> {
    if launch.setup.spec.confinement == Confinement::Namespace {
        return Ok(());
    }
    let Some(program) = launch.filter else {
        return Ok(());
    };
    if launch.setup.ids.mode() == ExecutorMode::Chroot {
        // Nothing in its filter asks.
        return security::set_seccomp_filter(program);
    }
    match security::set_asking_filter(program) {
        Ok(listener) => tell_asking(launch.builder, &listener),
        // In a sandbox of somebody else whose filter asks.
        Err(error)
            if matches!(error.errno(), Errno::EBUSY | Errno::EINVAL) && needs_no_answer(launch) =>
        {
            let program = seccomp::unanswered().unwrap_or_default();
            security::set_seccomp_filter(&program)
        }
        Err(error) => Err(error),
    }
}

/// Tells whether the command is who it is to be without anybody who says so.
fn needs_no_answer(launch: &Launch<'_>) -> bool {
    let Setup { ids, spec, .. } = launch.setup;
    ids.mode() == ExecutorMode::UsernsMulti || [spec.user.uid, spec.user.gid] == [0, 0]
}

/// Whoever answers has to be there before the next question: the command itself may begin with one.
fn tell_asking(builder: &InitEnd, listener: &OwnedFd) -> Result<(), CallError> {
    let told = builder.send(&FromInit::Asking, &[listener.as_fd()]);
    told.map_err(|error| match error {
        ChannelError::Call(error) => error,
        _ => CallError::new("sendmsg(listener)", Errno::EBADMSG),
    })
}

fn set_limits(launch: &Launch<'_>) -> Result<(), CallError> {
    rlimit::set_open_files(launch.setup.open_files)?;
    let mut limits = launch.setup.spec.limits.iter();
    limits.try_for_each(|limit| limit.apply())?;
    match launch.setup.ids.mode() {
        ExecutorMode::UsernsMulti | ExecutorMode::Chroot | ExecutorMode::Nothing => Ok(()),
        ExecutorMode::UsernsSingle => rlimit::join_real_time(),
    }
}

fn enter_working_directory(launch: &Launch<'_>) -> Result<(), CallError> {
    let path = launch.setup.spec.working_directory.as_slice();
    let describe = || format!("chdir({})", quoted(path));
    let c_path = CString::new(path)
        .map_err(|_zero| Errno::EINVAL)
        .called(describe)?;
    chdir(c_path.as_c_str()).called(describe)?;
    // The kernel names a directory outside of the root so, which a descriptor left open could lead
    // to (CVE-2024-21626).
    let here = getcwd().called(|| "getcwd()".to_owned())?;
    if here.is_absolute() {
        Ok(())
    } else {
        Err(CallError::new(describe(), Errno::ENOENT))
    }
}

fn execute_command(launch: &Launch<'_>) -> Result<(), CallError> {
    let spec = &launch.setup.spec;
    let arguments = c_strings(&spec.arguments)?;
    let secrets = spec.secret_environment.iter().map(SecretVariable::entry);
    let environment: Vec<&[u8]> = spec
        .environment
        .iter()
        .map(Vec::as_slice)
        .chain(secrets)
        .collect();
    let environment = c_strings(&environment)?;
    let Some(command) = arguments.first() else {
        return Err(CallError::new("execve()", Errno::EINVAL));
    };
    if command.as_bytes().contains(&b'/') {
        let Err(errno) = process::execute(command, &arguments, &environment);
        return Err(refused(command, errno));
    }
    let path = search_path(&spec.environment);
    let mut first_refusal = None;
    for candidate in candidates(path, command.as_bytes()) {
        let Err(errno) = process::execute(&candidate, &arguments, &environment);
        match errno {
            Errno::ENOENT | Errno::ENOTDIR => {}
            // Another directory may have one that can be executed, as execvp(3) does it.
            Errno::EACCES => {
                first_refusal.get_or_insert_with(|| refused(&candidate, errno));
            }
            _ => return Err(refused(&candidate, errno)),
        }
    }
    Err(first_refusal.unwrap_or_else(|| {
        let call = format!("execve({command:?}) in PATH {}", quoted(path));
        CallError::new(call, Errno::ENOENT)
    }))
}

/// Returns the last `PATH` of the environment: what a program that sets variables one by one would
/// have.
fn search_path(environment: &[Vec<u8>]) -> &[u8] {
    environment
        .iter()
        .rev()
        .find_map(|entry| entry.strip_prefix(b"PATH="))
        .unwrap_or_default()
}

/// Returns where `command` may be. A relative directory is passed over: it is where the command
/// happens to be started.
fn candidates(path: &[u8], command: &[u8]) -> impl Iterator<Item = CString> {
    path.split(|byte| *byte == b':')
        .filter(|directory| directory.first() == Some(&b'/'))
        .filter_map(move |directory| CString::new([directory, b"/", command].concat()).ok())
}

/// Tells a program that is missing from one whose interpreter is: the kernel has the same error for
/// both.
fn refused(path: &CString, errno: Errno) -> CallError {
    let there = || {
        faccessat(
            AT_FDCWD,
            path.as_c_str(),
            AccessFlags::F_OK,
            AtFlags::empty(),
        )
    };
    if errno == Errno::ENOENT && there().is_ok() {
        let call = format!("execve({path:?}), which is there, and start the interpreter it names");
        return CallError::new(call, errno);
    }
    CallError::new(format!("execve({path:?})"), errno)
}

fn c_strings<T: AsRef<[u8]>>(list: &[T]) -> Result<Vec<CString>, CallError> {
    let strings = list.iter().map(|text| CString::new(text.as_ref()));
    strings
        .collect::<Result<_, _>>()
        .map_err(|_zero| Errno::EINVAL)
        .called(|| "execve()".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_path_is_the_last_of_the_environment() {
        let cases: [(&[&str], &str); 4] = [
            (&[], ""),
            (&["XPATH=/x", "PATHX=/y"], ""),
            (&["PATH=/a", "HOME=/", "PATH=/b:/c"], "/b:/c"),
            (&["PATH="], ""),
        ];
        for (entries, expected) in cases {
            let environment: Vec<Vec<u8>> = entries
                .iter()
                .map(|entry| entry.as_bytes().to_vec())
                .collect();
            assert_eq!(
                search_path(&environment),
                expected.as_bytes(),
                "{entries:?}"
            );
        }
    }

    #[test]
    fn relative_directories_are_no_candidates() {
        let found: Vec<_> = candidates(b":/usr/bin:bin:.:/bin/", b"sh").collect();
        assert_eq!(found, [c"/usr/bin/sh".to_owned(), c"/bin//sh".to_owned()]);
    }
}
