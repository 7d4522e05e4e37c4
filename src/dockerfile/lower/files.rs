//! What `COPY` and `ADD` have in common.

use graph::userinfo::without_secret;
use graph::{Archives, CopyAction, CopySource, FileAction, FileOp, Input, Op};

use crate::ast::{CopySpec, InlineFile, Instruction, Word};
use crate::diagnostic::Diagnostic;
use crate::giturl::parse_git_url;
use crate::lower::remote::{self, RemoteSources};
use crate::lower::stage_lowering::{Change, StageLowering};
use crate::lower::{Lowered, mode, path};
use crate::source::Span;
use crate::stage::CopyFrom;

/// Which of the two instructions it is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Verb {
    Copy,
    Add,
}

impl Verb {
    const fn name(self) -> &'static str {
        match self {
            Self::Copy => "COPY",
            Self::Add => "ADD",
        }
    }
}

/// A copy whose sources are known to be paths.
pub(super) struct Files<'a> {
    pub(super) verb: Verb,
    pub(super) spec: &'a CopySpec,
    /// The sources, expanded.
    pub(super) sources: Vec<String>,
    /// Those of them that servers have.
    pub(super) remote: RemoteSources,
    /// Where they are; the build context when absent.
    pub(super) from: Option<&'a CopyFrom>,
    pub(super) archives: Archives,
    /// `--parents`: whether the directories that lead to a source are copied too.
    pub(super) parents: bool,
}

/// The expanded words of a copy.
struct Words {
    destination: String,
    owner: Option<String>,
    mode: Option<String>,
    inline: Vec<CopySource>,
}

/// Adds the step that copies.
///
/// Several sources need not have a destination that ends with a slash: whether it is a directory is seen
/// when the files are copied.
pub(super) fn lower(
    stage: &mut StageLowering<'_>,
    instruction: &Instruction,
    files: &Files<'_>,
) -> Lowered {
    let words = words(stage, files.spec)?;
    let remote = files.remote.keys();
    let remote = remote.filter_map(|index| files.sources.get(*index));
    let text = remote::without_passwords(stage.shown(instruction), remote.map(String::as_str));
    let created_by = created_by(files, &words);
    let has_mode = words.mode.is_some();
    let mut inputs = Vec::new();
    if files.remote.len() < files.sources.len() {
        inputs.push(stage.copy_source(instruction, files.from)?);
    }
    let mut sources = paths(stage, files, &mut inputs)?;
    sources.extend(words.inline);
    let destination = stage.path(&words.destination, &files.spec.destination)?;
    let destination = path::destination(&stage.directory(), &destination);
    let action = CopyAction {
        sources,
        destination: stage.state.in_layer(&destination),
        owner: words.owner,
        mode: words.mode,
        exclude: files
            .spec
            .exclude
            .iter()
            .map(|pattern| pattern.value.clone())
            .collect(),
        archives: files.archives,
        // What a mode changes depends on what is there, as in `BuildKit`.
        link: files.spec.link && !has_mode,
    };
    let op = Op::File(FileOp {
        action: FileAction::Copy(action),
    });
    stage.change(
        instruction,
        Change {
            op,
            sources: inputs,
            text,
            created_by,
        },
    );
    Ok(())
}

/// Returns the sources but those that stand in the Dockerfile. What a server has is an input of its own.
fn paths(
    stage: &StageLowering<'_>,
    files: &Files<'_>,
    inputs: &mut Vec<Input>,
) -> Lowered<Vec<CopySource>> {
    let root = stage.source_files(files.from)?;
    let mut paths = Vec::new();
    for (index, (source, word)) in files.sources.iter().zip(&files.spec.sources).enumerate() {
        paths.push(match files.remote.get(&index) {
            None => {
                let path = stage.path(source, word)?;
                if files.parents {
                    with_parents(root, &path)
                } else {
                    CopySource::Path(format!("{root}{}", path::clean(&path)))
                }
            }
            Some(remote) => {
                inputs.push(remote.input);
                CopySource::Remote {
                    // Input 0 is what is changed.
                    input: inputs.len(),
                    archives: remote.archives,
                }
            }
        });
    }
    Ok(paths)
}

