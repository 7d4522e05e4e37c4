//! What is told and kept when a build has ended: its layers, why steps ran, the page of a workflow, and its record.
//!
//! Nothing of it changes how the build ended: what cannot be written is a warning.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;

use export::{Exported, ExportedImage};
use oci::Digest;
use serde_json::json;
use solver::{ChangedFile, Workshop, changed_files};
use store::RecordStore;

use crate::account::{self, Account, Step};
use crate::args::ExplainFormat;
use crate::env::Runner;
use crate::format;
use crate::history::{
    BuildId, Built, CompactLog, Earlier, Explained, Explainer, HistoryError, Lineage, Record,
    Shelf, Status, Wish, WrittenImage,
};
use crate::options::context::without_password;
use crate::options::{BuildOptions, ContextSource, DockerfileSource, Places, ProgressOptions};
use crate::progress::{Chronicle, Keeping, Way, guarded, unheard};
use crate::report::{self, Kind, Report, Shown};
use crate::run::Outcome;

/// How many earlier builds of the same are looked at to find one that had a step.
const EARLIER_MAX: usize = 5;

/// The build arguments that are never kept: proxies, whose URLs have passwords in them.
const PROXIES: [&str; 5] = [
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "no_proxy",
    "all_proxy",
];

/// What is done when a build has ended.
pub(super) struct Ending<'a> {
    options: &'a BuildOptions,
    shelf: Shelf,
    id: BuildId,
    /// What copies copied in earlier builds.
    records: RecordStore,
}

/// What a build left when it ended.
pub(super) struct Ended {
    /// What was left of its events.
    pub(super) chronicle: Chronicle,
    /// What was written.
    pub(super) images: Vec<WrittenImage>,
}

impl<'a> Ending<'a> {
    /// Gives a build its name.
    pub(super) fn of(
        options: &'a BuildOptions,
        places: &Places,
        workshop: &Workshop,
    ) -> Result<Self, Box<Report>> {
        let id = BuildId::random().map_err(|error| Report::new(Kind::Host, &error))?;
        Ok(Self {
            options,
            shelf: Shelf::of(&places.store),
            id,
            records: workshop.store.records().clone(),
        })
    }

    /// Returns the name of the build.
    pub(super) fn id(&self) -> &BuildId {
        &self.id
    }

    /// Tells whether events are kept.
    pub(super) fn keeping(&self) -> Keeping {
        match self.options.end.kept_builds {
            _ if self.options.call.is_some() => Keeping::Nothing,
            0 => Keeping::Nothing,
            _ => Keeping::Events,
        }
    }

    /// Tells and keeps what there is; returns how the build ended, and what could not be told.
    pub(super) fn carry_out(self, outcome: Outcome, ended: Ended) -> Outcome {
        let told = self.tell_and_keep(&outcome, ended);
        outcome.and_then(|code| told.map(|()| code))
    }

    fn tell_and_keep(&self, outcome: &Outcome, ended: Ended) -> Result<(), Box<Report>> {
        if self.options.call.is_some() || begins_again(outcome) {
            return Ok(());
        }
        let end = &self.options.end;
        let account = &ended.chronicle.account;
        if end.summary && outcome.is_ok() {
            self.say(&account::summary(account));
        }
        let built = built(self.options);
        if let Some(page) = &end.page {
            Self::tell_page(page, &built.name, (outcome, account));
        }
        let lineage = Lineage::of(&built);
        let explained = self.explained(&lineage, account);
        let told = self.tell_explained(&explained);
        if end.kept_builds > 0
            && let Err(error) = self.keep((built, &lineage), (outcome, ended), explained)
        {
            warn(&error);
        }
        told
    }

    /// Writes something for the user, which repeats words of strangers.
    fn say(&self, text: &str) {
        let progress = &self.options.progress;
        match progress.job.runner {
            Some(Runner::GitHub) => report::print_text(&unheard(text, &progress.token)),
            Some(Runner::GitLab) | None => report::print_text(text),
        }
    }

