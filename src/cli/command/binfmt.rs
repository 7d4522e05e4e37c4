//! `careen binfmt`: which processors' programs run here, in the words of the image `tonistiigi/binfmt`.
//!
//! A build registers the emulators that it needs in a namespace of its own, so there is nothing to be installed on the machine: to
//! install one means to look for it, or to put it into the user's directory (`--from`), and to take back that it was uninstalled, which is
//! remembered for the user. `--host` changes the machine, as the image does.

mod deb;
mod supply;

use std::path::{Path, PathBuf};

use runtime::binfmt as kernel;
use serde::Serialize;
use vendor_shim::emulation::{
    self, Architecture, EmulatorNotFound, Emulators as _, HOST_REGISTRATIONS, Registrar,
    RegistrarError,
};

use super::builders::platforms;
use super::transfer::Surroundings;
use super::workspace;
use crate::args::{Arguments, BinfmtArguments};
use crate::config::Config;
use crate::env::Environment;
use crate::exit;
use crate::format;
use crate::options::Places;
use crate::options::own_emulators;
use crate::options::uninstalled::{self, RememberError};
use crate::report::{Kind, Report};
use crate::run::Outcome;
use supply::Supply;

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
    #[error("cannot change the emulators of the machine")]
    Host(#[from] RegistrarError),
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

/// Runs `binfmt` in the first process; `None` where an image has to be read first, which is the builder's work
/// ([`fetch()`]).
pub(crate) fn begin(
    arguments: &BinfmtArguments,
    parsed: &Arguments,
    env: &Environment,
) -> Option<Outcome> {
    match check(arguments) {
        Err(error) => Some(Err(refused(&error))),
        Ok(()) if path_of(arguments, env).is_none() && arguments.from.is_some() => None,
        Ok(()) => Some(take_path(arguments, env).and_then(|()| run(arguments, parsed, env))),
    }
}

/// Checks what can be checked before anything is taken or changed.
fn check(arguments: &BinfmtArguments) -> Result<(), BinfmtError> {
    all_wanted(arguments)?;
    for text in &arguments.uninstall {
        meant(text)?;
    }
    registrar(arguments)?;
    Ok(())
}

/// Opens the handlers of the machine, if they are to be changed.
fn registrar(arguments: &BinfmtArguments) -> Result<Option<Registrar>, BinfmtError> {
    if !arguments.host {
        return Ok(None);
    }
    let directory = Path::new(HOST_REGISTRATIONS);
    let opened = match Registrar::open(directory) {
        // Whoever may not mount is told what is not there.
        Err(RegistrarError::NotMounted { .. }) if kernel::mount_machines().is_ok() => {
            Registrar::open(directory)
        }
        opened => opened,
    };
    Ok(Some(opened?))
}

/// Returns where emulators are to be taken from, if that is a file or directory of this machine.
fn path_of(arguments: &BinfmtArguments, env: &Environment) -> Option<PathBuf> {
    let path = env.current_directory.join(arguments.from.as_ref()?);
    std::fs::metadata(&path).is_ok().then_some(path)
}

/// Takes emulators from a file or directory of this machine, if they are to be taken from there.
fn take_path(arguments: &BinfmtArguments, env: &Environment) -> Result<(), Box<Report>> {
    let Some(path) = path_of(arguments, env) else {
        return Ok(());
    };
    supplied(arguments, env, |supply| {
        let taken = supply.take_path(&path);
        taken.map_err(|error| supply::refused(&error))
    })
}

/// Takes emulators from an image, in the builder.
pub(crate) fn fetch(arguments: &BinfmtArguments, around: Surroundings<'_>) -> Outcome {
    let from = arguments.from.as_deref().unwrap_or_default();
    workspace::with((around, &arguments.registry), &[from], |finder| {
        supplied(arguments, around.env, |supply| {
            supply.take_image(finder, from)
        })?;
        Ok(exit::DONE)
    })
}

fn supplied(
    arguments: &BinfmtArguments,
    env: &Environment,
    take: impl FnOnce(&mut Supply<'_>) -> Result<(), Box<Report>>,
) -> Result<(), Box<Report>> {
    let wanted = all_wanted(arguments).map_err(|error| refused(&error))?;
    let is_all = arguments.install.iter().any(|text| text == "all");
    let from = arguments.from.as_deref().unwrap_or_default();
    let supply = Supply::new(&wanted, own_emulators(env));
    let mut supply = supply.map_err(|error| supply::refused(&error))?;
    take(&mut supply)?;
    let finished = supply.finish(from, is_all);
    finished.map_err(|error| supply::refused(&error))
}

fn all_wanted(arguments: &BinfmtArguments) -> Result<Vec<Architecture>, BinfmtError> {
    let mut all = Vec::new();
    for text in &arguments.install {
        all.extend(wanted(text)?);
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// Runs `binfmt` with the emulators that are here by now.
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
        BinfmtError::Host(_) | BinfmtError::NotFound(_) | BinfmtError::Remember(_) => Kind::Host,
    };
    let mut report = Report::new(kind, error);
    report.help = match error {
        BinfmtError::NotFound(_) => {
            Some("apt-get install --no-install-recommends qemu-user-static")
        }
        BinfmtError::Host(
            RegistrarError::NotAllowed { .. } | RegistrarError::NotMounted { .. },
        ) => Some(
            "without `--host`, builds of this user have emulators of their own, and need no root",
        ),
        _ => None,
    }
    .map(str::to_owned);
    Box::new(report)
}

/// Carries out what is asked for, and says it.
fn change(
    arguments: &BinfmtArguments,
    places: &mut Places,
    env: &Environment,
) -> Result<(), BinfmtError> {
    let registrar = registrar(arguments)?;
    let before = places.uninstalled.clone();
    let changed = changed(arguments, places, registrar.as_ref())?;
    if places.uninstalled != before {
        uninstalled::write(env, &places.uninstalled)?;
    }
    for line in changed.lines {
        // Whoever closes our output has read what they wanted.
        drop(format::print(&format!("{line}\n")));
    }
    changed.failed.map_or(Ok(()), Err)
}

/// What was changed.
#[derive(Debug)]
struct Changed {
    /// What is said of it.
    lines: Vec<String>,
    /// What failed first. What comes after it was tried all the same.
    failed: Option<BinfmtError>,
}

/// Changes the handlers of the machine, if that is wanted, and what the user wants of emulators.
fn changed(
    arguments: &BinfmtArguments,
    places: &mut Places,
    registrar: Option<&Registrar>,
) -> Result<Changed, BinfmtError> {
    let mut lines = Vec::new();
    let mut failed = None;
    for text in &arguments.uninstall {
        for architecture in meant(text)? {
            match uninstall(architecture, places, registrar) {
                // A pattern is about what there is.
                Ok(false) if text.contains('*') => {}
                Ok(was_there) => {
                    let said = if was_there { "OK" } else { "not registered" };
                    let name = architecture.qemu_name();
                    lines.push(format!("uninstalling: qemu-{name} {said}"));
                }
                Err(error) => drop(failed.get_or_insert(error)),
            }
        }
    }
    for text in &arguments.install {
        for architecture in wanted(text)? {
            places.uninstalled.retain(|other| *other != architecture);
            match install(architecture, places, registrar) {
                Ok(said) => lines.push(format!("installing: {architecture} {said}")),
                Err(BinfmtError::NotFound(_)) if text == "all" => {}
                Err(error) => drop(failed.get_or_insert(error)),
            }
        }
    }
    Ok(Changed { lines, failed })
}

/// Takes an emulator from the user, and from the machine if that is wanted; returns whether there was one.
fn uninstall(
    architecture: Architecture,
    places: &mut Places,
    registrar: Option<&Registrar>,
) -> Result<bool, BinfmtError> {
    let removed = registrar.map(|registrar| registrar.remove(architecture));
    let was_there = removed.transpose()?.unwrap_or(true);
    if !places.uninstalled.contains(&architecture) {
        places.uninstalled.push(architecture);
    }
    Ok(was_there)
}

/// Looks for an emulator where one is needed, and registers it if that is wanted; returns what is said of it.
fn install(
    architecture: Architecture,
    places: &Places,
    registrar: Option<&Registrar>,
) -> Result<&'static str, BinfmtError> {
    let runnable = platforms::of_this_machine(places);
    let known = runnable.iter().find(|known| known.is_of(architecture));
    let is_native = known.is_some_and(|known| known.emulator.is_none());
    match registrar {
        Some(registrar) if !is_native => {
            let emulator = places.system_emulators().find(architecture)?;
            let is_new = registrar.add(architecture, &emulator)?;
            Ok(if is_new { "OK" } else { "already registered" })
        }
        _ if known.is_some() => Ok("OK"),
        _ => {
            places.system_emulators().find(architecture)?;
            Ok("OK")
        }
    }
}

/// Returns the processors that are to be installed.
fn wanted(text: &str) -> Result<Vec<Architecture>, BinfmtError> {
    if text == "all" {
        return Ok(Architecture::others().collect());
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
    let fits = |architecture: &Architecture| {
        let emulator = format!("qemu-{}", architecture.qemu_name());
        fits_pattern(text, &emulator) || fits_pattern(text, architecture.name())
    };
    let meant: Vec<_> = Architecture::others().filter(fits).collect();
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
        let mut known = runnable.iter();
        known.any(|known| known.is_of(*architecture) && known.emulator.is_some())
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
    use std::fs;

    use super::*;
    use crate::args::GlobalArguments;

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
    fn what_is_not_uninstalled_keeps_nothing_else_from_it() {
        let machine = tempfile::tempdir().unwrap();
        let at = |name: &str| machine.path().join(name);
        for name in ["register", "qemu-ppc64le", "qemu-s390x"] {
            fs::write(at(name), "").unwrap();
        }
        // What cannot be written to, by root either.
        fs::create_dir(at("qemu-riscv64")).unwrap();
        let registrar = Registrar::open(machine.path()).unwrap();
        let env = Environment {
            home: Some(machine.path().to_owned()),
            ..Environment::default()
        };
        let global = GlobalArguments::default();
        let mut places = Places::find(&global, &env, &Config::default()).unwrap();
        let arguments = BinfmtArguments {
            uninstall: vec!["qemu-*".to_owned(), "mips64".to_owned()],
            ..BinfmtArguments::default()
        };
        let changed = changed(&arguments, &mut places, Some(&registrar)).unwrap();
        assert_eq!(
            changed.lines,
            [
                "uninstalling: qemu-ppc64le OK",
                "uninstalling: qemu-s390x OK",
                "uninstalling: qemu-mips64 not registered"
            ]
        );
        let failed = changed.failed.unwrap();
        assert!(matches!(failed, BinfmtError::Host(_)), "{failed}");
        assert_eq!(fs::read(at("qemu-s390x")).unwrap(), b"-1");
        assert!(places.uninstalled.contains(&Architecture::S390x));
        assert!(!places.uninstalled.contains(&Architecture::Riscv64));
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
