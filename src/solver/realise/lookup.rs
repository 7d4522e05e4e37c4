//! Looking names up in a stack without making directories of its layers.
//!
//! A layer whose directory is there is looked into. Of others there is an index, made while the blob streams by and
//! kept as a record by the digest of the tar. Where a command of the same job will need the directories they are
//! made at once, and so they are where the index does not know the answer, or a look-up fails: the directories have
//! the last word.
//!
//! What is known of a stack is kept beside it as long as the job goes on, so that the next copy looks at one layer more and
//! not at all of them again.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::io::Read;
use std::sync::Arc;

use layer::{Attributes, DiffError, LayerIndex, Limits, LookedInto, Lookups, Undecided};
use oci::{DiffId, Digest};
use rootfs::{FileKind, FsError, ResolvedUser, RootPath, UserError, UserTables};
use store::{BlobSource as _, Claim};

use super::base::independent;
use super::{Maker, RealiseError, View, open, view};
use crate::base::{self, ArrivingBlob};
use crate::cancel::Cancellable;
use crate::event::StepId;
use crate::job::Workshop;
use crate::owners;
use crate::pack;
use crate::result::{BaseLayer, Held, Stack, StackLayer};

/// Why something cannot be looked up.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// The directories cannot be made.
    #[error(transparent)]
    Realise(#[from] RealiseError),
    /// A name cannot be looked up.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// A directory cannot be read.
    #[error(transparent)]
    Directory(#[from] DiffError),
    /// A user cannot be resolved.
    #[error(transparent)]
    User(#[from] UserError),
}

/// Whether directories will be needed in the same job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Afterwards {
    /// A command will see the files.
    Command,
    /// Nothing that is known of will.
    Nothing,
}

/// Raised when what an index says changes, so that nothing of the older kind is taken for it.
const INDEX_FORMAT: u32 = 1;

/// How many directories stay open for those who look into the same stack, or one on it, later.
const OPEN_DIRECTORIES: usize = 16;

/// A stack that names are looked up in.
pub(crate) struct Lookup<'a> {
    /// What directories are made of; none where they are there.
    made_of: Option<(&'a Workshop, StepId, &'a Stack)>,
    indexed: Option<Lookups>,
    view: OnceCell<View>,
}

impl<'a> Lookup<'a> {
    /// Looks into directories that are there.
    pub(crate) fn of_view(view: View) -> Self {
        Self {
            made_of: None,
            indexed: None,
            view: OnceCell::from(view),
        }
    }

    /// Looks into a stack, making as little as possible of it.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read.
    pub(crate) fn open(
        workshop: &'a Workshop,
        step: StepId,
        stack: &'a Stack,
        afterwards: Afterwards,
    ) -> Result<Self, RealiseError> {
        workshop.reach.files()?;
        let indexing = Indexing {
            workshop,
            step: &step,
            afterwards,
        };
        let indexed = indexing.lookups(stack)?;
        Ok(Self {
            made_of: Some((workshop, step, stack)),
            indexed,
            view: OnceCell::new(),
        })
    }

    /// Returns the directories, made now if need be.
    fn view(&self) -> Result<&View, RealiseError> {
        if let (None, Some((workshop, step, stack))) = (self.view.get(), &self.made_of) {
            let made = view(workshop, step.clone(), stack)?;
            drop(self.view.set(made));
        }
        let made = self.view.get();
        Ok(made.expect("a view is given or made of something"))
    }

    /// Returns what the indexes know, unless the directories are there anyway.
    fn known<T>(&self, ask: impl FnOnce(&Lookups) -> Result<T, Undecided>) -> Option<T> {
        match (&self.indexed, self.view.get()) {
            (Some(indexed), None) => ask(indexed).ok(),
            _ => None,
        }
    }

    /// Returns the kind of what is at a path; the last component is not followed.
    pub(crate) fn kind(&self, path: &RootPath) -> Result<Option<FileKind>, LookupError> {
        match self.known(|indexed| indexed.kind(path)) {
            Some(kind) => Ok(kind),
            None => Ok(self.view()?.metadata(path)?.map(|found| found.kind)),
        }
    }

