//! Trying something in a copy of this process, which is gone afterwards with all that it changed of itself.

use nix::unistd::ForkResult;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::channel::{Channel, Received};
use crate::sys::{CallError, process};

/// Does `work` in a copy of this process and returns what it returned; `None` if the copy did not live to tell.
///
/// # Errors
///
/// Fails when there can be no copy.
pub(super) fn in_copy<T>(work: impl FnOnce() -> T) -> Result<Option<T>, CallError>
where
    T: Serialize + DeserializeOwned,
{
    let (ours, theirs) = Channel::<(), T>::pair()?;
    match process::fork()? {
        ForkResult::Child => {
            drop(ours);
            let channel = Channel::<T, ()>::over(theirs);
            // Whoever asked is gone, or hears it.
            let told = channel.send(&work(), &[]);
            process::end(u8::from(told.is_err()))
        }
        ForkResult::Parent { child } => {
            drop(theirs);
            let received = ours.receive();
            process::wait(child)?;
            Ok(match received {
                Ok(Received::Message(result, _)) => Some(result),
                _ => None,
            })
        }
    }
}

/// Tries a call in a copy of this process.
pub(super) fn tried(work: impl FnOnce() -> Result<(), CallError>) -> Result<(), CallError> {
    let result = in_copy(|| {
        let result = work();
        result.map_err(|error| (error.call().to_owned(), error.errno() as i32))
    });
    match result? {
        Some(Ok(())) => Ok(()),
        Some(Err((call, errno))) => Err(CallError::new(call, nix::errno::Errno::from_raw(errno))),
        // A filter may kill whoever makes a call.
        None => Err(CallError::new(
            "go on living after the call",
            nix::errno::Errno::ESRCH,
        )),
    }
}
