//! `careen images`: the images of the store, as docker lists them.

use std::rc::Rc;

use oci::{Digest, Reference, Timestamp};
use store::{ContentStore, TagError};
use template::{Struct, Value};

use super::details::Details;
use super::error::ImageError;
use super::filter::Filters;
use super::{now, short, tree};
use crate::args::ImageLsArguments;
use crate::exit;
use crate::format::{self, RowFormat};
use crate::human;
use crate::options::Places;
use crate::run::Outcome;
use crate::workshop;

const NONE: &str = "<none>";
const TITLES: [(&str, &str); 10] = [
    ("ID", "IMAGE ID"),
    ("Repository", "REPOSITORY"),
    ("Tag", "TAG"),
    ("Digest", "DIGEST"),
    ("CreatedSince", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("Size", "SIZE"),
    ("Containers", "CONTAINERS"),
    ("SharedSize", "SHARED SIZE"),
    ("UniqueSize", "UNIQUE SIZE"),
];

/// Runs `images` in the builder.
pub(crate) fn run(
    arguments: &ImageLsArguments,
    builder: &runtime::Builder,
    places: &Places,
) -> Outcome {
    let format = format_of(arguments)?;
    let filters = Filters::of_list(&arguments.filters)?;
    let store = workshop::open_store(builder, places)?;
    let content = store.content();
    let mut images = listed(content).map_err(ImageError::from)?;
    filters.apply(content, &mut images)?;
    let pattern = arguments.repository.as_deref();
    let rows = rows(images, |name| {
        filters.fits_name(name) && pattern.is_none_or(|text| is_asked_for(text, name))
    });
    if arguments.tree {
        format::print(&tree::show(content, &rows))?;
        return Ok(exit::DONE);
    }
    let values: Vec<_> = rows
        .iter()
        .map(|row| row.value(arguments.no_trunc))
        .collect();
    format::print(&format.show(&format::titles(&TITLES), &values)?)?;
    Ok(exit::DONE)
}

fn format_of(arguments: &ImageLsArguments) -> Result<RowFormat, format::FormatError> {
    if arguments.quiet {
        return RowFormat::new(Some("{{.ID}}"), "");
    }
    let digest = if arguments.digests {
        "{{.Digest}}\t"
    } else {
        ""
    };
    let default = format!(
        "{{{{.Repository}}}}\t{{{{.Tag}}}}\t{digest}{{{{.ID}}}}\t{{{{.CreatedSince}}}}\t{{{{.Size}}}}"
    );
    RowFormat::new(arguments.format.as_deref(), &default)
}

/// Returns the images, the newest first; of those of one age in the order of their names.
pub(super) fn listed(content: &ContentStore) -> Result<Vec<Details>, TagError> {
    let images = content.images()?.into_iter();
    let mut images: Vec<_> = images.map(|image| Details::read(content, image)).collect();
    images.sort_by(|a, b| {
        let names = || a.image.names.cmp(&b.image.names);
        b.created().cmp(&a.created()).then_with(names)
    });
    Ok(images)
}

/// One line of the list.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: Option<Reference>,
    pub(super) id: Digest,
    pub(super) created: Option<Timestamp>,
    pub(super) size_bytes: u64,
    pub(super) details: Rc<Details>,
}

/// Returns a line for each name, and one for each image without a name.
fn rows(images: Vec<Details>, is_shown: impl Fn(Option<&Reference>) -> bool) -> Vec<Row> {
    let mut rows = Vec::new();
    for details in images {
        let details = Rc::new(details);
        let mut names: Vec<_> = details.image.names.iter().cloned().map(Some).collect();
        if names.is_empty() {
            names.push(None);
        }
        for name in names.into_iter().filter(|name| is_shown(name.as_ref())) {
            rows.push(Row {
                name,
                id: details.image.digest.clone(),
                created: details.created(),
                size_bytes: details.size_bytes,
                details: Rc::clone(&details),
            });
        }
    }
    rows
}

/// Tells whether a name is the one that was typed behind the command: a repository, with or without a tag, or a
/// pattern.
fn is_asked_for(text: &str, name: Option<&Reference>) -> bool {
    let Some(name) = name else {
        return false;
    };
    match Reference::parse(text) {
        Ok(wanted) => {
            wanted.name() == name.name()
                && wanted.tag().is_none_or(|tag| Some(tag) == name.tag())
                && wanted
                    .digest()
                    .is_none_or(|digest| Some(digest) == name.digest())
        }
        Err(_pattern) => super::filter::fits_pattern(text, name),
    }
}

impl Row {
    fn value(&self, no_trunc: bool) -> Value {
        let name = self.name.as_ref();
        let repository = name.map_or_else(|| NONE.to_owned(), Reference::familiar_name);
        let tag = name.and_then(Reference::tag).unwrap_or(NONE);
        let digest = name.map_or(NONE, |_| self.id.as_str());
        let id = if no_trunc {
            self.id.to_string()
        } else {
            short(self.id.as_str())
        };
        let (at, since) = match self.created {
            Some(created) => (human::date(created), human::ago(created, now())),
            None => ("N/A".to_owned(), "N/A".to_owned()),
        };
        // In the order of docker's JSON.
        Struct::new("image")
            .field("Containers", "Containers", "N/A")
            .field("CreatedAt", "CreatedAt", at)
            .field("CreatedSince", "CreatedSince", since)
            .field("Digest", "Digest", digest)
            .field("ID", "ID", id)
            .field("Repository", "Repository", repository)
            .field("SharedSize", "SharedSize", "N/A")
            .field("Size", "Size", human::size(self.size_bytes, 3))
            .field("Tag", "Tag", tag)
            .field("UniqueSize", "UniqueSize", "N/A")
            .into()
    }
}
