//! Early cut-off: what a command made is compared with what commands made earlier on the same files.
//!
//! If an earlier one made the same, times aside, its layer is the result and its key that by which what comes after is
//! found. So a changed comment, an argument without effect or an expired result costs that one step, and the layers of
//! the image stay what they were.
//!
//! Under the key of what a command stands on the store keeps the keys of the newest commands that stood there. The
//! list is read when a command has run, and never else.

use std::sync::Arc;

use graph::{CacheKey, KeyInput};
use layer::{Made, Span};
use oci::{Digest, Timestamp};
use rootfs::{FileTime, OwnerTable, Owners, Root};
use store::{ActiveSnapshot, RecordError};

use crate::cache::{self, Ran};
use crate::error::StepError;
use crate::job::Workshop;
use crate::owners;
use crate::realise::RealiseError;
use crate::result::{Held, StackLayer};

/// How many earlier commands a new one is compared with.
const KEPT: usize = 8;

/// How much older than the start of a command the time of a file may be that it wrote: the kernel takes times of files
/// from a clock that is as coarse as its tick, of 10 ms at most.
const TICK: std::time::Duration = std::time::Duration::from_millis(10);

/// The commands that stood on the same files.
#[derive(Debug)]
pub(crate) struct Siblings {
    /// Where the list is kept.
    place: Digest,
    /// Their keys, the newest first.
    keys: Vec<CacheKey>,
}

impl Siblings {
    /// Reads the list of those that stood on what has this key.
    ///
    /// # Errors
    ///
    /// Fails when the record is there and cannot be read.
    pub(crate) fn of(workshop: &Workshop, below: &KeyInput) -> Result<Self, RecordError> {
        let below = match below {
            KeyInput::Scratch => "scratch",
            KeyInput::Key(key) => key.digest().as_str(),
            KeyInput::Content(digest) => digest.as_str(),
        };
        let place = Digest::of(format!("commands on\0{below}").as_bytes());
        let keys = workshop.store.records().get(&place)?.unwrap_or_default();
        Ok(Self { place, keys })
    }

    /// Returns the earlier result that is the same as what a command has made now. It is not looked for to the end where
    /// the job is cancelled.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read.
    pub(crate) fn find_same(
        &self,
        workshop: &Workshop,
        (made, owners): (&ActiveSnapshot, &OwnerTable),
        ran: Ran,
    ) -> Result<Option<(CacheKey, Arc<StackLayer>, Ran)>, StepError> {
        if self.keys.is_empty() {
            return Ok(None);
        }
        let upper = made.fs().try_clone()?;
        let owners = Owners::new(workshop.ids, owners.clone());
        let made = made_by(upper, owners, ran);
        for key in &self.keys {
            if workshop.cancel.is_cancelled() {
                // What the command made is kept as it is: it has come to its end.
                break;
            }
            if let Some((layer, ran)) = same(workshop, key, &made)? {
                return Ok(Some((key.clone(), layer, ran)));
            }
        }
        Ok(None)
    }

    /// Puts a command at the head of the list.
    ///
    /// # Errors
    ///
    /// Fails when the record cannot be written.
    pub(crate) fn add(mut self, workshop: &Workshop, key: &CacheKey) -> Result<(), RecordError> {
        if self.keys.first() == Some(key) {
            return Ok(());
        }
        self.keys.retain(|known| known != key);
        self.keys.insert(0, key.clone());
        self.keys.truncate(KEPT);
        // Whoever writes at the same time takes this one's entry away, which costs a comparison and no more.
        workshop.store.records().put(&self.place, &self.keys)
    }
}

/// Returns what the command of a key left, if it is the same as what was made now.
fn same(
    workshop: &Workshop,
    key: &CacheKey,
    made: &Made,
) -> Result<Option<(Arc<StackLayer>, Ran)>, StepError> {
    let Some((snapshot, created, ran)) = cache::find_command(workshop, key)? else {
        return Ok(None);
    };
    let id = snapshot.id.clone();
    let owners = owners::of_layer(workshop, &id).map_err(RealiseError::from)?;
    let earlier = made_by(snapshot.fs, owners, ran);
    let is_same = layer::made_the_same(&earlier, made).unwrap_or_else(|error| {
        // A directory that cannot be read any more is not the same.
        tracing::debug!(%error, %key, "not compared");
        false
    });
    let layer = || StackLayer {
        id,
        held: Held::Stored,
        created: Some(created),
    };
    Ok(is_same.then(|| (Arc::new(layer()), ran)))
}

fn made_by(upper: Root, owners: Owners, ran: Ran) -> Made {
    let span = Span {
        began: file_time(ran.began.earlier_by(TICK)),
        ended: file_time(ran.ended),
    };
    Made {
        upper: Arc::new(upper),
        owners,
        span,
    }
}

fn file_time(time: Timestamp) -> FileTime {
    FileTime {
        seconds: time.seconds(),
        nanos: time.nanos(),
    }
}
