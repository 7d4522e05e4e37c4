//! `SOURCE_DATE_EPOCH`: a time, or where one is to be taken from.
//!
//! ```text
//! --build-arg, or else the default of an ARG before the first FROM
//!   │
//!   ├─ a number            seconds since 1970
//!   ├─ nothing             no time
//!   ├─ `context`           the time of the build context
//!   ├─ a named context     its time
//!   └─ a stage             the time of what its only ADD fetches; it must be FROM scratch and have nothing else
//! ```
//!
//! What has a time is known only to who fetches it, so the caller is told which source is meant, and plans with what
//! it found ([`PlanOptions::epoch_default`]). `FROM` lines and stages see the time and not the name of its source.

use graph::{GitSource, HttpSource};
use oci::{Digest, Timestamp};

use crate::ast::{
    AddInstruction, ArgInstruction, Ast, FromInstruction, Instruction, InstructionKind, Word,
};
use crate::diagnostic::Diagnostic;
use crate::giturl::parse_git_url;
use crate::lower::remote::policy;
use crate::parse::Parsed;
use crate::source::Span;
use crate::stage::environment::Environment;
use crate::stage::expand::expand;
use crate::stage::options::PlanOptions;
use crate::stage::{arguments, context, first_span};
use crate::suggest;

/// The name of the argument.
pub(super) const NAME: &str = "SOURCE_DATE_EPOCH";

/// The value that means the build context.
const CONTEXT: &str = "context";

/// What `SOURCE_DATE_EPOCH` says, and who says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceDateEpoch {
    /// What it says.
    pub value: EpochValue,
    /// Who says it.
    pub origin: EpochOrigin,
    /// Where it is said, or where faults are shown that are nobody's.
    pub span: Span,
}

/// Who gives `SOURCE_DATE_EPOCH` its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EpochOrigin {
    /// `--build-arg`, or the variable of the client.
    Argument,
    /// An `ARG` before the first `FROM`.
    Default,
}

/// What `SOURCE_DATE_EPOCH` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EpochValue {
    /// Nothing: times are those of the clock.
    Unset,
    /// This time.
    At(Timestamp),
    /// The time of a source.
    Of(EpochSource),
}

/// What a time is taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EpochSource {
    /// The build context.
    Context,
    /// This entry of `--build-context`.
    Named(String),
    /// The file at a URL.
    Http(HttpSource),
    /// A git repository, and which commit of it.
    Git(Box<GitSource>),
}

/// Reads what `SOURCE_DATE_EPOCH` says. A Dockerfile that has errors says nothing: it is never planned.
///
/// # Errors
///
/// Fails when the value is neither a time nor anything that has one, and when the stage that it names does more than
/// to fetch one thing.
pub fn source_date_epoch(
    parsed: &Parsed,
    options: &PlanOptions,
) -> Result<SourceDateEpoch, Vec<Diagnostic>> {
    let ast = &parsed.ast;
    let span = declared_at(ast).unwrap_or_else(|| first_span(ast));
    let (Some(platform), false) = (options.target_platforms.first(), parsed.has_errors()) else {
        return Ok(unset(EpochOrigin::Default, span));
    };
    let globals = arguments::global(ast, options, platform)?;
    let given = options.build_args.get(NAME);
    let origin = match given {
        Some(_) => EpochOrigin::Argument,
        None => EpochOrigin::Default,
    };
    let text = given.map(String::as_str).or_else(|| globals.get(NAME));
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(unset(origin, span));
    };
    let reader = Reader {
        ast,
        options,
        globals: &globals,
        span,
    };
    Ok(SourceDateEpoch {
        value: reader.value(text)?,
        origin,
        span,
    })
}

fn unset(origin: EpochOrigin, span: Span) -> SourceDateEpoch {
    SourceDateEpoch {
        value: EpochValue::Unset,
        origin,
        span,
    }
}

/// Returns the place of the default, or else of the name, in an `ARG` before the first `FROM`.
fn declared_at(ast: &Ast) -> Option<Span> {
    let declared = arguments::declarations(ast).filter(|(_, arg)| arg.name.value == NAME);
    let (_, last) = declared.last()?;
    Some(last.default.as_ref().unwrap_or(&last.name).span)
}

struct Reader<'a> {
    ast: &'a Ast,
    options: &'a PlanOptions,
    globals: &'a Environment,
    span: Span,
}

