//! `careen imagetools inspect`: what a name leads to, wherever it is.

use std::cell::RefCell;
use std::rc::Rc;

use oci::check::{is_index, parse_index};
use oci::descriptor::platform_of;
use oci::{Descriptor, ImageIndex, Platform};
use template::{ExecuteError, JsonStyle, Mode, ParseError, Struct, Template, Value};
use transport::{Document, Location, Source};

use super::attested::{self, Attestations};
use super::shown;
use super::{Carrier, IndexError, Surroundings, misused};
use crate::args::ImagetoolsInspectArguments;
use crate::exit;
use crate::format;
use crate::options::transfer;
use crate::report::{Kind, Report};
use crate::run::Outcome;

/// Why `--format` cannot be followed.
#[derive(Debug, thiserror::Error)]
enum TemplateError {
    #[error("`--format` is no template")]
    Parse(#[source] ParseError),
    #[error("`--format` does not suit `{image}`")]
    Execute { image: String, source: ExecuteError },
}

/// Runs `imagetools inspect` in the builder.
pub(super) fn run(arguments: &ImagetoolsInspectArguments, around: Surroundings<'_>) -> Outcome {
    let template = arguments.format.as_deref().map(parse).transpose()?;
    let location = transfer::source(&arguments.image, &arguments.registry, around.env)
        .map_err(|error| misused(&error.into()))?;
    let registries = transfer::registries(&arguments.registry, around.env, &[&location])
        .map_err(|error| misused(&error.into()))?;
    let carrier = Carrier::with_registries(around, &registries)?;
    let source = carrier.source(&location)?;
    let root = read_root(source.as_ref()).map_err(|error| carrier.of(&error))?;
    if arguments.raw {
        format::print_bytes(&root.bytes)?;
        return Ok(exit::DONE);
    }
    let seen = Rc::new(Seen {
        name: name_of(&location),
        source,
        root,
        failure: RefCell::new(None),
    });
    let text = match &template {
        None => seen.summary().map_err(|error| carrier.of(&error))?,
        Some(template) => render(&carrier, template, &seen, &arguments.image)?,
    };
    format::print(&text)?;
    Ok(exit::DONE)
}

fn parse(text: &str) -> Result<Template, Box<Report>> {
    let mode = Mode {
        json: JsonStyle::Indented,
        ..Mode::default()
    };
    Template::parse(text, mode)
        .map_err(|error| Box::new(Report::new(Kind::Usage, &TemplateError::Parse(error))))
}

/// Returns the name of a place in full: of a registry, the reference.
fn name_of(location: &Location) -> String {
    match location {
        Location::Registry(name) => name.to_string(),
        other => other.to_string(),
    }
}

/// Reads what a source's name leads to.
pub(super) fn read_root(source: &dyn Source) -> Result<Document, IndexError> {
    source.root().map_err(|error| IndexError::Read {
        shown: source.shown(),
        source: error,
    })
}

fn render(
    carrier: &Carrier,
    template: &Template,
    seen: &Rc<Seen>,
    image: &str,
) -> Result<String, Box<Report>> {
    let rendered = template.render(&seen.value());
    // What could not be read is the reason, not that the template asked for it.
    if let Some(error) = seen.failure.take() {
        return Err(carrier.of(&error));
    }
    let text = rendered.map_err(|source| {
        let image = image.to_owned();
        Box::new(Report::new(
            Kind::User,
            &TemplateError::Execute { image, source },
        ))
    })?;
    Ok(text + "\n")
}

/// What is inspected.
struct Seen {
    name: String,
    source: Box<dyn Source>,
    root: Document,
    /// Why something that the template asked for could not be read.
    failure: RefCell<Option<IndexError>>,
}

impl Seen {
    fn index(&self) -> Result<Option<ImageIndex>, IndexError> {
        if !is_index(&self.root.bytes) {
            return Ok(None);
        }
        let index = parse_index(&self.root.bytes).map_err(|source| {
            IndexError::Combine(transport::CombineError::Document {
                shown: self.source.shown(),
                digest: self.root.descriptor.digest().to_string(),
                source,
            })
        })?;
        Ok(Some(index))
    }

    /// Returns what is shown without `--format`, as buildx shows it.
    fn summary(&self) -> Result<String, IndexError> {
        let descriptor = &self.root.descriptor;
        let top = [
            ("Name".to_owned(), self.name.clone()),
            ("MediaType".to_owned(), descriptor.media_type().to_string()),
            ("Digest".to_owned(), descriptor.digest().to_string()),
        ];
        let mut text = laid_out("", &top, width(&top));
        let Some(index) = self.index()? else {
            return Ok(text);
        };
        let entries: Vec<_> = index
            .manifests()
            .iter()
            .map(|entry| self.fields(entry))
            .collect();
        let width = entries
            .iter()
            .map(|fields| width(fields))
            .max()
            .unwrap_or(0);
        text.push_str("\nManifests:\n");
        for (at, (entry, fields)) in index.manifests().iter().zip(&entries).enumerate() {
            if at > 0 {
                text.push('\n');
            }
            text.push_str(&laid_out("  ", fields, width));
            let annotations = annotations(entry);
            text.push_str(&laid_out("    ", &annotations, self::width(&annotations)));
        }
        Ok(text)
    }

