//! `careen image inspect`: what is known of images, with docker's keys.

use std::collections::{BTreeMap, BTreeSet};

use oci::config::RunConfig;
use oci::{Descriptor, ImageConfig, Platform, Reference};
use serde_json::Value as Json;
use store::{ContentStore, FindError};
use template::{ExecuteError, Map, MissingKey, Mode, ParseError, Struct, Template, Value};

use super::details::{Details, PlatformImage};
use super::error::ImageError;
use super::platform;
use crate::args::ImageInspectArguments;
use crate::exit;
use crate::format;
use crate::options::Places;
use crate::report::{self, Kind, Report};
use crate::run::Outcome;
use crate::workshop;

/// What docker says where it does not know when an image got its name.
const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// Why `--format` cannot be followed.
#[derive(Debug, thiserror::Error)]
enum TemplateError {
    #[error("`--format` is no template")]
    Parse(#[source] ParseError),
    #[error("`--format` does not suit the image `{image}`")]
    Execute { image: String, source: ExecuteError },
}

/// Runs `image inspect` in the builder.
pub(crate) fn run(
    arguments: &ImageInspectArguments,
    builder: &runtime::Builder,
    places: &Places,
) -> Outcome {
    let template = Format::read(arguments.format.as_deref())?;
    let platform = platform(arguments.platform.as_deref())?;
    let store = workshop::open_store(builder, places)?;
    let mut shown = Vec::new();
    let mut code = exit::DONE;
    for image in &arguments.images {
        match inspected(store.content(), image, platform.as_ref()) {
            Ok(value) => shown.push((image, value)),
            // Those that are there are shown all the same.
            Err(error @ ImageError::Find(FindError::None { .. })) => {
                report::print(&Box::<Report>::from(error));
                code = exit::FAILED;
            }
            Err(error) => return Err(error.into()),
        }
    }
    format::print(&template.show(&shown)?)?;
    Ok(code)
}

/// How images are shown.
enum Format {
    /// A list in JSON.
    List,
    /// A template for each, and the same for what the first one cannot take: JSON's own keys.
    Template(Box<(Template, Template)>),
}

impl Format {
    fn read(text: Option<&str>) -> Result<Self, Box<Report>> {
        let source = match text {
            None => return Ok(Self::List),
            Some("json") => "{{json .}}",
            Some(text) => text,
        };
        let parse = |missing| {
            let mode = Mode {
                missing,
                ..Mode::default()
            };
            Template::parse(source, mode)
                .map_err(|error| Box::new(Report::new(Kind::Usage, &TemplateError::Parse(error))))
        };
        let both = (parse(MissingKey::NoValue)?, parse(MissingKey::Error)?);
        Ok(Self::Template(Box::new(both)))
    }

