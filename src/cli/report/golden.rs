//! The whole text of everything that can be wrong with a Dockerfile: `tests/errors/*.txt` at the top of the repository.
//!
//! ```text
//! == what is wrong, in a few words
//! options: {"target": "x"}           what the command line would say; may be left out
//! FROM scratch                       the Dockerfile, up to the line `--`
//! --
//! error: …                           what is printed, up to the next case
//! ```
//!
//! What checks find is left out. The text goes through the parser, the planner and the lowering; there are three base
//! images: `busybox`, `windows`, which is for another system, and `triggers`, which has a trigger that fails.
//! `CAREEN_BLESS=1` writes the texts anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use dockerfile::diagnostic::Diagnostic;
use dockerfile::parse::parse;
use dockerfile::source::SourceFile;
use dockerfile::stage::{BaseRequest, PlanOptions, ResolvedBase, StagePlan, source_date_epoch};
use graph::{DefinitionBuilder, ImageOrigin, ImageSource};
use oci::config::RootFs;
use oci::{DiffId, Digest, ImageConfig, Platform};
use serde::Deserialize;

use super::Report;

/// One case of a file.
struct Case {
    name: String,
    options: Option<String>,
    dockerfile: String,
    report: String,
}

/// What the command line would say.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Options {
    build_args: BTreeMap<String, String>,
    target: Option<String>,
    platforms: Vec<String>,
    contexts: BTreeSet<String>,
}

#[test]
fn everything_that_can_be_wrong_is_said_as_it_stands_in_the_files() {
    let bless = blessing();
    let mut failed = Vec::new();
    let mut count = 0;
    for path in files() {
        let text = fs::read_to_string(&path).unwrap();
        let mut cases = read(&text);
        count += cases.len();
        for case in &mut cases {
            let said = said(case);
            assert!(!said.is_empty(), "nothing is said of: {}", case.name);
            if said != case.report && !bless {
                failed.push(format!("{}: {}\n{said}", path.display(), case.name));
            }
            case.report = said;
        }
        if bless {
            fs::write(&path, written(&cases)).unwrap();
        }
    }
    assert!(count >= 100, "only {count} cases");
    assert!(
        failed.is_empty(),
        "CAREEN_BLESS=1 writes these anew:\n{}",
        failed.join("\n")
    );
}