impl Reader<'_> {
    fn value(&self, text: &str) -> Result<EpochValue, Vec<Diagnostic>> {
        if text.parse::<i64>().is_ok() {
            let time = Timestamp::parse_source_date_epoch(text);
            return time.map(EpochValue::At).map_err(|error| {
                let title = format!("`SOURCE_DATE_EPOCH={text}` is no time");
                vec![Diagnostic::error(title, self.span).with_note(error.to_string())]
            });
        }
        if text == CONTEXT {
            return Ok(EpochValue::Of(EpochSource::Context));
        }
        let build = &self.options.build_platform;
        if let Some(entry) = context::find(text, build, &self.options.contexts) {
            return Ok(EpochValue::Of(EpochSource::Named(entry)));
        }
        match self.stage(text) {
            Some(stage) => self.stage_source(&stage).map(EpochValue::Of),
            None => Err(vec![self.unknown(text)]),
        }
    }

    fn unknown(&self, text: &str) -> Diagnostic {
        let title = format!("`SOURCE_DATE_EPOCH={text}` is no time and names nothing that has one");
        let contexts = self.options.contexts.iter().map(String::as_str);
        let names = self.stages().filter_map(|stage| stage.name);
        let names: Vec<&str> = names.chain(contexts).chain([CONTEXT]).collect();
        Diagnostic::error(title, self.span)
            .with_note("it can be seconds since 1970, `context`, a named context or a stage")
            .with_help(suggest::did_you_mean(text, names))
    }

    fn stages(&self) -> impl Iterator<Item = StageText<'_>> {
        let instructions = &self.ast.instructions;
        let is_from =
            |instruction: &Instruction| matches!(instruction.kind, InstructionKind::From(_));
        instructions
            .iter()
            .enumerate()
            .filter_map(move |(index, instruction)| {
                let InstructionKind::From(from) = &instruction.kind else {
                    return None;
                };
                let rest = instructions.get(index + 1..).unwrap_or_default();
                let length = rest.iter().position(is_from).unwrap_or(rest.len());
                Some(StageText {
                    name: from.alias.as_ref().map(|alias| alias.name.value.as_str()),
                    from,
                    body: rest.get(..length).unwrap_or_default(),
                })
            })
    }

    fn stage(&self, name: &str) -> Option<StageText<'_>> {
        self.stages().find(|stage| {
            stage
                .name
                .is_some_and(|found| found.eq_ignore_ascii_case(name))
        })
    }

    /// Returns what the only `ADD` of a stage fetches.
    fn stage_source(&self, stage: &StageText<'_>) -> Result<EpochSource, Vec<Diagnostic>> {
        // The time is not known yet, so the stage cannot depend on it.
        let mut visible = self.globals.without(NAME);
        let base = expand(&stage.from.image, &visible, self.ast.escape)?.value;
        if base != "scratch" {
            return Err(vec![refused(
                "must be `FROM scratch`",
                stage.from.image.span,
            )]);
        }
        let mut found = None;
        for instruction in stage.body {
            match &instruction.kind {
                InstructionKind::Arg(arg) => self.declare(arg, &mut visible)?,
                InstructionKind::Add(add) if found.is_none() => {
                    found = Some(self.add(add, &visible)?);
                }
                _ => {
                    let why = "may have nothing but `ARG` and one `ADD`";
                    return Err(vec![refused(why, instruction.keyword.span)]);
                }
            }
        }
        let why = "must have one `ADD` of a URL or a git repository";
        found.ok_or_else(|| vec![refused(why, stage.from.image.span)])
    }

    fn declare(
        &self,
        arg: &ArgInstruction,
        visible: &mut Environment,
    ) -> Result<(), Vec<Diagnostic>> {
        let build_args = &self.options.build_args;
        for declaration in &arg.declarations {
            let value = arguments::value(declaration, build_args, visible, self.ast.escape)?;
            if let Some(value) = value {
                visible.set(&declaration.name.value, &value);
            }
        }
        Ok(())
    }

    fn add(
        &self,
        add: &AddInstruction,
        visible: &Environment,
    ) -> Result<EpochSource, Vec<Diagnostic>> {
        let ([source], []) = (
            add.spec.sources.as_slice(),
            add.spec.inline_files.as_slice(),
        ) else {
            let why = "must have an `ADD` with exactly one source";
            return Err(vec![refused(why, add.spec.destination.span)]);
        };
        let text = self.text(source, visible)?;
        let checksum = add.checksum.as_ref();
        let checksum = checksum.map(|word| self.text(word, visible)).transpose()?;
        let git = parse_git_url(&text)
            .map_err(|error| vec![Diagnostic::error(error.to_string(), source.span)])?;
        if let Some(url) = git.filter(|url| !url.looks_local) {
            let mut git = url.source();
            git.checksum = checksum.or(git.checksum);
            let allowed = policy::git(&self.options.policy, git, source)?;
            return Ok(EpochSource::Git(Box::new(allowed)));
        }
        if text.starts_with("http://") || text.starts_with("https://") {
            let file = HttpSource {
                url: text,
                checksum: self.digest(add, checksum.as_deref())?,
            };
            let allowed = policy::http(&self.options.policy, file, source)?;
            return Ok(EpochSource::Http(allowed));
        }
        let why = "must have one `ADD` of a URL or a git repository";
        Err(vec![refused(why, source.span)])
    }

    fn digest(
        &self,
        add: &AddInstruction,
        text: Option<&str>,
    ) -> Result<Option<Digest>, Vec<Diagnostic>> {
        let span = add.checksum.as_ref().map_or(self.span, |word| word.span);
        let digest = text.map(Digest::parse).transpose();
        digest.map_err(|error| vec![Diagnostic::error(error.to_string(), span)])
    }

    fn text(&self, word: &Word, visible: &Environment) -> Result<String, Vec<Diagnostic>> {
        expand(word, visible, self.ast.escape).map(|expanded| expanded.value)
    }
}

/// A stage as it is written.
struct StageText<'a> {
    name: Option<&'a str>,
    from: &'a FromInstruction,
    body: &'a [Instruction],
}

fn refused(why: &str, span: Span) -> Diagnostic {
    Diagnostic::error(format!("the stage of SOURCE_DATE_EPOCH {why}"), span)
}

#[cfg(test)]
mod tests;