    /// Adds the build to the page of a workflow.
    fn tell_page(page: &Path, name: &str, (outcome, account): (&Outcome, &Account)) {
        let error = outcome.as_ref().err();
        let error = error.map(|report| report.title.as_str());
        let text = account::markdown(account, name, error);
        let append = || {
            let mut file = OpenOptions::new().append(true).create(true).open(page)?;
            file.write_all(text.as_bytes())
        };
        let unwritable = |source| Unwritable {
            path: page.display().to_string(),
            source,
        };
        if let Err(error) = append().map_err(unwritable) {
            warn(&error);
        }
    }

    /// Finds out why steps ran, where any did.
    fn explained(&self, lineage: &Lineage, account: &Account) -> Vec<Explained> {
        let end = &self.options.end;
        let has_run = account.steps().iter().any(Step::has_run);
        if !has_run || (end.explain.is_none() && end.kept_builds == 0) {
            return Vec::new();
        }
        let earlier = self.earlier(lineage).unwrap_or_else(|error| {
            warn(&error);
            Vec::new()
        });
        let files = |before: &Digest, now: &Digest| self.changed_files(before, now);
        let explainer = Explainer {
            now: account,
            wish: &wish(self.options),
            earlier: &earlier,
            files: &files,
        };
        explainer.explain()
    }

    fn changed_files(&self, before: &Digest, now: &Digest) -> Option<Vec<ChangedFile>> {
        let changed = changed_files(&self.records, (before, now));
        changed.unwrap_or_else(|error| {
            warn(&error);
            None
        })
    }

    /// Reads the newest builds of the same.
    fn earlier(&self, lineage: &Lineage) -> Result<Vec<Earlier>, HistoryError> {
        let entries = self.shelf.entries()?.into_iter();
        let same = entries.filter(|entry| entry.lineage == *lineage);
        let mut earlier = Vec::new();
        for entry in same.take(EARLIER_MAX) {
            let Some(record) = entry.record()? else {
                continue;
            };
            earlier.push(Earlier {
                account: entry.account()?,
                is_complete: record.status == Status::Completed,
                arguments: record.built.build_args.into_keys().collect(),
                id: entry.id,
            });
        }
        Ok(earlier)
    }

    fn tell_explained(&self, explained: &[Explained]) -> Result<(), Box<Report>> {
        match self.options.end.explain {
            None => Ok(()),
            Some(ExplainFormat::Json) => {
                let told = json!({ "id": self.id, "steps": explained });
                format::print(&format!("{told:#}\n"))
            }
            Some(ExplainFormat::Text) if explained.is_empty() => {
                self.say("\nno step ran\n");
                Ok(())
            }
            Some(ExplainFormat::Text) => {
                let lines = explained.iter().map(ToString::to_string);
                self.say(&format!("\n{}", lines.collect::<String>()));
                Ok(())
            }
        }
    }

    fn keep(
        &self,
        (built, lineage): (Built, &Lineage),
        (outcome, ended): (&Outcome, Ended),
        explained: Vec<Explained>,
    ) -> Result<(), HistoryError> {
        let Chronicle {
            start,
            account,
            log,
        } = ended.chronicle;
        let (text, is_clipped) = log.map(CompactLog::finish).unwrap_or_default();
        let (status, error) = status(outcome);
        let record = Record {
            created: start.to_string(),
            seconds: account.ended().as_secs_f64(),
            status,
            error,
            steps: account.counts(),
            warnings: account.warnings(),
            images: ended.images,
            is_clipped,
            explained,
            ..Record::new(self.id.clone(), built)
        };
        let kept = self.options.end.kept_builds;
        self.shelf.keep((start, lineage, &record), text, kept)
    }
}

/// Tells what went wrong: beside plain progress in BuildKit's form, else as everywhere, and GitHub's runner so that it
/// obeys nothing of it. A build that begins again has nothing to tell.
pub(super) fn tell_failure(report: Box<Report>, progress: &ProgressOptions) -> Outcome {
    if matches!(report.kind, Kind::LacksId(_)) {
        return Err(report);
    }
    let text = match progress.way {
        Way::Plain(_) => report::beside_plain(&report, Shown::LastLines),
        Way::Rawjson => report::beside_plain(&report, Shown::Output),
        _ => None,
    };
    match (progress.job.runner, text) {
        (Some(Runner::GitHub), text) => {
            let text = text.unwrap_or_else(|| report.to_text());
            report::print_text(&guarded(&text, &report, &progress.token));
        }
        (_, Some(text)) => report::print_text(&text),
        (_, None) => return Err(report),
    }
    Ok(report.kind.exit_code())
}

