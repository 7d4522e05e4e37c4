//! `careen images --tree`: each image with its platforms below it.

use oci::Reference;
use store::ContentStore;
use template::columns::Columns;

use super::details::{Details, PlatformImage};
use super::ls::Row;
use super::short;
use crate::human;

/// Returns the tree.
pub(super) fn show(content: &ContentStore, rows: &[Row]) -> String {
    let mut text = "IMAGE\tID\tCONTENT SIZE\n".to_owned();
    for row in rows {
        let name = row
            .name
            .as_ref()
            .map_or_else(|| "<untagged>".to_owned(), Reference::familiar);
        text += &line(&name, row.id.as_str(), row.size_bytes);
        if is_of_several(&row.details) {
            for (at, image) in row.details.platforms.iter().enumerate() {
                let is_last = at + 1 == row.details.platforms.len();
                text += &branch(content, image, is_last);
            }
        }
    }
    Columns::DOCKER.lay_out(&text)
}

/// Tells whether an image is an index: then what it is for stands below it.
fn is_of_several(details: &Details) -> bool {
    details
        .platforms
        .first()
        .is_none_or(|first| first.digest != details.image.digest)
}

fn branch(content: &ContentStore, image: &PlatformImage, is_last: bool) -> String {
    let twig = if is_last { "└─" } else { "├─" };
    let platform = image
        .platform
        .as_ref()
        .map_or_else(|| "unknown".to_owned(), ToString::to_string);
    let missing = if image.is_whole(content) {
        ""
    } else {
        " (not all here)"
    };
    line(
        &format!("{twig} {platform}{missing}"),
        image.digest.as_str(),
        image.size_bytes,
    )
}

fn line(name: &str, id: &str, size_bytes: u64) -> String {
    format!("{name}\t{}\t{}\n", short(id), human::size(size_bytes, 3))
}
