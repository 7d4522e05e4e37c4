//! `stat` and its like: the kernel's answer, with the owner, mode and device that are recorded.

use std::os::fd::AsFd as _;

use nix::errno::Errno;

use crate::notify::caller::Caller;
use crate::notify::files::layout::Layout;
use crate::notify::files::place::{Named, low_half};
use crate::notify::files::record::{Records, apply};
use crate::seccomp::AskedCall;
use crate::sys::attribute::LastLink;
use crate::sys::notification::Answer;
use crate::sys::status::{STATUS_BYTES, Status, USUAL_MASK};

/// `AT_STATX_SYNC_TYPE`: the flags of `statx` that say how to get the answer.
const SYNC_FLAGS: u32 = 0x6000;

/// A question about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    named: Named,
    /// Where the answer goes.
    buffer: u64,
    /// Of `statx`: flags and fields. `None` for the other calls.
    extended: Option<(u32, u32)>,
}

/// Answers, where something is recorded.
pub(super) fn look(
    call: AskedCall,
    arguments: &[u64; 6],
    (records, caller): (&Records, &Caller<'_>),
) -> Result<Answer, Errno> {
    let Some(look) = Look::read(call.name, arguments) else {
        return Ok(Answer::GoesOn);
    };
    // What goes wrong from here on, goes wrong for the kernel as well, and it knows best how to say it.
    let Ok(place) = look.named.find(caller) else {
        return Ok(Answer::GoesOn);
    };
    if records.glance(&place, caller).is_none() {
        return Ok(Answer::GoesOn);
    }
    let Ok(seen) = place.open(caller).and_then(|file| records.see(file)) else {
        return Ok(Answer::GoesOn);
    };
    let Some(record) = seen.record else {
        return Ok(Answer::GoesOn);
    };
    let (flags, fields) = look.extended.unwrap_or((0, USUAL_MASK));
    let flags = (flags & SYNC_FLAGS).cast_signed();
    let mut status = Status::asked(seen.file.as_fd(), flags, fields)?;
    apply(&mut status, &record);
    let answer = match look.extended {
        Some(_) => status.bytes().to_vec(),
        None => Layout::of(call).encode(&status)?,
    };
    debug_assert!(answer.len() <= STATUS_BYTES, "an answer of the kernel's");
    caller.write(look.buffer, &answer)?;
    Ok(Answer::DONE)
}

impl Look {
    fn read(name: &str, arguments: &[u64; 6]) -> Option<Self> {
        let [first, second, third, fourth, fifth, _] = *arguments;
        let (named, buffer, extended) = match name {
            "stat" | "stat64" => (Named::path(first, LastLink::Followed), second, None),
            "lstat" | "lstat64" => (Named::path(first, LastLink::Meant), second, None),
            "fstat" | "fstat64" => (Named::descriptor(first), second, None),
            "newfstatat" | "fstatat64" => (Named::at(first, second, fourth), third, None),
            "statx" => {
                let extended = Some((low_half(third), low_half(fourth)));
                (Named::at(first, second, third), fifth, extended)
            }
            _ => return None,
        };
        Some(Self {
            named,
            buffer,
            extended,
        })
    }
}
