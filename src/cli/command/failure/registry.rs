//! What a registry did not give or take.

use std::error::Error;

use registry::RegistryError;

use crate::report::{Kind, Report};

/// Makes a report one about a registry, where it is: with its exit code, and with the way out.
pub(crate) fn explain(report: &mut Report, error: &(dyn Error + 'static)) -> bool {
    let Some(error) = RegistryError::behind(error) else {
        return false;
    };
    report.kind = Kind::Remote;
    if error.is_unauthorized() && report.help.is_none() {
        let host = error.repository.split('/').next().unwrap_or(&error.host);
        report.help = Some(format!("`careen login {host}`"));
    }
    true
}
