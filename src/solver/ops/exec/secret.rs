//! Secrets: their values, and how a command gets them.
//!
//! A value is in the memory of the builder, in a file in memory that is mounted for one command, and in the
//! environment of that command; nowhere else. No type here shows it.

use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use graph::SecretMount;
use rootfs::{Root, RootPath};
use runtime::{Access, KernelFeatures, RecordedOwner, SecretVariable, TargetKind};

use super::error::MountError;
use super::mounts::{MountTable, Mounted, Owner, Source};
use crate::error::StepError;
use crate::worker::Step;

/// The name of the file in its directory, which nobody sees.
const FILE: &str = "secret";

/// The value of a secret. It has no text form, and its debug form does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<[u8]>);

impl Secret {
    /// Takes a value.
    pub fn new(value: Vec<u8>) -> Self {
        Self(value.into())
    }

    /// Returns the value, which must not be shown or written anywhere.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(****)")
    }
}

/// The secrets of a job, by their ids.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    values: BTreeMap<String, Secret>,
}

impl Secrets {
    /// Returns the secret of an id.
    pub fn get(&self, id: &str) -> Option<&Secret> {
        self.values.get(id)
    }
}

impl FromIterator<(String, Secret)> for Secrets {
    fn from_iter<I: IntoIterator<Item = (String, Secret)>>(values: I) -> Self {
        Self {
            values: values.into_iter().collect(),
        }
    }
}

/// Prepares a secret: a file in memory, a variable, or both. One that was not given and is not required is not
/// there.
pub(super) fn mount(
    step: &Step<'_>,
    mount: &SecretMount,
    table: &mut MountTable,
) -> Result<Option<Mounted>, StepError> {
    let features = step.workshop.features;
    let Some((target, secret, owner)) = take(step, mount, table)? else {
        return Ok(None);
    };
    let (file, recorded) = file((target, features), secret, owner)?;
    table.record(recorded);
    Ok(Some(Mounted {
        target: target.to_owned(),
        source: Source::Descriptor(file),
        kind: TargetKind::File,
        access: Access::ReadOnly,
    }))
}

/// Takes a secret: as a variable into the table, and as a file, which is returned with its place and owner.
pub(super) fn take<'s>(
    step: &Step<'s>,
    mount: &'s SecretMount,
    table: &mut MountTable,
) -> Result<Option<(&'s str, &'s Secret, Owner)>, StepError> {
    let Some(secret) = step.job.options.secrets.get(&mount.id) else {
        if mount.required {
            let id = mount.id.clone();
            return Err(MountError::NoSecret { id }.into());
        }
        return Ok(None);
    };
    if let Some(name) = &mount.env {
        table.add_secret(SecretVariable::new(name.as_bytes(), secret.expose()), name);
    }
    let Some(target) = &mount.target else {
        return Ok(None);
    };
    let owner = Owner::on_disk(step, target, &mount.owner)?;
    Ok(Some((target, secret, owner)))
}

/// Returns the mount of a new file in memory that holds the secret, and what is to be recorded of it.
fn file(
    (target, features): (&str, KernelFeatures),
    secret: &Secret,
    owner: Owner,
) -> Result<(OwnedFd, Option<RecordedOwner>), MountError> {
    let failed = |source| MountError::File {
        target: target.to_owned(),
        source,
    };
    let called = |source| MountError::Call {
        target: target.to_owned(),
        source,
    };
    let directory = Root::from_fd(runtime::memory_directory().map_err(called)?, "/");
    let path = RootPath::strict(FILE).expect("the name is one component");
    let file = directory.create_file(&path).map_err(failed)?;
    rootfs::write_all(&file, secret.expose()).map_err(failed)?;
    let recorded = owner.give(&directory, &path).map_err(failed)?;
    let taken = runtime::subtree(directory.as_fd(), file.as_fd(), &features);
    let taken = taken.map_err(|source| MountError::Subtree {
        target: target.to_owned(),
        source,
    })?;
    Ok((taken, recorded))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_form_of_a_secret_shows_its_value() {
        let secret = Secret::new(b"hidden".to_vec());
        let secrets: Secrets = [("token".to_owned(), secret)].into_iter().collect();
        let shown = format!("{secrets:?}");
        assert!(
            shown.contains("token") && !shown.contains("hidden"),
            "{shown}"
        );
        assert_eq!(secrets.get("token").unwrap().expose(), b"hidden");
    }
}
