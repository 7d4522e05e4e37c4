//! `careen image history`: how an image was made.

use oci::{Descriptor, History, ImageConfig};
use store::ContentStore;
use template::{Struct, Value};

use super::details::Details;
use super::error::ImageError;
use super::{now, platform, short};
use crate::args::ImageHistoryArguments;
use crate::exit;
use crate::format::{self, RowFormat};
use crate::human;
use crate::options::Places;
use crate::run::Outcome;
use crate::workshop;

/// The image of a step that is no image itself.
const MISSING: &str = "<missing>";
/// How much of an instruction is shown.
const INSTRUCTION_WIDTH: usize = 45;
const DEFAULT: &str = "{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}";
const TITLES: [(&str, &str); 6] = [
    ("ID", "IMAGE"),
    ("CreatedSince", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("CreatedBy", "CREATED BY"),
    ("Size", "SIZE"),
    ("Comment", "COMMENT"),
];

/// Runs `image history` in the builder.
pub(crate) fn run(
    arguments: &ImageHistoryArguments,
    builder: &runtime::Builder,
    places: &Places,
) -> Outcome {
    let text = if arguments.quiet {
        Some("{{.ID}}")
    } else {
        arguments.format.as_deref()
    };
    let format = RowFormat::new(text, DEFAULT)?;
    let platform = platform(arguments.platform.as_deref())?;
    let store = workshop::open_store(builder, places)?;
    let steps = steps(store.content(), &arguments.image, platform.as_ref())?;
    let rows: Vec<_> = steps.iter().map(|step| step.value(arguments)).collect();
    format::print(&format.show(&format::titles(&TITLES), &rows)?)?;
    Ok(exit::DONE)
}

/// One step in the making.
struct Step {
    id: String,
    history: History,
    size_bytes: u64,
}

/// Returns the steps, the last one first.
fn steps(
    content: &ContentStore,
    text: &str,
    platform: Option<&oci::Platform>,
) -> Result<Vec<Step>, ImageError> {
    let found = content.find(text)?;
    let details = Details::read(content, found.image);
    let best = details.best(platform);
    let read = best.and_then(|best| Some((best.config.as_ref()?, best.manifest.as_ref()?)));
    let Some((config, manifest)) = read else {
        let image = text.to_owned();
        return Err(match platform.cloned() {
            Some(platform) => ImageError::NoPlatform { image, platform },
            None => ImageError::NoConfig { image },
        });
    };
    let mut steps = with_sizes(config, manifest.layers());
    steps.reverse();
    if let Some(last) = steps.first_mut() {
        last.id = details.image.digest.to_string();
    }
    Ok(steps)
}

/// Joins the steps with the layers that they made; what has no history is a step without words.
fn with_sizes(config: &ImageConfig, layers: &[Descriptor]) -> Vec<Step> {
    let mut layers = layers.iter().map(Descriptor::size);
    let mut steps: Vec<_> = config
        .history
        .iter()
        .map(|history| Step {
            id: MISSING.to_owned(),
            history: history.clone(),
            size_bytes: if history.empty_layer {
                0
            } else {
                layers.next().unwrap_or(0)
            },
        })
        .collect();
    steps.extend(layers.map(|size_bytes| Step {
        id: MISSING.to_owned(),
        history: History::default(),
        size_bytes,
    }));
    steps
}

impl Step {
    fn value(&self, arguments: &ImageHistoryArguments) -> Value {
        let created = self.history.created;
        let at = created.map(|time| time.to_string()).unwrap_or_default();
        let since = match created {
            Some(time) if arguments.human => human::ago(time, now()),
            Some(_) => at.clone(),
            None => "N/A".to_owned(),
        };
        let by = self
            .history
            .created_by
            .as_deref()
            .unwrap_or_default()
            .replace('\t', " ");
        let by = if arguments.no_trunc {
            by
        } else {
            shortened(&by)
        };
        let size = if arguments.human {
            human::size(self.size_bytes, 3)
        } else {
            self.size_bytes.to_string()
        };
        let is_short = !arguments.no_trunc && self.id != MISSING;
        let id = if is_short {
            short(&self.id)
        } else {
            self.id.clone()
        };
        // In the order of docker's JSON.
        Struct::new("history")
            .field(
                "Comment",
                "Comment",
                self.history.comment.as_deref().unwrap_or_default(),
            )
            .field("CreatedAt", "CreatedAt", at)
            .field("CreatedBy", "CreatedBy", by)
            .field("CreatedSince", "CreatedSince", since)
            .field("ID", "ID", id)
            .field("Size", "Size", size)
            .into()
    }
}

/// Returns the beginning of a text that is too long.
fn shortened(text: &str) -> String {
    if text.chars().count() <= INSTRUCTION_WIDTH {
        return text.to_owned();
    }
    let start: String = text.chars().take(INSTRUCTION_WIDTH - 1).collect();
    start + "…"
}
