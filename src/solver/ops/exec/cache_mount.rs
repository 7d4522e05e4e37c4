//! `--mount=type=cache`: directories that outlive the build, shared by all builds of a user.
//!
//! | `sharing` | Claim on a cache | If somebody else has it |
//! | --- | --- | --- |
//! | `shared` | shared | shared: used together; exclusively: the next number |
//! | `private` | exclusive | the next number |
//! | `locked` | exclusive | waited for |
//!
//! A new one begins with what a cache elsewhere has of it, if the job imports from one, and with its seed otherwise.
//!
//! A claim is held as long as the command runs, and is free when its process dies. All claims of one command are
//! made in the order of their names: two commands that want the same two caches never wait for each other.

use std::collections::BTreeMap;
use std::os::fd::AsFd as _;
use std::sync::Arc;

use graph::{CacheMount, CacheSeed, CacheSharing, ExecMount, MountOwner};
use layer::StashNote;
use oci::Digest;
use rootfs::{FileKind, OwnerTable, Owners, Root, RootPath};
use runtime::{Submounts, TargetKind};
use serde::Serialize;
use store::{CacheDirectory, CacheId, CacheMeta, Claim, ClaimName, NewCache};

use super::bind;
use super::cache_owners::CacheOwners;
use super::check::as_mount;
use super::error::MountError;
use super::mounts::{Held, MountTable, Mounted, Owner, Source, access, record};
use super::wait_for;
use crate::error::StepError;
use crate::import::RemoteStash;
use crate::ops::copy;
use crate::owners;
use crate::stash;
use crate::worker::Step;

/// Where in a cache that began with something that is.
const SEED: &str = "source";

/// How many caches of one name there may be: as many as commands that want one alone at the same time.
const NUMBERS_LIMIT: u32 = 1024;

/// Prepares all caches of a command.
pub(super) fn mount_all(
    step: &Step<'_>,
    mounts: &[ExecMount],
    table: &mut MountTable,
) -> Result<Vec<Mounted>, StepError> {
    let taken = take_all(step, mounts, (table, |sharing| sharing))?;
    let mounted = taken
        .iter()
        .map(|(mount, directory)| place(mount, directory));
    Ok(mounted.collect::<Result<_, _>>()?)
}

/// Takes all caches of a command, each for that command alone: a cache that is copied cannot be shared.
pub(super) fn take_all_alone<'m>(
    step: &Step<'_>,
    mounts: &'m [ExecMount],
    table: &mut MountTable,
) -> Result<Vec<(&'m CacheMount, Arc<CacheDirectory>)>, StepError> {
    let alone = |sharing| match sharing {
        CacheSharing::Shared | CacheSharing::Locked => CacheSharing::Locked,
        CacheSharing::Private => CacheSharing::Private,
    };
    take_all(step, mounts, (table, alone))
}

fn take_all<'m>(
    step: &Step<'_>,
    mounts: &'m [ExecMount],
    (table, sharing): (&mut MountTable, fn(CacheSharing) -> CacheSharing),
) -> Result<Vec<(&'m CacheMount, Arc<CacheDirectory>)>, StepError> {
    let mut by_name: BTreeMap<Digest, Vec<&CacheMount>> = BTreeMap::new();
    for mount in mounts {
        if let ExecMount::Cache(mount) = mount {
            by_name.entry(name(step, mount)?).or_default().push(mount);
        }
    }
    let mut taken = Vec::new();
    for (name, mounts) in by_name {
        // One command has a cache once, wherever it mounts it.
        let Some(strictest) = mounts.iter().max_by_key(|mount| mount.sharing) else {
            continue;
        };
        let wanted = Wanted {
            step,
            mount: strictest,
            sharing: sharing(strictest.sharing),
            name,
        };
        let (id, directory, claim) = wanted.take()?;
        table.hold(Held::Claim(claim));
        let directory = Arc::new(directory);
        let named = (id, strictest.id.as_str());
        if let Some(owners) = CacheOwners::open(step.workshop, named, &directory) {
            table.add_cache_owners(owners);
        }
        taken.extend(
            mounts
                .into_iter()
                .map(|mount| (mount, Arc::clone(&directory))),
        );
    }
    Ok(taken)
}

/// Returns the name of a cache: caches that begin with something else are other caches.
fn name(step: &Step<'_>, mount: &CacheMount) -> Result<Digest, StepError> {
    #[derive(Serialize)]
    enum Seed<'a> {
        Empty,
        Owned(&'a MountOwner),
        Layers(Vec<&'a str>, &'a str),
    }
    let seed = match &mount.seed {
        CacheSeed::Empty => Seed::Empty,
        CacheSeed::Owned(owner) => Seed::Owned(owner),
        CacheSeed::Input { input, path } => {
            let layers = bind::stack(step, *input)?.layers().iter();
            Seed::Layers(layers.map(|layer| layer.id.as_str()).collect(), path)
        }
    };
    let text = serde_json::to_vec(&(&mount.namespace, &mount.id, seed))
        .expect("a name is made of strings, numbers and lists, which JSON can hold");
    Ok(Digest::of(&text))
}

