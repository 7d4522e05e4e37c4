//! Which platforms' programs run here, and what runs the others'.
//!
//! The emulators are registered in a `binfmt_misc` of the build's own user namespace, when the first
//! command needs one; a build of native platforms registers nothing. Without a namespace of its own a build takes what the
//! machine has registered: what it would register itself would be everybody's, and stay.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use oci::Platform;
use runtime::binfmt::{BinfmtError, BinfmtInstance};
use runtime::native::NativePrograms;
use vendor_shim::emulation::{
    Architecture, EmulatorNotFound, Emulators, HandlerFlags, RegistrationError, registration_line,
};

/// What runs a foreign platform's programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emulator {
    /// Its name for messages, such as `qemu-aarch64-static`.
    pub name: String,
    /// Where it is on this machine.
    pub path: PathBuf,
}

/// Why a platform's programs cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum EmulationError {
    /// No emulator was found.
    #[error("cannot run {platform} programs on this machine")]
    NotFound {
        /// The platform.
        platform: Platform,
        /// Where it was looked for.
        source: EmulatorNotFound,
    },
    /// The platform's processor is not known.
    #[error("cannot run {platform} programs: no emulator is known for that processor")]
    UnknownArchitecture {
        /// The platform.
        platform: Platform,
    },
    /// The kernel does not let an ordinary user register emulators, and the host has none registered.
    #[error("cannot run {platform} programs on this machine")]
    Kernel {
        /// The platform.
        platform: Platform,
        /// What the kernel said.
        source: BinfmtError,
    },
    /// The machine has no emulator registered, and there is no user namespace to register one in.
    #[error(
        "cannot run {platform} programs on this machine: it has no emulator registered for them, and without a user \
         namespace none is"
    )]
    NotRegistered {
        /// The platform.
        platform: Platform,
    },
    /// The emulator cannot be registered.
    #[error("cannot register the emulator `{}`", path.display())]
    Register {
        /// The emulator.
        path: PathBuf,
        /// What the kernel said.
        source: BinfmtError,
    },
    /// The emulator's path cannot be registered.
    #[error("cannot register the emulator `{}`", path.display())]
    Path {
        /// The emulator.
        path: PathBuf,
        /// Why.
        source: RegistrationError,
    },
}

/// Whose emulators a build has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handlers {
    /// Those that it registers in its user namespace, or where the kernel has none for such, the machine's.
    OfNamespace,
    /// The machine's: there is no user namespace, and `binfmt_misc` would be that of everybody.
    OfMachine,
}

/// Which platforms' programs run here, and how.
#[derive(Debug)]
pub struct Emulation {
    handlers: Handlers,
    native: OnceLock<NativePrograms>,
    emulators: Box<dyn Emulators>,
    // Guards the one registration of a build; a step that needs it waits for the step that makes it.
    registered: Mutex<Option<Registered>>,
}

/// The emulators that this build registered; the descriptor keeps them.
#[derive(Debug)]
enum Registered {
    Ours {
        _instance: BinfmtInstance,
        emulators: Vec<(Architecture, PathBuf)>,
    },
    Hosts,
}

impl Emulation {
    /// Makes it; nothing is registered yet.
    pub fn new(emulators: Box<dyn Emulators>, handlers: Handlers) -> Self {
        Self {
            handlers,
            native: OnceLock::new(),
            emulators,
            registered: Mutex::new(None),
        }
    }

    /// Makes sure that a platform's programs run; returns what runs them, none if the processor does.
    ///
    /// # Errors
    ///
    /// Fails when there is no emulator or it cannot be registered.
    pub fn require(&self, platform: &Platform) -> Result<Option<Emulator>, EmulationError> {
        let architecture = Architecture::from_name(&platform.architecture).ok_or_else(|| {
            EmulationError::UnknownArchitecture {
                platform: platform.clone(),
            }
        })?;
        if self.is_native(architecture, platform.variant.as_deref()) {
            return Ok(None);
        }
        let mut registered = self
            .registered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let current = match registered.take() {
            Some(current) => current,
            None => self.register(platform, architecture)?,
        };
        let emulator = self.emulator_in(&current, platform, architecture);
        *registered = Some(current);
        emulator.map(Some)
    }

    /// Tells whether the processor runs the programs itself. That of this program is known; what else it
    /// runs is tried, once.
    fn is_native(&self, architecture: Architecture, variant: Option<&str>) -> bool {
        if variant.is_none() && Architecture::of_this_program() == Some(architecture) {
            return true;
        }
        self.native
            .get_or_init(NativePrograms::probe)
            .runs(architecture, variant)
    }

