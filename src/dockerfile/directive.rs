//! Parser directives: `# syntax=`, `# escape=`, `# check=` at the top of a Dockerfile.
//!
//! They stand in the first lines. The first line that is none (blank, an ordinary comment, an unknown name or
//! an instruction) ends them. Names are read in any case.

use crate::ast::Escape;
use crate::diagnostic::{Diagnostic, quoted};
use crate::lines::{BYTE_ORDER_MARK, LineReader, Physical};
use crate::source::{SourceFile, Span, Spanned};

/// Which directive it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DirectiveName {
    /// `# syntax=`
    Syntax,
    /// `# escape=`
    Escape,
    /// `# check=`
    Check,
}

impl DirectiveName {
    /// Returns the name in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::Escape => "escape",
            Self::Check => "check",
        }
    }

    fn from_text(text: &str) -> Option<Self> {
        let names = [Self::Syntax, Self::Escape, Self::Check];
        names
            .into_iter()
            .find(|name| name.as_str().eq_ignore_ascii_case(text))
    }
}

/// One parser directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// Which one.
    pub name: Spanned<DirectiveName>,
    /// What follows `=`, without the blanks round it.
    pub value: Spanned<String>,
    /// The line it stands on, counted from 1.
    pub line: usize,
}

impl Directive {
    /// Returns the value up to the first blank: the image of `# syntax=image options`.
    pub fn first_word(&self) -> &str {
        self.value.value.split(' ').next().unwrap_or_default()
    }
}

/// The frontend that a file asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Syntax {
    /// The image of the frontend.
    pub image: String,
    /// The image with what follows it.
    pub command_line: String,
    /// The line it stands on, counted from 1; 0 in a JSON file.
    pub line: usize,
    /// Where it stands.
    pub span: Span,
}

/// Returns the frontend that a file asks for, whatever the file's own comments look like.
///
/// Besides `# syntax=`, the forms `// syntax=` and `{"syntax": …}` are understood. A first line that starts with
/// `#!` is skipped.
pub fn detect_syntax(text: &str) -> Option<Syntax> {
    let found = find(text, DirectiveName::Syntax, "#");
    let found = found.or_else(|| find(text, DirectiveName::Syntax, "//"));
    match found {
        Some(directive) => Some(Syntax {
            image: directive.first_word().to_owned(),
            line: directive.line,
            span: directive.value.span,
            command_line: directive.value.value,
        }),
        None => syntax_in_json(text),
    }
}

/// Returns the directive `name` of a file. A first line that starts with `#!` is skipped.
pub fn detect(text: &str, name: DirectiveName) -> Option<Directive> {
    find(text, name, "#")
}

fn find(text: &str, name: DirectiveName, comment: &str) -> Option<Directive> {
    let source = SourceFile::new("", text);
    let (directives, _) = read(&source, comment, Rules::Detection);
    directives
        .into_iter()
        .find(|directive| directive.name.value == name)
}

fn syntax_in_json(text: &str) -> Option<Syntax> {
    let whole = text;
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let text = if text.starts_with("#!") {
        text.split_once('\n')?.1
    } else {
        text
    };
    let json: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).ok()?;
    let image = json.get("syntax")?.as_str()?;
    // With escapes in it, the text has no simple place.
    let start = whole.find(image).unwrap_or_default();
    Some(Syntax {
        image: image.to_owned(),
        command_line: image.to_owned(),
        line: 0,
        span: Span::new(start, start + image.len()),
    })
}

/// BuildKit reads directives twice, by slightly different rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rules {
    /// Before anything else, to find the frontend: a first line `#!…` is skipped, blanks before `#` are not.
    Detection,
    /// With the instructions, where only `escape` has an effect: the other way round.
    Parsing,
}

/// Returns the directives of a Dockerfile with the escape character they set.
pub(crate) fn directives(source: &SourceFile) -> (Vec<Directive>, Escape, Vec<Diagnostic>) {
    let (mut found, _) = read(source, "#", Rules::Detection);
    let (in_force, mut diagnostics) = read(source, "#", Rules::Parsing);
    let is_escape = |one: &Directive| one.name.value == DirectiveName::Escape;
    let mut escape = Escape::default();
    found.retain(|one| !is_escape(one));
    if let Some(directive) = in_force.into_iter().find(is_escape) {
        escape = escape_character(&directive, &mut diagnostics);
        found.push(directive);
        found.sort_by_key(|one| one.line);
    }
    (found, escape, diagnostics)
}

