//! A store that waits for no disk, and what is done with it when the machine has been started again.
//!
//! Blobs, snapshots and caches of [`SyncPolicy::None`] have their names before their bytes are on the disk. Nothing of that
//! is seen while the machine runs. A file `UNSYNCED`, which is on the disk before the first of them is made, names the
//! start of the machine (`/proc/sys/kernel/random/boot_id`, `proc_sys_kernel(5)`) in which they were. Whoever opens the
//! store after another start throws away what may be torn and is made again by builds: snapshots, caches, and the records
//! and kept steps that lead to them. Blobs stay: each is verified when it is read. So do the names of images, which are
//! always synced.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tracing::debug;

use crate::file::{self, FileError, SyncPolicy};
use crate::layout::{Layout, WHOLE};
use crate::limits::VERSION_LIMIT_BYTES;
use crate::lock::{Sharing, never, try_lock};
use crate::scratch::replace_synced;
use crate::trash;
use crate::wait::Held;

/// Where the kernel says which start of the machine this is.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// Throws away what a loss of power may have torn, and notes what a later one could tear.
pub(crate) fn look_after(layout: &Arc<Layout>) -> Result<(), FileError> {
    look_after_in(layout, boot().as_deref())
}

/// Does so in this start of the machine; one that nobody can name is another one each time.
fn look_after_in(layout: &Arc<Layout>, boot: Option<&str>) -> Result<(), FileError> {
    let mark = layout.unsynced();
    let is_of_this_boot = |noted: &String| boot.is_some_and(|boot| boot == noted.trim_end());
    let noted = read(&mark)?;
    if let Some(noted) = &noted {
        if is_of_this_boot(noted) {
            return Ok(());
        }
        alone(layout, || match read(&mark)? {
            Some(noted) if !is_of_this_boot(&noted) => throw_away(layout, &mark),
            _ => Ok(()),
        })?;
    }
    if layout.sync == SyncPolicy::None {
        let text = format!("{}\n", boot.unwrap_or_default());
        replace_synced(layout, &mark, text.as_bytes())?;
    }
    Ok(())
}

fn boot() -> Option<String> {
    let text = fs::read_to_string(BOOT).ok()?;
    Some(text.trim_end().to_owned())
}

fn read(mark: &Path) -> Result<Option<String>, FileError> {
    let bytes = file::read_limited(mark, VERSION_LIMIT_BYTES)?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// Does something while no other process has the store.
fn alone<F>(layout: &Layout, work: F) -> Result<(), FileError>
where
    F: FnOnce() -> Result<(), FileError>,
{
    let take = |sharing| {
        let attempt = || try_lock(&layout.lock, sharing);
        let taken = layout.waits.wait((WHOLE, Held::Work), attempt, &never);
        taken.map(drop).map_err(FileError::of("lock", &layout.root))
    };
    take(Sharing::Exclusive)?;
    let done = work();
    take(Sharing::Shared)?;
    done
}

fn throw_away(layout: &Layout, mark: &Path) -> Result<(), FileError> {
    for all in [
        layout.all_records(),
        layout.all_kept(),
        layout.all_snapshots(),
        layout.all_caches(),
    ] {
        for of_an_id_map in file::entries(&all)? {
            // What only the ids of another map can delete stays in the trash until that map opens the store.
            for path in file::entries(&of_an_id_map)? {
                // Others wait for this: trees are deleted by whoever empties the trash, when the store is everybody's again.
                let found = trash::leave(layout, &path);
                if let Err(error) = found {
                    debug!(%error, "left of what was not synced");
                }
            }
        }
    }
    file::remove_file(mark)?;
    file::sync_dir(&layout.root, SyncPolicy::Full)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fixture, id, meta};
    use crate::{KeptId, Store};

    fn add_snapshot(store: &Store, name: &str) {
        let active = store.snapshots().prepare(&store.lease().unwrap());
        active.unwrap().commit(&id(name), meta()).unwrap();
    }

    #[test]
    fn what_was_not_synced_is_there_until_the_machine_starts_again() {
        let fixture = Fixture::new();
        let layout = fixture.layout();
        add_snapshot(&fixture.store, "layer-1");
        let place = layout.snapshot(&id("layer-1"));
        let boot = boot().unwrap();
        let kept = fixture.store.kept();
        kept.put(&KeptId::random(), &"a step").unwrap();
        look_after_in(&layout, Some(&boot)).unwrap();
        assert!(place.try_exists().unwrap());
        assert_eq!(kept.ids().unwrap().len(), 1);
        look_after_in(&layout, Some("another")).unwrap();
        assert!(!place.try_exists().unwrap());
        assert_eq!(kept.ids().unwrap(), []);
        assert_eq!(read(&layout.unsynced()).unwrap().unwrap(), "another\n");
    }

    #[test]
    fn a_start_that_nobody_can_name_is_another_each_time() {
        let fixture = Fixture::new();
        let layout = fixture.layout();
        look_after_in(&layout, None).unwrap();
        add_snapshot(&fixture.store, "layer-1");
        look_after_in(&layout, None).unwrap();
        assert!(!layout.snapshot(&id("layer-1")).try_exists().unwrap());
    }
}