    fn show(&self, images: &[(&String, Value)]) -> Result<String, Box<Report>> {
        let Self::Template(templates) = self else {
            let list = Json::Array(images.iter().map(|(_, value)| value.to_json()).collect());
            return Ok(template::indented(&list, "    ") + "\n");
        };
        let (declared, raw) = templates.as_ref();
        let mut text = String::new();
        for (image, value) in images {
            // Docker does the same: its structs first, and then what their JSON has.
            let rendered = declared
                .render(value)
                .or_else(|_| raw.render(&value.to_json().into()));
            text += &rendered.map_err(|source| {
                let image = (*image).clone();
                Box::new(Report::new(
                    Kind::User,
                    &TemplateError::Execute { image, source },
                ))
            })?;
            text.push('\n');
        }
        Ok(text)
    }
}

fn inspected(
    content: &ContentStore,
    text: &str,
    platform: Option<&Platform>,
) -> Result<Value, ImageError> {
    let found = content.find(text)?;
    let details = Details::read(content, found.image);
    let best = match (details.best(platform), platform) {
        (Some(best), _) => best,
        (None, Some(platform)) => {
            return Err(ImageError::NoPlatform {
                image: text.to_owned(),
                platform: platform.clone(),
            });
        }
        (None, None) => {
            return Err(ImageError::NoConfig {
                image: text.to_owned(),
            });
        }
    };
    let config = best.config.as_ref().ok_or_else(|| ImageError::NoConfig {
        image: text.to_owned(),
    })?;
    Ok(value(&details, best, config))
}

fn value(details: &Details, best: &PlatformImage, config: &ImageConfig) -> Value {
    let image = &details.image;
    let tags = image.names.iter().filter(|name| name.tag().is_some());
    let comment = config
        .history
        .last()
        .and_then(|step| step.comment.as_deref())
        .unwrap_or_default();
    let created = config
        .created
        .map(|time| time.to_string())
        .unwrap_or_default();
    let layers = config
        .rootfs
        .diff_ids
        .iter()
        .map(|id| id.digest().to_string());
    let rootfs = Struct::new("image.RootFS")
        .field("Type", "Type", "layers")
        .optional("Layers", "Layers", Value::list_or_nil(layers));
    let metadata = Struct::new("image.Metadata").field("LastTagTime", "LastTagTime", ZERO_TIME);
    Struct::new("image.InspectResponse")
        .field("Id", "Id", image.digest.as_str())
        .field(
            "RepoTags",
            "RepoTags",
            Value::list(tags.map(Reference::familiar)),
        )
        .field(
            "RepoDigests",
            "RepoDigests",
            Value::list(repo_digests(details)),
        )
        .optional("Comment", "Comment", comment)
        .optional("Created", "Created", created)
        .optional(
            "Author",
            "Author",
            config.author.as_deref().unwrap_or_default(),
        )
        .field("Config", "Config", run_config(&config.config))
        .field("Architecture", "Architecture", config.architecture.as_str())
        .optional(
            "Variant",
            "Variant",
            config.variant.as_deref().unwrap_or_default(),
        )
        .field("Os", "Os", config.os.as_str())
        .optional(
            "OsVersion",
            "OsVersion",
            config.os_version.as_deref().unwrap_or_default(),
        )
        .field("Size", "Size", best.size_bytes)
        .field("RootFS", "RootFS", rootfs)
        .field("Metadata", "Metadata", metadata)
        .field("Descriptor", "Descriptor", descriptor(&image.descriptor))
        .into()
}

/// Returns each repository that the image has a name in, with the digest.
fn repo_digests(details: &Details) -> Vec<String> {
    let mut digests: Vec<String> = Vec::new();
    for name in &details.image.names {
        let text = format!("{}@{}", name.familiar_name(), details.image.digest);
        if !digests.contains(&text) {
            digests.push(text);
        }
    }
    digests
}

fn descriptor(descriptor: &Descriptor) -> Struct {
    let annotations = descriptor.annotations().clone().unwrap_or_default();
    Struct::new("v1.Descriptor")
        .field(
            "MediaType",
            "mediaType",
            descriptor.media_type().to_string(),
        )
        .field("Digest", "digest", descriptor.digest().to_string())
        .field("Size", "size", descriptor.size())
        .optional(
            "Annotations",
            "annotations",
            Value::texts(&annotations.into_iter().collect()),
        )
}

pub(in crate::command) fn run_config(config: &RunConfig) -> Struct {
    let set = |names: &BTreeSet<String>| {
        let empty = || Value::from(Map::new(BTreeMap::new()));
        if names.is_empty() {
            return Value::texts(&BTreeMap::new());
        }
        Map::new(names.iter().map(|name| (name.clone(), empty())).collect()).into()
    };
    let healthcheck = match &config.healthcheck {
        Some(healthcheck) => serde_json::to_value(healthcheck).map_or(Value::Null, Value::from),
        None => Value::Nil("*v1.HealthcheckConfig"),
    };
    Struct::new("v1.DockerOCIImageConfig")
        .optional("User", "User", config.user.as_deref().unwrap_or_default())
        .optional("ExposedPorts", "ExposedPorts", set(&config.exposed_ports))
        .optional("Env", "Env", Value::list_or_nil(&config.env))
        .optional(
            "Entrypoint",
            "Entrypoint",
            Value::list_or_nil(&config.entrypoint),
        )
        .optional("Cmd", "Cmd", Value::list_or_nil(&config.cmd))
        .optional("Volumes", "Volumes", set(&config.volumes))
        .optional(
            "WorkingDir",
            "WorkingDir",
            config.working_dir.as_deref().unwrap_or_default(),
        )
        .optional("Labels", "Labels", Value::texts(&config.labels))
        .optional(
            "StopSignal",
            "StopSignal",
            config.stop_signal.as_deref().unwrap_or_default(),
        )
        .optional("ArgsEscaped", "ArgsEscaped", config.args_escaped)
        .optional("Healthcheck", "Healthcheck", healthcheck)
        .optional("OnBuild", "OnBuild", Value::list_or_nil(&config.on_build))
        .optional("Shell", "Shell", Value::list_or_nil(&config.shell))
}
