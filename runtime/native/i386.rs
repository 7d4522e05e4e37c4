//! Whether programs for 386 run on this amd64: one is made and run.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::process::{Command, Stdio};

use nix::sys::memfd::{MFdFlags, memfd_create};

/// The code segment that a kernel of 64 bits gives to programs of 32. Under QEMU's emulator, which
/// the host may have registered, a program sees another (0x73).
const KERNELS_CODE_SEGMENT: i32 = 0x23;

/// Where the program is loaded: where such programs have always been.
const LOAD_ADDRESS: u32 = 0x0804_8000;

/// Lengths of the header of a file and of those of two segments, in bytes.
const HEADERS_BYTES: u32 = 52 + 2 * 32;

/// Ends with the number of its code segment as its exit code.
const CODE: [u8; 7] = [
    0x8c, 0xcb, // mov ebx, cs
    0x31, 0xc0, // xor eax, eax
    0x40, //       inc eax, to 1: exit
    0xcd, 0x80, // int 0x80
];

/// Returns whether the kernel runs such a program by itself.
pub(super) fn runs_natively() -> bool {
    code_segment().is_ok_and(|segment| segment == KERNELS_CODE_SEGMENT)
}

/// Returns what the program says.
fn code_segment() -> io::Result<i32> {
    let mut file = File::from(memfd_create(c"386", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(&program())?;
    // What is open for writing cannot be executed.
    let path = |fd: i32| format!("/proc/self/fd/{fd}");
    let readable = OwnedFd::from(File::open(path(file.as_raw_fd()))?);
    drop(file);
    #[expect(
        clippy::disallowed_methods,
        reason = "the program is ours, seven bytes of it"
    )]
    let status = Command::new(path(readable.as_raw_fd()))
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    status
        .code()
        .ok_or_else(|| io::Error::other("it was ended by a signal"))
}

/// Returns an ELF file of two segments: itself, and a stack that is not executable, without which
/// the kernel complains in its log.
fn program() -> Vec<u8> {
    let length = HEADERS_BYTES + 7;
    let mut file = vec![0x7f, b'E', b'L', b'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let halves = |file: &mut Vec<u8>, numbers: &[u16]| {
        file.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    };
    let words = |file: &mut Vec<u8>, numbers: &[u32]| {
        file.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    };
    // Type: executable. Machine: 386. Version.
    halves(&mut file, &[2, 3]);
    words(&mut file, &[1]);
    // Entry, offsets of the program headers and of no section headers, flags.
    words(&mut file, &[LOAD_ADDRESS + HEADERS_BYTES, 52, 0, 0]);
    // Lengths of this header and of a program header, how many of them; nothing of sections.
    halves(&mut file, &[52, 32, 2, 0, 0, 0]);
    // Segment: to be loaded, from the file's start to its address, twice; lengths; readable and
    // executable; alignment.
    words(
        &mut file,
        &[1, 0, LOAD_ADDRESS, LOAD_ADDRESS, length, length, 5, 0x1000],
    );
    // PT_GNU_STACK: readable and writable.
    words(&mut file, &[0x6474_e551, 0, 0, 0, 0, 0, 6, 0x10]);
    file.extend(CODE);
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_says_who_runs_it() {
        // 0x23 of the kernel, 0x73 of QEMU, or no such program: never anything else.
        match code_segment() {
            Ok(segment) => assert!([0x23, 0x73].contains(&segment), "{segment:#x}"),
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ENOEXEC)),
        }
    }
}
