//! `ls`: the builders and their nodes, in buildx' columns.

use template::{Struct, Value};

use super::platforms::{self, Runnable};
use super::refused;
use crate::args::BuilderLsArguments;
use crate::builders::{Builder, BuilderName, Builders, Chosen, ChosenError, Place};
use crate::env::Environment;
use crate::exit;
use crate::format::{self, RowFormat};
use crate::options::Places;
use crate::run::Outcome;

/// The columns that are shown if nothing else is asked for.
const TABLE: &str = "{{.Name}}\t{{.DriverEndpoint}}\t{{.Status}}\t{{.Buildkit}}\t{{.Platforms}}";

/// What a node that is elsewhere is, until careen builds there.
const UNSUPPORTED: &str = "unsupported";

/// Runs `ls`.
pub(super) fn run(arguments: &BuilderLsArguments, places: &Places, env: &Environment) -> Outcome {
    let format = RowFormat::new(arguments.format.as_deref(), TABLE)?;
    let (builders, current) = all(env).map_err(|error| refused(&error))?;
    let here = platforms::of_this_machine(places);
    let is_json = arguments.format.as_deref() == Some("json");
    let mut rows = Vec::new();
    for builder in &builders {
        let is_current = builder.name == current;
        if is_json {
            rows.push(whole(builder, is_current, (&here, env)));
            continue;
        }
        rows.push(first_row(builder, is_current, env));
        rows.extend(builder.nodes.iter().map(|node| {
            let (status, version) = state_of(&node.endpoint);
            row(&format!(" \\_ {}", node.name))
                .field(
                    "DriverEndpoint",
                    "DriverEndpoint",
                    format!(" \\_ {}", node.endpoint),
                )
                .field("LastActivity", "LastActivity", "")
                .field("Status", "Status", status)
                .field("Buildkit", "Buildkit", version)
                .field(
                    "Platforms",
                    "Platforms",
                    platforms::of_node(node, &here).join(", "),
                )
                .field("Error", "Error", "")
                .into()
        }));
    }
    format::print(&format.show(&titles(), &rows)?)?;
    Ok(exit::DONE)
}

/// Returns all builders, the one that is always there first, and the name of the one that builds take.
fn all(env: &Environment) -> Result<(Vec<Builder>, BuilderName), ChosenError> {
    let kept = Builders::find(env)?;
    let current = Chosen::find(env, None)?.builder.name;
    let engine = if current.is_local_engine() {
        current.clone()
    } else {
        BuilderName::of_default()
    };
    let mut builders = vec![Builder::of_this_machine(engine)];
    for name in kept.names()? {
        // Somebody may have removed it meanwhile.
        builders.extend(kept.get(&name)?);
    }
    Ok((builders, current))
}

/// Returns what a node is, and which version builds there.
pub(super) fn state_of(place: &Place) -> (&'static str, &'static str) {
    match place {
        Place::Here => ("running", concat!("v", env!("CARGO_PKG_VERSION"))),
        Place::Ssh(_) => (UNSUPPORTED, ""),
    }
}

/// Returns when a build took a builder last, as Go prints a time.
pub(super) fn last_activity(builder: &Builder, env: &Environment) -> Option<String> {
    let used = Builders::find(env).ok()?.last_use(&builder.name)?;
    let time = jiff::Timestamp::try_from(used).ok()?;
    Some(time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string())
}

fn row(name: &str) -> Struct {
    Struct::new("builder").field("Name", "Name", name)
}

fn first_row(builder: &Builder, is_current: bool, env: &Environment) -> Value {
    let star = if is_current { " *" } else { "" };
    row(&format!("{}{star}", builder.name))
        .field(
            "DriverEndpoint",
            "DriverEndpoint",
            builder.driver.to_string(),
        )
        .field(
            "LastActivity",
            "LastActivity",
            last_activity(builder, env).unwrap_or_default(),
        )
        .field("Status", "Status", "")
        .field("Buildkit", "Buildkit", "")
        .field("Platforms", "Platforms", "")
        .field("Error", "Error", "")
        .into()
}

/// Returns a builder with its nodes, as `--format json` shows it.
fn whole(builder: &Builder, is_current: bool, (here, env): (&[Runnable], &Environment)) -> Value {
    let node = |node: &crate::builders::Node| {
        let (status, version) = state_of(&node.endpoint);
        let platforms = platforms::of_node(node, here).into_iter().map(Value::from);
        Value::from(
            Struct::new("node")
                .field("Name", "Name", node.name.as_str())
                .field("Endpoint", "Endpoint", node.endpoint.to_string())
                .field("Status", "Status", status)
                .field("Version", "Version", version)
                .field("Platforms", "Platforms", Value::list(platforms)),
        )
    };
    let nodes = builder.nodes.iter().map(node);
    Struct::new("builder")
        .field("Name", "Name", builder.name.as_str())
        .field("Driver", "Driver", builder.driver.to_string())
        .field("Current", "Current", is_current)
        .field(
            "LastActivity",
            "LastActivity",
            last_activity(builder, env).unwrap_or_default(),
        )
        .field("Nodes", "Nodes", Value::list(nodes))
        .into()
}

fn titles() -> Value {
    format::titles(&[
        ("Name", "NAME/NODE"),
        ("DriverEndpoint", "DRIVER/ENDPOINT"),
        ("LastActivity", "LAST ACTIVITY"),
        ("Status", "STATUS"),
        ("Buildkit", "BUILDKIT"),
        ("Platforms", "PLATFORMS"),
        ("Error", "ERROR"),
    ])
}
