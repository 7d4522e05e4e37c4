//! Sources of `ADD` that servers have: files by HTTP, and git repositories.

pub(crate) mod policy;

use std::collections::BTreeMap;

use graph::userinfo::without_secret;
use graph::{Archives, GitSource, HttpSource, Input, Op, SourceOp, Vertex};
use oci::Digest;

use crate::ast::{AddInstruction, Instruction, Word};
use crate::diagnostic::Diagnostic;
use crate::giturl::{GitUrl, parse_git_url};
use crate::lower::stage_lowering::StageLowering;
use crate::lower::{Lowered, files};
use crate::source::Span;

/// A source that a server has.
pub(super) struct RemoteSource {
    /// What fetches it.
    pub(super) input: Input,
    /// What happens to it if it is an archive.
    pub(super) archives: Archives,
}

/// The sources that servers have, by their place among all sources.
pub(super) type RemoteSources = BTreeMap<usize, RemoteSource>;

/// What a source of `ADD` is.
enum Kind {
    Path,
    Http,
    Git(Box<GitUrl>),
}

/// The flags that are about what servers have, expanded.
struct Flags<'a> {
    checksum: Option<(String, Span)>,
    keep_git_dir: Option<bool>,
    archives: Archives,
    instruction: &'a Instruction,
}

/// Adds what fetches the sources that servers have.
pub(super) fn sources(
    stage: &mut StageLowering<'_>,
    instruction: &Instruction,
    add: &AddInstruction,
    texts: &[String],
) -> Lowered<RemoteSources> {
    let flags = Flags {
        checksum: checksum(stage, add)?,
        keep_git_dir: add.keep_git_dir.as_ref().map(|keep| keep.value),
        archives: match &add.unpack {
            Some(unpack) if unpack.value => Archives::Unpack,
            Some(_) | None => Archives::Keep,
        },
        instruction,
    };
    let kinds: Vec<_> = texts
        .iter()
        .zip(&add.spec.sources)
        .map(|(text, word)| kind_of(text, word))
        .collect::<Lowered<_>>()?;
    flags.check(&kinds, add)?;
    if flags.keep_git_dir == Some(true) && !kinds.iter().any(|kind| matches!(kind, Kind::Git(_))) {
        let title = "--keep-git-dir changes nothing: no source is a git repository".to_owned();
        let span = files::flag_span(instruction, "keep-git-dir");
        stage.warn(Diagnostic::warning(title, span));
    }
    let fetched = kinds.iter().zip(texts);
    let fetched = fetched.filter(|(kind, _)| !matches!(kind, Kind::Path));
    let shown_step = without_passwords(
        stage.shown(instruction),
        fetched.map(|(_, text)| text.as_str()),
    );
    let mut remote = RemoteSources::new();
    let all = kinds.into_iter().zip(texts).zip(&add.spec.sources);
    for (index, ((kind, text), word)) in all.enumerate() {
        let op = match kind {
            Kind::Path => continue,
            Kind::Http => {
                let source = flags.http(text, word)?;
                SourceOp::Http(policy::http(&stage.plan.options.policy, source, word)?)
            }
            Kind::Git(url) => {
                let source = flags.git(&url, word)?;
                SourceOp::Git(policy::git(&stage.plan.options.policy, source, word)?)
            }
        };
        let archives = match &op {
            SourceOp::Http(_) => flags.archives,
            _ => Archives::Keep,
        };
        let input = input(stage, op, instruction.lines.first, &shown_step);
        remote.insert(index, RemoteSource { input, archives });
    }
    Ok(remote)
}

/// Adds what fetches, which is shown as the instruction is. It is of no platform: that of the machine stands for all
/// targets.
fn input(stage: &mut StageLowering<'_>, op: SourceOp, line: usize, text: &str) -> Input {
    let label = stage.coming(text.to_owned(), line);
    let platform = stage.plan.options.build_platform.clone();
    stage.add(Vertex {
        op: Op::Source(op),
        inputs: Vec::new(),
        platform,
        label,
    })
}

