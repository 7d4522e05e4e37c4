//! What is told of a result that was written: the image's id, and what is known of it as JSON.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use export::{Exported, ExportedImage, OutputSpec, export_all, write_file};
use oci::{Clock, Reference, descriptor};
use serde_json::{Map, Value};
use solver::{BuildResult, PackPlan, Workshop};

use super::caches::Failure;
use super::stages::KeptStages;
use crate::env::RunnerJob;
use crate::format;
use crate::history::BuildId;
use crate::options::ResultOptions;
use crate::report::{Kind, Report};

/// A file with what is known of the result cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write `{}`", path.display())]
struct Unwritable {
    path: PathBuf,
    source: io::Error,
}

/// Returns what is wanted of a result when the time of the build is known.
pub(super) fn with_time(options: &ResultOptions, workshop: &Workshop) -> ResultOptions {
    let mut options = options.clone();
    match workshop.clock {
        Clock::Fixed(time) => options.set_time(time),
        Clock::System if options.outputs.iter().any(OutputSpec::lacks_time) => workshop
            .events
            .warn("`rewrite-timestamp=true` changes nothing without `SOURCE_DATE_EPOCH`"),
        Clock::System => {}
    }
    options
}

/// Returns how layers are packed, for all outputs together.
pub(super) fn pack_plans(options: &ResultOptions, workshop: &Workshop) -> Vec<PackPlan> {
    let mut plans = Vec::new();
    let of_outputs = options.outputs.iter().filter_map(OutputSpec::pack_plan);
    for plan in of_outputs.chain(KeptStages::pack_plan(options, workshop)) {
        if !plans.contains(&plan) {
            plans.push(plan);
        }
    }
    plans
}

/// Writes the result to all its outputs.
pub(super) fn export(
    result: &BuildResult,
    options: &ResultOptions,
    workshop: &Workshop,
) -> Result<Vec<Exported>, Failure> {
    if options.outputs.is_empty() {
        workshop.events.warn(
            "no output was asked for: the result stays in the cache. `--load` keeps it in the store as an \
             image, `--push` pushes it, `--output type=oci,dest=FILE` writes it",
        );
    } else {
        for flag in &options.idle {
            workshop
                .events
                .warn(format!("`{flag}` changes nothing: no output is an image"));
        }
    }
    export_all(&options.outputs, result, workshop)
        .map_err(|error| Failure::of_export(error, workshop))
}

/// Tells what was written. Of several images the last one counts, as for buildx.
pub(super) fn tell(
    exported: &[Exported],
    options: &ResultOptions,
    id: &BuildId,
) -> Result<(), Box<Report>> {
    let image = exported
        .iter()
        .rev()
        .find_map(|exported| exported.image.as_ref());
    tracing::debug!(?image, count = exported.len(), "exported");
    if let (Some(path), Some(image)) = (&options.iidfile, image) {
        write(path, image.id().as_bytes())?;
    }
    if let Some(path) = &options.metadata_file {
        let text = serde_json::to_string_pretty(&metadata(image, id));
        write(
            path,
            text.expect("texts and numbers are valid JSON").as_bytes(),
        )?;
    }
    if let (true, Some(image)) = (options.quiet, image) {
        format::print(&format!("{}\n", image.id()))?;
    }
    Ok(())
}

/// Adds what was written to the outputs of a workflow's step, by the names that docker's action has for it.
pub(super) fn tell_runner(
    exported: &[Exported],
    job: &RunnerJob,
    id: &BuildId,
) -> Result<(), Box<Report>> {
    let mut images = exported.iter().rev();
    let image = images.find_map(|exported| exported.image.as_ref());
    let (Some(path), Some(image)) = (&job.output, image) else {
        return Ok(());
    };
    let metadata = serde_json::to_string(&metadata(Some(image), id));
    let metadata = metadata.expect("texts and numbers are valid JSON");
    // No value has a newline.
    let text = format!(
        "imageid={}\ndigest={}\nmetadata={metadata}\n",
        image.id(),
        image.top.digest(),
    );
    append(path, text.as_bytes()).map_err(|source| {
        let path = path.to_owned();
        Box::new(Report::new(Kind::User, &Unwritable { path, source }))
    })
}

fn append(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(bytes)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Box<Report>> {
    write_file(path, bytes).map_err(|source| {
        let path = path.to_owned();
        Box::new(Report::new(Kind::User, &Unwritable { path, source }))
    })
}

/// Returns what is known of a result, by buildx' names for it.
fn metadata(image: Option<&ExportedImage>, id: &BuildId) -> Value {
    let mut known = Map::new();
    let mut tell = |key: &str, value: Value| drop(known.insert(key.to_owned(), value));
    tell("buildx.build.ref", id.reference().into());
    if let Some(image) = image {
        if let Some(config) = &image.config {
            tell("containerimage.config.digest", config.to_string().into());
        }
        let top = descriptor::to_canonical_json(&image.top);
        let top = serde_json::from_slice(&top).expect("what was written as JSON is JSON");
        tell("containerimage.descriptor", top);
        let digest = image.top.digest().to_string();
        tell("containerimage.digest", digest.into());
        if !image.names.is_empty() {
            let names: Vec<_> = image.names.iter().map(Reference::to_string).collect();
            tell("image.name", names.join(",").into());
        }
    }
    Value::Object(known)
}

#[cfg(test)]
mod tests {
    use oci::{Digest, Platform, Timestamp};

    use super::*;

    fn id() -> BuildId {
        BuildId::parse("0123456789abcdef012345678").unwrap()
    }

    fn image() -> ExportedImage {
        let digest = Digest::of(b"manifest");
        let top = descriptor::descriptor(oci::media_type::OCI_MANIFEST, &digest, 8);
        let top = descriptor::with_platform(top, &Platform::new("linux", "amd64"));
        let created = Timestamp::from_unix_seconds(0).unwrap().to_string();
        let created = (descriptor::ANNOTATION_CREATED.to_owned(), created);
        ExportedImage {
            top: descriptor::with_annotations(top, &[created].into_iter().collect()),
            config: Some(Digest::of(b"config")),
            names: ["a:1", "b"]
                .map(|name| Reference::parse_docker_ref(name).unwrap())
                .to_vec(),
        }
    }

    #[test]
    fn what_is_known_has_buildx_names() {
        let text = serde_json::to_string_pretty(&metadata(Some(&image()), &id())).unwrap();
        insta::assert_snapshot!(text, @r#"
        {
          "buildx.build.ref": "careen/local/0123456789abcdef012345678",
          "containerimage.config.digest": "sha256:b79606fb3afea5bd1609ed40b622142f1c98125abcfe89a76a661b0e8e343910",
          "containerimage.descriptor": {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": "sha256:05b3abf2579a5eb66403cd78be557fd860633a1fe2103c7642030defe32c657f",
            "size": 8,
            "annotations": {
              "org.opencontainers.image.created": "1970-01-01T00:00:00Z"
            },
            "platform": {
              "architecture": "amd64",
              "os": "linux"
            }
          },
          "containerimage.digest": "sha256:05b3abf2579a5eb66403cd78be557fd860633a1fe2103c7642030defe32c657f",
          "image.name": "docker.io/library/a:1,docker.io/library/b:latest"
        }
        "#);
    }

    #[test]
    fn without_an_image_only_the_build_is_named() {
        let known = metadata(None, &id());
        let keys: Vec<_> = known.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["buildx.build.ref"]);
    }
}
