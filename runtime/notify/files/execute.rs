//! What a file makes of whoever executes it: by its mode and owner, and by `security.capability` (`execve(2)`,
//! `capabilities(7)`).

use std::io::Read as _;
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag};
use nix::sys::statvfs::{FsFlags, fstatvfs};

use crate::notify::caller::Caller;
use crate::notify::files::place::{Named, Place};
use crate::notify::files::record::{Records, Seen, is_regular};
use crate::notify::ids::{FileCapabilities, Program};
use crate::sys::attribute::{self, LastLink};
use crate::sys::file;

/// The attribute of a file's capabilities.
const CAPABILITY: &std::ffi::CStr = c"security.capability";

/// The permissions to execute, of anybody and of the group, and the bits that change user and group.
const EXECUTE: u32 = 0o111;
const GROUP_EXECUTE: u32 = 0o010;
const SET_USER: u32 = 0o4000;
const SET_GROUP: u32 = 0o2000;

/// What a program begins with that another one reads.
const SCRIPT: [u8; 2] = *b"#!";

/// Returns what the file that is to be executed makes of the caller, `None` where it cannot be.
pub(super) fn find(
    name: &str,
    arguments: &[u64; 6],
    (records, caller): (&Records, &Caller<'_>),
) -> Result<Option<Program>, Errno> {
    let [first, second, _, _, flags, _] = *arguments;
    let named = match name {
        "execve" => Named::path(first, LastLink::Followed),
        _ => Named::at(first, second, flags),
    };
    let place = named.find(caller)?;
    if place == Place::Kernels {
        return Ok(Some(Program::default()));
    }
    let seen = records.see(place.open(caller)?)?;
    if !is_regular(&seen.status) || seen.status.mode() & EXECUTE == 0 {
        return Ok(None);
    }
    let program = of_file(&seen);
    // Most are like any other, and nothing more is asked about them.
    if program == Program::default() {
        return Ok(Some(program));
    }
    let is_plain = caller.has_no_new_privileges()?
        || fstatvfs(&seen.file)?.flags().contains(FsFlags::ST_NOSUID)
        || is_script(&seen.file)?;
    Ok(Some(if is_plain {
        Program::default()
    } else {
        program
    }))
}

fn of_file(seen: &Seen) -> Program {
    let now = seen.now();
    let mode = now.mode.bits();
    let changes_group = mode & (SET_GROUP | GROUP_EXECUTE) == SET_GROUP | GROUP_EXECUTE;
    let path = attribute::path_of(seen.file.as_raw_fd());
    let capabilities = attribute::get(&path, CAPABILITY, LastLink::Followed);
    Program {
        user: (mode & SET_USER != 0).then_some(now.uid),
        group: changes_group.then_some(now.gid),
        capabilities: capabilities
            .ok()
            .and_then(|text| FileCapabilities::parse(&text)),
    }
}

/// Tells whether another program reads the file. It is that one's file that counts, which changes nobody.
fn is_script(program: &OwnedFd) -> Result<bool, Errno> {
    let path = attribute::path_of(program.as_raw_fd());
    let opened = file::open(AT_FDCWD, &path, OFlag::O_RDONLY, 0);
    let opened = opened.map_err(|error| error.errno())?;
    let mut start = [0; 2];
    let read = std::fs::File::from(opened).read_exact(&mut start);
    Ok(read.is_ok() && start == SCRIPT)
}
