//! `careen rmi`: names are taken away, and images that have none left are removed.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use oci::{Digest, Reference};
use store::{ContentStore, FindError, FoundImage, Store};

use super::error::ImageError;
use crate::args::ImageRmArguments;
use crate::exit;
use crate::format;
use crate::options::Places;
use crate::report::{self, Report};
use crate::run::Outcome;
use crate::workshop;

/// Runs `image rm` in the builder.
pub(crate) fn run(
    arguments: &ImageRmArguments,
    builder: &runtime::Builder,
    places: &Places,
) -> Outcome {
    let store = workshop::open_store(builder, places)?;
    let mut code = exit::DONE;
    for image in &arguments.images {
        match remove(&store, image, arguments.force) {
            Ok(said) => format::print(&said)?,
            Err(ImageError::Find(FindError::None { .. })) if arguments.force => {}
            Err(error) => {
                report::print(&Box::<Report>::from(error));
                code = exit::FAILED;
            }
        }
    }
    Ok(code)
}

/// What is removed: names, and perhaps the image.
#[derive(Debug, Default)]
pub(super) struct Removal {
    pub(super) names: Vec<Reference>,
    pub(super) image: Option<Digest>,
}

impl Removal {
    fn said(&self) -> String {
        let mut text = String::new();
        for name in &self.names {
            writeln!(text, "Untagged: {}", name.familiar())
                .expect("a String takes what is written");
        }
        if let Some(image) = &self.image {
            writeln!(text, "Deleted: {image}").expect("a String takes what is written");
        }
        text
    }
}

fn remove(store: &Store, text: &str, is_forced: bool) -> Result<String, ImageError> {
    let content = store.content();
    let found = content.find(text)?;
    // What the image leads to is asked for while it is whole.
    let blobs = content.reached([&found.image.descriptor]);
    let removal = take_names(content, text, found, is_forced)?;
    if removal.image.is_some() {
        sweep(store, blobs)?;
    }
    Ok(removal.said())
}

fn take_names(
    content: &ContentStore,
    text: &str,
    found: FoundImage,
    is_forced: bool,
) -> Result<Removal, ImageError> {
    let FoundImage { image, name } = found;
    let names = match name {
        Some(name) if image.names.contains(&name) => vec![name],
        // By its id, or by a repository and its digest.
        _ if image.names.len() > 1 && !is_forced => {
            let names: Vec<_> = image.names.iter().map(Reference::familiar).collect();
            return Err(ImageError::SeveralNames {
                image: text.to_owned(),
                names: names.join(", "),
            });
        }
        _ => image.names.clone(),
    };
    if names.len() < image.names.len() {
        for name in &names {
            content.untag(name)?;
        }
        return Ok(Removal { names, image: None });
    }
    let names = content.forget(&image.digest)?.unwrap_or_default();
    Ok(Removal {
        names,
        image: Some(image.digest),
    })
}

/// Removes blobs that nothing needs any more.
pub(super) fn sweep(store: &Store, blobs: BTreeSet<Digest>) -> Result<u64, ImageError> {
    Ok(store.sweep(blobs)?.bytes())
}
