//! What a registry did not give or take.

use std::error::Error;

use fetch::FetchError;
use registry::{Failure, RegistryError};

use crate::report::{Kind, Report};

/// Makes a report one about a registry, where it is: with its exit code, and with the way out.
pub(crate) fn explain(report: &mut Report, error: &(dyn Error + 'static)) -> bool {
    let Some(error) = RegistryError::behind(error) else {
        return false;
    };
    report.kind = Kind::Remote;
    if report.help.is_none() {
        report.help = way_out(error);
    }
    true
}

/// Returns what can be done about it.
pub(crate) fn way_out(error: &RegistryError) -> Option<String> {
    if error.is_unauthorized() {
        let host = error.repository.split('/').next().unwrap_or(&error.host);
        return Some(format!("`careen login {host}`"));
    }
    let is_distrust = matches!(error.failure, Failure::Fetch(FetchError::Tls { .. }));
    is_distrust.then(|| {
        "`--cert-dir DIR` names a directory with the certificate of its authority (`*.crt`)"
            .to_owned()
    })
}
