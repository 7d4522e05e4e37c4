//! Foreign processors: their names, their ELF headers, QEMU's user emulators, `binfmt_misc`.
//!
//! The kernel hands an executable file to an interpreter when the file's first bytes match a
//! handler (`Documentation/admin-guide/binfmt-misc.rst`). The handler of a processor is made from
//! three numbers of its ELF header: class, byte order and machine ([`Architecture::elf`]). This
//! module makes handlers, finds interpreters for them, and reads which ones the host has; the
//! mounting is `runtime`'s.

mod elf;
mod host;
mod registrar;

use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use crate::program::Program;

pub use elf::{ElfIdentity, Linkage, Signature};
pub use host::{HOST_REGISTRATIONS, HostRegistration, HostRegistrations};
pub use registrar::{Registrar, RegistrarError};

/// How long an emulator may take to say which version it is.
const VERSION_LIMIT: Duration = Duration::from_secs(5);

/// The longest version that is passed on, in bytes.
const VERSION_LIMIT_BYTES: usize = 200;

/// Returns what the emulator at `path` calls itself: `qemu-aarch64 version 10.0.2 (Debian 1:10.0.2)`. None where it does
/// not say.
pub fn version(path: &Path) -> Option<String> {
    let arguments = ["--version".into()];
    let said = Program::at(path.to_owned()).run(&arguments, VERSION_LIMIT);
    let said = said.ok()?.stdout;
    let text = String::from_utf8(said).ok()?;
    let line = text.lines().next()?.trim();
    (!line.is_empty() && line.len() <= VERSION_LIMIT_BYTES).then(|| line.to_owned())
}

/// The longest line that the kernel accepts at `register`, in bytes.
pub const REGISTRATION_LIMIT_BYTES: usize = 1920;

/// A processor architecture, as the image specification names it (Go's `GOARCH`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Architecture {
    /// `amd64`: x86-64.
    Amd64,
    /// `arm64`: 64-bit Arm.
    Arm64,
    /// `arm`: 32-bit Arm.
    Arm,
    /// `386`: 32-bit x86.
    I386,
    /// `riscv64`.
    Riscv64,
    /// `ppc64le`: POWER, little endian.
    Ppc64le,
    /// `s390x`: IBM Z.
    S390x,
    /// `mips64`: big endian.
    Mips64,
    /// `mips64le`: little endian.
    Mips64le,
    /// `loong64`: `LoongArch`.
    Loong64,
}

impl Architecture {
    /// Every architecture that is known here.
    pub const ALL: [Self; 10] = [
        Self::Amd64,
        Self::Arm64,
        Self::Arm,
        Self::I386,
        Self::Riscv64,
        Self::Ppc64le,
        Self::S390x,
        Self::Mips64,
        Self::Mips64le,
        Self::Loong64,
    ];

