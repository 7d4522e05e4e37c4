//! Reads a word from left to right and writes what it stands for.

use super::output::{Output, RawWord};
use super::pattern::{Extent, Pattern};
use super::{ExpandError, Expanded, Lookup};
use crate::limits::{MAX_EXPANDED_BYTES, MAX_EXPANSION_DEPTH, MAX_PATTERN_WORK};

/// What quotes mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quotes {
    /// They group and go away.
    Remove,
    /// They group and stay.
    Keep,
    /// They are ordinary characters.
    Ordinary,
}

/// How a text is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// The escape character.
    pub(crate) escape: char,
    /// What quotes mean.
    pub(crate) quotes: Quotes,
    /// Whether escape characters stay in the result.
    pub(crate) keep_escapes: bool,
    /// Whether variables that are not set stay as they are written.
    pub(crate) keep_unset: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            escape: '\\',
            quotes: Quotes::Remove,
            keep_escapes: false,
            keep_unset: false,
        }
    }
}

/// Expands `text`.
pub(super) fn expand(
    text: &str,
    lookup: &Lookup<'_>,
    options: Options,
) -> Result<Expanded, ExpandError> {
    let mut lexer = Lexer::new(text, lookup, options);
    let (output, _) = lexer.until(None, options.keep_escapes)?;
    let (value, words) = output.into_parts();
    let words = words.into_iter().map(|word| word.text).collect();
    Ok(Expanded {
        value,
        words,
        used: lexer.used,
        unset: lexer.unset,
    })
}

/// Splits `text` into words with no variable set.
pub(crate) fn raw_words(text: &str, options: Options) -> Result<Vec<RawWord>, ExpandError> {
    let mut lexer = Lexer::new(text, &|_| None, options);
    lexer
        .until(None, options.keep_escapes)
        .map(|(output, _)| output.into_words())
}

/// A substitution while it is read.
struct Substitution {
    name: String,
    /// Where the `$` stands.
    offset: usize,
    value: Option<String>,
}

impl Substitution {
    /// Returns the value if there is one, which with `:` must not be empty.
    fn value_if(&self, colon: bool) -> Option<&str> {
        self.value
            .as_deref()
            .filter(|value| !colon || !value.is_empty())
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    lookup: &'a Lookup<'a>,
    options: Options,
    depth: usize,
    /// Bytes of variables' values put in so far.
    expanded_bytes: usize,
    used: std::collections::BTreeSet<String>,
    unset: std::collections::BTreeSet<String>,
}

impl<'a> Lexer<'a> {
    fn new(text: &'a str, lookup: &'a Lookup<'a>, options: Options) -> Self {
        Self {
            text,
            at: 0,
            lookup,
            options,
            depth: 0,
            expanded_bytes: 0,
            used: std::collections::BTreeSet::new(),
            unset: std::collections::BTreeSet::new(),
        }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.at += character.len_utf8();
        Some(character)
    }