/// Splits a source of `--parents` where its `/./` says from where on its directories are kept.
fn with_parents(root: &str, path: &str) -> CopySource {
    let (base, pattern) = path.split_once("/./").unwrap_or(("/", path));
    CopySource::Parents {
        base: format!("{root}{}", path::clean(base)),
        pattern: path::clean(pattern).trim_start_matches('/').to_owned(),
    }
}

fn words(stage: &mut StageLowering<'_>, spec: &CopySpec) -> Lowered<Words> {
    Ok(Words {
        destination: stage.text(&spec.destination)?,
        owner: optional(stage, spec.chown.as_ref())?,
        mode: checked_mode(stage, spec.chmod.as_ref())?,
        inline: spec
            .inline_files
            .iter()
            .map(|file| inline(stage, file))
            .collect::<Lowered<_>>()?,
    })
}

/// Expands a flag; one that comes to nothing is as if it were not there.
fn optional(stage: &mut StageLowering<'_>, word: Option<&Word>) -> Lowered<Option<String>> {
    let text = word.map(|word| stage.text(word)).transpose()?;
    Ok(text.filter(|text| !text.is_empty()))
}

fn checked_mode(stage: &mut StageLowering<'_>, word: Option<&Word>) -> Lowered<Option<String>> {
    let mode = optional(stage, word)?;
    match (&mode, word) {
        (Some(text), Some(word)) if !mode::is_valid(text) => {
            let title = format!("invalid mode: `{text}`");
            let help = "use an octal number up to 07777 or a symbolic mode, as in `u=rwX,go=rX`";
            Err(vec![
                Diagnostic::error(title, word.span).with_help(help.to_owned()),
            ])
        }
        _ => Ok(mode),
    }
}

fn inline(stage: &mut StageLowering<'_>, file: &InlineFile) -> Lowered<CopySource> {
    let content = if file.expand {
        stage.body_text(&file.content, &file.name)?
    } else {
        file.content.clone()
    };
    Ok(CopySource::Inline {
        name: file.name.value.clone(),
        content,
    })
}

fn created_by(files: &Files<'_>, words: &Words) -> String {
    let mut shown = vec![files.verb.name().to_owned()];
    shown.extend(files.parents.then(|| "--parents".to_owned()));
    shown.extend(words.owner.iter().map(|owner| format!("--chown={owner}")));
    shown.extend(words.mode.iter().map(|mode| format!("--chmod={mode}")));
    shown.extend(files.sources.iter().map(|source| without_secret(source)));
    shown.extend(
        files
            .spec
            .inline_files
            .iter()
            .map(|file| format!("<<{}", file.name.value)),
    );
    shown.push(words.destination.clone());
    shown.push("# buildkit".to_owned());
    shown.join(" ")
}

/// Returns what a source is that is not a path.
pub(super) fn remote(source: &str) -> Option<&'static str> {
    // A text that is a bad git URL was meant to be one; one that looks like a path is a path here.
    match parse_git_url(source) {
        Ok(Some(url)) if !url.looks_local => return Some("a git repository"),
        Err(_) => return Some("a git repository"),
        Ok(_) => {}
    }
    is_http(source).then_some("a URL")
}

/// Tells whether a source is meant as the URL of a file.
pub(super) fn is_http(source: &str) -> bool {
    ["http://", "https://"]
        .iter()
        .any(|scheme| source.starts_with(scheme))
}

/// Returns the place of a flag.
pub(super) fn flag_span(instruction: &Instruction, name: &str) -> Span {
    let flag = instruction
        .flags
        .iter()
        .find(|flag| flag.name.value == name);
    flag.map_or(instruction.keyword.span, |flag| flag.span)
}
