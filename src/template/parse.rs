//! Tokens → a tree.
//!
//! ```text
//! list     = { text | action }
//! action   = "{{" ( pipeline | "if" … | "with" … | "range" … | "break" | "continue" ) "}}"
//! if       = "if" pipeline "}}" list [ "{{else}}" list | "{{else if" … ] "{{end}}"
//! pipeline = [ $x [ "," $y ] ( ":=" | "=" ) ] command { "|" command }
//! command  = operand { operand }
//! operand  = term { .Field }
//! term     = "." | "nil" | literal | .Field | $x | function | "(" pipeline ")"
//! ```

use std::ops::Range;

use crate::ast::{Branch, BranchKind, Command, Node, Operand, OperandKind, Pipe, Setting};
use crate::function;
use crate::lex::{self, Lexeme, Token};
use crate::limits::{DEPTH_MAX, TEMPLATE_MAX_BYTES};
use crate::number::Number;

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// It is longer than [`TEMPLATE_MAX_BYTES`].
    #[error("the template has {found_bytes} bytes, more than {TEMPLATE_MAX_BYTES}")]
    TooLong {
        /// Its length.
        found_bytes: usize,
    },
    /// It is not of the form.
    #[error("template: {line}:{column}: {message}")]
    Syntax {
        /// The line, from 1 on.
        line: usize,
        /// The character of the line, from 1 on.
        column: usize,
        /// What is wrong there.
        message: String,
    },
}

impl ParseError {
    pub(crate) fn at(source: &str, offset: usize, message: &str) -> Self {
        let (line, column) = place(source, offset);
        Self::Syntax {
            line,
            column,
            message: message.to_owned(),
        }
    }
}

/// Returns the line and the column of a byte, both from 1 on.
pub(crate) fn place(source: &str, offset: usize) -> (usize, usize) {
    let before = source.get(..offset).unwrap_or(source);
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
    (line, column)
}

/// Parses a template.
pub(crate) fn parse(source: &str) -> Result<Vec<Node>, ParseError> {
    if source.len() > TEMPLATE_MAX_BYTES {
        return Err(ParseError::TooLong {
            found_bytes: source.len(),
        });
    }
    let lexemes = lex::lex(source)?;
    let mut parser = Parser {
        source,
        lexemes: &lexemes,
        at: 0,
        variables: vec!["$".to_owned()],
        loops: 0,
        depth: 0,
    };
    match parser.list()? {
        (nodes, Stop::EndOfTemplate) => Ok(nodes),
        (_, Stop::End { start } | Stop::Else { start }) => {
            parser.fail(start, "unexpected {{end}} or {{else}}")
        }
    }
}

/// What ended a list of nodes.
enum Stop {
    EndOfTemplate,
    End {
        start: usize,
    },
    /// The `else` was read, and nothing after it.
    Else {
        start: usize,
    },
}

struct Parser<'a> {
    source: &'a str,
    lexemes: &'a [Lexeme],
    at: usize,
    variables: Vec<String>,
    loops: usize,
    depth: usize,
}

