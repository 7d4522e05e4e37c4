#![expect(unsafe_code, reason = "system calls without a safe wrapper")]
//! `posix_spawn`, for the one child that inherits a descriptor beside the standard streams.

use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::ptr;

use libc::{c_char, c_int};
use nix::errno::Errno;
use nix::unistd::Pid;

use super::CallError;

/// Starts the program at `path`, which gets this process's standard streams and `inherited` under
/// the number that it has here.
pub(crate) fn spawn(
    path: &CStr,
    arguments: &[CString],
    environment: &[CString],
    inherited: BorrowedFd<'_>,
) -> Result<Pid, CallError> {
    let actions = FileActions::keeping(inherited)?;
    let arguments = pointers(arguments);
    let environment = pointers(environment);
    let mut pid = 0;
    // SAFETY: path, arguments and environment are C strings that outlive the call, both lists end
    // with a null pointer, the actions were initialised, and the attributes may be null.
    let result = unsafe {
        libc::posix_spawn(
            &raw mut pid,
            path.as_ptr(),
            &raw const actions.0,
            ptr::null(),
            arguments.as_ptr(),
            environment.as_ptr(),
        )
    };
    checked(result, || format!("posix_spawn({path:?})"))?;
    Ok(Pid::from_raw(pid))
}

/// What is done in the child before the program starts.
struct FileActions(libc::posix_spawn_file_actions_t);

impl FileActions {
    fn keeping(descriptor: BorrowedFd<'_>) -> Result<Self, CallError> {
        let mut actions = MaybeUninit::uninit();
        // SAFETY: the call initialises what it is pointed to.
        let result = unsafe { libc::posix_spawn_file_actions_init(actions.as_mut_ptr()) };
        checked(result, || "posix_spawn_file_actions_init()".to_owned())?;
        // SAFETY: the call before succeeded.
        let mut actions = Self(unsafe { actions.assume_init() });
        let number = descriptor.as_raw_fd();
        // A descriptor that is put onto itself is only taken out of close-on-exec (posix_spawn,
        // "dup2").
        // SAFETY: the actions are initialised; the numbers are not looked at here.
        let result =
            unsafe { libc::posix_spawn_file_actions_adddup2(&raw mut actions.0, number, number) };
        checked(result, || {
            format!("posix_spawn_file_actions_adddup2({number})")
        })?;
        Ok(actions)
    }
}

impl Drop for FileActions {
    fn drop(&mut self) {
        // SAFETY: the actions are initialised and not used again.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut self.0) };
    }
}

/// `posix_spawn` writes to neither list; the C declaration has no `const` for the sake of old
/// programs.
fn pointers(strings: &[CString]) -> Vec<*mut c_char> {
    let pointers = strings.iter().map(|string| string.as_ptr().cast_mut());
    pointers.chain(std::iter::once(ptr::null_mut())).collect()
}

fn checked<F: FnOnce() -> String>(result: c_int, describe: F) -> Result<(), CallError> {
    match result {
        0 => Ok(()),
        errno => Err(CallError::new(describe(), Errno::from_raw(errno))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::wait::{WaitStatus, waitpid};
    use std::os::fd::AsFd as _;

    fn strings(texts: &[&str]) -> Vec<CString> {
        texts
            .iter()
            .map(|text| CString::new(*text).unwrap())
            .collect()
    }

    #[test]
    fn the_child_has_the_descriptor_and_the_environment() {
        let (reading, writing) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
        let script = format!(
            "test \"$WORD\" = hello && echo here >&{}",
            writing.as_raw_fd()
        );
        let arguments = strings(&["sh", "-c", &script]);
        let pid = spawn(
            c"/bin/sh",
            &arguments,
            &strings(&["WORD=hello"]),
            writing.as_fd(),
        )
        .unwrap();
        drop(writing);
        assert_eq!(waitpid(pid, None), Ok(WaitStatus::Exited(pid, 0)));
        let mut text = String::new();
        std::io::Read::read_to_string(&mut std::fs::File::from(reading), &mut text).unwrap();
        assert_eq!(text, "here\n");
    }

    #[test]
    fn a_missing_program_is_an_error() {
        let null = std::fs::File::open("/dev/null").unwrap();
        let error = spawn(c"/nonexistent", &[], &[], null.as_fd()).unwrap_err();
        assert_eq!(
            error,
            CallError::new("posix_spawn(\"/nonexistent\")", Errno::ENOENT)
        );
    }
}
