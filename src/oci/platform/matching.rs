//! Which images a platform can run, and which of them it likes best.
//!
//! The order of preference of `linux/arm64/v8`, best first: `arm64`, then `arm/v8`, `arm/v7`, `arm/v6`,
//! `arm/v5`; of `linux/amd64/v3`: `amd64/v3`, `amd64/v2`, `amd64`, `386`. Where two are equally good the
//! one that uses more of the features of the operating system comes first, then the one that was
//! listed first.

use super::Platform;

/// The Armv8 line ends with v8.9; Armv9.N contains Armv8.(N+5) (Arm Architecture Reference Manual).
const ARMV8_LAST_MINOR: u32 = 9;
const ARMV9_OFFSET: u32 = 5;

/// The oldest `arm` that a newer one can stand in for.
const ARM_OLDEST: u32 = 5;

/// Windows Server 2022: from here on a host runs containers of older builds, down to this one
/// (Microsoft, "Windows container version compatibility").
const WINDOWS_STABLE_BUILD: u16 = 20_348;

/// How well a candidate suits; the least is the best.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Preference {
    tier: Tier,
    step: usize,
    missing_features: usize,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Tier {
    Runs,
    RunsWithoutFeatures,
    Foreign,
}

impl Platform {
    /// Says whether `candidate` is this platform, whatever name it goes by, and asks for no feature
    /// that this platform does not have.
    pub fn is_same(&self, candidate: &Self) -> bool {
        let (own, other) = (self.normalized(), candidate.normalized());
        own.architecture == other.architecture
            && own.variant == other.variant
            && own.offers_os_of(&other)
    }

    /// Says whether this platform can run an image for `candidate`: older variants of ARM and x86
    /// count, and so do 32-bit images on 64-bit machines of the two.
    pub fn can_run(&self, candidate: &Self) -> bool {
        self.step_to(candidate).is_some()
    }

    /// Says whether `candidate` is for the same operating system, whatever the architecture.
    pub fn has_same_os(&self, candidate: &Self) -> bool {
        self.normalized().offers_os_of(&candidate.normalized())
    }

    /// Returns how well an image for `candidate` suits this platform. Sort by it with a stable sort.
    pub fn preference(&self, candidate: &Self) -> Preference {
        if let Some(step) = self.step_to(candidate) {
            let missing_features = usize::MAX - candidate.os_features.len();
            return Preference {
                tier: Tier::Runs,
                step,
                missing_features,
            };
        }
        let plain = Self {
            os_features: Vec::new(),
            ..candidate.clone()
        };
        match self.step_to(&plain) {
            Some(step) => Preference {
                tier: Tier::RunsWithoutFeatures,
                step,
                missing_features: 0,
            },
            None => Preference {
                tier: Tier::Foreign,
                step: 0,
                missing_features: 0,
            },
        }
    }

    /// Returns how well `candidate` suits when the operating system alone has to be the same. Sort by
    /// it with a stable sort.
    pub fn os_preference(&self, candidate: &Self) -> Preference {
        if self.has_same_os(candidate) {
            return self.preference(candidate);
        }
        // Worse than any architecture of the right operating system.
        Preference {
            tier: Tier::Foreign,
            step: usize::MAX,
            missing_features: 0,
        }
    }

    /// Returns the place of `candidate` in this platform's list of what it can run, 0 being itself.
    fn step_to(&self, candidate: &Self) -> Option<usize> {
        let (own, other) = (self.normalized(), candidate.normalized());
        if !own.offers_os_of(&other) {
            return None;
        }
        let wanted = (
            other.architecture.as_str(),
            other.variant.as_deref().unwrap_or_default(),
        );
        own.runnable()
            .iter()
            .position(|(architecture, variant)| (*architecture, variant.as_str()) == wanted)
    }