    fn emulator_in(
        &self,
        registered: &Registered,
        platform: &Platform,
        architecture: Architecture,
    ) -> Result<Emulator, EmulationError> {
        let path = match registered {
            Registered::Ours { emulators, .. } => {
                let found = emulators.iter().find(|(name, _)| *name == architecture);
                found.map(|(_, path)| path.clone())
            }
            Registered::Hosts => self.hosts(architecture),
        };
        match path {
            Some(path) => {
                let name = path
                    .file_name()
                    .unwrap_or(path.as_os_str())
                    .to_string_lossy();
                let name = name.into_owned();
                Ok(Emulator { name, path })
            }
            None => Err(self.missing(registered, platform, architecture)),
        }
    }

    /// Returns why there is no emulator for another processor than the first that was asked for.
    fn missing(
        &self,
        registered: &Registered,
        platform: &Platform,
        architecture: Architecture,
    ) -> EmulationError {
        let platform = platform.clone();
        match (registered, self.emulators.find(architecture)) {
            (Registered::Ours { .. }, Err(source)) => EmulationError::NotFound { platform, source },
            // All that are found were registered.
            (Registered::Ours { .. }, Ok(_)) | (Registered::Hosts, _) => {
                EmulationError::NotRegistered { platform }
            }
        }
    }

    /// Registers every emulator that is there, since programs of several processors may meet in one image; or takes those
    /// that the machine has.
    fn register(
        &self,
        platform: &Platform,
        wanted: Architecture,
    ) -> Result<Registered, EmulationError> {
        if self.handlers == Handlers::OfMachine {
            let platform = platform.clone();
            let is_there = self.hosts(wanted).is_some();
            let missing = EmulationError::NotRegistered { platform };
            return is_there.then_some(Registered::Hosts).ok_or(missing);
        }
        let instance = match BinfmtInstance::mount() {
            Ok(instance) => instance,
            // Before Linux 6.7 there is only the host's.
            Err(_) if self.hosts(wanted).is_some() => return Ok(Registered::Hosts),
            Err(source) => {
                return Err(EmulationError::Kernel {
                    platform: platform.clone(),
                    source,
                });
            }
        };
        self.emulators
            .find(wanted)
            .map_err(|source| EmulationError::NotFound {
                platform: platform.clone(),
                source,
            })?;
        let emulators = self.register_all(&instance)?;
        Ok(Registered::Ours {
            _instance: instance,
            emulators,
        })
    }

    /// Registers the emulators that are there for what does not run without; returns which.
    fn register_all(
        &self,
        instance: &BinfmtInstance,
    ) -> Result<Vec<(Architecture, PathBuf)>, EmulationError> {
        let mut emulators = Vec::new();
        for architecture in Architecture::ALL {
            let Ok(path) = self.emulators.find(architecture) else {
                continue;
            };
            if self.is_native(architecture, None) {
                continue;
            }
            register_one(instance, architecture, &path)?;
            emulators.push((architecture, path));
        }
        Ok(emulators)
    }

    fn hosts(&self, architecture: Architecture) -> Option<PathBuf> {
        let registrations = self.emulators.host_registrations().ok()?;
        registrations
            .usable(architecture)
            .map(|handler| handler.interpreter.clone())
    }
}

fn register_one(
    instance: &BinfmtInstance,
    architecture: Architecture,
    path: &Path,
) -> Result<(), EmulationError> {
    // `P` keeps argv[0], `O` opens the program for it, `C` keeps set-user-id programs working,
    // `F` keeps the emulator at hand in any root directory (binfmt-misc.rst).
    let line = registration_line(architecture, path, HandlerFlags::ALL);
    let line = line.map_err(|source| EmulationError::Path {
        path: path.to_owned(),
        source,
    })?;
    instance
        .register(&line)
        .map_err(|source| EmulationError::Register {
            path: path.to_owned(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use vendor_shim::fake::FakeEmulators;

    use super::*;

    #[test]
    fn without_a_namespace_nothing_is_registered() {
        let none = Box::new(FakeEmulators::default());
        let emulation = Emulation::new(none, Handlers::OfMachine);
        let platform = Platform::new("linux", "s390x");
        let error = emulation.require(&platform).unwrap_err();
        assert!(
            matches!(error, EmulationError::NotRegistered { .. }),
            "{error:?}"
        );
    }
}
