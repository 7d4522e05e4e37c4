//! `history inspect`: what a build was, in buildx' sections.

use std::fmt::Write as _;

use template::columns::Columns;
use template::{Mode, Struct, Template, Value};

use super::{duration, named, refer, time, unreadable};
use crate::account::{Account, Step};
use crate::args::HistoryInspectArguments;
use crate::exit;
use crate::format::{self, FormatError};
use crate::history::{Entry, Record, Shelf};
use crate::human;
use crate::report::{Kind, Report};
use crate::run::Outcome;

/// Nothing can be shown of a build.
#[derive(Debug, thiserror::Error)]
enum InspectError {
    /// Its file is not whole.
    #[error("the record of `{id}` is not whole")]
    Torn { id: String },
    /// An attachment is asked for.
    #[error("`history inspect attachment` is not supported: builds have no attestations")]
    Attachment,
}

/// A base of a build.
struct Material {
    uri: String,
    digest: String,
}

/// Runs `history inspect`.
pub(super) fn run(arguments: &HistoryInspectArguments, shelf: &Shelf) -> Outcome {
    if arguments.build.as_deref() == Some("attachment") {
        return Err(Box::new(Report::new(
            Kind::Usage,
            &InspectError::Attachment,
        )));
    }
    let entries = shelf.entries().map_err(|error| unreadable(&error))?;
    let entry = refer::find(&entries, arguments.build.as_deref())?;
    let record = whole(&entry)?;
    let account = entry.account().map_err(|error| unreadable(&error))?;
    let materials = materials(&account);
    let text = match arguments.format.as_deref().unwrap_or("pretty") {
        "pretty" => pretty(&record, &materials, arguments.explain),
        "json" => format!("{:#}\n", value(&record, &materials).to_json()),
        text => by_template(text, &value(&record, &materials))?,
    };
    format::print(&text)?;
    Ok(exit::DONE)
}

fn whole(entry: &Entry) -> Result<Record, Box<Report>> {
    let record = entry.record().map_err(|error| unreadable(&error))?;
    record.ok_or_else(|| {
        let id = entry.id.to_string();
        Box::new(Report::new(Kind::User, &InspectError::Torn { id }))
    })
}

fn by_template(text: &str, value: &Value) -> Result<String, FormatError> {
    let template = Template::parse(text, Mode::default()).map_err(FormatError::Parse)?;
    Ok(template.render(value).map_err(FormatError::Execute)? + "\n")
}

/// Returns the bases, each once.
fn materials(account: &Account) -> Vec<Material> {
    let mut materials: Vec<Material> = Vec::new();
    for step in account.steps() {
        let Some(material) = material(step) else {
            continue;
        };
        if !materials.iter().any(|known| known.uri == material.uri) {
            materials.push(material);
        }
    }
    materials
}

fn material(step: &Step) -> Option<Material> {
    let digest = step.manifest()?;
    let label = step.label.as_ref()?;
    let words = label.text.split_whitespace().skip(1);
    let name = words.into_iter().find(|word| !word.starts_with("--"))?;
    let platform = label
        .platform
        .as_ref()
        .map(|platform| platform.replace('/', "%2F"));
    let (name, tag) = match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, format!("@{tag}")),
        _ => (name, String::new()),
    };
    let query = platform.map_or_else(String::new, |platform| format!("?platform={platform}"));
    Some(Material {
        uri: format!("pkg:docker/{name}{tag}{query}"),
        digest,
    })
}

fn pretty(record: &Record, materials: &[Material], explains: bool) -> String {
    let sections = [
        what(record),
        how(record),
        arguments(record),
        table(
            "Materials",
            "URI\tDIGEST",
            materials
                .iter()
                .map(|material| format!("{}\t{}", material.uri, material.digest)),
        ),
        table(
            "Attachments",
            "DIGEST\tPLATFORM\tTYPE",
            record.images.iter().map(|image| {
                let platforms = record.built.platforms.join(",");
                format!("{}\t{platforms}\t{}", image.digest, image.media_type)
            }),
        ),
        explained(record, explains),
        format!("Print build logs: careen history logs {}\n", record.id),
    ];
    let there = sections.into_iter().filter(|section| !section.is_empty());
    there.collect::<Vec<_>>().join("\n")
}

/// Returns a section of names and values; those that are empty are left out.
fn section(lines: &[(&str, String)]) -> String {
    let there = lines.iter().filter(|(_, value)| !value.is_empty());
    let line = |(name, value): &(&str, String)| format!("{:<16}{value}\n", format!("{name}:"));
    there.map(line).collect()
}

fn what(record: &Record) -> String {
    let built = &record.built;
    section(&[
        ("Name", built.name.clone()),
        ("Context", built.context.clone()),
        ("Dockerfile", built.dockerfile.clone()),
        ("Target", built.target.clone().unwrap_or_default()),
        ("Platforms", built.platforms.join(", ")),
        ("Tags", built.tags.join(", ")),
    ])
}

