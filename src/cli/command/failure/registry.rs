//! What a registry did not give or take.

use std::error::Error;
use std::io;

use registry::RegistryError;

use crate::report::{Kind, Report};

/// Returns what a registry has to do with an error: the nearest of its causes that is a registry's.
pub(crate) fn behind<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a RegistryError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<RegistryError>() {
            return Some(found);
        }
        if let Some(found) = error.downcast_ref::<Box<RegistryError>>() {
            return Some(found);
        }
        // Its own source is that of the error inside.
        let inside = error.downcast_ref::<io::Error>();
        if let Some(found) = inside.and_then(RegistryError::in_error) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// Makes a report one about a registry, where it is: with its exit code, and with the way out.
pub(crate) fn explain(report: &mut Report, error: &(dyn Error + 'static)) -> bool {
    let Some(error) = behind(error) else {
        return false;
    };
    report.kind = Kind::Remote;
    if error.is_unauthorized() && report.help.is_none() {
        let host = error.repository.split('/').next().unwrap_or(&error.host);
        report.help = Some(format!("`careen login {host}`"));
    }
    true
}
