//! Which programs this machine runs without an emulator.
//!
//! The processor this program was compiled for is one. How new an amd64 is, it says itself. Whether
//! programs of the 32-bit relative run is up to the processor and to how the kernel was made and
//! started, so it is tried.

#[cfg(target_arch = "x86_64")]
mod i386;

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
    i386::runs_natively().then_some(Architecture::I386)
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
}
