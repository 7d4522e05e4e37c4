//! Logical lines → nodes: keyword, flags and arguments, before anybody knows what they mean.
//!
//! Which arguments a line has depends on the keyword alone:
//!
//! | Arguments | Instructions |
//! | --- | --- |
//! | words between blanks | `EXPOSE`, `FROM` |
//! | a JSON array, else words between blanks | `ADD`, `COPY`, `VOLUME` |
//! | a JSON array, else the rest of the line | `CMD`, `ENTRYPOINT`, `RUN`, `SHELL`; `HEALTHCHECK` behind its first word |
//! | the rest of the line | `MAINTAINER`, `STOPSIGNAL`, `USER`, `WORKDIR` |
//! | words with quotes | `ARG` |
//! | pairs | `ENV`, `LABEL` |
//! | another line | `ONBUILD` |

use crate::ast::{Escape, Flag, Heredoc, Pair, PairForm, Word};
use crate::diagnostic::{Diagnostic, quoted};
use crate::json::{self, NotWords};
use crate::limits::MAX_ONBUILD_DEPTH;
use crate::lines::{LogicalLine, Slice};
use crate::source::{LineRange, Span, Spanned};

mod flags;
mod words;

pub(crate) use words::{quoted_words, split_at_equals};

/// An instruction's line, taken apart.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) keyword: Word,
    pub(crate) flags: Vec<Flag>,
    pub(crate) arguments: Arguments,
    /// Whether the arguments are those of a JSON array.
    pub(crate) json: bool,
    pub(crate) original: String,
    pub(crate) comments: Vec<Spanned<String>>,
    pub(crate) heredocs: Vec<Heredoc>,
    pub(crate) span: Span,
    pub(crate) lines: LineRange,
    /// Whether what stands above is a `RUN`, or was perhaps meant as the rest of one.
    pub(crate) follows_run: bool,
}

/// The arguments of a node.
#[derive(Debug, Clone)]
pub(crate) enum Arguments {
    Words(Vec<Word>),
    Pairs(Vec<Pair>, PairForm),
    Line(Option<Box<Node>>),
    /// There is no such instruction.
    Unknown,
    /// There is a diagnostic for them.
    Broken,
}

/// How the arguments of an instruction are read.
#[derive(Debug, Clone, Copy)]
enum Grammar {
    Words,
    JsonOrWords,
    JsonOrText,
    CheckThenJsonOrText,
    Text,
    QuotedWords,
    Pairs,
    Line,
}

/// Returns the grammar of an instruction's arguments.
fn grammar(keyword: &str) -> Option<Grammar> {
    match keyword {
        "ADD" | "COPY" | "VOLUME" => Some(Grammar::JsonOrWords),
        "ARG" => Some(Grammar::QuotedWords),
        "CMD" | "ENTRYPOINT" | "RUN" | "SHELL" => Some(Grammar::JsonOrText),
        "ENV" | "LABEL" => Some(Grammar::Pairs),
        "EXPOSE" | "FROM" => Some(Grammar::Words),
        "HEALTHCHECK" => Some(Grammar::CheckThenJsonOrText),
        "MAINTAINER" | "STOPSIGNAL" | "USER" | "WORKDIR" => Some(Grammar::Text),
        "ONBUILD" => Some(Grammar::Line),
        _ => None,
    }
}

/// Takes a logical line apart.
pub(crate) fn read(line: &LogicalLine, escape: Escape, diagnostics: &mut Vec<Diagnostic>) -> Node {
    let mut reader = Reader {
        escape: escape.as_char(),
        lines: line.lines(),
        diagnostics,
    };
    let mut node = reader.node(line.slice(), 0);
    node.comments.clone_from(&line.comments);
    node
}

struct Reader<'d> {
    escape: char,
    lines: LineRange,
    diagnostics: &'d mut Vec<Diagnostic>,
}