    /// Returns what is shown of an entry of an index.
    fn fields(&self, entry: &Descriptor) -> Vec<(String, String)> {
        let mut fields = vec![
            (
                "Name".to_owned(),
                format!("{}@{}", self.tagged(), entry.digest()),
            ),
            ("MediaType".to_owned(), entry.media_type().to_string()),
        ];
        if let Some(platform) = platform_of(entry) {
            fields.push(("Platform".to_owned(), platform.to_string()));
            let version = platform
                .os_version
                .map(|version| ("OSVersion".to_owned(), version));
            fields.extend(version);
            if !platform.os_features.is_empty() {
                fields.push(("OSFeatures".to_owned(), platform.os_features.join(", ")));
            }
        }
        if !annotations(entry).is_empty() {
            fields.push(("Annotations".to_owned(), String::new()));
        }
        fields
    }

    /// Returns the name of an image of a registry without its digest, as buildx puts the digest of an entry behind the tag.
    fn tagged(&self) -> &str {
        match (self.source.repository(), self.name.split_once('@')) {
            (Some(_), Some((name, _digest))) => name,
            _ => &self.name,
        }
    }

    /// Returns the data of templates. What has to be fetched is, when a template asks for it.
    fn value(self: &Rc<Self>) -> Value {
        let manifest = self
            .index()
            .map(|index| shown::manifest(&self.root.descriptor, index.as_ref()));
        let manifest =
            manifest.unwrap_or_else(|_malformed| shown::manifest(&self.root.descriptor, None));
        let (image, provenance, sbom) = (Rc::clone(self), Rc::clone(self), Rc::clone(self));
        Struct::new("image")
            .field("Name", "name", self.name.as_str())
            .field("Manifest", "manifest", manifest)
            .method("Image", move |_| image.fetched(Self::images))
            .method("Provenance", move |_| {
                provenance.fetched(|seen| seen.attested(attested::provenance))
            })
            .method("SBOM", move |_| {
                sbom.fetched(|seen| seen.attested(attested::sbom))
            })
            .into()
    }

    /// Does what a template asks for, and keeps the reason why it cannot be done.
    fn fetched<F: FnOnce(&Self) -> Result<Value, IndexError>>(
        &self,
        fetch: F,
    ) -> Result<Value, String> {
        fetch(self).map_err(|error| {
            let text = error.to_string();
            *self.failure.borrow_mut() = Some(error);
            text
        })
    }

    /// Returns the configuration of the image, or of each platform.
    fn images(&self) -> Result<Value, IndexError> {
        let mut images = Vec::new();
        for (platform, manifest) in self.manifests()? {
            let config = shown::config_of(self.source.as_ref(), &manifest)?;
            let platform = platform.unwrap_or_else(|| config.platform());
            images.push((platform.to_string(), shown::image(&config)));
        }
        Ok(shown::one_or_by_platform(images))
    }

    /// Returns what is attested of the image, or of each platform.
    fn attested(
        &self,
        kind: fn(&Attestations<'_>, &str) -> Result<Option<Value>, IndexError>,
    ) -> Result<Value, IndexError> {
        let index = self.index()?;
        let attestations = Attestations::new(self.source.as_ref(), index.as_ref());
        let mut found = Vec::new();
        for (platform, manifest) in self.manifests()? {
            let platform = platform.map_or_else(String::new, |platform| platform.to_string());
            let digest = manifest.descriptor.digest().to_string();
            if let Some(value) = kind(&attestations, &digest)? {
                found.push((platform, value));
            }
        }
        let platforms = index.map_or(1, |index| oci::check::platforms_of(&index).len());
        Ok(shown::one_or_by_platform_of(found, platforms))
    }

    /// Returns the manifests of images, with what the index says that they are for.
    fn manifests(&self) -> Result<Vec<(Option<Platform>, Document)>, IndexError> {
        let Some(index) = self.index()? else {
            return Ok(vec![(None, self.root.clone())]);
        };
        let mut manifests = Vec::new();
        for entry in index
            .manifests()
            .iter()
            .filter(|entry| !oci::check::is_attestation(entry))
        {
            let document = shown::document(self.source.as_ref(), entry)?;
            manifests.push((platform_of(entry), document));
        }
        Ok(manifests)
    }
}

fn annotations(entry: &Descriptor) -> Vec<(String, String)> {
    let annotations = entry.annotations().clone().unwrap_or_default();
    let mut annotations: Vec<_> = annotations.into_iter().collect();
    annotations.sort();
    annotations
}

/// Returns how wide the names of fields are, with the colon.
fn width(fields: &[(String, String)]) -> usize {
    fields
        .iter()
        .map(|(name, _)| name.chars().count() + 1)
        .max()
        .unwrap_or(0)
}

/// Returns a line for each field.
fn laid_out(indent: &str, fields: &[(String, String)], width: usize) -> String {
    let line = |(name, value): &(String, String)| {
        let name = format!("{name}:");
        format!("{indent}{name:width$} {value}")
            .trim_end()
            .to_owned()
            + "\n"
    };
    fields.iter().map(line).collect()
}