/// Returns the directives as they stand at the top, with nothing skipped.
#[cfg(test)]
pub(crate) fn leading(text: &str) -> Vec<Directive> {
    read(&SourceFile::new("", text), "#", Rules::Parsing).0
}

fn escape_character(directive: &Directive, diagnostics: &mut Vec<Diagnostic>) -> Escape {
    match directive.value.value.as_str() {
        "\\" => Escape::Backslash,
        "`" => Escape::Backtick,
        other => {
            let title = format!("invalid escape character: {}", quoted(other));
            diagnostics.push(
                Diagnostic::error(title, directive.value.span)
                    .with_help("use a backslash or a back quote".to_owned()),
            );
            Escape::default()
        }
    }
}

fn read(source: &SourceFile, comment: &str, rules: Rules) -> (Vec<Directive>, Vec<Diagnostic>) {
    let mut found: Vec<Directive> = Vec::new();
    let mut diagnostics = Vec::new();
    let mut lines = LineReader::new(source, Escape::default());
    while let Some(line) = lines.next_physical() {
        let detection = rules == Rules::Detection;
        if detection && line.number == 1 && line.text.starts_with("#!") {
            continue;
        }
        if detection && line.text.starts_with(char::is_whitespace) {
            break;
        }
        let Some(directive) = read_line(line, comment) else {
            break;
        };
        let name = directive.name.value;
        match found.iter().find(|earlier| earlier.name.value == name) {
            Some(earlier) => {
                let title = format!("directive `{}` is given twice", name.as_str());
                let note = format!("the first one is in line {}", earlier.line);
                let span = directive.name.span;
                diagnostics.push(Diagnostic::error(title, span).with_note(note));
            }
            None => found.push(directive),
        }
    }
    (found, diagnostics)
}

fn read_line(line: Physical<'_>, comment: &str) -> Option<Directive> {
    let text = line.text.trim_start().strip_prefix(comment)?.trim_start();
    let name_len = text.find(|c: char| !c.is_ascii_alphanumeric())?;
    let (name, rest) = text.split_at_checked(name_len)?;
    let value = rest.trim_start().strip_prefix('=')?.trim();
    if value.is_empty() {
        return None;
    }
    let name = DirectiveName::from_text(name)?;
    let name_start = line.start + (line.text.len() - text.len());
    let value_end = line.start + line.text.trim_end().len();
    Some(Directive {
        name: Spanned::new(name, Span::new(name_start, name_start + name_len)),
        value: Spanned::new(
            value.to_owned(),
            Span::new(value_end - value.len(), value_end),
        ),
        line: line.number,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<(&'static str, String)> {
        let source = SourceFile::new("Dockerfile", text);
        let (directives, _, _) = directives(&source);
        directives
            .into_iter()
            .map(|d| (d.name.value.as_str(), d.value.value))
            .collect()
    }

    #[test]
    fn directives_end_at_the_first_line_that_is_none() {
        let one = |name, value: &str| vec![(name, value.to_owned())];
        for (text, expected) in [
            ("# syntax=a\nFROM x", one("syntax", "a")),
            ("#SYNTAX = a b \nFROM x", one("syntax", "a b")),
            ("# syntax=a\n\n# escape=`\n", one("syntax", "a")),
            ("# syntax=a\n# note\n# escape=`\n", one("syntax", "a")),
            ("# syntax=a\n# key=b\n# escape=`\n", one("syntax", "a")),
            ("# note\n# syntax=a\n", vec![]),
            ("#!/bin/x\n# check=skip=all\n", one("check", "skip=all")),
            ("\u{feff}# syntax=a\n", one("syntax", "a")),
            ("# syntax=\n", vec![]),
        ] {
            assert_eq!(names(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_directive_given_twice_is_an_error() {
        let source = SourceFile::new("Dockerfile", "# syntax=a\n# Syntax=b\n");
        let (_, _, diagnostics) = directives(&source);
        let texts: Vec<_> = diagnostics.iter().map(|d| d.to_text(&source)).collect();
        assert_eq!(
            texts,
            [
                "error: directive `syntax` is given twice\n --> Dockerfile:2:3\n  = note: the first one is in line 1"
            ]
        );
    }

    #[test]
    fn an_escape_character_must_be_a_backslash_or_a_back_quote() {
        let source = SourceFile::new("Dockerfile", "# escape = x\n");
        let (_, escape, diagnostics) = directives(&source);
        assert_eq!(escape, Escape::Backslash);
        assert_eq!(
            diagnostics[0].to_text(&source),
            "error: invalid escape character: `x`\n --> Dockerfile:1:12\n  \
             = help: use a backslash or a back quote"
        );
    }
}
