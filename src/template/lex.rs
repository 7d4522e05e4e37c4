//! Text → tokens.

use std::ops::Range;

use crate::number::{self, Number};
use crate::parse::ParseError;

const OPEN: &str = "{{";
const CLOSE: &str = "}}";

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    /// Text outside the braces.
    Text(String),
    /// `{{`
    Open,
    /// `}}`
    Close,
    /// White space between the words of an action; it separates `.A .B` from `.A.B`.
    Space,
    /// `.Name`
    Field(String),
    /// `$name`, with the dollar
    Variable(String),
    /// A name: a function, a keyword.
    Word(String),
    /// A number.
    Number(Number),
    /// A quoted text, unquoted.
    Quoted(String),
    /// `.`
    Dot,
    /// `|`
    Pipe,
    /// `(`
    OpenParenthesis,
    /// `)`
    CloseParenthesis,
    /// `:=`
    Declare,
    /// `=`
    Assign,
    /// `,`
    Comma,
}

/// A token and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lexeme {
    pub(crate) token: Token,
    pub(crate) span: Range<usize>,
}

/// Splits a template into tokens.
pub(crate) fn lex(source: &str) -> Result<Vec<Lexeme>, ParseError> {
    let mut lexer = Lexer {
        source,
        at: 0,
        lexemes: Vec::new(),
    };
    lexer.run()?;
    Ok(lexer.lexemes)
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
    lexemes: Vec<Lexeme>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn fail<T>(&self, start: usize, message: &str) -> Result<T, ParseError> {
        Err(ParseError::at(self.source, start, message))
    }

    fn push(&mut self, start: usize, token: Token) {
        let span = start..self.at;
        self.lexemes.push(Lexeme { token, span });
    }

    fn run(&mut self) -> Result<(), ParseError> {
        let mut trims_next = false;
        loop {
            let rest = self.rest();
            let (text, is_last) = match rest.find(OPEN) {
                Some(end) => (rest.get(..end).unwrap_or_default(), false),
                None => (rest, true),
            };
            let start = self.at;
            self.at += text.len();
            let trims_before = !is_last && trims_left(self.rest());
            let text = if trims_next {
                text.trim_start_matches(is_space)
            } else {
                text
            };
            let text = if trims_before {
                text.trim_end_matches(is_space)
            } else {
                text
            };
            if !text.is_empty() {
                self.push(start, Token::Text(text.to_owned()));
            }
            if is_last {
                return Ok(());
            }
            trims_next = self.action(trims_before)?;
        }
    }

    /// Reads an action or a comment; says whether the text after it is trimmed.
    fn action(&mut self, has_marker: bool) -> Result<bool, ParseError> {
        let start = self.at;
        self.at += OPEN.len();
        let marker = if has_marker { "- ".len() } else { 0 };
        if self
            .rest()
            .get(marker..)
            .is_some_and(|rest| rest.starts_with("/*"))
        {
            self.at += marker;
            return self.comment(start);
        }
        self.push(start, Token::Open);
        self.at += marker;
        loop {
            if let Some((length, trims)) = closing(self.rest()) {
                let start = self.at;
                self.at += length;
                self.push(start, Token::Close);
                return Ok(trims);
            }
            self.token(start)?;
        }
    }

    fn comment(&mut self, start: usize) -> Result<bool, ParseError> {
        let Some(end) = self.rest().find("*/") else {
            return self.fail(start, "unclosed comment");
        };
        self.at += end + "*/".len();
        let Some((length, trims)) = closing(self.rest()) else {
            return self.fail(start, "comment ends before closing delimiter");
        };
        self.at += length;
        Ok(trims)
    }

    fn token(&mut self, action: usize) -> Result<(), ParseError> {
        let start = self.at;
        let Some(first) = self.rest().chars().next() else {
            return self.fail(action, "unclosed action");
        };
        let simple = |lexer: &mut Self, length: usize, token| {
            lexer.at += length;
            lexer.push(start, token);
            Ok(())
        };
        match first {
            _ if is_space(first) => {
                let spaces = self.rest();
                // The space of a trim marker belongs to the marker.
                let length = spaces.find(|c| !is_space(c)).unwrap_or(spaces.len());
                let marker = spaces
                    .get(length..)
                    .is_some_and(|rest| rest.starts_with("-}}"));
                simple(
                    self,
                    if marker { length - 1 } else { length }.max(1),
                    Token::Space,
                )
            }
            '|' => simple(self, 1, Token::Pipe),
            '(' => simple(self, 1, Token::OpenParenthesis),
            ')' => simple(self, 1, Token::CloseParenthesis),
            ',' => simple(self, 1, Token::Comma),
            '=' => simple(self, 1, Token::Assign),
            ':' if self.rest().starts_with(":=") => simple(self, 2, Token::Declare),
            ':' => self.fail(start, "expected :="),
            '"' | '`' | '\'' => self.quoted(first),
            '$' => self.variable(),
            '.' if !self.second_is_digit() => self.field(),
            '.' | '+' | '-' | '0'..='9' => self.number(),
            _ if is_word(first) => self.word(),
            _ => self.fail(
                start,
                &format!("unexpected `{}` in an action", first.escape_debug()),
            ),
        }
    }

    fn second_is_digit(&self) -> bool {
        self.rest()
            .chars()
            .nth(1)
            .is_some_and(|c| c.is_ascii_digit())
    }

    /// Takes letters, digits and underscores, which something else has to follow.
    fn take_word(&mut self) -> Result<&'a str, ParseError> {
        let rest = self.rest();
        let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let word = rest.get(..length).unwrap_or_default();
        self.at += length;
        match self.rest().chars().next() {
            Some(next) if !is_space(next) && !".,|:()=}".contains(next) => {
                self.fail(self.at, &format!("bad character `{}`", next.escape_debug()))
            }
            _ => Ok(word),
        }
    }

    fn word(&mut self) -> Result<(), ParseError> {
        let start = self.at;
        let word = self.take_word()?.to_owned();
        self.push(start, Token::Word(word));
        Ok(())
    }

    fn variable(&mut self) -> Result<(), ParseError> {
        let start = self.at;
        self.at += 1;
        let name = format!("${}", self.take_word()?);
        self.push(start, Token::Variable(name));
        Ok(())
    }

    fn field(&mut self) -> Result<(), ParseError> {
        let start = self.at;
        self.at += 1;
        let name = self.take_word()?.to_owned();
        self.push(
            start,
            if name.is_empty() {
                Token::Dot
            } else {
                Token::Field(name)
            },
        );
        Ok(())
    }

    fn number(&mut self) -> Result<(), ParseError> {
        let start = self.at;
        let length = number::length(self.rest());
        let text = self.rest().get(..length).unwrap_or_default();
        let Some(number) = number::parse(text) else {
            return self.fail(start, &format!("bad number syntax: `{text}`"));
        };
        self.at += length;
        self.push(start, Token::Number(number));
        Ok(())
    }

    fn quoted(&mut self, quote: char) -> Result<(), ParseError> {
        let start = self.at;
        let Some(length) = quoted_length(self.rest(), quote) else {
            return self.fail(start, "unterminated quoted string");
        };
        let inside = self.rest().get(1..length - 1).unwrap_or_default();
        let unquoted = if quote == '`' {
            Some(inside.to_owned())
        } else {
            unescape(inside)
        };
        let Some(text) = unquoted else {
            return self.fail(start, "a quoted string has an escape that is none");
        };
        self.at += length;
        if quote != '\'' {
            self.push(start, Token::Quoted(text));
            return Ok(());
        }
        let mut characters = text.chars();
        let (Some(one), None) = (characters.next(), characters.next()) else {
            return self.fail(start, "malformed character constant");
        };
        let code = Number::Int(i64::from(u32::from(one)));
        self.push(start, Token::Number(code));
        Ok(())
    }
}

