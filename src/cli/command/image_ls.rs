//! `careen image ls`: the images of the store.

use std::io::{self, Write as _};

use oci::Reference;
use oci::check;
use oci::descriptor::{self, Descriptor};
use store::{BlobSource as _, Store};

use crate::exit;
use crate::options::Places;
use crate::report::{Kind, Report};
use crate::run::Outcome;
use crate::workshop;

/// One line of the list.
struct Row {
    repository: String,
    tag: String,
    digest: String,
    platforms: String,
}

/// Runs `image ls` in the builder.
pub(crate) fn run(builder: &runtime::Builder, places: &Places) -> Outcome {
    let store = workshop::open_store(builder, places)?;
    let tags = store
        .content()
        .tags()
        .map_err(|error| Report::new(Kind::User, &error))?;
    let rows: Vec<_> = tags
        .iter()
        .map(|(name, top)| row(&store, name, top))
        .collect();
    // Whoever closes our output has read what they wanted.
    drop(write(&rows));
    Ok(exit::DONE)
}

fn row(store: &Store, name: &Reference, top: &Descriptor) -> Row {
    Row {
        repository: name.familiar_name(),
        tag: name.tag().unwrap_or("<none>").to_owned(),
        digest: top.digest().to_string(),
        platforms: platforms(store, top),
    }
}

/// Returns the platforms of an index, or of the image itself.
fn platforms(store: &Store, top: &Descriptor) -> String {
    let read = || {
        let digest = descriptor::digest_of(top).ok()?;
        let bytes = store
            .content()
            .read_blob(&digest, oci::limits::MANIFEST_MAX_BYTES)
            .ok()?;
        if check::is_index(&bytes) {
            return Some(check::platforms_of(&check::parse_index(&bytes).ok()?));
        }
        let manifest = check::parse_manifest(&bytes).ok()?;
        let digest = descriptor::digest_of(manifest.config()).ok()?;
        let config = store
            .content()
            .read_blob(&digest, oci::limits::CONFIG_MAX_BYTES)
            .ok()?;
        Some(vec![oci::ImageConfig::parse(&config).ok()?.platform()])
    };
    match read() {
        Some(platforms) => platforms
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", "),
        None => "damaged".to_owned(),
    }
}

fn write(rows: &[Row]) -> io::Result<()> {
    let width = |of: fn(&Row) -> &str, title: &str| {
        rows.iter()
            .map(|row| of(row).len())
            .max()
            .unwrap_or(0)
            .max(title.len())
    };
    let repository = width(|row| &row.repository, "REPOSITORY");
    let tag = width(|row| &row.tag, "TAG");
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{:repository$}   {:tag$}   {:19}   PLATFORMS",
        "REPOSITORY", "TAG", "DIGEST"
    )?;
    for row in rows {
        let short: String = row.digest.chars().take(19).collect();
        writeln!(
            out,
            "{:repository$}   {:tag$}   {short:19}   {}",
            row.repository, row.tag, row.platforms
        )?;
    }
    Ok(())
}
