//! `--call=check`: everything that checks find, in all stages unless one is named.
//!
//! A base image that cannot be found, or a fault in the Dockerfile, does not end the search: what can be found without it
//! is told, and the fault is told with it.

use dockerfile::diagnostic::{Diagnostic, Rule};
use dockerfile::source::{LineRange, SourceFile};
use dockerfile::stage::{BaseRequest, PlanOptions, StagePlan, StageScope};
use graph::{DefinitionBuilder, SourcePolicy};
use serde_json::{Map, Value, json};
use solver::Workshop;

use super::Saying;
use super::table::location;
use crate::command::build;
use crate::options::BuildOptions;
use crate::report::{Report, excerpt};

/// Asks for all stages.
pub(super) fn whole_file(options: PlanOptions) -> PlanOptions {
    PlanOptions {
        stages: StageScope::All,
        ..options
    }
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Checked {
    warnings: Vec<Diagnostic>,
    /// Why the Dockerfile cannot be built; the first reason.
    error: Option<Fault>,
}

/// Why a Dockerfile cannot be built.
#[derive(Debug)]
struct Fault {
    report: Box<Report>,
    lines: Option<LineRange>,
}

impl Checked {
    /// Goes through a plan as far as it goes.
    pub(super) fn plan(
        &mut self,
        plan: &mut StagePlan,
        (options, sources): (&BuildOptions, &SourcePolicy),
        (workshop, source): (&Workshop, &SourceFile),
    ) {
        self.take(plan.warnings(), source);
        self.resolve_bases(plan, (options, sources), (workshop, source));
        let mut graph = DefinitionBuilder::new();
        for platform in &options.platforms {
            match plan.lower(platform, &mut graph) {
                Ok(target) => self.take(&target.warnings, source),
                Err(said) => self.take(&said, source),
            }
        }
    }

    /// Resolves the base images that there are.
    fn resolve_bases(
        &mut self,
        plan: &mut StagePlan,
        wanted: (&BuildOptions, &SourcePolicy),
        means: (&Workshop, &SourceFile),
    ) {
        let mut missing: Vec<BaseRequest> = Vec::new();
        loop {
            let mut open = plan.unresolved();
            open.retain(|request| !missing.contains(request));
            if open.is_empty() {
                return;
            }
            for request in open {
                let one = std::slice::from_ref(&request);
                if let Err(report) = build::resolve_requests(plan, one, wanted, means) {
                    self.fail(report);
                    missing.push(request);
                }
            }
        }
    }

    /// Takes what was said. Of what is said of several platforms alike, once is enough.
    pub(super) fn take(&mut self, said: &[Diagnostic], source: &SourceFile) {
        for one in said {
            if one.is_error() {
                self.fail(Box::new(Report::of_diagnostic(one, source)));
            } else if !self.warnings.contains(one) {
                self.warnings.push(one.clone());
            }
        }
    }

    fn fail(&mut self, report: Box<Report>) {
        if self.error.is_none() {
            let place = report.place.as_ref();
            let lines = place.map(|place| place.source.lines_of(place.span));
            self.error = Some(Fault { report, lines });
        }
    }

    /// Returns the warnings that no check has found.
    pub(super) fn asides(&self) -> impl Iterator<Item = &Diagnostic> {
        self.warnings
            .iter()
            .filter(|warning| warning.rule.is_none())
    }

    /// Makes the answer.
    pub(super) fn answer(mut self, source: &SourceFile) -> Saying {
        self.warnings.sort_by_key(|one| one.lines_in(source));
        let findings: Vec<Finding<'_>> = self
            .warnings
            .iter()
            .filter_map(|one| Finding::of(one, source))
            .collect();
        Saying {
            text: text(&findings, source),
            json: document(&findings, self.error.as_ref(), source),
            is_bad: !findings.is_empty() || self.error.is_some(),
            error: self.error.map(|fault| fault.report),
        }
    }
}

/// What one check has found.
struct Finding<'a> {
    rule: Rule,
    detail: &'a str,
    lines: LineRange,
}

impl<'a> Finding<'a> {
    fn of(diagnostic: &'a Diagnostic, source: &SourceFile) -> Option<Self> {
        Some(Self {
            rule: diagnostic.rule?,
            detail: &diagnostic.title,
            lines: diagnostic.lines_in(source),
        })
    }

    fn to_json(&self) -> Value {
        let mut finding = Map::new();
        finding.insert("ruleName".to_owned(), json!(self.rule.name()));
        finding.insert("description".to_owned(), json!(self.rule.description()));
        if let Some(url) = self.rule.url() {
            finding.insert("url".to_owned(), json!(url));
        }
        finding.insert("detail".to_owned(), json!(self.detail));
        finding.insert("location".to_owned(), location(self.lines));
        Value::Object(finding)
    }

    /// Returns the finding for people, with the lines that it is about.
    fn to_text(&self, source: &SourceFile) -> String {
        let url = self.rule.url().map(|url| format!(" - {url}"));
        format!(
            "\nWARNING: {}{}\n{}\n{}",
            self.rule.name(),
            url.unwrap_or_default(),
            self.detail,
            excerpt(source, &(self.lines.first..=self.lines.last))
        )
    }
}

fn text(findings: &[Finding<'_>], source: &SourceFile) -> String {
    let count = match findings.len() {
        0 => "no warnings found.".to_owned(),
        1 => "1 warning has been found!".to_owned(),
        count => format!("{count} warnings have been found!"),
    };
    let texts = findings.iter().map(|finding| finding.to_text(source));
    format!("Check complete, {count}\n{}", texts.collect::<String>())
}

fn document(findings: &[Finding<'_>], error: Option<&Fault>, source: &SourceFile) -> Value {
    let warnings: Vec<Value> = findings.iter().map(Finding::to_json).collect();
    let mut document = json!({
        "warnings": warnings,
        "sources": [{
            "filename": source.name(),
            "language": "Dockerfile",
            "data": fetch::base64(source.text().as_bytes()),
        }],
    });
    if let (Some(fault), Value::Object(document)) = (error, &mut document) {
        document.insert("buildError".to_owned(), fault.to_json());
    }
    document
}

impl Fault {
    fn to_json(&self) -> Value {
        let causes = self.report.causes.iter().map(|cause| format!(": {cause}"));
        let message = format!("{}{}", self.report.title, causes.collect::<String>());
        match self.lines {
            Some(lines) => json!({"message": message, "location": location(lines)}),
            None => json!({"message": message, "location": {}}),
        }
    }
}
