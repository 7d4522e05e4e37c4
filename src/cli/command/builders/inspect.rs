//! `inspect`: a builder, and what is true of this machine: what commands are run with and why, for which platforms, where
//! what is built is kept.

use std::fmt::Write as _;
use std::path::Path;

use runtime::ExecutorMode;
use runtime::probe::{Choice, Primitive, Thoroughness};
use runtime::userns::IdPlan;
use store::Medium;
use vendor_shim::emulation;
use vendor_shim::idmap::IdRange;

use super::ls::{last_activity, state_of};
use super::platforms::{self, Runnable};
use super::{refused, rules, tell_bootstrap};
use crate::args::BuilderInspectArguments;
use crate::builders::{Chosen, Driver, Node, Place};
use crate::config::Config;
use crate::env::Environment;
use crate::exit;
use crate::format;
use crate::host::{self, Host};
use crate::human;
use crate::options::{Places, disk};
use crate::report::{Kind, Report};
use crate::run::Outcome;

/// How wide the column of names is in the part about a builder, and in those about its nodes.
const BUILDER_NAMES: usize = 14;
const NODE_NAMES: usize = 22;

/// Runs `inspect`.
pub(super) fn run(
    arguments: &BuilderInspectArguments,
    places: &Places,
    env: &Environment,
) -> Outcome {
    let chosen = Chosen::find(env, arguments.name.as_deref()).map_err(|error| refused(&error))?;
    if arguments.bootstrap && chosen.builder.driver == Driver::DockerContainer {
        tell_bootstrap(&chosen.builder.name);
    }
    let config = Config::load(env).map_err(|error| Report::new(Kind::Usage, &error))?;
    let mut host = Host::look(env);
    let choice = host.choose(&places.store, places.executor)?;
    let here = Here {
        snapshotter: snapshotter(&host, &places.store, choice.plan.id_map().mode()),
        choice,
        config,
        runnable: platforms::of_this_machine(places),
        host,
    };
    let own = chosen.own_store(&places.store);
    let store = own.as_deref().unwrap_or(&places.store);
    let mut text = heading(&chosen, env);
    for node in &chosen.builder.nodes {
        text.push_str(&of_node(node, store, &here)?);
    }
    format::print(&text)?;
    Ok(exit::DONE)
}

/// What is true of this machine.
struct Here {
    host: Host,
    choice: Choice,
    runnable: Vec<Runnable>,
    config: Config,
    /// How layers become one file system, in BuildKit's words.
    snapshotter: &'static str,
}

/// Lines of a name and a value.
struct Lines {
    text: String,
    width: usize,
}

impl Lines {
    fn new(width: usize) -> Self {
        let text = String::new();
        Self { text, width }
    }

    fn add(&mut self, name: &str, value: &str) {
        let (name, width) = (format!("{name}:"), self.width);
        writeln!(self.text, "{name:width$} {value}").expect("a String takes what is written");
    }
}

fn heading(chosen: &Chosen, env: &Environment) -> String {
    let builder = &chosen.builder;
    let mut lines = Lines::new(BUILDER_NAMES);
    lines.add("Name", builder.name.as_str());
    lines.add("Driver", &builder.driver.to_string());
    if chosen.is_made {
        let never = || "never".to_owned();
        lines.add(
            "Last Activity",
            &last_activity(builder, env).unwrap_or_else(never),
        );
    }
    lines.text.push_str("\nNodes:\n");
    lines.text
}

fn of_node(node: &Node, store: &Path, here: &Here) -> Result<String, Box<Report>> {
    let mut lines = Lines::new(NODE_NAMES);
    let (status, version) = state_of(&node.endpoint);
    lines.add("Name", node.name.as_str());
    lines.add("Endpoint", &node.endpoint.to_string());
    if !node.driver_options.is_empty() {
        lines.add("Driver Options", &node.driver_options.join(", "));
    }
    lines.add("Status", status);
    if let Place::Ssh(_) = node.endpoint {
        lines.add("Error", "careen does not build on other machines yet");
    }
    if let Some(flags) = &node.flags {
        lines.add("BuildKit daemon flags", flags);
    }
    if let Some(config) = &node.config {
        lines.add("BuildKit config", config);
    }
    if !version.is_empty() {
        lines.add("BuildKit version", &format!("careen {version}"));
    }
    let platforms = platforms::of_node(node, &here.runnable);
    lines.add("Platforms", &platforms.join(", "));
    if node.endpoint == Place::Here {
        of_this_machine(&mut lines, store, here)?;
    }
    Ok(lines.text)
}