    fn next_if(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    /// Reads up to `stop`, which is taken, or to the end; also returns whether it was there.
    fn until(
        &mut self,
        stop: Option<char>,
        keep_escapes: bool,
    ) -> Result<(Output, bool), ExpandError> {
        let before = std::mem::replace(&mut self.options.keep_escapes, keep_escapes);
        let mut output = Output::default();
        let mut stopped = false;
        while let Some(character) = self.peek() {
            if stop == Some(character) {
                self.at += character.len_utf8();
                stopped = true;
                break;
            }
            self.read_one(character, &mut output)?;
            output.read_to(self.at);
        }
        self.options.keep_escapes = before;
        Ok((output, stopped))
    }

    fn read_one(&mut self, character: char, output: &mut Output) -> Result<(), ExpandError> {
        let offset = self.at;
        let quotes = self.options.quotes != Quotes::Ordinary;
        match character {
            '$' => output.push(&self.dollar()?, offset),
            '\'' if quotes => output.push_quoted(&self.single_quoted()?, offset),
            '"' if quotes => output.push_quoted(&self.double_quoted()?, offset),
            '<' => output.push_quoted(self.angle(), offset),
            escape if escape == self.options.escape => self.escaped(output),
            plain => {
                self.at += plain.len_utf8();
                output.push(plain.encode_utf8(&mut [0; 4]), offset);
            }
        }
        Ok(())
    }

    /// Reads the escape character and what it escapes; alone at the end it goes away.
    fn escaped(&mut self, output: &mut Output) {
        let offset = self.at;
        let mut text = String::new();
        let escape = self.next().filter(|_| self.options.keep_escapes);
        text.extend(escape);
        text.extend(self.next());
        output.push_quoted(&text, offset);
    }

    /// Reads `<`, or `<<` with the blanks before the name of a here-document, which belong to the word.
    fn angle(&mut self) -> &'a str {
        let rest = self.rest();
        let after = match rest.strip_prefix("<<") {
            None => rest.get(1..).unwrap_or_default(),
            Some(after) => {
                let after_dash = after.strip_prefix('-').unwrap_or(after);
                after_dash.trim_start()
            }
        };
        let length = rest.len() - after.len();
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    fn single_quoted(&mut self) -> Result<String, ExpandError> {
        let offset = self.at;
        self.next();
        let Some(length) = self.rest().find('\'') else {
            self.at = self.text.len();
            return Err(ExpandError::OpenQuote {
                quote: '\'',
                offset,
            });
        };
        let inner = self.rest().get(..length).unwrap_or_default();
        self.at += length + 1;
        Ok(if self.options.quotes == Quotes::Keep {
            format!("'{inner}'")
        } else {
            inner.to_owned()
        })
    }

    fn double_quoted(&mut self) -> Result<String, ExpandError> {
        let offset = self.at;
        let mut result = String::new();
        let keep = self.options.quotes == Quotes::Keep;
        result.extend(self.next().filter(|_| keep));
        loop {
            match self.peek() {
                None => return Err(ExpandError::OpenQuote { quote: '"', offset }),
                Some('"') => {
                    result.extend(self.next().filter(|_| keep));
                    return Ok(result);
                }
                Some('$') => result.push_str(&self.dollar()?),
                Some(escape) if escape == self.options.escape => {
                    self.escaped_in_quotes(&mut result);
                }
                Some(_) => result.extend(self.next()),
            }
        }
    }

    /// Reads the escape character within double quotes, where it stays before ordinary characters.
    fn escaped_in_quotes(&mut self, result: &mut String) {
        let escape = self.next();
        if self.options.keep_escapes {
            result.extend(escape);
        }
        match self.peek() {
            None => {}
            Some(special) if special == '"' || special == '$' || Some(special) == escape => {
                result.extend(self.next());
            }
            Some(_) => result.extend(escape),
        }
    }

    /// Reads `$name`, `${…}` or a `$` that is only itself.
    fn dollar(&mut self) -> Result<String, ExpandError> {
        let offset = self.at;
        if self.depth >= MAX_EXPANSION_DEPTH {
            return Err(ExpandError::TooDeep { offset });
        }
        self.next();
        if self.peek() == Some('{') {
            self.depth += 1;
            let result = self.braced(offset);
            self.depth -= 1;
            return self.counted(result?, offset);
        }
        let name = self.name();
        if name.is_empty() {
            return Ok("$".to_owned());
        }
        match self.value_of(&name) {
            None if self.options.keep_unset => Ok(format!("${name}")),
            value => self.counted(value.unwrap_or_default(), offset),
        }
    }

    /// Counts what was put in: variables can be doubled in every line.
    fn counted(&mut self, text: String, offset: usize) -> Result<String, ExpandError> {
        self.expanded_bytes = self.expanded_bytes.saturating_add(text.len());
        if self.expanded_bytes > MAX_EXPANDED_BYTES {
            return Err(ExpandError::TooLong { offset });
        }
        Ok(text)
    }

    fn braced(&mut self, offset: usize) -> Result<String, ExpandError> {
        self.next();
        match self.peek() {
            None => return Err(ExpandError::OpenBrace { offset }),
            Some('{' | '}' | ':') => return Err(ExpandError::BadSubstitution { offset }),
            Some(_) => {}
        }
        let name = self.name();
        match self.next() {
            Some('}') => {
                let value = self.value_of(&name);
                if value.is_none() && self.options.keep_unset {
                    return Ok(format!("${{{name}}}"));
                }
                Ok(value.unwrap_or_default())
            }
            Some(':') => match self.next() {
                Some(operator @ ('-' | '+' | '?')) => {
                    self.conditional(name, operator, true, offset)
                }
                other => Err(unknown_modifier(':', other, offset)),
            },
            Some(operator @ ('-' | '+' | '?')) => self.conditional(name, operator, false, offset),
            Some(operator @ ('#' | '%')) => self.trimmed(name, operator, offset),
            Some('/') => self.replaced(name, offset),
            Some(other) => Err(unknown_modifier(other, None, offset)),
            None => Err(ExpandError::OpenBrace { offset }),
        }
    }

    /// Asks for the value after the words in the braces were read, so that errors come in reading order.
    fn substitution(&mut self, name: String, offset: usize) -> Substitution {
        let value = self.value_of(&name);
        Substitution {
            name,
            offset,
            value,
        }
    }

    /// Reads a word within braces, up to `stop`; `missing` is the error when that is not there.
    fn inner(
        &mut self,
        stop: char,
        keep_escapes: bool,
        missing: ExpandError,
    ) -> Result<String, ExpandError> {
        let (output, stopped) = self.until(Some(stop), keep_escapes)?;
        if stopped {
            Ok(output.text)
        } else {
            Err(missing)
        }
    }

    fn conditional(
        &mut self,
        name: String,
        operator: char,
        colon: bool,
        offset: usize,
    ) -> Result<String, ExpandError> {
        let word = self.inner('}', false, ExpandError::OpenBrace { offset })?;
        let found = self.substitution(name, offset);
        if found.value.is_none() && self.options.keep_unset {
            let colon = if colon { ":" } else { "" };
            return Ok(format!("${{{}{colon}{operator}{word}}}", found.name));
        }
        let value = found.value_if(colon);
        match operator {
            '-' => Ok(value.map_or(word, str::to_owned)),
            '+' => Ok(value.map(|_| word).unwrap_or_default()),
            _ => value
                .map(str::to_owned)
                .ok_or_else(|| required(&found, word)),
        }
    }

    fn trimmed(
        &mut self,
        name: String,
        operator: char,
        offset: usize,
    ) -> Result<String, ExpandError> {
        let word = self.inner('}', true, ExpandError::OpenBrace { offset })?;
        let found = self.substitution(name, offset);
        let Some(value) = &found.value else {
            return Ok(self.unset_form(format!("${{{}{operator}{word}}}", found.name)));
        };
        let (pattern, extent) = match word.strip_prefix(operator) {
            Some(pattern) => (pattern, Extent::Longest),
            None => (word.as_str(), Extent::Shortest),
        };
        let value: Vec<char> = value.chars().collect();
        let pattern = compiled(pattern, &value, offset)?;
        Ok(if operator == '#' {
            pattern.trim_start(&value, extent)
        } else {
            pattern.trim_end(&value, extent)
        })
    }

    fn replaced(&mut self, name: String, offset: usize) -> Result<String, ExpandError> {
        let all = self.next_if('/');
        let pattern = self.inner('/', true, ExpandError::NoReplacement { offset })?;
        let replacement = self.inner('}', true, ExpandError::OpenBrace { offset })?;
        let found = self.substitution(name, offset);
        let Some(value) = &found.value else {
            return Ok(self.unset_form(format!("${{{}/{pattern}/{replacement}}}", found.name)));
        };
        let value: Vec<char> = value.chars().collect();
        let most = (value.len() + 1).saturating_mul(replacement.len());
        if most > MAX_EXPANDED_BYTES {
            return Err(ExpandError::TooLong { offset });
        }
        Ok(compiled(&pattern, &value, offset)?.replace(&value, &replacement, all))
    }

    /// Returns what stands for a variable that is not set.
    fn unset_form(&self, written: String) -> String {
        if self.options.keep_unset {
            written
        } else {
            String::new()
        }
    }

    /// Reads a name: letters, digits and `_`, or a number, or one special parameter.
    fn name(&mut self) -> String {
        let rest = self.rest();
        let length = match rest.chars().next() {
            Some(first) if first.is_numeric() => {
                rest.find(|c: char| !c.is_numeric()).unwrap_or(rest.len())
            }
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => 1,
            _ => rest
                .find(|c: char| !(c.is_alphanumeric() || c == '_'))
                .unwrap_or(rest.len()),
        };
        self.at += length;
        rest.get(..length).unwrap_or_default().to_owned()
    }

    fn value_of(&mut self, name: &str) -> Option<String> {
        let value = (self.lookup)(name);
        let names = if value.is_some() {
            &mut self.used
        } else {
            &mut self.unset
        };
        names.insert(name.to_owned());
        value
    }
}

fn compiled(pattern: &str, value: &[char], offset: usize) -> Result<Pattern, ExpandError> {
    if pattern.len().saturating_mul(value.len()) > MAX_PATTERN_WORK {
        return Err(ExpandError::TooMuchWork { offset });
    }
    Pattern::parse(pattern).map_err(|escaped| ExpandError::BadPattern {
        pattern: pattern.to_owned(),
        escaped,
        offset,
    })
}

fn required(found: &Substitution, word: String) -> ExpandError {
    let message = match (&found.value, word.is_empty()) {
        (_, false) => word,
        (None, true) => "is not allowed to be unset".to_owned(),
        (Some(_), true) => "is not allowed to be empty".to_owned(),
    };
    ExpandError::Required {
        name: found.name.clone(),
        message,
        offset: found.offset,
    }
}

fn unknown_modifier(first: char, second: Option<char>, offset: usize) -> ExpandError {
    let modifier = std::iter::once(first).chain(second).collect();
    ExpandError::UnknownModifier { modifier, offset }
}