    /// Returns the architecture that the image specification calls `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|architecture| architecture.name() == name)
    }

    /// Returns the architecture of programs that this one is compiled like, if it is known here.
    pub const fn of_this_program() -> Option<Self> {
        if cfg!(target_arch = "x86_64") {
            Some(Self::Amd64)
        } else if cfg!(target_arch = "aarch64") {
            Some(Self::Arm64)
        } else if cfg!(target_arch = "arm") {
            Some(Self::Arm)
        } else if cfg!(target_arch = "x86") {
            Some(Self::I386)
        } else if cfg!(target_arch = "riscv64") {
            Some(Self::Riscv64)
        } else if cfg!(all(target_arch = "powerpc64", target_endian = "little")) {
            Some(Self::Ppc64le)
        } else if cfg!(target_arch = "s390x") {
            Some(Self::S390x)
        } else if cfg!(all(target_arch = "mips64", target_endian = "big")) {
            Some(Self::Mips64)
        } else if cfg!(all(target_arch = "mips64", target_endian = "little")) {
            Some(Self::Mips64le)
        } else if cfg!(target_arch = "loongarch64") {
            Some(Self::Loong64)
        } else {
            None
        }
    }

    /// Returns the architectures whose programs an emulator may be for: all but that of this program.
    pub fn others() -> impl Iterator<Item = Self> {
        let own = Self::of_this_program();
        let all = Self::ALL.into_iter();
        all.filter(move |architecture| Some(*architecture) != own)
    }

    /// Returns the name in the image specification.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
            Self::Arm => "arm",
            Self::I386 => "386",
            Self::Riscv64 => "riscv64",
            Self::Ppc64le => "ppc64le",
            Self::S390x => "s390x",
            Self::Mips64 => "mips64",
            Self::Mips64le => "mips64le",
            Self::Loong64 => "loong64",
        }
    }

    /// Returns QEMU's name, the part after `qemu-` of its emulators.
    pub const fn qemu_name(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
            Self::Arm => "arm",
            Self::I386 => "i386",
            Self::Riscv64 => "riscv64",
            Self::Ppc64le => "ppc64le",
            Self::S390x => "s390x",
            Self::Mips64 => "mips64",
            Self::Mips64le => "mips64el",
            Self::Loong64 => "loongarch64",
        }
    }

    /// Returns the file names of QEMU's emulator, the one that is always static first.
    pub fn emulator_names(self) -> [String; 2] {
        let name = self.qemu_name();
        [format!("qemu-{name}-static"), format!("qemu-{name}")]
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Tells whether the file at `path` is an emulator that can be used: a program of this processor that stands alone.
///
/// # Errors
///
/// Fails when it cannot be read.
pub fn is_usable(path: &Path) -> io::Result<bool> {
    let is_ours = match Architecture::of_this_program() {
        Some(own) => elf::is_program_of(path, own)?,
        None => true,
    };
    Ok(is_ours && elf::linkage(path)? == Linkage::Static)
}

/// What can run the programs of foreign processors on this machine.
pub trait Emulators: fmt::Debug + Send + Sync {
    /// Returns the emulator of `architecture`.
    ///
    /// # Errors
    ///
    /// Fails when there is none that works in another root directory.
    fn find(&self, architecture: Architecture) -> Result<PathBuf, EmulatorNotFound>;

    /// Returns the handlers that the host has registered.
    ///
    /// # Errors
    ///
    /// Fails when they cannot be read. A host without `binfmt_misc` has none, which is no failure.
    fn host_registrations(&self) -> Result<HostRegistrations, io::Error>;
}

/// No usable emulator of an architecture is in the directories that were searched.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("find an emulator for {architecture}: {}", why(*.architecture, (.searched, .unusable), *.uninstalled))]
pub struct EmulatorNotFound {
    /// The architecture whose programs were to be run.
    pub architecture: Architecture,
    /// The directories, in the order in which they were searched.
    pub searched: Vec<PathBuf>,
    /// Emulators that were found and need libraries of this machine, which a sandbox does not have.
    pub unusable: Vec<PathBuf>,
    /// Whether the user wants none, so that nothing was looked for.
    pub uninstalled: bool,
}

/// QEMU's user emulators in a list of directories.
#[derive(Debug, Clone)]
pub struct SystemEmulators {
    directories: Vec<PathBuf>,
    registrations: PathBuf,
    uninstalled: Vec<Architecture>,
}

impl SystemEmulators {
    /// Looks for emulators in `directories`, in their order, and for the host's handlers where the
    /// kernel shows them.
    pub fn new(directories: Vec<PathBuf>) -> Self {
        Self {
            directories,
            registrations: HOST_REGISTRATIONS.into(),
            uninstalled: Vec::new(),
        }
    }

    /// Passes over the emulators of these architectures, whatever there is: the user wants none.
    #[must_use]
    pub fn without(self, uninstalled: Vec<Architecture>) -> Self {
        Self {
            uninstalled,
            ..self
        }
    }

    /// Reads the host's handlers in `directory` instead.
    #[must_use]
    pub fn with_registrations(self, directory: PathBuf) -> Self {
        Self {
            registrations: directory,
            ..self
        }
    }
}

impl Emulators for SystemEmulators {
    fn find(&self, architecture: Architecture) -> Result<PathBuf, EmulatorNotFound> {
        if self.uninstalled.contains(&architecture) {
            return Err(EmulatorNotFound {
                architecture,
                searched: Vec::new(),
                unusable: Vec::new(),
                uninstalled: true,
            });
        }
        let names = architecture.emulator_names();
        let candidates = self
            .directories
            .iter()
            .flat_map(|directory| names.iter().map(move |name| directory.join(name)));
        let mut unusable = Vec::new();
        for candidate in candidates {
            match elf::linkage(&candidate) {
                Ok(Linkage::Static) => return Ok(candidate),
                Ok(Linkage::Dynamic) => unusable.push(candidate),
                // Not there, not readable or no program: the next directory may have one.
                Ok(Linkage::NotElf) | Err(_) => {}
            }
        }
        Err(EmulatorNotFound {
            architecture,
            searched: self.directories.clone(),
            unusable,
            uninstalled: false,
        })
    }

    fn host_registrations(&self) -> Result<HostRegistrations, io::Error> {
        let mut found = HostRegistrations::read(&self.registrations)?;
        let is_wanted = |handler: &HostRegistration| {
            let mut unwanted = self.uninstalled.iter();
            !unwanted.any(|architecture| handler.starts(*architecture))
        };
        found.handlers.retain(is_wanted);
        Ok(found)
    }
}

/// How the kernel starts an interpreter: the flags of a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HandlerFlags {
    /// `P`: the program's own `argv[0]` is handed over too.
    pub preserve_argv0: bool,
    /// `O`: the program is handed over opened, so that it may be one that its user cannot read.
    pub open_binary: bool,
    /// `C`: set-user-id bits and file capabilities of the program count. Implies `O`.
    pub credentials: bool,
    /// `F`: the interpreter is opened when it is registered, and works in every root directory.
    pub fix_binary: bool,
}

