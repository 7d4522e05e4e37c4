//! Golden cases of planning and lowering: `tests/dockerfiles/<case>/` at the top of the repository.
//!
//! ```text
//! bases.json      made-up base images: name → layers, operating system, inner configuration
//! <case>/
//! ├── Dockerfile
//! ├── options.json  what the command line would say; may be left out
//! ├── graph         the graph and the names of its steps
//! ├── config        per platform: root, configuration and history
//! └── stderr        warnings and errors
//! ```
//!
//! A file that would be empty is not there. `CAREEN_BLESS=1` writes the three outputs anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use graph::{
    Definition, DefinitionBuilder, ExtraHost, ImageOrigin, ImageSource, Input, NetworkMode,
    SandboxSettings,
};
use oci::config::RootFs;
use oci::{DiffId, Digest, ImageConfig, Platform};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::diagnostic::Diagnostic;
use crate::lower::Target;
use crate::parse::parse;
use crate::source::SourceFile;
use crate::stage::{BaseRequest, Entitlement, PlanOptions, ResolvedBase, StagePlan};

/// The outputs of a case.
const OUTPUTS: [&str; 3] = ["graph", "config", "stderr"];

#[test]
fn every_case_gives_the_graph_configuration_and_messages_that_it_says() {
    let bless = blessing();
    let bases = read_bases();
    let cases = cases();
    assert!(cases.len() >= 25, "only {} cases", cases.len());
    let mut failed = Vec::new();
    for case in &cases {
        let outputs = run(case, &bases);
        for name in OUTPUTS {
            let found = outputs.get(name).map(String::as_str).unwrap_or_default();
            if bless {
                write_output(&case.join(name), found);
            } else if read_output(&case.join(name)) != found {
                failed.push(format!("{}:\n{found}", case.join(name).display()));
            }
        }
    }
    assert!(
        failed.is_empty(),
        "CAREEN_BLESS=1 writes these anew:\n{}",
        failed.join("\n")
    );
}

#[expect(
    clippy::disallowed_methods,
    reason = "how a developer asks this test to write its files"
)]
fn blessing() -> bool {
    std::env::var_os("CAREEN_BLESS").is_some_and(|value| value == "1")
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/dockerfiles")
}

fn cases() -> Vec<PathBuf> {
    let entries = fs::read_dir(directory()).unwrap();
    let mut cases: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| entry.path())
        .collect();
    cases.sort();
    cases
}

fn read_output(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn write_output(path: &Path, text: &str) {
    if text.is_empty() {
        // It is no fault when there was none.
        drop(fs::remove_file(path));
    } else {
        fs::write(path, text).unwrap();
    }
}

/// A made-up base image.
#[derive(Deserialize)]
struct Base {
    #[serde(default)]
    layers: usize,
    os: Option<String>,
    os_version: Option<String>,
    architecture: Option<String>,
    config: Value,
}

fn read_bases() -> BTreeMap<String, Base> {
    let text = fs::read_to_string(directory().join("bases.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn resolve(request: &BaseRequest, bases: &BTreeMap<String, Base>) -> Option<ResolvedBase> {
    let name = request.context.as_ref().unwrap_or(&request.name);
    let base = bases.get(name)?;
    let mut config = ImageConfig::new(&request.platform);
    config.os = base.os.clone().unwrap_or(config.os);
    config.architecture = base.architecture.clone().unwrap_or(config.architecture);
    config.os_version.clone_from(&base.os_version);
    config.config = serde_json::from_value(base.config.clone()).unwrap();
    let layer = |index: usize| DiffId::new(Digest::of(format!("{name} {index}").as_bytes()));
    config.rootfs = RootFs {
        diff_ids: (0..base.layers).map(layer).collect(),
        ..RootFs::default()
    };
    let source = ImageSource {
        name: request.name.clone(),
        manifest: Digest::of(format!("{name} {}", request.platform).as_bytes()),
        platform: request.platform.clone(),
        origin: ImageOrigin::Store,
        pinned: None,
    };
    Some(ResolvedBase { config, source })
}

/// Returns the first base that the plan asks for and that there is.
fn known(plan: &StagePlan, bases: &BTreeMap<String, Base>) -> Option<(BaseRequest, ResolvedBase)> {
    let mut requests = plan.unresolved().into_iter();
    requests.find_map(|request| {
        let base = resolve(&request, bases)?;
        Some((request, base))
    })
}

/// What the command line would say.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Options {
    build_args: BTreeMap<String, String>,
    target: Option<String>,
    platforms: Vec<String>,
    implicit: bool,
    from: Option<String>,
    contexts: BTreeSet<String>,
    directories: BTreeMap<String, Vec<String>>,
    empty_contexts: BTreeSet<String>,
    labels: BTreeMap<String, String>,
    network: Option<String>,
    hostname: Option<String>,
    allow: Vec<String>,
    add_hosts: BTreeMap<String, IpAddr>,
    ignore: Vec<String>,
}

fn options(case: &Path) -> PlanOptions {
    let path = case.join("options.json");
    let given: Options = match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text).unwrap(),
        Err(_) => Options::default(),
    };
    let build = Platform::new("linux", "amd64");
    let platforms = given
        .platforms
        .iter()
        .map(|text| Platform::parse(text, &build).unwrap());
    let mut platforms: Vec<Platform> = platforms.collect();
    if platforms.is_empty() {
        platforms.push(build.clone());
    }
    PlanOptions {
        build_args: given.build_args,
        target: given.target,
        implicit_platform: given.implicit,
        first_base: given.from,
        contexts: given.contexts,
        directories: given.directories,
        empty_contexts: given.empty_contexts,
        labels: given.labels,
        network: match given.network.as_deref() {
            None => NetworkMode::Default,
            Some("none") => NetworkMode::None,
            Some("host") => NetworkMode::Host,
            Some(other) => panic!("unknown network mode {other}"),
        },
        hostname: given.hostname,
        entitlements: given.allow.iter().map(|name| entitlement(name)).collect(),
        sandbox: SandboxSettings {
            extra_hosts: extra_hosts(given.add_hosts),
            ..SandboxSettings::default()
        },
        ignore: given.ignore,
        ..PlanOptions::new(build, platforms)
    }
}