    /// Follows the symbolic links of a path, as far as it exists.
    pub(crate) fn resolve(&self, path: &RootPath) -> Result<RootPath, LookupError> {
        match self.known(|indexed| indexed.resolve(path)) {
            Some(real) => Ok(real),
            None => Ok(self.view()?.resolve(path)?),
        }
    }

    /// Returns the attributes of a directory; none if there is no directory at the path.
    pub(crate) fn directory(&self, path: &RootPath) -> Result<Option<Attributes>, LookupError> {
        match self.known(|indexed| indexed.directory(path)) {
            Some(found) => Ok(found),
            None => Ok(self.view()?.directory(path)?),
        }
    }

    /// Looks a user up in the image's own tables.
    pub(crate) fn resolve_user(&self, user: &str) -> Result<ResolvedUser, LookupError> {
        let known = self.known(tables);
        let known = known.and_then(|tables| rootfs::resolve_user_in(&tables, user).ok());
        match known {
            Some(known) => Ok(known),
            None => Ok(self.view()?.resolve_user(user)?),
        }
    }
}

fn tables(indexed: &Lookups) -> Result<UserTables, Undecided> {
    let read = |path| {
        let path = RootPath::strict(path).map_err(|_no_path| Undecided)?;
        indexed.read(&path).map(Option::unwrap_or_default)
    };
    Ok(UserTables {
        passwd: read(rootfs::PASSWD)?,
        group: read(rootfs::GROUP)?,
    })
}

/// Finds or makes what is known of layers.
struct Indexing<'a> {
    workshop: &'a Workshop,
    step: &'a StepId,
    afterwards: Afterwards,
}

