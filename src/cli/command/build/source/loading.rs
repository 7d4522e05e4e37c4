//! What is shown while the Dockerfile and the ignore file are read, in BuildKit's words.

use std::path::Path;

use solver::Workshop;
use solver::event::{Moved, StepId};

use super::{Found, IgnoreFile};
use crate::options::context::without_password;
use crate::options::{BuildOptions, DockerfileSource};
use crate::progress::DEFINITION;
use crate::report::Report;

/// Shows how the Dockerfile is read.
pub(super) fn definition(
    options: &BuildOptions,
    workshop: &Workshop,
    read: impl FnOnce() -> Result<Found, Box<Report>>,
) -> Result<Found, Box<Report>> {
    let name = format!("[internal] load build definition from {}", name(options));
    let transfer = (DEFINITION, "transferring dockerfile:");
    show(workshop, &name, transfer, || {
        read().map(|found| (found.bytes.len() as u64, found))
    })
}

/// Shows how the ignore file is read.
pub(super) fn ignore_file(
    workshop: &Workshop,
    read: impl FnOnce() -> Result<IgnoreFile, Box<Report>>,
) -> Result<IgnoreFile, Box<Report>> {
    let transfer = ("dockerignore", "transferring context:");
    show(workshop, "[internal] load .dockerignore", transfer, || {
        read().map(|file| (file.size_bytes, file))
    })
}

/// Shows how something is read: its size comes before it.
fn show<T>(
    workshop: &Workshop,
    name: &str,
    (id, what): (&str, &str),
    read: impl FnOnce() -> Result<(u64, T), Box<Report>>,
) -> Result<T, Box<Report>> {
    let (step, events) = (StepId(id.to_owned()), &workshop.events);
    events.show((&step, name), || {
        let (current, found) = read()?;
        let moved = Moved {
            current,
            total: None,
        };
        events.moved(&step, what, moved, true);
        Ok(found)
    })
}

/// Returns the name of the Dockerfile without its directory.
fn name(options: &BuildOptions) -> String {
    let url;
    let name = match &options.file {
        DockerfileSource::Path(path) => path.file_name(),
        DockerfileSource::Http(text) => {
            url = without_password(text);
            Path::new(&url).file_name()
        }
        DockerfileSource::Stdin | DockerfileSource::Usual => None,
    };
    name.map_or_else(
        || "Dockerfile".into(),
        |name| name.to_string_lossy().into_owned(),
    )
}
