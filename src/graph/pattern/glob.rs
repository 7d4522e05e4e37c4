//! Wildcards: reading a pattern and matching a text against it.
//!
//! Matching keeps the set of places that can be reached and never goes back, so its cost is bounded by the product
//! of both lengths whatever the pattern is.

/// Says why a pattern cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    /// A `[` is not closed.
    #[error("`[` has no closing `]`")]
    OpenClass,
    /// A `[…]` is empty, or has a `-` that joins nothing.
    #[error("a range in `[…]` has no start or no end")]
    BadRange,
    /// A range goes down.
    #[error("a range in `[…]` goes from a higher to a lower character")]
    ReversedRange,
    /// A backslash at the end escapes nothing.
    #[error("a backslash at the end escapes nothing")]
    DanglingEscape,
}

/// Tells whether all of `name` matches `pattern`, as Go's `filepath.Match` does on Linux.
///
/// `*` is any text without `/`, `?` any character but `/`, `[a-z]` and `[^a-z]` a character within or outside of
/// ranges, and a backslash takes the meaning of what follows.
///
/// # Errors
///
/// Fails when the pattern has a fault, whether or not the name gets that far.
pub fn glob_match(pattern: &str, name: &str) -> Result<bool, BadPattern> {
    Glob::parse(pattern, Stars::StayInDirectory).map(|glob| glob.matches(name))
}

/// Checks what sets of patterns forbid beyond [`glob_match`]: ranges that go down.
pub(super) fn check(pattern: &str) -> Result<(), BadPattern> {
    let glob = Glob::parse(pattern, Stars::StayInDirectory)?;
    let reversed = glob.tokens.iter().any(|token| match token {
        Token::Class { ranges, .. } => ranges.iter().any(|(low, high)| low > high),
        _ => false,
    });
    if reversed {
        Err(BadPattern::ReversedRange)
    } else {
        Ok(())
    }
}

/// What `**` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stars {
    /// The same as `*`.
    StayInDirectory,
    /// Any number of directories.
    CrossDirectories,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// One character.
    Exactly(char),
    /// `?`
    One,
    /// `*`
    Many,
    /// `**/` or `**` with something behind it: nothing, or text that ends with a slash.
    Directories,
    /// `**` at the end: any text.
    Anything,
    /// `[…]`
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

/// A pattern that was read.
#[derive(Debug, Clone)]
pub(super) struct Glob {
    tokens: Vec<Token>,
}

impl Glob {
    pub(super) fn parse(pattern: &str, stars: Stars) -> Result<Self, BadPattern> {
        let mut parser = Parser {
            rest: pattern,
            stars,
            tokens: Vec::new(),
            plain: true,
        };
        while !parser.rest.is_empty() {
            parser.token()?;
        }
        let Parser {
            mut tokens, plain, ..
        } = parser;
        // moby/patternmatcher takes plain text behind a `**` for the end of the path: `**ab` matches `xab`.
        if let Some(first @ Token::Directories) = tokens.first_mut()
            && plain
            && !pattern.starts_with("**/")
        {
            *first = Token::Anything;
        }
        Ok(Self { tokens })
    }

    pub(super) fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// Tells whether all of `text` matches.
    pub(super) fn matches(&self, text: &str) -> bool {
        let characters: Vec<char> = text.chars().collect();
        self.reachable(&characters).last().copied().unwrap_or(false)
    }

    /// Returns, for each `i` up to the length, whether the first `i` characters match.
    fn reachable(&self, text: &[char]) -> Vec<bool> {
        let mut places = vec![false; text.len() + 1];
        places[0] = true;
        self.tokens
            .iter()
            .fold(places, |places, token| token.step(text, &places))
    }
}

impl Token {
    /// Returns the places that can be reached from `places` with this token.
    fn step(&self, text: &[char], places: &[bool]) -> Vec<bool> {
        let mut reached = vec![false; places.len()];
        let mut any_before = false;
        for (at, place) in places.iter().enumerate() {
            let previous = at
                .checked_sub(1)
                .and_then(|before| text.get(before))
                .copied();
            let from_previous = at > 0 && places[at - 1];
            reached[at] = match self {
                Self::Many => *place || (previous != Some('/') && at > 0 && reached[at - 1]),
                Self::Anything => *place || any_before,
                Self::Directories => *place || (any_before && previous == Some('/')),
                _ => from_previous && previous.is_some_and(|character| self.accepts(character)),
            };
            any_before |= *place;
        }
        reached
    }

    /// Tells whether a token for one character takes this one.
    pub(super) fn accepts(&self, character: char) -> bool {
        match self {
            Self::Exactly(wanted) => character == *wanted,
            Self::One => character != '/',
            Self::Class { negated, ranges } => {
                let within = ranges
                    .iter()
                    .any(|(low, high)| (*low..=*high).contains(&character));
                within != *negated
            }
            Self::Many | Self::Directories | Self::Anything => false,
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
    stars: Stars,
    tokens: Vec<Token>,
    /// Whether nothing but a `**` at the start is other than plain text.
    plain: bool,
}

impl Parser<'_> {
    fn next(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let next = characters.next();
        self.rest = characters.as_str();
        next
    }

    fn next_if(&mut self, wanted: char) -> bool {
        let behind = self.rest.strip_prefix(wanted);
        self.rest = behind.unwrap_or(self.rest);
        behind.is_some()
    }

    fn token(&mut self) -> Result<(), BadPattern> {
        let Some(character) = self.next() else {
            return Ok(());
        };
        let token = match character {
            '*' if self.stars == Stars::CrossDirectories && self.next_if('*') => {
                self.double_star();
                return Ok(());
            }
            '*' => Token::Many,
            '?' => Token::One,
            '[' => self.class()?,
            '\\' => Token::Exactly(self.next().ok_or(BadPattern::DanglingEscape)?),
            plain => {
                self.tokens.push(Token::Exactly(plain));
                // A lone `]` is only itself, yet the text is no longer the pattern of a plain kind.
                self.plain &= plain != ']';
                return Ok(());
            }
        };
        self.tokens.push(token);
        self.plain = false;
        Ok(())
    }

    fn double_star(&mut self) {
        self.plain &= self.tokens.is_empty();
        // A slash behind it belongs to it.
        self.next_if('/');
        let token = match self.tokens.last() {
            _ if self.rest.is_empty() => Token::Anything,
            // Once more means the same.
            Some(Token::Directories) => return,
            _ => Token::Directories,
        };
        self.tokens.push(token);
    }

    fn class(&mut self) -> Result<Token, BadPattern> {
        let negated = self.next_if('^');
        let mut ranges = Vec::new();
        loop {
            if !ranges.is_empty() && self.next_if(']') {
                return Ok(Token::Class { negated, ranges });
            }
            let low = self.range_end()?;
            let high = if self.next_if('-') {
                self.range_end()?
            } else {
                low
            };
            ranges.push((low, high));
        }
    }

    fn range_end(&mut self) -> Result<char, BadPattern> {
        let character = match self.next() {
            None => return Err(BadPattern::OpenClass),
            Some('-' | ']') => return Err(BadPattern::BadRange),
            Some('\\') => self.next().ok_or(BadPattern::DanglingEscape)?,
            Some(other) => other,
        };
        if self.rest.is_empty() {
            Err(BadPattern::OpenClass)
        } else {
            Ok(character)
        }
    }
}
