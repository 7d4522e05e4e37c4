//! F1: a Dockerfile, from its text to the graph.
//!
//! What is printed reads as the same tree, every span lies in the text, and each plan that can be made is lowered.

use std::fmt::Write as _;

use dockerfile::Parsed;
use dockerfile::ast::{Ast, InstructionKind};
use dockerfile::call;
use dockerfile::diagnostic::Diagnostic;
use dockerfile::parse;
use dockerfile::source::SourceFile;
use dockerfile::stage::{BaseRequest, PlanOptions, ResolvedBase, StagePlan};
use graph::{DefinitionBuilder, ImageOrigin, ImageSource};
use oci::config::RootFs;
use oci::{DiffId, Digest, ImageConfig, Platform};

use crate::taken;

/// More bases than a plan asks for, of a file as short as these.
const BASES_MAX: usize = 10_000;

/// Reads a Dockerfile and builds the graph of all that can be built of it.
///
/// # Panics
///
/// Panics where something does not hold.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let source = SourceFile::new("Dockerfile", text);
    let parsed = parse(&source);
    show(&parsed.diagnostics, &source);
    for one in &parsed.ast.instructions {
        let span = one.span.start..one.span.end;
        assert!(text.get(span).is_some(), "a span outside of the text");
    }
    print(&parsed);
    taken(call::targets(&parsed.ast));
    let amd64 = Platform::new("linux", "amd64");
    let arm64 = Platform::new("linux", "arm64");
    build(&parsed, &source, &[amd64.clone()]);
    build(&parsed, &source, &[amd64, arm64]);
}

/// Messages are made of the text as well.
fn show(diagnostics: &[Diagnostic], source: &SourceFile) {
    for diagnostic in diagnostics {
        taken(diagnostic.to_text(source));
    }
}

fn print(before: &Parsed) {
    let mut titles = before.diagnostics.iter().map(|one| one.title.as_str());
    // One without an end takes the rest of the file along, and of a file that is too long there is no tree.
    if titles.any(|title| title.starts_with("here-document") || title.contains("longer than")) {
        return;
    }
    let printed = before.ast.to_string();
    // What begins the second line is a word; what begins the file is no part of it.
    if printed.starts_with('\u{feff}') {
        return;
    }
    let after = parse(&SourceFile::new("Dockerfile", printed.as_str()));
    assert_eq!(meaning(&before.ast), meaning(&after.ast), "{printed:?}");
    let again = parse(&SourceFile::new("Dockerfile", after.ast.to_string()));
    assert_eq!(after.ast, again.ast, "{printed:?}");
}

/// Returns what a tree says, without places.
fn meaning(ast: &Ast) -> String {
    let mut text = String::new();
    for one in &ast.instructions {
        let bodies: Vec<_> = one.heredocs.iter().map(|here| &here.content).collect();
        let is_valid = one.kind != InstructionKind::Invalid;
        writeln!(text, "{} {is_valid} {bodies:?}", one.original.trim())
            .expect("a text takes every text");
    }
    text
}

fn build(parsed: &Parsed, source: &SourceFile, platforms: &[Platform]) {
    let mut options = PlanOptions::new(platforms[0].clone(), platforms.to_vec());
    options.build_args.insert("a".to_owned(), "b c".to_owned());
    options
        .directories
        .insert("dir".to_owned(), vec!["*.o".to_owned()]);
    options.ignore = vec!["x".to_owned(), "!x/y".to_owned()];
    let mut plan = match StagePlan::new(parsed, options) {
        Ok(plan) => plan,
        Err(faults) => return show(&faults, source),
    };
    show(plan.warnings(), source);
    for _ in 0..BASES_MAX {
        let Some(request) = plan.unresolved().into_iter().next() else {
            break;
        };
        let base = base(&request);
        if let Err(faults) = plan.resolve(&request, base) {
            return show(&faults, source);
        }
    }
    let mut graph = DefinitionBuilder::new();
    for platform in platforms {
        taken(plan.outline(platform));
        match plan.lower(platform, &mut graph) {
            Ok(target) => show(&target.warnings, source),
            Err(faults) => return show(&faults, source),
        }
    }
    taken(graph::render::to_text(&graph.finish()));
}

/// Every base exists. What is called after triggers leaves some.
fn base(request: &BaseRequest) -> ResolvedBase {
    let mut config = ImageConfig::new(&request.platform);
    if let Some((_, trigger)) = request.name.split_once("onbuild") {
        let further = ["RUN --mount=from=dir x", "COPY --from=0 a b", "ARG a"];
        let own = trigger.replace(['-', '_'], " ").to_uppercase();
        config.config.on_build = further
            .map(str::to_owned)
            .into_iter()
            .chain([own])
            .collect();
    }
    let layer = DiffId::new(Digest::of(request.name.as_bytes()));
    config.rootfs = RootFs {
        diff_ids: vec![layer],
        ..RootFs::default()
    };
    let source = ImageSource {
        name: request.name.clone(),
        manifest: Digest::of(request.name.as_bytes()),
        platform: request.platform.clone(),
        origin: ImageOrigin::Store,
        pinned: None,
    };
    ResolvedBase { config, source }
}