fn of_this_machine(lines: &mut Lines, store: &Path, here: &Here) -> Result<(), Box<Report>> {
    let mode = here.choice.plan.id_map().mode();
    labels(lines, mode, here.snapshotter);
    lines.add("Executor", &mode.to_string());
    for obstacle in host::obstacles(&here.choice) {
        lines.add(" not", &obstacle);
    }
    for (name, ids) in id_mapping(&here.choice.plan, &here.host) {
        lines.add(name, &ids);
    }
    lines.add("Store", &store_line(store));
    emulators(lines, &here.runnable);
    let rules = disk::gc_rules(&here.config, store)?;
    lines.text.push_str(&rules::show(&rules));
    Ok(())
}

/// Adds what BuildKit's workers say of themselves, in their words.
fn labels(lines: &mut Lines, mode: ExecutorMode, snapshotter: &str) {
    const WORKER: &str = "org.mobyproject.buildkit.worker";
    lines.text.push_str("Labels:\n");
    let mut labels = Lines::new(WORKER.len() + " .snapshotter:".len());
    labels.add(&format!(" {WORKER}.executor"), &mode.to_string());
    labels.add(&format!(" {WORKER}.snapshotter"), snapshotter);
    lines.text.push_str(&labels.text);
}

/// Returns which ids of this machine those of commands are.
fn id_mapping(plan: &IdPlan, host: &Host) -> Vec<(&'static str, String)> {
    let own = |what: &str, id: u32| format!("0 is {id}, the {what} of the caller");
    let caller = &host.caller;
    match plan {
        IdPlan::Multi { uids, gids, .. } => vec![("Users", ranges(uids)), ("Groups", ranges(gids))],
        IdPlan::Single { reason } => vec![
            ("Users", format!("{}; {reason}", own("user", caller.uid))),
            ("Groups", own("group", caller.gid)),
        ],
        IdPlan::Own { count } => vec![("Ids", format!("{count}, as they are"))],
        IdPlan::Nothing => Vec::new(),
    }
}

/// Returns ranges of ids: `0-65535 are 100000-165535`.
fn ranges(ranges: &[IdRange]) -> String {
    let mut inside = 0_u64;
    let mut texts = Vec::new();
    for range in ranges {
        let (start, count) = (u64::from(range.start), u64::from(range.count));
        let (last, outside) = (inside + count - 1, start + count - 1);
        texts.push(format!("{inside}-{last} are {start}-{outside}"));
        inside += count;
    }
    texts.join(", ")
}

fn store_line(store: &Path) -> String {
    let path = store.display();
    match Medium::of(store) {
        Ok(medium) => {
            let free = human::size(medium.free_bytes, 3);
            format!("{path}: {}, {free} free", medium.name)
        }
        Err(_) => path.to_string(),
    }
}

/// Adds the emulators, each once, with what it calls itself.
fn emulators(lines: &mut Lines, runnable: &[Runnable]) {
    let mut told: Vec<&Path> = Vec::new();
    for Runnable { platform, emulator } in runnable {
        let Some(path) = emulator.as_deref().filter(|path| !told.contains(path)) else {
            continue;
        };
        told.push(path);
        let version = emulation::version(path).unwrap_or_else(|| "of unknown version".to_owned());
        let value = format!("{platform} by {}, {version}", path.display());
        lines.add("Emulator", &value);
    }
}

/// Tries whether commands have overlays in the store; copies are what they have otherwise.
fn snapshotter(host: &Host, store: &Path, mode: ExecutorMode) -> &'static str {
    let report = host.probe(store, Thoroughness::Enough);
    let mut trials = report.trials.iter().filter(|(kind, _)| kind.mode() == mode);
    if trials.any(|(_, trial)| trial.has(Primitive::Upper)) {
        "overlayfs"
    } else {
        "native"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_each_other_inside() {
        let range = |start, count| IdRange { start, count };
        let shown = ranges(&[range(100_000, 1000), range(7000, 10)]);
        assert_eq!(shown, "0-999 are 100000-100999, 1000-1009 are 7000-7009");
    }
}