/// The page of a workflow cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write `{path}`")]
struct Unwritable {
    path: String,
    source: io::Error,
}

/// Says what could not be done, and goes on.
fn warn(error: &(dyn std::error::Error + 'static)) {
    let text = super::failure::chain(error);
    report::print_text(&format!("warning: {text}\n"));
}

/// Tells whether the build is not over: it begins again with other ids.
fn begins_again(outcome: &Outcome) -> bool {
    let kind = outcome.as_ref().err().map(|report| report.kind);
    matches!(kind, Some(Kind::LacksId(_)))
}

fn status(outcome: &Outcome) -> (Status, Option<String>) {
    match outcome {
        Ok(_) => (Status::Completed, None),
        Err(report) => {
            let status = match report.kind {
                Kind::Interrupted(_) => Status::Canceled,
                _ => Status::Error,
            };
            (status, Some(report.title.clone()))
        }
    }
}

/// Returns what is known of the images that were written.
pub(super) fn images(exported: &[Exported]) -> Vec<WrittenImage> {
    let images = exported
        .iter()
        .filter_map(|exported| exported.image.as_ref());
    let written = |image: &ExportedImage| WrittenImage {
        digest: image.top.digest().to_string(),
        media_type: image.top.media_type().to_string(),
        size_bytes: image.top.size(),
    };
    let mut all: Vec<WrittenImage> = Vec::new();
    for image in images.map(written) {
        if !all.contains(&image) {
            all.push(image);
        }
    }
    all
}

fn wish(options: &BuildOptions) -> Wish {
    let nothing = if options.no_cache {
        Some("--no-cache")
    } else {
        options.policy.nothing_counts().then_some("--cache-ttl")
    };
    Wish {
        nothing,
        renewed_stages: options.renewed_stages.iter().cloned().collect(),
        has_age: options.policy.cache_ttl.is_some(),
        arguments: options.build_args.keys().cloned().collect(),
    }
}

/// Returns what was asked for, without passwords.
fn built(options: &BuildOptions) -> Built {
    let context = options.context.to_string();
    let dockerfile = dockerfile(options);
    let platforms = options.platforms.iter().map(ToString::to_string);
    let tags = options
        .result
        .outputs
        .iter()
        .filter_map(|output| output.image());
    let mut names: Vec<String> = Vec::new();
    for tag in tags.flat_map(|image| &image.names).map(ToString::to_string) {
        if !names.contains(&tag) {
            names.push(tag);
        }
    }
    Built {
        name: name(options),
        context,
        dockerfile,
        target: options.target.clone(),
        platforms: platforms.collect(),
        tags: names,
        build_args: arguments(options),
        labels: options.labels.clone(),
        no_cache: options.no_cache,
    }
}

fn arguments(options: &BuildOptions) -> BTreeMap<String, String> {
    let is_proxy = |name: &str| PROXIES.iter().any(|proxy| proxy.eq_ignore_ascii_case(name));
    let kept = options
        .build_args
        .iter()
        .filter(|(name, _)| !is_proxy(name));
    kept.map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Returns the Dockerfile as lists name it.
fn dockerfile(options: &BuildOptions) -> String {
    match &options.file {
        DockerfileSource::Usual => "Dockerfile".to_owned(),
        DockerfileSource::Path(path) => path.display().to_string(),
        DockerfileSource::Stdin => "-".to_owned(),
        DockerfileSource::Http(url) => without_password(url),
    }
}

/// Returns what a build is called: by the directory, with a Dockerfile that is not the usual one, and the stage.
fn name(options: &BuildOptions) -> String {
    let context = match &options.context {
        ContextSource::Directory(path) => {
            let last = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned());
            last.unwrap_or_else(|| path.display().to_string())
        }
        other => other.to_string(),
    };
    let file = match &options.file {
        DockerfileSource::Path(path) => path.file_name().filter(|name| *name != "Dockerfile"),
        _ => None,
    };
    let file = file.map_or_else(String::new, |name| format!("/{}", name.to_string_lossy()));
    let target = options.target.as_ref().map(|target| format!(" ({target})"));
    format!("{context}{file}{}", target.unwrap_or_default())
}
