//! A disk that has no room left, or does not work.

use std::error::Error;
use std::io;
use std::path::Path;

use export::ExportError;
use layer::RepackError;
use runtime::CallError;

use crate::report::{Kind, Report};

/// What can be done about it.
pub(crate) const WAY_OUT: &str =
    "`careen prune` makes room in the store, and `--store DIR` names another directory";

/// What can be done where the kernel has as many namespaces as it allows (`namespaces(7)`, "The /proc/sys/user directory").
const FEWER: &str = "there are as many namespaces as are allowed: `sysctl user` shows how many, \
    and `-j N` runs fewer commands at a time";

/// The same of mounts in one namespace (`sysctl/fs.rst`, "mount-max").
const FEWER_MOUNTS: &str = "there are as many mounts as are allowed: `sysctl fs.mount-max` shows how many in one namespace";

/// Says that the store's file system is full.
pub(super) fn tell_full(report: &mut Report, store: &Path) {
    report.notes.push(is_full_there(store));
    report.help = Some(WAY_OUT.to_owned());
}

fn is_full_there(store: &Path) -> String {
    format!("the file system of the store `{}` is full", store.display())
}

/// Makes the report of what found no room, or a disk that does not work, one about the machine. Where the store has none it is named, unless the causes
/// do that, and so is the way out; what an output is written to is named by its error.
pub(super) fn explain(report: &mut Report, error: &(dyn Error + 'static), store: &Path) {
    if is_of_machine(error) {
        report.kind = Kind::Host;
    }
    if is_used_up(error)
        && let Some(way_out) = of_kernel(error)
    {
        report.help = Some(way_out.to_owned());
    }
    if !is_full(error) || is_outside(error) {
        return;
    }
    let place = store.display().to_string();
    if !report.causes.iter().any(|cause| cause.contains(&place)) {
        report.notes.push(is_full_there(store));
    }
    report.help = Some(WAY_OUT.to_owned());
}

/// Does the same for a command that brings images from one place to another, which has a way out where the store is what
/// has no room.
pub(crate) fn explain_copy(report: &mut Report, error: &(dyn Error + 'static), store: &Path) {
    if is_of_machine(error) {
        report.kind = Kind::Host;
    }
    if !is_full(error) {
        return;
    }
    let place = store.display().to_string();
    if report.causes.iter().any(|cause| cause.contains(&place)) {
        report.help = Some(WAY_OUT.to_owned());
    } else if fetch::nearest_cause::<RepackError>(error).is_some() {
        // Layers are packed nowhere else, and what fails then knows no path.
        tell_full(report, store);
    }
}

/// Tells whether an error is about something outside of the store.
fn is_outside(error: &(dyn Error + 'static)) -> bool {
    matches!(
        fetch::nearest_cause::<ExportError>(error),
        Some(
            ExportError::Write { .. }
                | ExportError::Archive { .. }
                | ExportError::Fs { .. }
                | ExportError::Copy { .. }
                | ExportError::Layout { .. }
        )
    )
}

/// Tells whether an error comes of a disk, or a quota, that is used up.
pub(crate) fn is_full(error: &(dyn Error + 'static)) -> bool {
    is_used_up(error) && of_kernel(error).is_none()
}

/// Tells whether the kernel said that there is no room for something.
fn is_used_up(error: &(dyn Error + 'static)) -> bool {
    let is_room = |cause: &io::Error| {
        matches!(
            cause.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        )
    };
    is_behind(error, &is_room)
}

/// Returns what is said where it is the kernel that has no room, for more namespaces or mounts: it says so with the same
/// word as a disk (`unshare(2)`, `move_mount(2)`).
fn of_kernel(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let call = fetch::nearest_cause::<CallError>(error)?.call();
    let is_one_of = |names: &[&str]| names.iter().any(|name| call.starts_with(name));
    if is_one_of(&["unshare(", "clone"]) {
        return Some(FEWER);
    }
    // An overlay is made by other calls, and these need no room on a disk.
    is_one_of(&["move_mount(", "open_tree("]).then_some(FEWER_MOUNTS)
}

/// What a disk that does not work answers, and a machine or a process that has too many open files: `errno(3)`, the same on
/// all processors.
const EIO: i32 = 5;
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;

/// Tells whether an error comes of what the machine has too little of, or what does not work in it.
fn is_of_machine(error: &(dyn Error + 'static)) -> bool {
    let is_broken = |cause: &io::Error| matches!(cause.raw_os_error(), Some(EIO | ENFILE | EMFILE));
    is_used_up(error) || is_behind(error, &is_broken)
}

/// Tells whether the kernel said something of a kind, wherever in the causes that is.
fn is_behind(error: &(dyn Error + 'static), said: &dyn Fn(&io::Error) -> bool) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        let found = match cause.downcast_ref::<CallError>() {
            Some(call) => said(&call.errno().into()),
            None => cause.downcast_ref::<io::Error>().is_some_and(said),
        };
        if found {
            return true;
        }
        next = cause.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use solver::pack::PackLayerError;
    use store::SnapshotId;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("write")]
    struct Write(#[source] io::Error);

    #[test]
    fn a_full_disk_is_found_behind_what_was_done() {
        for (kind, expected) in [
            (io::ErrorKind::StorageFull, true),
            (io::ErrorKind::QuotaExceeded, true),
            (io::ErrorKind::NotFound, false),
        ] {
            assert_eq!(is_full(&Write(kind.into())), expected, "{kind:?}");
        }
    }

    #[test]
    fn a_disk_that_does_not_work_is_the_machines_fault() {
        for (number, expected) in [(EIO, true), (EMFILE, true), (2, false)] {
            let error = Write(io::Error::from_raw_os_error(number));
            assert_eq!(is_of_machine(&error), expected, "{number}");
            assert!(!is_full(&error), "{number}");
        }
    }

    #[test]
    fn a_copy_into_a_store_without_room_has_the_way_out_and_one_elsewhere_has_none() {
        #[derive(Debug, thiserror::Error)]
        #[error("write `{}`", .0)]
        struct At(&'static str, #[source] io::Error);
        #[derive(Debug, thiserror::Error)]
        #[error("copy")]
        struct Copy(#[source] At);
        let said = |error: &(dyn Error + 'static)| {
            let mut report = Report::new(Kind::Remote, error);
            explain_copy(&mut report, error, Path::new("/home/ana/store"));
            assert_eq!(report.kind, Kind::Host);
            (report.notes.len(), report.help)
        };
        let way_out = Some(WAY_OUT.to_owned());
        let inside = Copy(At("/home/ana/store/ingest/1", full()));
        assert_eq!(said(&inside), (0, way_out.clone()));
        assert_eq!(said(&Copy(At("/out.tar", full()))), (0, None));
        let packed = RepackError::from(layer::PackError::Output(full()));
        assert_eq!(said(&packed), (1, way_out));
        let elsewhere = Copy(At("/home/ana/store/x", io::ErrorKind::NotFound.into()));
        let mut report = Report::new(Kind::User, &elsewhere);
        explain_copy(&mut report, &elsewhere, Path::new("/home/ana/store"));
        assert_eq!((report.kind, report.help), (Kind::User, None));
    }

    fn report(error: &ExportError) -> String {
        super::super::of_export(error, Path::new("/home/ana/store")).to_text()
    }

    fn full() -> io::Error {
        io::ErrorKind::StorageFull.into()
    }

    #[test]
    fn a_store_without_room_is_named_with_the_way_out() {
        let packed = PackLayerError::Pack {
            layer: SnapshotId::new("run-1").unwrap(),
            source: layer::PackError::Output(full()),
        };
        insta::assert_snapshot!(report(&packed.into()), @r"
        error: cannot pack the layer `run-1`
          = caused by: write the blob of a layer
          = caused by: no storage space
          = note: the file system of the store `/home/ana/store` is full
          = help: `careen prune` makes room in the store, and `--store DIR` names another directory
        ");
    }

    #[test]
    fn an_output_without_room_is_not_the_stores_matter() {
        let written = ExportError::Write {
            path: "/out.tar".into(),
            source: full(),
        };
        insta::assert_snapshot!(report(&written), @r"
        error: cannot write `/out.tar`
          = caused by: no storage space
        ");
    }
}