fn entitlement(name: &str) -> Entitlement {
    let mut all = Entitlement::ALL.into_iter();
    all.find(|entitlement| entitlement.name() == name).unwrap()
}

fn extra_hosts(given: BTreeMap<String, IpAddr>) -> Vec<ExtraHost> {
    let hosts = given.into_iter();
    hosts
        .map(|(name, address)| ExtraHost { name, address })
        .collect()
}

/// What a case gives so far.
#[derive(Default)]
struct Said {
    messages: Vec<String>,
    targets: Vec<Value>,
    graph: String,
}

fn run(case: &Path, bases: &BTreeMap<String, Base>) -> BTreeMap<&'static str, String> {
    let text = fs::read_to_string(case.join("Dockerfile")).unwrap();
    let source = SourceFile::new("Dockerfile", text);
    let mut said = Said::default();
    build(case, bases, &source, &mut said);
    let mut outputs = BTreeMap::from([("graph", said.graph)]);
    if !said.targets.is_empty() {
        let config = serde_json::to_string_pretty(&said.targets).unwrap();
        outputs.insert("config", format!("{config}\n"));
    }
    if !said.messages.is_empty() {
        outputs.insert("stderr", format!("{}\n", said.messages.join("\n\n")));
    }
    outputs
}

fn build(case: &Path, bases: &BTreeMap<String, Base>, source: &SourceFile, said: &mut Said) {
    let say = |said: &mut Said, diagnostics: &[Diagnostic]| {
        let texts = diagnostics
            .iter()
            .map(|diagnostic| diagnostic.to_text(source));
        said.messages.extend(texts);
    };
    let parsed = parse(source);
    let mut plan = match StagePlan::new(&parsed, options(case)) {
        Ok(plan) => plan,
        Err(faults) => return say(said, &faults),
    };
    say(said, plan.warnings());
    // Triggers of a base may ask for more.
    while let Some((request, base)) = known(&plan, bases) {
        if let Err(faults) = plan.resolve(&request, base) {
            return say(said, &faults);
        }
    }
    let mut graph = DefinitionBuilder::new();
    for platform in options(case).target_platforms {
        match plan.lower(&platform, &mut graph) {
            Ok(target) => {
                say(said, &target.warnings);
                said.targets.push(shown(&target));
            }
            Err(faults) => return say(said, &faults),
        }
    }
    said.graph = rendered(&graph.finish());
}

fn shown(target: &Target) -> Value {
    let root = match target.root {
        Input::Scratch => "scratch".to_owned(),
        Input::Vertex(id) => format!("#{}", id.index()),
    };
    let history = target.history.iter().map(|step| {
        let mark = if step.empty_layer { "empty" } else { "layer" };
        format!("{mark}: {}", step.created_by)
    });
    json!({
        "platform": target.platform.to_string(),
        "root": root,
        "config": target.config,
        "history": history.collect::<Vec<_>>(),
    })
}

fn rendered(definition: &Definition) -> String {
    let mut text = graph::render::to_text(definition);
    for id in definition.ids() {
        let label = &definition.vertex(id).label;
        writeln!(text, "#{} line {}: {label}", id.index(), label.line).unwrap();
    }
    text
}