impl Indexing<'_> {
    /// Returns all layers of a stack as what can be looked into; none where directories are to be made.
    fn lookups(&self, stack: &Stack) -> Result<Option<Lookups>, RealiseError> {
        let (below, above) = stack.lookups();
        if above.is_empty() {
            return Ok(Some(below));
        }
        let there = above.iter().map(|layer| self.there(layer));
        let mut layers = there.collect::<Result<Vec<_>, _>>()?;
        if self.afterwards == Afterwards::Command && layers.iter().any(Option::is_none) {
            return Ok(None);
        }
        if !self.index_missing(&above, &mut layers)? {
            return Ok(None);
        }
        let with = |below: Lookups, layer: Option<_>| below.with(layer.ok_or(Undecided)?);
        let Ok(lookups) = layers.into_iter().try_fold(below, with) else {
            return Ok(None);
        };
        if lookups.open_directories() <= OPEN_DIRECTORIES {
            stack.keep_lookups(lookups.clone());
        }
        Ok(Some(lookups))
    }

    /// Returns a layer that needs nothing to be read but what is there.
    fn there(&self, layer: &StackLayer) -> Result<Option<LookedInto>, RealiseError> {
        if let Held::Recipe(recipe) = &layer.held {
            return Ok(Some(LookedInto::Changes(Arc::clone(recipe.changes()))));
        }
        let mut names = vec![layer.id.clone()];
        if let Held::Base(base) = &layer.held {
            names.push(independent(base)?);
        }
        for name in names {
            if let Some(snapshot) = open(self.workshop, &name)? {
                // A delta alone does not say what the layer has.
                if snapshot.meta.parent.is_some() {
                    return Ok(None);
                }
                let owners = owners::of_layer(self.workshop, &name)?;
                return Ok(Some(LookedInto::Directory(Arc::new(snapshot.fs), owners)));
            }
        }
        let index = self.tar_of(layer)?.and_then(|tar| self.remembered(&tar));
        Ok(index.map(|index| LookedInto::Index(Arc::new(index))))
    }

    /// Returns the digest of a layer's tar, if it is known.
    fn tar_of(&self, layer: &StackLayer) -> Result<Option<DiffId>, RealiseError> {
        if let Held::Base(base) = &layer.held {
            return Ok(Some(base.diff_id.clone()));
        }
        let blob = pack::find_any(self.workshop, &layer.id).map_err(Box::new)?;
        Ok(blob.map(|blob| blob.diff_id))
    }

    /// Makes the indexes that are missing; tells whether all are there then. What cannot be read here cannot be made a
    /// directory either, which says why.
    fn index_missing(
        &self,
        above: &[Arc<StackLayer>],
        layers: &mut [Option<LookedInto>],
    ) -> Result<bool, RealiseError> {
        if layers.iter().all(Option::is_some) {
            return Ok(true);
        }
        let wanted = |(layer, found): (&Arc<StackLayer>, &Option<LookedInto>)| match &layer.held {
            Held::Base(base) if found.is_none() => Some(base.clone()),
            _ => None,
        };
        let wanted: Vec<_> = above.iter().zip(&*layers).map(wanted).collect();
        let maker = Maker {
            workshop: self.workshop,
            step: self.step.clone(),
            is_over: &|| self.workshop.cancel.is_cancelled(),
        };
        let _claims = maker.claims(wanted.iter().flatten())?;
        std::thread::scope(|scope| {
            let coming = base::fetch_all(scope, self.workshop, self.step, wanted);
            for (place, layer) in above.iter().enumerate() {
                if layers[place].is_none() {
                    // Where it cannot be fetched, opening it says so.
                    let made = self.make(layer, coming.begun(place));
                    layers[place] = made.map(|index| LookedInto::Index(Arc::new(index)));
                }
                if layers[place].is_none() {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    /// Reads the blob of a layer, and remembers what is in it.
    fn make(&self, layer: &StackLayer, arriving: Option<ArrivingBlob>) -> Option<LayerIndex> {
        match &layer.held {
            Held::Base(base) => {
                if let Some(index) = self.remembered(&base.diff_id) {
                    return Some(index);
                }
                match arriving {
                    Some(blob) => self.index(blob, &base.diff_id),
                    None => self.index(base::open_layer(self.workshop, base).ok()?, &base.diff_id),
                }
            }
            Held::Stored => {
                let blob = pack::find_any(self.workshop, &layer.id).ok().flatten()?;
                let content = self.workshop.store.content();
                let reader = content.open_blob(&blob.digest, blob.size_bytes).ok()?;
                self.index(reader, &blob.diff_id)
            }
            Held::Remote(remote) => {
                let reader = remote.open(self.workshop, Some(self.step)).ok()?;
                self.index(reader, &remote.blob().diff_id)
            }
            Held::Recipe(_) => None,
        }
    }

    fn index(&self, blob: impl Read + Send, diff_id: &DiffId) -> Option<LayerIndex> {
        let blob = Cancellable::new(blob, &self.workshop.cancel);
        let (index, found) = match layer::index(blob, &self.workshop.decoders, Limits::default()) {
            Ok(made) => made,
            Err(error) => {
                tracing::debug!(%diff_id, %error, "layer not indexed");
                return None;
            }
        };
        let index = index.filter(|_| found == *diff_id)?;
        let text = index.to_string();
        if let Err(error) = self.workshop.store.records().put(&key(diff_id), &text) {
            tracing::debug!(%diff_id, %error, "index not remembered");
        }
        Some(index)
    }

    fn remembered(&self, diff_id: &DiffId) -> Option<LayerIndex> {
        let found = self.workshop.store.records().get::<String>(&key(diff_id));
        LayerIndex::parse(&found.ok().flatten()?)
    }
}

fn key(diff_id: &DiffId) -> Digest {
    Digest::of(format!("index\0{INDEX_FORMAT}\0{diff_id}").as_bytes())
}

impl Maker<'_> {
    /// Claims the names of layers, in one order everywhere, so that two processes never wait for each other.
    pub(super) fn claims<'b>(
        &self,
        layers: impl Iterator<Item = &'b BaseLayer>,
    ) -> Result<Vec<Claim>, RealiseError> {
        let names: BTreeSet<_> = layers.map(|layer| layer.diff_id.digest()).collect();
        names.into_iter().map(|name| self.claim(name)).collect()
    }
}