fn kind_of(text: &str, word: &Word) -> Lowered<Kind> {
    match parse_git_url(text) {
        // One that looks like a path is a path here.
        Ok(Some(url)) if !url.looks_local => Ok(Kind::Git(Box::new(url))),
        Ok(_) if files::is_http(text) => Ok(Kind::Http),
        Ok(_) => Ok(Kind::Path),
        Err(error) => {
            let title = format!("`{}`: {error}", without_secret(text));
            Err(vec![Diagnostic::error(title, word.span)])
        }
    }
}

fn checksum(
    stage: &mut StageLowering<'_>,
    add: &AddInstruction,
) -> Lowered<Option<(String, Span)>> {
    let Some(word) = &add.checksum else {
        return Ok(None);
    };
    let text = stage.text(word)?;
    Ok((!text.is_empty()).then_some((text, word.span)))
}

impl Flags<'_> {
    /// Refuses a checksum that is not of one thing that a server has.
    fn check(&self, kinds: &[Kind], add: &AddInstruction) -> Lowered {
        let Some((_, span)) = &self.checksum else {
            return Ok(());
        };
        if kinds.len() != 1 {
            let count = kinds.len() + add.spec.inline_files.len();
            let title = format!("--checksum is for one source, and this has {count}");
            let help = "write an `ADD` for each".to_owned();
            return Err(vec![Diagnostic::error(title, *span).with_help(help)]);
        }
        if matches!(kinds, [Kind::Path]) {
            let title = "--checksum is for URLs and git repositories".to_owned();
            return Err(vec![Diagnostic::error(title, *span)]);
        }
        Ok(())
    }

    fn http(&self, text: &str, word: &Word) -> Lowered<HttpSource> {
        if let Some(c) = text.chars().find(|c| c.is_control()) {
            let title = format!("a URL has a `{}`", c.escape_debug());
            return Err(vec![Diagnostic::error(title, word.span)]);
        }
        let checksum = self.checksum.as_ref().map(|(checksum, span)| {
            Digest::parse(checksum).map_err(|error| {
                let title = format!("invalid checksum: {error}");
                let help = "write `sha256:` and 64 hexadecimal digits".to_owned();
                vec![Diagnostic::error(title, *span).with_help(help)]
            })
        });
        Ok(HttpSource {
            url: text.to_owned(),
            checksum: checksum.transpose()?,
        })
    }

    fn git(&self, url: &GitUrl, word: &Word) -> Lowered<GitSource> {
        let mut source = url.source();
        if let Some(keep) = self.keep_git_dir {
            if url.keep_git_dir.is_some_and(|of_url| of_url != keep) {
                let title = "--keep-git-dir and the URL say different things".to_owned();
                let span = files::flag_span(self.instruction, "keep-git-dir");
                return Err(vec![Diagnostic::error(title, span)]);
            }
            source.keep_git_dir = keep;
        }
        if let Some((checksum, span)) = &self.checksum {
            if let Some(of_url) = &url.checksum
                && of_url != checksum
            {
                let title = format!(
                    "--checksum and the URL name different commits: `{checksum}` and `{of_url}`"
                );
                return Err(vec![Diagnostic::error(title, *span)]);
            }
            source.checksum = Some(checksum.clone());
        }
        let span = self.checksum.as_ref().map_or(word.span, |(_, span)| *span);
        checked_commit(&source, span)?;
        Ok(source)
    }
}

/// Refuses what cannot be a commit or the start of its name.
fn checked_commit(source: &GitSource, span: Span) -> Lowered {
    let is_hexadecimal = |text: &String| text.bytes().all(|b| b.is_ascii_hexdigit());
    match &source.checksum {
        Some(checksum) if !is_hexadecimal(checksum) => {
            let title =
                format!("invalid checksum `{checksum}`: a commit is named by hexadecimal digits");
            Err(vec![Diagnostic::error(title, span)])
        }
        None if source.fetch_by_commit => {
            let title =
                "`fetch-by-commit` needs a commit: `commit=…` in the URL, or --checksum".to_owned();
            Err(vec![Diagnostic::error(title, span)])
        }
        Some(_) | None => Ok(()),
    }
}

/// Leaves what is secret in URLs out of what displays show of an instruction.
pub(super) fn without_passwords<'a>(
    text: String,
    sources: impl IntoIterator<Item = &'a str>,
) -> String {
    let sources = sources.into_iter();
    sources.fold(text, |text, source| {
        text.replace(source, &without_secret(source))
    })
}