fn how(record: &Record) -> String {
    let created = record.created().map(human::date);
    let created = created.map(|date| date.trim_end_matches(" +0000 UTC").to_owned());
    let steps = record.steps;
    let no_cache = if record.built.no_cache { "true" } else { "" };
    let cached = (100 * steps.cached).checked_div(steps.total).unwrap_or(0);
    section(&[
        ("Started", created.unwrap_or_default()),
        ("Duration", duration(record)),
        ("Status", record.status.word().to_owned()),
        (
            "Build Steps",
            format!("{}/{} ({cached}% cached)", steps.completed, steps.total),
        ),
        ("No Cache", no_cache.to_owned()),
        ("Error", record.error.clone().unwrap_or_default()),
    ])
}

fn arguments(record: &Record) -> String {
    let pairs = |pairs: &std::collections::BTreeMap<String, String>| {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| format!("{name}\t{value}"))
            .collect::<Vec<_>>()
    };
    let args = table("Build Args", "NAME\tVALUE", pairs(&record.built.build_args));
    let labels = table("Labels", "NAME\tVALUE", pairs(&record.built.labels));
    let there = [args, labels].into_iter().filter(|table| !table.is_empty());
    there.collect::<Vec<_>>().join("\n")
}

/// Returns a section of columns; empty if there are no rows.
fn table(title: &str, head: &str, rows: impl IntoIterator<Item = String>) -> String {
    let mut text = String::new();
    for row in rows {
        // What was given may have anything in it; a row is a line.
        text += &row.replace(['\n', '\r'], " ");
        text.push('\n');
    }
    if text.is_empty() {
        return text;
    }
    format!(
        "{title}:\n{}",
        Columns::DOCKER.lay_out(&format!("{head}\n{text}"))
    )
}

fn explained(record: &Record, is_asked: bool) -> String {
    if !is_asked {
        return String::new();
    }
    let mut text = String::from("Steps that ran:\n");
    for explained in &record.explained {
        write!(text, "{explained}").expect("a text takes all that is written");
    }
    if record.explained.is_empty() {
        text += "none\n";
    }
    text
}

/// Returns a build as JSON and templates have it.
fn value(record: &Record, materials: &[Material]) -> Value {
    let count = |number: usize| Value::from(u64::try_from(number).unwrap_or(u64::MAX));
    let built = &record.built;
    let pairs = |pairs: &std::collections::BTreeMap<String, String>| {
        Value::list_or_nil(pairs.iter().map(|(name, value)| named(name, value)))
    };
    let nanos = u64::try_from(record.took().as_nanos()).unwrap_or(u64::MAX);
    let explained = serde_json::to_value(&record.explained).unwrap_or_default();
    let platforms = Value::list(built.platforms.iter().map(String::as_str));
    let error = record
        .error
        .as_deref()
        .map(|message| Value::from(Struct::new("error").field("Message", "Message", message)));
    let mut value = Struct::new("build")
        .field("Name", "Name", built.name.as_str())
        .field("Ref", "Ref", record.id.to_string())
        .field("Context", "Context", built.context.as_str())
        .field("Dockerfile", "Dockerfile", built.dockerfile.as_str())
        .optional(
            "Target",
            "Target",
            built.target.as_deref().unwrap_or_default(),
        )
        .field("Platform", "Platform", platforms)
        .field("StartedAt", "StartedAt", time(record.created()))
        .field("CompletedAt", "CompletedAt", time(record.completed()))
        .field("Duration", "Duration", nanos)
        .field(
            "Status",
            "Status",
            record.status.word().to_ascii_lowercase(),
        );
    if let Some(error) = error {
        value = value.field("Error", "Error", error);
    }
    value
        .field(
            "NumCompletedSteps",
            "NumCompletedSteps",
            count(record.steps.completed),
        )
        .field("NumTotalSteps", "NumTotalSteps", count(record.steps.total))
        .field(
            "NumCachedSteps",
            "NumCachedSteps",
            count(record.steps.cached),
        )
        .optional("BuildArgs", "BuildArgs", pairs(&built.build_args))
        .optional("Labels", "Labels", pairs(&built.labels))
        .optional("Materials", "Materials", material_values(materials))
        .optional("Attachments", "Attachments", attachments(record))
        .field("Explained", "Explained", Value::from(explained))
        .into()
}

fn material_values(materials: &[Material]) -> Value {
    let value = |material: &Material| {
        Value::from(
            Struct::new("material")
                .field("URI", "URI", material.uri.as_str())
                .field(
                    "Digests",
                    "Digests",
                    Value::list([material.digest.as_str()]),
                ),
        )
    };
    Value::list_or_nil(materials.iter().map(value))
}

fn attachments(record: &Record) -> Value {
    let value = |image: &crate::history::WrittenImage| {
        Value::from(
            Struct::new("attachment")
                .field("Digest", "Digest", image.digest.as_str())
                .field("Platform", "Platform", record.built.platforms.join(","))
                .field("Type", "Type", image.media_type.as_str()),
        )
    };
    Value::list_or_nil(record.images.iter().map(value))
}