impl HandlerFlags {
    /// All of them: what a sandbox needs for set-user-id programs, `argv[0]` and its own root
    /// directory.
    pub const ALL: Self = Self {
        preserve_argv0: true,
        open_binary: true,
        credentials: true,
        fix_binary: true,
    };

    /// Reads the letters of a handler; others than the four are passed over.
    pub fn from_letters(letters: &str) -> Self {
        Self {
            preserve_argv0: letters.contains('P'),
            open_binary: letters.contains('O'),
            credentials: letters.contains('C'),
            fix_binary: letters.contains('F'),
        }
    }
}

impl fmt::Display for HandlerFlags {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = [
            (self.preserve_argv0, 'P'),
            (self.open_binary, 'O'),
            (self.credentials, 'C'),
            (self.fix_binary, 'F'),
        ];
        letters
            .iter()
            .filter(|(set, _)| *set)
            .try_for_each(|(_, letter)| write!(formatter, "{letter}"))
    }
}

/// Why an interpreter cannot be put into a line for `register`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RegistrationError {
    /// The path has a byte that ends a field or the line whatever delimiter is chosen.
    #[error(
        "register the emulator {path:?}: its path has a line break or every possible delimiter"
    )]
    Path {
        /// The path of the interpreter.
        path: PathBuf,
    },
    /// The line would be longer than [`REGISTRATION_LIMIT_BYTES`].
    #[error("register the emulator `{}`: its path is too long", .path.display())]
    TooLong {
        /// The path of the interpreter.
        path: PathBuf,
    },
}

/// Returns the line that registers `interpreter` for the programs of `architecture`.
///
/// # Errors
///
/// Fails when the path of the interpreter does not fit into the format.
pub fn registration_line(
    architecture: Architecture,
    interpreter: &Path,
    flags: HandlerFlags,
) -> Result<Vec<u8>, RegistrationError> {
    let path = interpreter.as_os_str().as_bytes();
    let bad_path = || RegistrationError::Path {
        path: interpreter.to_owned(),
    };
    // The first byte of the line is the delimiter; it must not occur in a field.
    let delimiter = [b':', b'|', b'%', b'!']
        .into_iter()
        .find(|byte| !path.contains(byte));
    let delimiter = delimiter.ok_or_else(bad_path)?;
    if path.contains(&b'\n') {
        return Err(bad_path());
    }
    let signature = architecture.elf().signature();
    let name = format!("qemu-{}", architecture.qemu_name());
    let (magic, mask, flags) = (
        escape(&signature.magic),
        escape(&signature.mask),
        flags.to_string(),
    );
    let fields: [&[u8]; 7] = [
        name.as_bytes(),
        b"M",
        b"0",
        magic.as_bytes(),
        mask.as_bytes(),
        path,
        flags.as_bytes(),
    ];
    let mut line = Vec::new();
    for field in fields {
        line.push(delimiter);
        line.extend_from_slice(field);
    }
    if line.len() > REGISTRATION_LIMIT_BYTES {
        return Err(RegistrationError::TooLong {
            path: interpreter.to_owned(),
        });
    }
    Ok(line)
}

fn escape(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| format!("\\x{byte:02x}"))
        .collect::<Vec<_>>()
        .concat()
}

/// Says where was looked, and what was passed over there.
fn why(
    architecture: Architecture,
    (searched, unusable): (&[PathBuf], &[PathBuf]),
    uninstalled: bool,
) -> String {
    if uninstalled {
        return "it was uninstalled for this user".to_owned();
    }
    let [fixed, linked] = architecture.emulator_names();
    let (directories, unusable) = (listed(searched), passed_over(unusable));
    format!("looked for {fixed} and {linked} in {directories}{unusable}")
}

fn listed(directories: &[PathBuf]) -> String {
    let names: Vec<_> = directories
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    names.join(", ")
}

fn passed_over(unusable: &[PathBuf]) -> String {
    if unusable.is_empty() {
        String::new()
    } else {
        format!("; {} needs libraries of this machine", listed(unusable))
    }
}

#[cfg(test)]
mod tests;
