//! Which checks the user wants: `skip=…;error=…;experimental=…`.
//!
//! The build argument `BUILDKIT_DOCKERFILE_CHECK` stands in the place of the directive `# check=`; a comment `# check=`
//! directly above an instruction adds to either, for that instruction alone.

use std::collections::{BTreeMap, BTreeSet};

use crate::ast::{Ast, Instruction, Word};
use crate::check::Rule;
use crate::diagnostic::{Diagnostic, quoted};
use crate::directive::DirectiveName;
use crate::number;
use crate::source::{Span, Spanned};
use crate::suggest;

/// The build argument that stands in the place of the directive.
const ARGUMENT: &str = "BUILDKIT_DOCKERFILE_CHECK";

/// The word for all checks.
const ALL: &str = "all";

/// The options there are.
const OPTIONS: [&str; 3] = ["skip", "error", "experimental"];

/// What the user wants of the checks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    skip: BTreeSet<Rule>,
    /// The experimental checks that are asked for.
    experimental: BTreeSet<Rule>,
    /// Where it is asked for that a build fails in which something was found.
    error: Option<Span>,
}

/// Settings as they were read, with what is strange about them.
#[derive(Debug, Default)]
struct Read {
    settings: Settings,
    warnings: Vec<Diagnostic>,
}

impl Settings {
    /// Reads the settings of a build, with warnings of names that no check has.
    ///
    /// # Errors
    ///
    /// Fails when an option is none of those there are, or has a value it cannot have.
    pub(crate) fn read(
        ast: &Ast,
        build_args: &BTreeMap<String, String>,
        place: Span,
    ) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        let argument = build_args
            .get(ARGUMENT)
            .map(|value| Spanned::new(value.clone(), place));
        let is_given = argument.is_some();
        let directive = || {
            let mut directives = ast.directives.iter();
            let check = directives.find(|one| one.name.value == DirectiveName::Check);
            check.map(|one| one.value.clone())
        };
        let Some(text) = argument.or_else(directive) else {
            return Ok((Self::default(), Vec::new()));
        };
        match read(&text) {
            Ok(read) => Ok((read.settings, read.warnings)),
            Err(fault) if is_given => Err(vec![fault.with_note(format!(
                "the build argument `{ARGUMENT}` is `{}`",
                text.value
            ))]),
            Err(fault) => Err(vec![*fault]),
        }
    }

    /// Returns the settings for an instruction with these comments directly above it.
    pub(crate) fn with_comments(&self, comments: &[Spanned<String>]) -> Self {
        let mut settings = self.clone();
        for text in comments.iter().filter_map(option_text) {
            // What cannot be read is warned of by `comment_warnings`.
            let Ok(read) = read(&text) else { continue };
            settings.skip.extend(read.settings.skip);
            settings.experimental.extend(read.settings.experimental);
        }
        settings
    }

    /// Tells whether what this check finds is told.
    pub(crate) fn is_wanted(&self, rule: Rule) -> bool {
        if rule.is_experimental() {
            self.experimental.contains(&rule)
        } else {
            !self.skip.contains(&rule)
        }
    }

    /// Returns the error for a build in which something was found, if the user wants one.
    pub(crate) fn violation<'d>(
        &self,
        found: impl IntoIterator<Item = &'d Diagnostic>,
    ) -> Option<Diagnostic> {
        let place = self.error?;
        let mut names: Vec<&str> = Vec::new();
        for rule in found.into_iter().filter_map(|finding| finding.rule) {
            if !names.contains(&rule.name()) {
                names.push(rule.name());
            }
        }
        if names.is_empty() {
            return None;
        }
        let title = format!("lint violation found for rules: {}", names.join(", "));
        Some(Diagnostic::error(title, place).with_label("what checks find is an error here"))
    }
}

/// Returns warnings of comments above an instruction that were perhaps meant as options of the checks.
pub(super) fn comment_warnings(instruction: &Instruction) -> Vec<Diagnostic> {
    let mut warnings = Vec::new();
    for text in instruction.comments.iter().filter_map(option_text) {
        match read(&text) {
            Ok(read) => {
                warnings.extend(read.warnings);
                warnings.extend(read.settings.error.map(error_of_one_instruction));
            }
            Err(fault) => warnings.push(Diagnostic {
                severity: crate::diagnostic::Severity::Warning,
                ..fault.with_note("the comment has no effect")
            }),
        }
    }
    warnings
}

