//! A disk that has no room left.

use std::error::Error;
use std::io;
use std::path::Path;

use crate::report::{Kind, Report};

/// What can be done about it.
const WAY_OUT: &str = "`--store DIR` or `CAREEN_STORE` names another directory";

/// Says that the store's file system is full.
pub(super) fn tell_full(report: &mut Report, store: &Path) {
    let store = store.display();
    let note = format!("the file system of the store `{store}` is full");
    report.notes.push(note);
    report.help = Some(WAY_OUT.to_owned());
}

/// Makes the report of a step that could not be written to the store one about the machine, with the way out. Where that
/// was, the causes tell.
pub(super) fn explain(report: &mut Report, error: &(dyn Error + 'static)) {
    if is_full(error) {
        report.kind = Kind::Host;
        report.help = Some(WAY_OUT.to_owned());
    }
}

/// Tells whether an error comes of a disk, or a quota, that is used up.
fn is_full(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        if let Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) = kind {
            return true;
        }
        next = cause.source();
    }
    false
}

#[cfg(test)]
mod tests {
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
}