/// A cache that a command wants.
struct Wanted<'a> {
    step: &'a Step<'a>,
    mount: &'a CacheMount,
    sharing: CacheSharing,
    name: Digest,
}

impl Wanted<'_> {
    /// Returns a cache that may be used, made now if it is not there, and the right to it.
    fn take(&self) -> Result<(CacheId, CacheDirectory, Claim), StepError> {
        let (id, claim) = match self.sharing {
            CacheSharing::Shared | CacheSharing::Private => self.first_free()?,
            CacheSharing::Locked => self.wait()?,
        };
        let caches = self.step.workshop.store.caches();
        let directory = match caches.open(&id).map_err(|error| self.failed(error))? {
            Some(directory) => directory,
            None => match self.import(&id)? {
                Some(directory) => directory,
                None => self.make(&id)?,
            },
        };
        Ok((id, directory, claim))
    }

    fn id(&self, number: u32) -> CacheId {
        CacheId::new(self.name.clone(), number)
    }

    fn first_free(&self) -> Result<(CacheId, Claim), StepError> {
        let claims = self.step.workshop.store.claims();
        for number in 0..NUMBERS_LIMIT {
            let id = self.id(number);
            let claim = match self.sharing {
                CacheSharing::Shared => claims.try_shared(ClaimName::Cache(&id))?,
                CacheSharing::Private | CacheSharing::Locked => {
                    claims.try_exclusive(ClaimName::Cache(&id))?
                }
            };
            if let Some(claim) = claim {
                return Ok((id, claim));
            }
        }
        self.wait()
    }

    /// Takes the first cache of the name when nobody else has it.
    fn wait(&self) -> Result<(CacheId, Claim), StepError> {
        let id = self.id(0);
        let what = format!(
            "waiting for the cache `{}`, which another step uses",
            self.mount.id
        );
        let claim = wait_for(self.step, ClaimName::Cache(&id), what)?;
        Ok((id, claim))
    }

    /// Makes a new cache of what caches elsewhere have of it; none where there is nothing that can be used. Of several
    /// steps that want it at once, one fetches it.
    fn import(&self, id: &CacheId) -> Result<Option<CacheDirectory>, StepError> {
        let Step { job, workshop, .. } = self.step;
        let stashes = job.options.imports.find_stashes(workshop, &self.name);
        if stashes.is_empty() {
            return Ok(None);
        }
        let key = Digest::of(format!("fill a cache mount\0{id}").as_bytes());
        let what = format!("waiting for another step that fills `{}`", self.mount.id);
        let _claim = wait_for(self.step, ClaimName::Key(&key), what)?;
        let found = workshop.store.caches().open(id);
        if let Some(directory) = found.map_err(|error| self.failed(error))? {
            return Ok(Some(directory));
        }
        for stash in &stashes {
            if let Some(directory) = self.import_from(id, stash)? {
                return Ok(Some(directory));
            }
        }
        Ok(None)
    }

    /// Makes a new cache of what one place has of it. What cannot be used is told, and is as if it were not there.
    fn import_from(
        &self,
        id: &CacheId,
        stash: &RemoteStash,
    ) -> Result<Option<CacheDirectory>, StepError> {
        let workshop = self.step.workshop;
        let caches = workshop.store.caches();
        let new = caches.prepare().map_err(|error| self.failed(error))?;
        owners::inherit_top(workshop, new.fs(), None)?;
        let filled = stash::fill(workshop, &self.step.step_id(), stash, new.fs());
        let (index, table) = match filled {
            Ok(filled) => filled,
            Err(_) if workshop.cancel.is_cancelled() => return Err(StepError::Cancelled),
            Err(error) => {
                stash.give_up();
                workshop.events.warn(format!(
                    "the cache mount `{}` of `{}` is not used: {}",
                    self.mount.id,
                    stash.shown(),
                    stash::chain(&error)
                ));
                return Ok(None);
            }
        };
        self.keep_owners(&new, &table)?;
        let meta = self.meta(format!("what `{}` had", stash.shown()));
        let directory = new.commit(id, &meta).map_err(|error| self.failed(error))?;
        let note = StashNote::of_filled(&directory.fs, &index, stash::now());
        if let Err(error) = caches.put_note(id, &note.to_string()) {
            tracing::debug!(%error, "files of a cache mount not noted");
        }
        Ok(Some(directory))
    }

    fn meta(&self, seed: String) -> CacheMeta {
        CacheMeta {
            namespace: self.mount.namespace.clone(),
            id: self.mount.id.clone(),
            seed,
        }
    }

    fn make(&self, id: &CacheId) -> Result<CacheDirectory, StepError> {
        let workshop = self.step.workshop;
        let new = workshop.store.caches().prepare();
        let new = new.map_err(|error| self.failed(error))?;
        let (seed, table) = self.fill(new.fs())?;
        self.keep_owners(&new, &table)?;
        let meta = self.meta(seed);
        Ok(new.commit(id, &meta).map_err(|error| self.failed(error))?)
    }

    /// Keeps the owners that the files of a new cache cannot hold.
    fn keep_owners(&self, new: &NewCache, table: &OwnerTable) -> Result<(), MountError> {
        if table.is_empty() {
            return Ok(());
        }
        new.put_owners(&table.to_string())
            .map_err(|error| self.failed(error))
    }

    /// Fills a new cache; returns what it begins with, in words, and the owners that its files cannot hold.
    fn fill(&self, fs: &Root) -> Result<(String, OwnerTable), StepError> {
        owners::inherit_top(self.step.workshop, fs, None)?;
        match &self.mount.seed {
            CacheSeed::Empty => Ok(("nothing".to_owned(), OwnerTable::default())),
            CacheSeed::Owned(owner) => {
                self.give_top(fs, owner)?;
                let seed = format!("mode {:04o}, owner {}:{}", owner.mode, owner.uid, owner.gid);
                Ok((seed, OwnerTable::default()))
            }
            CacheSeed::Input { input, path } => {
                let table = self.copy(fs, *input, path)?;
                Ok((format!("a copy of `{path}`"), table))
            }
        }
    }

    /// Gives a new cache itself the owner and mode that are asked for.
    fn give_top(&self, fs: &Root, owner: &MountOwner) -> Result<(), StepError> {
        // What no id can be held of is told as of any other mount.
        Owner::on_disk(self.step, &self.mount.target, owner)?;
        let (top, mut owners) = (
            RootPath::root(),
            Owners::new(self.step.workshop.ids, OwnerTable::default()),
        );
        let inode = fs.inode(&top)?;
        Ok(owners.set(&inode, &top, FileKind::Directory, &record(owner))?)
    }

    fn copy(&self, fs: &Root, input: usize, path: &str) -> Result<OwnerTable, StepError> {
        let stack = bind::stack(self.step, input)?;
        let read = copy::read_path(self.step, stack, path).map_err(as_mount)?;
        let changes = copy::tree_at(&read, SEED)?;
        let placed = layer::place(changes.stream(), fs, self.step.workshop.ids);
        Ok(placed.map_err(|source| MountError::Seed {
            id: self.mount.id.clone(),
            source,
        })?)
    }

    fn failed(&self, source: store::CacheError) -> MountError {
        MountError::Cache {
            id: self.mount.id.clone(),
            source,
        }
    }
}

