//! What a result stood on when it was made: the results of commands below it.
//!
//! A key says how everything below was made. That is what it *is* too, as long as it comes from bases and copies alone: the
//! manifest, the content and the operation are in the key. A command can make something else each time it runs. So what
//! was made on top of commands counts only where the same results of those commands are below again, and a record tells
//! which they were ([`Footing`]).
//!
//! Results of commands have names in the store that are nobody else's. A cache that others read tells them by the digests
//! of their uncompressed tars instead, which are the same everywhere.

use graph::{FileAction, Op, Vertex};
use layer::Times;
use oci::{DiffId, Digest};
use serde::{Deserialize, Serialize};
use store::{RecordError, SnapshotId};

use crate::import::wanted_times;
use crate::job::Workshop;
use crate::pack::{self, PackLayerError};
use crate::result::{Held, Stack, StackLayer};

/// What a result stood on. Records of programs that did not note it are read as `Bases`, and so count only where nothing
/// else can be below.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Footing {
    /// On no result of a command: its key says all.
    #[default]
    Bases,
    /// On results of commands, digested by their names in this store.
    Here(Digest),
    /// On results of commands, digested as [`of_tars`] does.
    Elsewhere(Digest),
}

impl Footing {
    /// Returns what a result stands on that is put onto a stack now.
    pub(crate) fn of(below: &Stack) -> Self {
        below
            .commands_digest()
            .cloned()
            .map_or(Self::Bases, Self::Here)
    }

    /// Returns what a result of a cache elsewhere stood on.
    pub(crate) fn of_import(on: Option<Digest>) -> Self {
        on.map_or(Self::Bases, Self::Elsewhere)
    }

    pub(crate) fn is_bases(&self) -> bool {
        *self == Self::Bases
    }

    /// Tells whether this is what is below now.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read.
    pub(crate) fn is(&self, below: &Stack, workshop: &Workshop) -> Result<bool, PackLayerError> {
        Ok(match self {
            Self::Bases => below.commands_digest().is_none(),
            Self::Here(digest) => below.commands_digest() == Some(digest),
            Self::Elsewhere(digest) => {
                matches!(tars_of(below, workshop)?, Tars::Known(Some(known)) if known == *digest)
            }
        })
    }
}

/// Tells whether a result depends on what it stands on beyond its key.
pub(crate) fn matters_to(vertex: &Vertex) -> bool {
    // A copy with `--link` is made as if onto nothing.
    !matches!(&vertex.op, Op::File(file) if matches!(&file.action, FileAction::Copy(copy) if copy.link))
}

/// The commands below, as other machines know them.
pub(crate) enum Tars {
    /// By this digest; none if there is no command.
    Known(Option<Digest>),
    /// The tar of one of them is not known here: nobody else can have stood on it.
    Unknown,
}

/// Returns the commands below, as other machines know them.
///
/// # Errors
///
/// Fails when the store cannot be read.
pub(crate) fn tars_of(below: &Stack, workshop: &Workshop) -> Result<Tars, PackLayerError> {
    let mut tars = Vec::new();
    for layer in below.commands() {
        match tar_of(layer, workshop)? {
            Some(tar) => tars.push(tar),
            None => return Ok(Tars::Unknown),
        }
    }
    Ok(Tars::Known(of_tars(&tars)))
}

/// Digests the uncompressed tars of the commands that a result stands on, the uppermost first; none if there are none.
pub fn of_tars(tars: &[DiffId]) -> Option<Digest> {
    let tars = tars.iter().rev();
    tars.fold(None, |below, tar| Some(on_top_of(below.as_ref(), tar)))
}

/// Returns the digest of [`of_tars`] with one command more, on top of those that there are.
pub fn on_top_of(below: Option<&Digest>, tar: &DiffId) -> Digest {
    let below = below.map_or("", Digest::as_str);
    Digest::of(format!("{below}\0{tar}").as_bytes())
}

fn tar_of(layer: &StackLayer, workshop: &Workshop) -> Result<Option<DiffId>, PackLayerError> {
    if let Held::Remote(remote) = &layer.held {
        return Ok(Some(remote.blob().diff_id.clone()));
    }
    if let Some(times) = wanted_times(workshop) {
        let key = tar_key(&layer.id, times);
        if let Some(tar) = workshop.store.records().get(&key)? {
            return Ok(Some(tar));
        }
    }
    let blob = pack::find_any(workshop, &layer.id)?;
    Ok(blob.map(|blob| blob.diff_id))
}

/// Notes what a layer is as a tar, so that this is known when there is no blob of it any more.
///
/// # Errors
///
/// Fails when the record cannot be written.
pub(crate) fn remember_tar(
    workshop: &Workshop,
    layer: &SnapshotId,
    (tar, times): (&DiffId, Times),
) -> Result<(), RecordError> {
    workshop.store.records().put(&tar_key(layer, times), tar)
}

fn tar_key(layer: &SnapshotId, times: Times) -> Digest {
    Digest::of(format!("tar of\0{layer}\0{times:?}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_without_a_footing_stood_on_bases() {
        #[derive(Deserialize)]
        struct Record {
            #[serde(default)]
            footing: Footing,
        }
        let record: Record = serde_json::from_str("{}").unwrap();
        assert_eq!(record.footing, Footing::Bases);
        let digest = Digest::of(b"one");
        for footing in [
            Footing::Bases,
            Footing::Here(digest.clone()),
            Footing::Elsewhere(digest),
        ] {
            let text = serde_json::to_string(&footing).unwrap();
            assert_eq!(serde_json::from_str::<Footing>(&text).unwrap(), footing);
        }
    }

    #[test]
    fn the_digest_of_tars_tells_which_and_in_which_order() {
        let [one, two] = ["one", "two"].map(|text| DiffId::new(Digest::of(text.as_bytes())));
        let lists = [
            vec![],
            vec![&one],
            vec![&two],
            vec![&one, &two],
            vec![&two, &one],
        ];
        let digests = lists.map(|list| of_tars(&list.into_iter().cloned().collect::<Vec<_>>()));
        assert_eq!(digests[0], None);
        for (at, digest) in digests.iter().enumerate() {
            assert_eq!(digests.iter().position(|other| other == digest), Some(at));
        }
    }
}
