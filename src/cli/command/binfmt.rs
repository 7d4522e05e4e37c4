//! `careen binfmt`: which processors' programs run here, in the words of the image `tonistiigi/binfmt`.
//!
//! A build registers the emulators that it needs in a namespace of its own, so there is nothing to be installed on the machine: to
//! install one means to look for it and to take back that it was uninstalled, which is remembered for the user.

use serde::Serialize;
use vendor_shim::emulation::{self, Architecture, EmulatorNotFound, Emulators as _};

use super::builders::platforms;
use crate::args::{Arguments, BinfmtArguments};
use crate::config::Config;
use crate::env::Environment;
use crate::exit;
use crate::format;
use crate::options::Places;
use crate::options::uninstalled::{self, RememberError};
use crate::report::{Kind, Report};
use crate::run::Outcome;

/// Why emulators are not installed or uninstalled.
#[derive(Debug, thiserror::Error)]
enum BinfmtError {
    #[error(
        "`--install {text}`: there is no processor of this name; there are {}",
        names()
    )]
    Processor { text: String },
    #[error(
        "`--uninstall {text}` is no processor and no emulator; there are {}",
        names()
    )]
    Emulator { text: String },
    #[error(transparent)]
    NotFound(#[from] EmulatorNotFound),
    #[error(transparent)]
    Remember(#[from] RememberError),
}

/// What is printed of it.
#[derive(Debug, Serialize)]
struct Status {
    supported: Vec<String>,
    emulators: Vec<String>,
}

/// Runs `binfmt`, in the first process.
pub(crate) fn run(arguments: &BinfmtArguments, parsed: &Arguments, env: &Environment) -> Outcome {
    let config = Config::load(env).map_err(|error| Report::new(Kind::Usage, &error))?;
    let places = Places::find(&parsed.global, env, &config);
    let mut places = places.map_err(|error| Report::new(Kind::Usage, &error))?;
    if arguments.version {
        format::print(&versions(&places))?;
        return Ok(exit::DONE);
    }
    change(arguments, &mut places, env).map_err(|error| refused(&error))?;
    let text = serde_json::to_string_pretty(&status(&places)).expect("texts are valid JSON");
    format::print(&(text + "\n"))?;
    Ok(exit::DONE)
}

fn refused(error: &BinfmtError) -> Box<Report> {
    let kind = match error {
        BinfmtError::Processor { .. } | BinfmtError::Emulator { .. } => Kind::Usage,
        BinfmtError::NotFound(_) | BinfmtError::Remember(_) => Kind::Host,
    };
    let mut report = Report::new(kind, error);
    if let BinfmtError::NotFound(_) = error {
        report.help = Some("apt-get install --no-install-recommends qemu-user-static".to_owned());
    }
    Box::new(report)
}

/// Carries out what is asked for, and says it.
fn change(
    arguments: &BinfmtArguments,
    places: &mut Places,
    env: &Environment,
) -> Result<(), BinfmtError> {
    let before = places.uninstalled.clone();
    let mut lines = Vec::new();
    for text in &arguments.uninstall {
        for architecture in meant(text)? {
            if !places.uninstalled.contains(&architecture) {
                places.uninstalled.push(architecture);
            }
            lines.push(format!(
                "uninstalling: qemu-{} OK",
                architecture.qemu_name()
            ));
        }
    }
    let mut missing = None;
    for text in &arguments.install {
        for architecture in wanted(text)? {
            places.uninstalled.retain(|other| *other != architecture);
            match found(architecture, places) {
                Ok(()) => lines.push(format!("installing: {architecture} OK")),
                Err(_) if text == "all" => {}
                Err(error) => missing = Some(error),
            }
        }
    }
    if places.uninstalled != before {
        uninstalled::write(env, &places.uninstalled)?;
    }
    for line in lines {
        // Whoever closes our output has read what they wanted.
        drop(format::print(&format!("{line}\n")));
    }
    missing.map_or(Ok(()), |error| Err(error.into()))
}

/// Looks for an emulator where it is needed.
fn found(architecture: Architecture, places: &Places) -> Result<(), EmulatorNotFound> {
    let runs_here =
        |known: &platforms::Runnable| known.platform.split('/').nth(1) == Some(architecture.name());
    if platforms::of_this_machine(places).iter().any(runs_here) {
        return Ok(());
    }
    places.system_emulators().find(architecture).map(drop)
}

/// Returns the processors that are to be installed.
fn wanted(text: &str) -> Result<Vec<Architecture>, BinfmtError> {
    if text == "all" {
        let own = Architecture::of_this_program();
        let others = Architecture::ALL.into_iter();
        return Ok(others.filter(|one| Some(*one) != own).collect());
    }
    let name = text.strip_prefix("linux/").unwrap_or(text);
    let name = name.split('/').next().unwrap_or_default();
    let architecture = Architecture::from_name(name);
    architecture.map(|one| vec![one]).ok_or_else(|| {
        let text = text.to_owned();
        BinfmtError::Processor { text }
    })
}

/// Returns the processors whose emulators are meant: by a processor's name, an emulator's, or a pattern with `*`.
fn meant(text: &str) -> Result<Vec<Architecture>, BinfmtError> {
    let own = Architecture::of_this_program();
    let fits = |architecture: &Architecture| {
        let emulator = format!("qemu-{}", architecture.qemu_name());
        fits_pattern(text, &emulator) || fits_pattern(text, architecture.name())
    };
    let others = Architecture::ALL
        .into_iter()
        .filter(|architecture| Some(*architecture) != own);
    let meant: Vec<_> = others.filter(fits).collect();
    if meant.is_empty() {
        let text = text.to_owned();
        return Err(BinfmtError::Emulator { text });
    }
    Ok(meant)
}

/// Tells whether a name fits a pattern in which `*` is any text.
fn fits_pattern(pattern: &str, name: &str) -> bool {
    let Some((begin, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(name) = name.strip_prefix(begin) else {
        return false;
    };
    let mut tails = (0..=name.len()).filter_map(|from| name.get(from..));
    tails.any(|tail| fits_pattern(rest, tail))
}

fn names() -> String {
    Architecture::ALL.map(Architecture::name).join(", ")
}

fn status(places: &Places) -> Status {
    let runnable = platforms::of_this_machine(places);
    let emulated = Architecture::ALL.into_iter().filter(|architecture| {
        let is_one = |known: &&platforms::Runnable| {
            known.platform.split('/').nth(1) == Some(architecture.name())
        };
        let mut known = runnable.iter().filter(is_one);
        known.any(|known| known.emulator.is_some())
    });
    Status {
        emulators: emulated
            .map(|architecture| format!("qemu-{}", architecture.qemu_name()))
            .collect(),
        supported: runnable.into_iter().map(|known| known.platform).collect(),
    }
}

/// Returns what each emulator calls itself, a line each.
fn versions(places: &Places) -> String {
    let mut lines = vec![format!("binfmt/careen-{}\n", env!("CARGO_PKG_VERSION"))];
    for known in platforms::of_this_machine(places) {
        let version = known.emulator.and_then(|path| emulation::version(&path));
        let line = version.map(|version| format!("{}: {version}\n", known.platform));
        lines.extend(line);
    }
    lines.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_text() {
        let table = [
            ("qemu-*", "qemu-aarch64", true),
            ("*", "arm64", true),
            ("qemu-*64", "qemu-aarch64", true),
            ("qemu-*65", "qemu-aarch64", false),
            ("arm64", "arm64", true),
            ("arm", "arm64", false),
            ("*a*a*", "qemu-aarch64", true),
        ];
        for (pattern, name, expected) in table {
            assert_eq!(fits_pattern(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn processors_have_several_names() {
        for text in ["arm64", "linux/arm64", "linux/arm64/v8"] {
            assert_eq!(wanted(text).unwrap(), [Architecture::Arm64], "{text}");
        }
        assert_eq!(wanted("all").unwrap().len(), Architecture::ALL.len() - 1);
        let unknown = wanted("linux/vax").unwrap_err();
        assert!(matches!(unknown, BinfmtError::Processor { .. }));
        assert_eq!(meant("qemu-s390x").unwrap(), [Architecture::S390x]);
        let unknown = meant("qemu-vax").unwrap_err();
        assert!(matches!(unknown, BinfmtError::Emulator { .. }));
    }
}