impl Parser<'_> {
    fn fail<T>(&self, start: usize, message: &str) -> Result<T, ParseError> {
        Err(ParseError::at(self.source, start, message))
    }

    fn peek(&self) -> Option<&Token> {
        self.lexemes.get(self.at).map(|lexeme| &lexeme.token)
    }

    fn span(&self) -> Range<usize> {
        let end = self.source.len();
        self.lexemes
            .get(self.at)
            .map_or(end..end, |lexeme| lexeme.span.clone())
    }

    /// Returns where the token before this one ends.
    fn end_before(&self) -> usize {
        let before = self.at.checked_sub(1).and_then(|at| self.lexemes.get(at));
        before.map_or(0, |lexeme| lexeme.span.end)
    }

    fn take(&mut self, token: &Token) -> bool {
        let is_it = self.peek() == Some(token);
        self.at += usize::from(is_it);
        is_it
    }

    fn skip_space(&mut self) {
        while self.take(&Token::Space) {}
    }

    fn take_word(&mut self, word: &str) -> bool {
        let is_it = matches!(self.peek(), Some(Token::Word(found)) if found == word);
        self.at += usize::from(is_it);
        is_it
    }

    fn expect_close(&mut self, context: &str) -> Result<(), ParseError> {
        self.skip_space();
        if self.take(&Token::Close) {
            return Ok(());
        }
        let span = self.span();
        let found = self.source.get(span.clone()).unwrap_or_default();
        self.fail(span.start, &format!("unexpected `{found}` in {context}"))
    }

    fn enter(&mut self) -> Result<(), ParseError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return self.fail(self.span().start, &format!("more than {DEPTH_MAX} deep"));
        }
        Ok(())
    }

    fn list(&mut self) -> Result<(Vec<Node>, Stop), ParseError> {
        let mut nodes = Vec::new();
        loop {
            let start = self.span().start;
            match self.peek() {
                None => return Ok((nodes, Stop::EndOfTemplate)),
                Some(Token::Text(text)) => {
                    nodes.push(Node::Text(text.clone()));
                    self.at += 1;
                }
                Some(_) => {
                    // After a text or an action there is nothing but another action.
                    self.at += 1;
                    self.skip_space();
                    if self.take_word("end") {
                        self.expect_close("end")?;
                        return Ok((nodes, Stop::End { start }));
                    }
                    if self.take_word("else") {
                        return Ok((nodes, Stop::Else { start }));
                    }
                    nodes.push(self.action(start)?);
                }
            }
        }
    }

    fn action(&mut self, start: usize) -> Result<Node, ParseError> {
        let word = match self.peek() {
            Some(Token::Word(word)) => word.clone(),
            _ => String::new(),
        };
        let kind = match word.as_str() {
            "if" => BranchKind::If,
            "with" => BranchKind::With,
            "range" => BranchKind::Range,
            "break" | "continue" => {
                self.at += 1;
                return self.leave_loop(start, &word);
            }
            "define" | "template" | "block" => {
                return self.fail(start, &format!("{{{{{word}}}}} is not supported"));
            }
            _ => {
                let pipe = self.pipeline("command")?;
                self.expect_close("command")?;
                return Ok(Node::Action(pipe));
            }
        };
        self.at += 1;
        self.branch(kind, &word, start).map(Node::Branch)
    }

    fn leave_loop(&mut self, start: usize, word: &str) -> Result<Node, ParseError> {
        if self.loops == 0 {
            return self.fail(start, &format!("{{{{{word}}}}} outside {{{{range}}}}"));
        }
        self.expect_close(word)?;
        Ok(if word == "break" {
            Node::Break
        } else {
            Node::Continue
        })
    }

    fn branch(&mut self, kind: BranchKind, word: &str, start: usize) -> Result<Branch, ParseError> {
        self.enter()?;
        let known = self.variables.len();
        let pipe = self.pipeline(word)?;
        if pipe.variables.len() > 1 && kind != BranchKind::Range {
            return self.fail(start, &format!("too many declarations in {word}"));
        }
        self.expect_close(word)?;
        self.loops += usize::from(kind == BranchKind::Range);
        let (then, stop) = self.list()?;
        self.loops -= usize::from(kind == BranchKind::Range);
        let otherwise = match stop {
            Stop::End { .. } => Vec::new(),
            Stop::EndOfTemplate => {
                return self.fail(start, &format!("{{{{{word}}}}} without {{{{end}}}}"));
            }
            Stop::Else { start } => self.otherwise(kind, start)?,
        };
        self.variables.truncate(known);
        self.depth -= 1;
        Ok(Branch {
            kind,
            pipe,
            then,
            otherwise,
        })
    }

    /// Reads what follows `else`: `if` or `with` and no `end` of its own, or a list and the `end`.
    fn otherwise(&mut self, kind: BranchKind, start: usize) -> Result<Vec<Node>, ParseError> {
        self.skip_space();
        let chained = match kind {
            BranchKind::If if self.take_word("if") => Some("if"),
            BranchKind::With if self.take_word("with") => Some("with"),
            _ => None,
        };
        if let Some(word) = chained {
            return Ok(vec![Node::Branch(self.branch(kind, word, start)?)]);
        }
        self.expect_close("else")?;
        match self.list()? {
            (nodes, Stop::End { .. }) => Ok(nodes),
            _ => self.fail(start, "expected {{end}} after {{else}}"),
        }
    }

    fn pipeline(&mut self, context: &str) -> Result<Pipe, ParseError> {
        self.skip_space();
        let start = self.span().start;
        let (variables, setting) = self.variables(context)?;
        let mut commands = Vec::new();
        loop {
            self.skip_space();
            if let Some(command) = self.command()? {
                commands.push(command);
            } else {
                return self.fail(start, &format!("missing value for {context}"));
            }
            self.skip_space();
            if !self.take(&Token::Pipe) {
                break;
            }
        }
        check_stages(&commands).map_or(Ok(()), |at| {
            self.fail(at, "non executable command in pipeline")
        })?;
        if setting == Setting::Declare {
            self.variables.extend(variables.iter().cloned());
        }
        Ok(Pipe {
            span: start..self.end_before().max(start),
            variables,
            setting,
            commands,
        })
    }

    /// Reads `$x :=`, `$x =` or `$i, $x :=`, or nothing.
    fn variables(&mut self, context: &str) -> Result<(Vec<String>, Setting), ParseError> {
        let begin = self.at;
        let mut names = Vec::new();
        while let Some(Token::Variable(name)) = self.peek() {
            names.push(name.clone());
            self.at += 1;
            self.skip_space();
            if context != "range" || names.len() > 1 || !self.take(&Token::Comma) {
                break;
            }
            self.skip_space();
        }
        if !names.is_empty() && self.take(&Token::Declare) {
            return Ok((names, Setting::Declare));
        }
        if !names.is_empty() && self.take(&Token::Assign) {
            for name in &names {
                self.check_variable(name, self.span().start)?;
            }
            return Ok((names, Setting::Assign));
        }
        self.at = begin;
        Ok((Vec::new(), Setting::Declare))
    }

    fn check_variable(&self, name: &str, start: usize) -> Result<(), ParseError> {
        if self.variables.iter().any(|known| known == name) {
            return Ok(());
        }
        self.fail(start, &format!("undefined variable \"{name}\""))
    }

    fn command(&mut self) -> Result<Option<Command>, ParseError> {
        let Some(first) = self.operand()? else {
            return Ok(None);
        };
        let mut arguments = Vec::new();
        loop {
            let is_separate = self.take(&Token::Space);
            self.skip_space();
            let start = self.span().start;
            let Some(argument) = self.operand()? else {
                break;
            };
            if !is_separate {
                let text = self.source.get(argument.span).unwrap_or_default();
                return self.fail(start, &format!("unexpected `{text}` in operand"));
            }
            arguments.push(argument);
        }
        Ok(Some(Command { first, arguments }))
    }

    fn operand(&mut self) -> Result<Option<Operand>, ParseError> {
        let Some(mut term) = self.term()? else {
            return Ok(None);
        };
        let mut fields = Vec::new();
        while let Some(Token::Field(name)) = self.peek() {
            fields.push(name.clone());
            self.at += 1;
        }
        if fields.is_empty() {
            return Ok(Some(term));
        }
        let span = term.span.start..self.end_before();
        term.kind = match term.kind {
            OperandKind::Field(mut names) => {
                names.append(&mut fields);
                OperandKind::Field(names)
            }
            OperandKind::Variable(name, _) => OperandKind::Variable(name, fields),
            kind @ (OperandKind::Pipe(_) | OperandKind::Function(_)) => {
                let term = Operand {
                    span: term.span,
                    kind,
                };
                OperandKind::Chain(Box::new(term), fields)
            }
            _ => return self.fail(term.span.start, "unexpected . after a value"),
        };
        term.span = span;
        Ok(Some(term))
    }

    fn term(&mut self) -> Result<Option<Operand>, ParseError> {
        let span = self.span();
        let kind = match self.peek().cloned() {
            Some(Token::Word(word)) => self.word(&word, span.start)?,
            Some(Token::Dot) => OperandKind::Dot,
            Some(Token::Field(name)) => OperandKind::Field(vec![name]),
            Some(Token::Variable(name)) => {
                self.check_variable(&name, span.start)?;
                OperandKind::Variable(name, Vec::new())
            }
            Some(Token::Number(Number::Int(number))) => OperandKind::Int(number),
            Some(Token::Number(Number::Float(number))) => OperandKind::Float(number),
            Some(Token::Quoted(text)) => OperandKind::Text(text),
            Some(Token::OpenParenthesis) => return self.parenthesis(span.start).map(Some),
            _ => return Ok(None),
        };
        self.at += 1;
        Ok(Some(Operand { span, kind }))
    }

    fn word(&self, word: &str, start: usize) -> Result<OperandKind, ParseError> {
        Ok(match word {
            "true" => OperandKind::Bool(true),
            "false" => OperandKind::Bool(false),
            "nil" => OperandKind::Nil,
            "call" => return self.fail(start, "function \"call\" is not supported"),
            _ if function::is_known(word) => OperandKind::Function(word.to_owned()),
            _ => return self.fail(start, &format!("function \"{word}\" not defined")),
        })
    }

    fn parenthesis(&mut self, start: usize) -> Result<Operand, ParseError> {
        self.enter()?;
        self.at += 1;
        let pipe = self.pipeline("parenthesized pipeline")?;
        self.skip_space();
        if !self.take(&Token::CloseParenthesis) {
            return self.fail(start, "unclosed left paren");
        }
        self.depth -= 1;
        Ok(Operand {
            span: start..self.end_before(),
            kind: OperandKind::Pipe(Box::new(pipe)),
        })
    }
}

/// Returns where a command stands that is no first one and can take no argument.
fn check_stages(commands: &[Command]) -> Option<usize> {
    let is_constant = |command: &&Command| {
        matches!(
            command.first.kind,
            OperandKind::Bool(_)
                | OperandKind::Dot
                | OperandKind::Nil
                | OperandKind::Int(_)
                | OperandKind::Float(_)
                | OperandKind::Text(_)
        )
    };
    commands
        .iter()
        .skip(1)
        .find(is_constant)
        .map(|command| command.first.span.start)
}