/// Mounts the path of a cache that is asked for. A link in it leads nowhere else: another command may have put it
/// there.
fn place(mount: &CacheMount, directory: &CacheDirectory) -> Result<Mounted, MountError> {
    let failed = |source| MountError::File {
        target: mount.target.clone(),
        source,
    };
    let real = path_in(mount, directory)?;
    let inode = directory.fs.inode(&real).map_err(failed)?;
    let is_directory = inode.metadata().map_err(failed)?.kind == FileKind::Directory;
    let access = access(mount.access);
    let bound = runtime::bind(inode.as_fd(), Submounts::Without, access);
    let bound = bound.map_err(|source| MountError::Call {
        target: mount.target.clone(),
        source,
    })?;
    Ok(Mounted {
        target: mount.target.clone(),
        source: Source::Descriptor(bound),
        kind: if is_directory {
            TargetKind::Directory
        } else {
            TargetKind::File
        },
        access,
    })
}

/// Returns the path of a cache that is asked for, links followed inside the cache.
pub(super) fn path_in(
    mount: &CacheMount,
    directory: &CacheDirectory,
) -> Result<RootPath, MountError> {
    let failed = |source| MountError::File {
        target: mount.target.clone(),
        source,
    };
    let path = match &mount.seed {
        CacheSeed::Input { .. } => bind::source_path(SEED)?,
        CacheSeed::Empty | CacheSeed::Owned(_) => bind::source_path(&mount.source)?,
    };
    let real = directory.fs.resolve(&path).map_err(failed)?;
    if directory.fs.metadata(&real).map_err(failed)?.is_some() {
        return Ok(real);
    }
    Err(MountError::SourceNotFound {
        path: mount.source.clone(),
        place: format!("the cache `{}`", mount.id),
        similar: copy::similar(&directory.fs, &real),
    })
}
