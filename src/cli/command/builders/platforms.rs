//! For which platforms commands run here: those of the processor, and those that there is an emulator for.

use std::path::PathBuf;

use runtime::native::NativePrograms;
use vendor_shim::emulation::{Architecture, Emulators as _};

use crate::builders::{Node, Place};
use crate::options::Places;

/// A platform that commands run for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Runnable {
    /// `linux/arm64`.
    pub(crate) platform: String,
    /// What runs its programs, if it is not the processor.
    pub(crate) emulator: Option<PathBuf>,
}

impl Runnable {
    /// Tells whether it is a platform of an architecture, of whatever variant.
    pub(crate) fn is_of(&self, architecture: Architecture) -> bool {
        self.platform.split('/').nth(1) == Some(architecture.name())
    }
}

/// The variants that are named beside their architecture.
const VARIANTS: [(Architecture, &[&str]); 2] = [
    (Architecture::Amd64, &["v2", "v3", "v4"]),
    (Architecture::Arm, &["v7", "v6"]),
];

/// Returns them: first what is native, each newer level behind the older.
pub(crate) fn of_this_machine(places: &Places) -> Vec<Runnable> {
    let native = NativePrograms::probe();
    let runs = |architecture: &Architecture| native.runs(*architecture, None);
    let (here, other): (Vec<_>, Vec<_>) = Architecture::ALL.into_iter().partition(runs);
    let mut all = Vec::new();
    for architecture in here {
        let runs = |variant: &&str| native.runs(architecture, Some(variant));
        all.extend(named(architecture, runs).map(|platform| Runnable {
            platform,
            emulator: None,
        }));
    }
    let emulators = places.system_emulators();
    let registered = emulators.host_registrations().ok();
    for architecture in other {
        let hosts = registered
            .as_ref()
            .and_then(|registered| registered.usable(architecture))
            .map(|handler| handler.interpreter.clone());
        let found = hosts.or_else(|| emulators.find(architecture).ok());
        let Some(emulator) = found else { continue };
        // Levels of an amd64 are up to the emulator; every QEMU has all variants of a 32-bit Arm.
        let has = |_: &&str| architecture != Architecture::Amd64;
        all.extend(named(architecture, has).map(|platform| Runnable {
            platform,
            emulator: Some(emulator.clone()),
        }));
    }
    all
}

/// Returns the names of an architecture's platforms: a 32-bit Arm is never without its variant.
fn named(architecture: Architecture, runs: impl Fn(&&str) -> bool) -> impl Iterator<Item = String> {
    let known = VARIANTS.iter().find(|(of, _)| *of == architecture);
    let variants = known.map_or(&[][..], |(_, variants)| *variants);
    let plain = (architecture != Architecture::Arm).then(|| format!("linux/{architecture}"));
    let variants = variants.iter().copied().filter(runs);
    let variants = variants.map(move |variant| format!("linux/{architecture}/{variant}"));
    let variants: Vec<_> = variants.collect();
    plain.into_iter().chain(variants)
}

/// Returns what is shown of a node's platforms: those that it was made for have a star, and come first.
pub(super) fn of_node(node: &Node, here: &[Runnable]) -> Vec<String> {
    let mut all: Vec<_> = node
        .platforms
        .iter()
        .map(|text| format!("{text}*"))
        .collect();
    if node.endpoint == Place::Here {
        let others = here.iter().map(|runnable| &runnable.platform);
        all.extend(
            others
                .filter(|text| !node.platforms.contains(text))
                .cloned(),
        );
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_is_of_its_architecture_alone() {
        let known = Runnable {
            platform: "linux/arm/v7".to_owned(),
            emulator: None,
        };
        assert!(known.is_of(Architecture::Arm));
        assert!(!known.is_of(Architecture::Arm64));
    }

    #[test]
    fn variants_stand_beside_their_architecture() {
        let names = |architecture, runs: &dyn Fn(&&str) -> bool| {
            named(architecture, runs).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            names(Architecture::Amd64, &|variant| *variant != "v4"),
            "linux/amd64 linux/amd64/v2 linux/amd64/v3"
        );
        assert_eq!(
            names(Architecture::Arm, &|_| true),
            "linux/arm/v7 linux/arm/v6"
        );
        assert_eq!(names(Architecture::Mips64, &|_| true), "linux/mips64");
    }
}