fn error_of_one_instruction(place: Span) -> Diagnostic {
    Diagnostic::warning("`error` has no effect above an instruction", place)
        .with_help("it stands in the first lines of the file".to_owned())
}

/// Returns what stands behind `check=` in a comment.
fn option_text(comment: &Spanned<String>) -> Option<Word> {
    let (name, value) = comment.value.split_once('=')?;
    if !name.trim_end().eq_ignore_ascii_case("check") {
        return None;
    }
    let value = value.trim();
    let end = comment.span.end;
    Some(Spanned::new(
        value.to_owned(),
        Span::new(end.saturating_sub(value.len()), end),
    ))
}

/// Reads options; the empty text is none.
fn read(text: &Word) -> Result<Read, Box<Diagnostic>> {
    let mut read = Read::default();
    if text.value.trim().is_empty() {
        return Ok(read);
    }
    for part in split(text, ';') {
        let Some((name, value)) = part.value.split_once('=') else {
            return Err(without_value(&part));
        };
        let value = sub(&part, name.len() + 1, value);
        match name.trim() {
            "skip" => {
                let rules = rules(&value, &mut read.warnings);
                read.settings.skip = rules.filter(|rule| !rule.is_experimental()).collect();
            }
            "experimental" => {
                let rules = rules(&value, &mut read.warnings);
                read.settings.experimental = rules.filter(|rule| rule.is_experimental()).collect();
            }
            "error" => read.settings.error = is_on(&value)?.then_some(part.span),
            other => return Err(unknown(&part, other)),
        }
    }
    Ok(read)
}

/// Returns the checks that are named; a name that no check has is warned of.
fn rules(list: &Word, warnings: &mut Vec<Diagnostic>) -> impl Iterator<Item = Rule> {
    let mut rules = Vec::new();
    for name in split(list, ',') {
        match Rule::from_name(&name.value) {
            Some(rule) => rules.push(rule),
            None if list.value == ALL => rules.extend(Rule::ALL),
            None if name.value.is_empty() => {}
            None => warnings.push(no_such_rule(&name)),
        }
    }
    rules.into_iter()
}

fn no_such_rule(name: &Word) -> Diagnostic {
    let names = Rule::ALL.iter().map(|rule| rule.name());
    Diagnostic::warning(
        format!("there is no check {}", quoted(&name.value)),
        name.span,
    )
    .with_help(suggest::did_you_mean(&name.value, names))
}

fn is_on(value: &Word) -> Result<bool, Box<Diagnostic>> {
    number::parse_bool(&value.value).ok_or_else(|| {
        let title = format!("check option `error` cannot be {}", quoted(&value.value));
        Box::new(
            Diagnostic::error(title, value.span)
                .with_label("neither true nor false")
                .with_help("write `error=true`".to_owned()),
        )
    })
}

fn without_value(part: &Word) -> Box<Diagnostic> {
    if !OPTIONS.contains(&part.value.as_str()) {
        return unknown(part, &part.value);
    }
    let title = format!("check option {} has no value", quoted(&part.value));
    let help = format!("write `{}=…`", part.value);
    Box::new(Diagnostic::error(title, part.span).with_help(help))
}

fn unknown(part: &Word, name: &str) -> Box<Diagnostic> {
    let help = suggest::did_you_mean(name, OPTIONS)
        .unwrap_or_else(|| "write it as in `# check=skip=StageNameCasing;error=true`".to_owned());
    let title = format!("invalid check option: {}", quoted(name));
    Box::new(Diagnostic::error(title, part.span).with_help(help))
}

/// Returns the parts of a text between separators, without the blanks round them.
fn split(text: &Word, separator: char) -> Vec<Word> {
    let mut start = 0;
    let mut parts = Vec::new();
    for part in text.value.split(separator) {
        parts.push(sub(text, start, part));
        start += part.len() + separator.len_utf8();
    }
    parts
}

/// Returns `part`, which begins at `start` in `text`, without the blanks round it.
fn sub(text: &Word, start: usize, part: &str) -> Word {
    let blanks = part.len() - part.trim_start().len();
    let part = part.trim();
    let exact = text.span.len() == text.value.len();
    let begin = text.span.start + start + blanks;
    let span = if exact {
        Span::new(begin, begin + part.len())
    } else {
        text.span
    };
    Spanned::new(part.to_owned(), span)
}
