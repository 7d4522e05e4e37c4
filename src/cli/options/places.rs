//! Where commands look for what is the user's: [`Places`].

use std::path::PathBuf;

use runtime::ProcSource;
use runtime::probe::{Choice, Wish};
use solver::UsersBeyond;
use solver::remote::RemoteOptions;
use store::SyncPolicy;
use vendor_shim::emulation::{Architecture, SystemEmulators};

use super::{RegistryOptions, UsageError, remote, uninstalled};
use crate::args::{GlobalArguments, RegistryArguments};
use crate::builders::Chosen;
use crate::config::Config;
use crate::env::Environment;
use crate::host::{self, Host};

/// Where commands look for what is the user's.
#[derive(Debug, Clone)]
pub struct Places {
    /// The store.
    pub store: PathBuf,
    /// The user's store, for images that are kept, where the builder has another.
    pub users_store: Option<PathBuf>,
    /// Whether stores are to survive a loss of power.
    pub sync: SyncPolicy,
    /// Where emulators are looked for.
    pub emulators: Vec<PathBuf>,
    /// The architectures whose emulators the user wants none of.
    pub uninstalled: Vec<Architecture>,
    /// How servers are reached.
    pub remote: RemoteOptions,
    /// How registries are reached where the command line says nothing of it.
    pub registry: RegistryOptions,
    /// What commands are to be run with.
    pub executor: Wish,
    /// Where the `/proc` of commands is from.
    pub proc: ProcSource,
    /// What is done about users of an image that the range of ids does not reach.
    pub users: UsersBeyond,
    /// What is in the way of the modes that commands are not run with, a line each.
    pub obstacles: Vec<String>,
}

impl Places {
    /// Finds them.
    ///
    /// # Errors
    ///
    /// Fails when nothing says where the user's data is.
    pub fn find(
        global: &GlobalArguments,
        env: &Environment,
        config: &Config,
    ) -> Result<Self, UsageError> {
        let given = global
            .store
            .clone()
            .or_else(|| env.store.clone())
            .or_else(|| config.store.clone());
        let usual = || {
            env.data_directory()
                .map(|directory| directory.join("careen"))
        };
        let store = given.or_else(usual).ok_or(UsageError::NoStore)?;
        let mut emulators = config.emulators.clone().unwrap_or_default();
        // What somebody chose to install goes before what is there anyway.
        emulators.extend(own_emulators(env));
        emulators.extend(["/usr/bin", "/usr/local/bin"].map(PathBuf::from));
        Ok(Self {
            store: env.current_directory.join(store),
            users_store: None,
            sync: if global.no_sync || env.no_sync {
                SyncPolicy::None
            } else {
                SyncPolicy::Full
            },
            emulators,
            uninstalled: uninstalled::read(env),
            remote: remote::remote(env),
            registry: RegistryOptions::new(&RegistryArguments::default(), env, Vec::new())?,
            executor: executor(global, env)?,
            proc: ProcSource::default(),
            users: UsersBeyond::default(),
            obstacles: Vec::new(),
        })
    }

    /// Takes the store of a builder.
    pub(crate) fn of_builder(mut self, builder: Option<&Chosen>) -> Self {
        if let Some(own) = builder.and_then(|builder| builder.own_store(&self.store)) {
            self.users_store = Some(std::mem::replace(&mut self.store, own));
        }
        self
    }

    /// Returns the emulators that may be used.
    pub(crate) fn system_emulators(&self) -> SystemEmulators {
        SystemEmulators::new(self.emulators.clone()).without(self.uninstalled.clone())
    }

    /// Adds what was found out about commands.
    pub(crate) fn with_choice(self, host: &Host, choice: &Choice) -> Self {
        let mut obstacles = host::obstacles(choice);
        obstacles.extend(host.advice_on_nothing(choice));
        Self {
            proc: choice.proc,
            obstacles,
            ..self
        }
    }
}

/// Returns the directory of the emulators that the user installed.
pub(crate) fn own_emulators(env: &Environment) -> Option<PathBuf> {
    Some(env.data_directory()?.join("careen/emulators"))
}

/// Works out what commands are to be run with.
fn executor(global: &GlobalArguments, env: &Environment) -> Result<Wish, UsageError> {
    let text = global.executor.as_ref().or(env.executor.as_ref());
    Ok(text.map_or(Ok(Wish::Best), |text| text.parse())?)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_flag_counts_more_than_the_environment_and_that_more_than_the_file() {
        let global = |store: Option<&str>| GlobalArguments {
            store: store.map(PathBuf::from),
            ..GlobalArguments::default()
        };
        let env = Environment {
            store: Some(PathBuf::from("/env")),
            home: Some(PathBuf::from("/home/x")),
            ..Environment::default()
        };
        let config = Config {
            store: Some(PathBuf::from("/file")),
            ..Config::default()
        };
        let found = |global: &GlobalArguments, env: &Environment, config: &Config| {
            Places::find(global, env, config).unwrap().store
        };
        assert_eq!(
            found(&global(Some("/flag")), &env, &config),
            Path::new("/flag")
        );
        assert_eq!(found(&global(None), &env, &config), Path::new("/env"));
        let env = Environment { store: None, ..env };
        assert_eq!(found(&global(None), &env, &config), Path::new("/file"));
        let usual = found(&global(None), &env, &Config::default());
        assert_eq!(usual, Path::new("/home/x/.local/share/careen"));
    }
}