    /// Says whether the operating system is the same, its version one that runs here, and its features
    /// are among ours. Both are normalized.
    fn offers_os_of(&self, other: &Self) -> bool {
        self.os == other.os
            && (!self.is_windows()
                || windows_runs(self.os_version.as_deref(), other.os_version.as_deref()))
            && other
                .os_features
                .iter()
                .all(|feature| self.os_features.contains(feature))
    }

    /// Lists the architectures and variants that this one runs, best first; `self` is normalized.
    fn runnable(&self) -> Vec<(&str, String)> {
        let variant = self.variant.as_deref().unwrap_or_default();
        let mut list = vec![(self.architecture.as_str(), variant.to_owned())];
        match self.architecture.as_str() {
            "amd64" => {
                let own = number(variant).unwrap_or(1);
                list.extend((1..own).rev().map(|level| ("amd64", amd64_variant(level))));
                list.push(("386", String::new()));
            }
            "arm" => list.extend(older_arm(number(variant).unwrap_or(0))),
            "arm64" => {
                list.extend(older_arm64(variant));
                list.push(("arm", "v8".to_owned()));
                list.extend(older_arm(8));
            }
            _ => {}
        }
        list
    }
}

/// Returns N of `vN`; nothing for another text, or a number that no CPU will have.
fn number(variant: &str) -> Option<u32> {
    variant
        .strip_prefix('v')?
        .parse()
        .ok()
        .filter(|number| *number < 100)
}

fn amd64_variant(level: u32) -> String {
    if level == 1 {
        String::new()
    } else {
        format!("v{level}")
    }
}

fn older_arm<'a>(version: u32) -> impl Iterator<Item = (&'a str, String)> {
    (ARM_OLDEST..version)
        .rev()
        .map(|version| ("arm", format!("v{version}")))
}

/// Lists the variants of `arm64` below `variant`, newest first.
fn older_arm64<'a>(variant: &str) -> Vec<(&'a str, String)> {
    let variant = if variant.is_empty() { "v8" } else { variant };
    let (major, minor) = variant.split_once('.').unwrap_or((variant, "0"));
    let (Some(major), Ok(minor)) = (number(major), minor.parse::<u32>()) else {
        return Vec::new();
    };
    let below = |major: u32, end: u32| {
        (0..end)
            .rev()
            .map(move |minor| ("arm64", arm64_variant(major, minor)))
    };
    match major {
        8 if minor <= ARMV8_LAST_MINOR => below(8, minor).collect(),
        9 if minor < 100 => {
            let newest_v8 = (minor + ARMV9_OFFSET).min(ARMV8_LAST_MINOR);
            below(9, minor).chain(below(8, newest_v8 + 1)).collect()
        }
        _ => Vec::new(),
    }
}

/// Returns the normal name of an Armv8 or Armv9 variant.
fn arm64_variant(major: u32, minor: u32) -> String {
    match (major, minor) {
        (8, 0) => String::new(),
        (major, 0) => format!("v{major}"),
        (major, minor) => format!("v{major}.{minor}"),
    }
}

/// Says whether a Windows host runs containers of another version. Where one of the two says nothing
/// there is nothing to compare.
fn windows_runs(host: Option<&str>, container: Option<&str>) -> bool {
    let (Some(host), Some(container)) = (host.and_then(windows_version), container) else {
        return true;
    };
    let Some(container) = windows_version(container) else {
        return false;
    };
    if (host.major, host.minor) != (container.major, container.minor) {
        return false;
    }
    if host.build < WINDOWS_STABLE_BUILD {
        return host.build == container.build;
    }
    (WINDOWS_STABLE_BUILD..=host.build).contains(&container.build)
}

struct WindowsVersion {
    major: u8,
    minor: u8,
    build: u16,
}

/// Parses the first three numbers of `10.0.17763.1234`.
fn windows_version(text: &str) -> Option<WindowsVersion> {
    let mut numbers = text.split('.');
    Some(WindowsVersion {
        major: numbers.next()?.parse().ok()?,
        minor: numbers.next()?.parse().ok()?,
        build: numbers.next()?.parse().ok()?,
    })
}