#[test]
fn no_error_is_without_a_place() {
    for path in files() {
        for case in read(&fs::read_to_string(&path).unwrap()) {
            let places = case.report.matches(" --> Dockerfile:").count();
            let is_head =
                |line: &&str| line.starts_with("error: ") || line.starts_with("warning: ");
            let heads = case.report.lines().filter(is_head).count();
            assert_eq!(places, heads, "{}: {}", path.display(), case.name);
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how a developer asks this test to write its files"
)]
fn blessing() -> bool {
    std::env::var_os("CAREEN_BLESS").is_some_and(|value| value == "1")
}

fn files() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/errors");
    let entries = fs::read_dir(directory).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn read(text: &str) -> Vec<Case> {
    let cases = text.split("\n== ").filter(|case| !case.trim().is_empty());
    cases.map(read_case).collect()
}

fn read_case(text: &str) -> Case {
    let text = text.strip_prefix("== ").unwrap_or(text);
    let (name, rest) = text.split_once('\n').unwrap();
    let (dockerfile, report) = rest.split_once("--\n").unwrap_or((rest, ""));
    let (options, dockerfile) = match dockerfile.strip_prefix("options: ") {
        Some(rest) => {
            let (options, dockerfile) = rest.split_once('\n').unwrap();
            (Some(options.to_owned()), dockerfile)
        }
        None => (None, dockerfile),
    };
    Case {
        name: name.to_owned(),
        options,
        dockerfile: dockerfile.to_owned(),
        report: format!("{}\n", report.trim_end()),
    }
}

fn written(cases: &[Case]) -> String {
    let texts = cases.iter().map(|case| {
        let options = case.options.as_ref();
        let options = options.map(|options| format!("options: {options}\n"));
        format!(
            "== {}\n{}{}--\n{}",
            case.name,
            options.unwrap_or_default(),
            case.dockerfile,
            case.report
        )
    });
    texts.collect::<Vec<_>>().join("\n")
}

/// Returns what is printed about a case.
fn said(case: &Case) -> String {
    let source = SourceFile::new("Dockerfile", case.dockerfile.clone());
    let said = build(&source, options(case));
    let said = said.iter().filter(|one| one.rule.is_none());
    let texts = said.map(|one| {
        let report = Report::of_diagnostic(one, &source);
        if one.is_error() {
            report.to_text()
        } else {
            report.to_warning()
        }
    });
    // Blanks at the end of a line would be lost in an editor.
    let text = texts.collect::<String>();
    let lines = text.lines().map(|line| format!("{}\n", line.trim_end()));
    lines.collect()
}

fn options(case: &Case) -> PlanOptions {
    let given = case.options.as_deref().unwrap_or("{}");
    let given: Options = serde_json::from_str(given).unwrap();
    let build = Platform::new("linux", "amd64");
    let platforms = given.platforms.iter();
    let mut platforms: Vec<Platform> = platforms
        .map(|text| Platform::parse(text, &build).unwrap())
        .collect();
    if platforms.is_empty() {
        platforms.push(build.clone());
    }
    PlanOptions {
        build_args: given.build_args,
        target: given.target,
        contexts: given.contexts,
        ..PlanOptions::new(build, platforms)
    }
}

fn build(source: &SourceFile, options: PlanOptions) -> Vec<Diagnostic> {
    let platforms = options.target_platforms.clone();
    let parsed = parse(source);
    if let Err(said) = source_date_epoch(&parsed, &options) {
        return said;
    }
    let mut plan = match StagePlan::new(&parsed, options) {
        Ok(plan) => plan,
        Err(said) => return said,
    };
    let mut said = plan.warnings().to_vec();
    for request in plan.unresolved() {
        if let Some(base) = resolve(&request)
            && let Err(found) = plan.resolve(&request, base)
        {
            said.extend(found);
            return said;
        }
    }
    let mut graph = DefinitionBuilder::new();
    for platform in platforms {
        match plan.lower(&platform, &mut graph) {
            Ok(target) => said.extend(target.warnings),
            Err(found) => said.extend(found),
        }
    }
    said
}

/// Returns one of the made-up base images.
fn resolve(request: &BaseRequest) -> Option<ResolvedBase> {
    let mut config = ImageConfig::new(&request.platform);
    match request.name.as_str() {
        "busybox" => {}
        "triggers" => config.config.on_build = vec!["RUN --mount=type=cahce true".to_owned()],
        _ => return None,
    }
    let digest = Digest::of(request.name.as_bytes());
    config.rootfs = RootFs {
        diff_ids: vec![DiffId::new(digest.clone())],
        ..RootFs::default()
    };
    let source = ImageSource {
        name: request.name.clone(),
        manifest: digest,
        platform: request.platform.clone(),
        origin: ImageOrigin::Store,
        pinned: None,
    };
    Some(ResolvedBase { config, source })
}

/// A file of a size that no case in a text file should have.
fn huge(dockerfile: String) -> String {
    let source = SourceFile::new("Dockerfile", dockerfile);
    let platform = Platform::new("linux", "amd64");
    let said = build(&source, PlanOptions::new(platform.clone(), vec![platform]));
    let errors = said.iter().filter(|one| one.is_error());
    let first = |one| {
        let text = Report::of_diagnostic(one, &source).to_text();
        // The excerpt is as long as the line.
        let short = text.lines().filter(|line| line.len() < 200);
        short.collect::<Vec<_>>().join("\n")
    };
    errors.map(first).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_is_too_large_is_said_with_the_limit() {
    let line = format!("FROM scratch\nRUN {}\n", "a".repeat(64 * 1024));
    insta::assert_snapshot!(huge(line), @r"
    error: line is longer than 65535 bytes
     --> Dockerfile:2:1
      |
    2 | RUN aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...
      | ^
      |
      = help: break it with the escape character at the end of a line
    ");
    insta::assert_snapshot!(huge("# a\n".repeat(300_000)), @r"
    error: Dockerfile is longer than 1048576 bytes
     --> Dockerfile:1:1
      |
    1 | # a
      | ^
    ");
    let many = format!("FROM scratch\n{}", "USER a\n".repeat(70_000));
    insta::assert_snapshot!(huge(many), @r"
    error: Dockerfile has more than 65536 instructions
         --> Dockerfile:65537:1
          |
    65537 | USER a
          | ^^^^^^
    ");
    let nested = format!("FROM scratch\n{}USER a\n", "ONBUILD ".repeat(5));
    insta::assert_snapshot!(huge(nested), @r"
    error: ONBUILD cannot hold another ONBUILD
     --> Dockerfile:2:9
      |
    2 | ONBUILD ONBUILD ONBUILD ONBUILD ONBUILD USER a
      |         ^^^^^^^
    error: ONBUILD is nested deeper than 4
     --> Dockerfile:2:41
      |
    2 | ONBUILD ONBUILD ONBUILD ONBUILD ONBUILD USER a
      |                                         ^^^^^^
    ");
    let expanded = format!(
        "FROM scratch\nENV A={}\n{}",
        "a".repeat(60_000),
        "ENV A=$A$A$A$A\n".repeat(4)
    );
    insta::assert_snapshot!(huge(expanded), @r"
    error: the expanded text is longer than 8388608 bytes
     --> Dockerfile:6:11
      |
    6 | ENV A=$A$A$A$A
      |           ^^^^
    ");
}