impl Reader<'_> {
    fn node(&mut self, line: Slice<'_>, depth: usize) -> Node {
        let trimmed = line.trim();
        let (keyword, rest) = words::split_first(trimmed);
        let (flags, arguments) = flags::split_flags(rest);
        let arguments = arguments.trim();
        let (arguments, json) = match grammar(&keyword.as_str().to_ascii_uppercase()) {
            None => (Arguments::Unknown, false),
            Some(grammar) => self.arguments(grammar, keyword, arguments, depth),
        };
        Node {
            keyword: keyword.word(),
            flags,
            arguments,
            json,
            original: line.as_str().to_owned(),
            comments: Vec::new(),
            heredocs: Vec::new(),
            span: trimmed.span(),
            lines: self.lines,
            follows_run: false,
        }
    }

    fn arguments(
        &mut self,
        grammar: Grammar,
        keyword: Slice<'_>,
        rest: Slice<'_>,
        depth: usize,
    ) -> (Arguments, bool) {
        match grammar {
            Grammar::Words => (Arguments::Words(words::between_blanks(rest)), false),
            Grammar::Text => (Arguments::Words(text(rest)), false),
            Grammar::QuotedWords => (Arguments::Words(quoted_words(rest, self.escape)), false),
            Grammar::JsonOrWords => self.json_or(rest, words::between_blanks),
            Grammar::JsonOrText => self.json_or(rest, text),
            Grammar::CheckThenJsonOrText => self.check(rest),
            Grammar::Pairs => (self.pairs(keyword, rest), false),
            Grammar::Line => (self.line(rest, depth), false),
        }
    }

    fn json_or(
        &mut self,
        rest: Slice<'_>,
        otherwise: impl FnOnce(Slice<'_>) -> Vec<Word>,
    ) -> (Arguments, bool) {
        match json::string_array(rest) {
            Ok(words) => (Arguments::Words(words), true),
            Err(NotWords::NotJson) => (Arguments::Words(otherwise(rest)), false),
            Err(NotWords::NotStrings) => {
                let title = "JSON form takes an array of strings";
                self.diagnostics.push(
                    Diagnostic::error(title, rest.span())
                        .with_label("holds something that is no string")
                        .with_help("put double quotes round every element".to_owned()),
                );
                (Arguments::Broken, true)
            }
        }
    }

    /// Reads the word behind `HEALTHCHECK` and the command behind that.
    fn check(&mut self, rest: Slice<'_>) -> (Arguments, bool) {
        let (kind, command) = words::split_first_at_space(rest);
        if kind.as_str().is_empty() {
            return (Arguments::Words(Vec::new()), false);
        }
        let (arguments, json) = self.json_or(command, text);
        match arguments {
            Arguments::Words(command) => {
                let words = std::iter::once(kind.word()).chain(command).collect();
                (Arguments::Words(words), json)
            }
            other => (other, json),
        }
    }

    fn pairs(&mut self, keyword: Slice<'_>, rest: Slice<'_>) -> Arguments {
        let words = quoted_words(rest, self.escape);
        let Some(first) = words.first() else {
            return Arguments::Pairs(Vec::new(), PairForm::Equals);
        };
        if !first.value.contains('=') {
            return self.legacy_pair(keyword, rest);
        }
        let mut pairs = Vec::new();
        for word in &words {
            let Some((key, value)) = split_at_equals(word) else {
                self.no_equals(keyword, word);
                return Arguments::Broken;
            };
            pairs.push(Pair { key, value });
        }
        Arguments::Pairs(pairs, PairForm::Equals)
    }

    fn legacy_pair(&mut self, keyword: Slice<'_>, rest: Slice<'_>) -> Arguments {
        let (key, value) = words::split_first(rest);
        if value.as_str().is_empty() {
            let name = keyword.as_str().to_ascii_uppercase();
            let title = format!("{name} {} has no value", quoted(key.as_str()));
            let help = format!("write `{name} {}=…`", key.as_str());
            self.diagnostics
                .push(Diagnostic::error(title, key.span()).with_help(help));
            return Arguments::Broken;
        }
        Arguments::Pairs(
            vec![Pair {
                key: key.word(),
                value: value.word(),
            }],
            PairForm::Legacy,
        )
    }

    fn no_equals(&mut self, keyword: Slice<'_>, word: &Word) {
        let name = keyword.as_str().to_ascii_uppercase();
        let title = format!(
            "{name} takes `name=value` pairs, but {} has no `=`",
            quoted(&word.value)
        );
        self.diagnostics.push(
            Diagnostic::error(title, word.span)
                .with_label("no `=`")
                .with_help("put quotes round a value that holds blanks".to_owned()),
        );
    }

    fn line(&mut self, rest: Slice<'_>, depth: usize) -> Arguments {
        if rest.as_str().is_empty() {
            return Arguments::Line(None);
        }
        if depth >= MAX_ONBUILD_DEPTH {
            let title = format!("ONBUILD is nested deeper than {MAX_ONBUILD_DEPTH}");
            self.diagnostics.push(Diagnostic::error(title, rest.span()));
            return Arguments::Broken;
        }
        Arguments::Line(Some(Box::new(self.node(rest, depth + 1))))
    }
}

/// Returns all of `rest` as one word, if there is anything.
fn text(rest: Slice<'_>) -> Vec<Word> {
    if rest.as_str().is_empty() {
        Vec::new()
    } else {
        vec![rest.word()]
    }
}

impl Node {
    /// Returns the keyword in upper case.
    pub(crate) fn name(&self) -> String {
        self.keyword.value.to_ascii_uppercase()
    }

    /// Tells whether the next line may be a command that belongs to this one.
    pub(crate) fn runs(&self) -> bool {
        let is_unknown = matches!(self.arguments, Arguments::Unknown);
        self.name() == "RUN" || (is_unknown && self.follows_run)
    }

    /// Tells whether here-documents may follow the line: `ADD`, `COPY` and `RUN`, not in JSON form.
    pub(crate) fn may_have_heredocs(&self) -> bool {
        let node = match &self.arguments {
            Arguments::Line(Some(child)) => child,
            _ => self,
        };
        matches!(node.name().as_str(), "ADD" | "COPY" | "RUN") && !node.json
    }

    /// Gives the node, and the one within `ONBUILD`, the here-documents that follow it.
    pub(crate) fn set_heredocs(&mut self, heredocs: Vec<Heredoc>) {
        if let Arguments::Line(Some(child)) = &mut self.arguments {
            child.heredocs.clone_from(&heredocs);
        }
        self.heredocs = heredocs;
    }
}
