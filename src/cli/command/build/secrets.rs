//! The values of the build's secrets, read once.

use solver::Workshop;
use solver::ops::exec::{Secret, Secrets};

use crate::env::Environment;
use crate::options::BuildOptions;
use crate::options::secret::SecretSource;
use crate::report::{Kind, Report};

/// Reads the values. A variable that is not set is an empty secret, as with `docker buildx`, and warned of.
///
/// # Errors
///
/// Fails when a file cannot be read or is too large.
pub(super) fn read(
    options: &BuildOptions,
    env: &Environment,
    workshop: &Workshop,
) -> Result<Secrets, Box<Report>> {
    let mut secrets = Vec::new();
    for option in &options.secrets {
        let value = option
            .read(env)
            .map_err(|error| Box::new(Report::new(Kind::User, &error)))?;
        if let (None, SecretSource::Variable(name)) = (&value, &option.source) {
            let id = &option.id;
            workshop.events.warn(format!(
                "the secret `{id}` is empty: the variable `{name}` is not set"
            ));
        }
        let value = value.unwrap_or_else(|| Secret::new(Vec::new()));
        secrets.push((option.id.clone(), value));
    }
    Ok(secrets.into_iter().collect())
}
