//! `rm`: removes builders with their stores; in the builder's process, since files of a store may have ids that only it can
//! remove.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use rootfs::{FsError, Root, RootPath};

use super::refused;
use crate::args::BuilderRmArguments;
use crate::builders::{BuilderName, Builders, Chosen, ChosenError};
use crate::command::transfer::Surroundings;
use crate::env::Environment;
use crate::exit;
use crate::report::{self, Kind, Report};
use crate::run::Outcome;

/// Why a builder is not removed.
#[derive(Debug, thiserror::Error)]
enum RemoveError {
    #[error("`{name}` is this machine, and cannot be removed")]
    Local { name: BuilderName },
    #[error("a build takes the builder `{name}` now")]
    Busy { name: BuilderName },
    #[error("cannot look into the store `{}`", path.display())]
    Look { path: PathBuf, source: io::Error },
    #[error("cannot remove the store `{}`", path.display())]
    Store { path: PathBuf, source: FsError },
}

/// Runs `rm` in the builder.
pub(crate) fn run(arguments: &BuilderRmArguments, around: Surroundings<'_>) -> Outcome {
    let chosen = named(arguments, around.env).map_err(|error| refused(&error))?;
    for chosen in chosen {
        match remove(&chosen, arguments, around)? {
            Gone::Yes => {
                report::print_text(&format!("{} removed\n", chosen.builder.name));
            }
            Gone::InUse => {}
        }
    }
    Ok(exit::DONE)
}

/// Whether a builder is gone.
enum Gone {
    Yes,
    /// A build takes it, and it was not named.
    InUse,
}

fn named(arguments: &BuilderRmArguments, env: &Environment) -> Result<Vec<Chosen>, ChosenError> {
    let builders = Builders::find(env)?;
    if arguments.all_inactive {
        let names = builders.names()?;
        let chosen = names
            .iter()
            .map(|name| Chosen::named(&builders, name.as_str()));
        return chosen.collect();
    }
    if arguments.names.is_empty() {
        return Ok(vec![Chosen::find(env, None)?]);
    }
    let names = arguments.names.iter();
    names.map(|text| Chosen::named(&builders, text)).collect()
}

fn remove(
    chosen: &Chosen,
    arguments: &BuilderRmArguments,
    around: Surroundings<'_>,
) -> Result<Gone, Box<Report>> {
    let name = &chosen.builder.name;
    if !chosen.is_made {
        let error = RemoveError::Local { name: name.clone() };
        return Err(Box::new(Report::new(Kind::Usage, &error)));
    }
    let store = chosen.own_store(&around.places.store);
    if let Some(store) = store.filter(|_| !arguments.keep_state) {
        match remove_store(name, &store) {
            Err(RemoveError::Busy { .. }) if arguments.all_inactive => return Ok(Gone::InUse),
            removed => removed.map_err(|error| Report::new(Kind::Host, &error))?,
        }
    }
    let forgotten =
        || -> Result<(), ChosenError> { Ok(Builders::find(around.env)?.change()?.remove(name)?) };
    forgotten().map_err(|error| refused(&error))?;
    Ok(Gone::Yes)
}

/// Removes a store that nobody uses.
fn remove_store(name: &BuilderName, store: &Path) -> Result<(), RemoveError> {
    let look = |source| RemoveError::Look {
        path: store.to_owned(),
        source,
    };
    // Whoever uses a store holds this lock, shared.
    let lock = match File::open(store.join("lock")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        lock => Some(lock.map_err(look)?),
    };
    match lock.as_ref().map(File::try_lock) {
        None | Some(Ok(())) => {}
        Some(Err(TryLockError::WouldBlock)) => {
            return Err(RemoveError::Busy { name: name.clone() });
        }
        Some(Err(TryLockError::Error(source))) => return Err(look(source)),
    }
    let (Some(parent), Some(last)) = (store.parent(), store.file_name()) else {
        return Ok(());
    };
    if !fs::exists(parent).map_err(look)? {
        return Ok(());
    }
    let removed = Root::open(parent).and_then(|root| {
        let path = RootPath::lexical(last.as_encoded_bytes())?;
        root.remove_all(&path)
    });
    removed.map_err(|source| RemoveError::Store {
        path: store.to_owned(),
        source,
    })
}
