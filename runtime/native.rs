//! Which programs this machine runs without an emulator.
//!
//! The processor this program was compiled for is one. How new an amd64 is, it says itself. Whether programs of
//! the 32-bit relative run is up to the processor and to how the kernel was made and started, so it is tried.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::process::{Command, Stdio};

use nix::sys::memfd::{MFdFlags, memfd_create};
use vendor_shim::emulation::Architecture;

/// What this machine runs by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NativePrograms {
    architecture: Option<Architecture>,
    /// The 32-bit relative of the processor, if its programs run.
    relative: Option<Architecture>,
    /// The level of an amd64, from 1 to 4.
    level: u8,
}

impl NativePrograms {
    /// Asks the processor and tries the kernel.
    pub fn probe() -> Self {
        let architecture = Architecture::of_this_program();
        Self {
            architecture,
            relative: relative(),
            level: amd64_level(),
        }
    }

    /// Returns whether programs of this architecture, and of this variant of it, run here.
    ///
    /// Variants are those of the image specification. One that is not known here does not run.
    pub fn runs(&self, architecture: Architecture, variant: Option<&str>) -> bool {
        if Some(architecture) != self.architecture && Some(architecture) != self.relative {
            return false;
        }
        match (architecture, variant) {
            (_, None) => true,
            (Architecture::Amd64, Some(variant)) => ["v1", "v2", "v3", "v4"]
                .iter()
                .take(self.level.into())
                .any(|level| *level == variant),
            (Architecture::Arm64, Some(variant)) => variant == "v8",
            // A processor with 64 bits runs those of all earlier ones.
            (Architecture::Arm, Some(variant)) => ["v5", "v6", "v7", "v8"].contains(&variant),
            (_, Some(_)) => false,
        }
    }
}

/// Returns the level of the x86-64 psABI that the processor has; 1 on other processors.
#[cfg(target_arch = "x86_64")]
fn amd64_level() -> u8 {
    let second = is_x86_feature_detected!("cmpxchg16b")
        && is_x86_feature_detected!("popcnt")
        && is_x86_feature_detected!("sse3")
        && is_x86_feature_detected!("sse4.1")
        && is_x86_feature_detected!("sse4.2")
        && is_x86_feature_detected!("ssse3");
    let third = is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("f16c")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("lzcnt")
        && is_x86_feature_detected!("movbe");
    let fourth = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512cd")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl");
    match (second, third, fourth) {
        (true, true, true) => 4,
        (true, true, false) => 3,
        (true, false, _) => 2,
        (false, _, _) => 1,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn amd64_level() -> u8 {
    1
}

/// On amd64: a program for 386 is tried.
#[cfg(target_arch = "x86_64")]
fn relative() -> Option<Architecture> {
    (code_segment_of_386_program().ok()? == KERNELS_CODE_SEGMENT).then_some(Architecture::I386)
}

/// On arm64 the kernel says so: it refuses the domain of 32-bit programs if it has none
/// (`arch/arm64/kernel/sys.c`).
#[cfg(target_arch = "aarch64")]
fn relative() -> Option<Architecture> {
    const PER_LINUX32: u64 = 8;
    let before = crate::sys::process::personality(PER_LINUX32).ok()?;
    crate::sys::process::personality(u64::try_from(before).unwrap_or(0)).ok()?;
    Some(Architecture::Arm)
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn relative() -> Option<Architecture> {
    None
}

/// The code segment that a kernel of 64 bits gives to programs of 32. Under QEMU's emulator, which the host may
/// have registered, a program sees another (0x73).
#[cfg(target_arch = "x86_64")]
const KERNELS_CODE_SEGMENT: i32 = 0x23;

/// Where the program for 386 is loaded: where such programs have always been.
#[cfg(target_arch = "x86_64")]
const LOAD_ADDRESS: u32 = 0x0804_8000;

/// Lengths of the two headers of a program with one segment, in bytes.
#[cfg(target_arch = "x86_64")]
const HEADERS_BYTES: u32 = 52 + 32;

/// Ends with the number of its code segment as its exit code.
#[cfg(target_arch = "x86_64")]
const CODE: [u8; 7] = [
    0x8c, 0xcb, // mov ebx, cs
    0x31, 0xc0, // xor eax, eax
    0x40, //       inc eax, to 1: exit
    0xcd, 0x80, // int 0x80
];

#[cfg(target_arch = "x86_64")]
fn code_segment_of_386_program() -> io::Result<i32> {
    let mut file = File::from(memfd_create(c"386", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(&program_386())?;
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

/// Returns an ELF file of one segment (ELF-32 header, program header, code).
#[cfg(target_arch = "x86_64")]
fn program_386() -> Vec<u8> {
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
    halves(&mut file, &[52, 32, 1, 0, 0, 0]);
    // Segment: to be loaded, from the file's start to its address, twice; lengths; readable and executable; alignment.
    words(
        &mut file,
        &[1, 0, LOAD_ADDRESS, LOAD_ADDRESS, length, length, 5, 0x1000],
    );
    file.extend(CODE);
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_runs_its_own_programs() {
        let native = NativePrograms::probe();
        let own = Architecture::of_this_program().unwrap();
        assert!(native.runs(own, None));
        assert!(!native.runs(Architecture::S390x, None));
    }

    #[test]
    fn variants_run_up_to_the_level() {
        let native = NativePrograms {
            architecture: Some(Architecture::Amd64),
            relative: Some(Architecture::I386),
            level: 2,
        };
        let cases = [
            (Architecture::Amd64, None, true),
            (Architecture::Amd64, Some("v1"), true),
            (Architecture::Amd64, Some("v2"), true),
            (Architecture::Amd64, Some("v3"), false),
            (Architecture::Amd64, Some("v9"), false),
            (Architecture::I386, None, true),
            (Architecture::I386, Some("v1"), false),
            (Architecture::Arm, Some("v7"), false),
        ];
        for (architecture, variant, expected) in cases {
            assert_eq!(
                native.runs(architecture, variant),
                expected,
                "{architecture}/{variant:?}"
            );
        }
    }

    #[test]
    fn an_arm64_runs_every_arm() {
        let native = NativePrograms {
            architecture: Some(Architecture::Arm64),
            relative: Some(Architecture::Arm),
            level: 1,
        };
        for (variant, expected) in [("v5", true), ("v6", true), ("v7", true), ("v4", false)] {
            assert_eq!(
                native.runs(Architecture::Arm, Some(variant)),
                expected,
                "{variant}"
            );
        }
        assert!(native.runs(Architecture::Arm64, Some("v8")));
        let without = NativePrograms {
            relative: None,
            ..native
        };
        assert!(!without.runs(Architecture::Arm, Some("v7")));
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_program_for_386_says_whose_it_is() {
        // 0x23 of the kernel, 0x73 of QEMU, or no such program: never anything else.
        match code_segment_of_386_program() {
            Ok(segment) => assert!([0x23, 0x73].contains(&segment), "{segment:#x}"),
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ENOEXEC)),
        }
    }
}