/// Go's white space in actions and beside trim markers.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// Tells whether the text before an action is trimmed: `{{- `.
fn trims_left(action: &str) -> bool {
    let mut characters = action.chars().skip(OPEN.len());
    characters.next() == Some('-') && characters.next().is_some_and(is_space)
}

/// Returns the length of an end of an action, and whether the text after it is trimmed: ` -}}`.
fn closing(rest: &str) -> Option<(usize, bool)> {
    if rest.starts_with(CLOSE) {
        return Some((CLOSE.len(), false));
    }
    let trims =
        rest.starts_with(is_space) && rest.get(1..).is_some_and(|rest| rest.starts_with("-}}"));
    trims.then_some((" -}}".len(), true))
}

/// Returns the length of a quoted text with its quotes; `None` where it does not end on its line.
fn quoted_length(rest: &str, quote: char) -> Option<usize> {
    let mut is_escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if quote != '`' => is_escaped = true,
            '\n' if quote != '`' => return None,
            _ if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Returns what a text in quotes says; `None` where an escape is none of Go's.
fn unescape(inside: &str) -> Option<String> {
    let mut text = String::new();
    let mut characters = inside.chars();
    while let Some(c) = characters.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        let escape = characters.next()?;
        text.push(match escape {
            'a' => '\x07',
            'b' => '\x08',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            '\\' | '"' | '\'' => escape,
            'x' => coded(&mut characters, 2, 16)?,
            'u' => coded(&mut characters, 4, 16)?,
            'U' => coded(&mut characters, 8, 16)?,
            _ => return None,
        });
    }
    Some(text)
}

/// Reads the digits of a character; one of more than a byte written in bytes is none here.
fn coded(characters: &mut std::str::Chars<'_>, digits: usize, radix: u32) -> Option<char> {
    let mut code = 0;
    for _ in 0..digits {
        code = code * radix + characters.next()?.to_digit(radix)?;
    }
    // `\xff` is a byte and no character.
    (digits > 2 || code < 0x80).then(|| char::from_u32(code))?
}
