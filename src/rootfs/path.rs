//! Names from outside: normalised, bounded, and with no way to become a path of this machine.
//!
//! A [`RootPath`] is a list of components below some root. It has no leading slash, no empty
//! component, no `.` and no `..`, and it is made of bytes, since file names are: what is not UTF-8
//! goes through unchanged.

#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::fmt;

/// The longest component of a path, in bytes (`NAME_MAX`).
pub const COMPONENT_LIMIT_BYTES: usize = 255;

/// The longest path, in bytes without a final NUL (below `PATH_MAX`).
pub const PATH_LIMIT_BYTES: usize = 4095;

/// A name from outside that cannot be a path below a root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The name has a `..`, where none is allowed.
    #[error("the path `{}` has a `..`", path.escape_ascii())]
    Climbs {
        /// The name as it came.
        path: Vec<u8>,
    },
    /// The name has a NUL byte.
    #[error("the path `{}` has a NUL byte", path.escape_ascii())]
    Nul {
        /// The name as it came.
        path: Vec<u8>,
    },
    /// A component is longer than [`COMPONENT_LIMIT_BYTES`].
    #[error(
        "a component of the path has {length_bytes} bytes, more than {COMPONENT_LIMIT_BYTES}: `{}…`",
        start.escape_ascii()
    )]
    LongComponent {
        /// The first bytes of the component.
        start: Vec<u8>,
        /// The length of the whole component.
        length_bytes: usize,
    },
    /// The path is longer than [`PATH_LIMIT_BYTES`].
    #[error("the path has {length_bytes} bytes, more than {PATH_LIMIT_BYTES}: `{}…`", start.escape_ascii())]
    LongPath {
        /// The first bytes of the path.
        start: Vec<u8>,
        /// The length of the whole path.
        length_bytes: usize,
    },
    /// A text that should be an escaped path is none.
    #[error("`{text}` is no escaped path")]
    Escape {
        /// The text.
        text: String,
    },
}

/// How many bytes of a too long name an error shows.
const SHOWN_BYTES: usize = 64;

/// What is done with a `..`.
#[derive(Clone, Copy)]
enum Climb {
    Clamp,
    Refuse,
}

/// A normalised path below a root.
///
/// The order is that of a walk: component by component, by bytes, a directory before what is in it.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct RootPath(Vec<u8>);

impl RootPath {
    /// Returns the path of the root itself.
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// Normalises a path, clamping each `..` at the root as `chroot` does.
    ///
    /// # Errors
    ///
    /// Fails on a NUL byte and on a component or path that is too long.
    pub fn lexical<B: AsRef<[u8]>>(bytes: B) -> Result<Self, PathError> {
        Self::normalise(bytes.as_ref(), Climb::Clamp)
    }

    /// Normalises a path in which `..` is not allowed.
    ///
    /// # Errors
    ///
    /// Fails on `..`, on a NUL byte and on a component or path that is too long.
    pub fn strict<B: AsRef<[u8]>>(bytes: B) -> Result<Self, PathError> {
        Self::normalise(bytes.as_ref(), Climb::Refuse)
    }

    fn normalise(bytes: &[u8], climb: Climb) -> Result<Self, PathError> {
        let mut path = Self(Vec::with_capacity(bytes.len().min(PATH_LIMIT_BYTES)));
        for component in bytes.split(|&byte| byte == b'/') {
            match (component, climb) {
                (b"" | b".", _) => {}
                (b"..", Climb::Clamp) => path.pop(),
                (b"..", Climb::Refuse) => {
                    return Err(PathError::Climbs {
                        path: bytes.to_vec(),
                    });
                }
                _ => path.push(component)?,
            }
        }
        Ok(path)
    }

    /// Takes the bytes of a path that was one before, and was kept as bytes.
    pub fn from_normal(bytes: Vec<u8>) -> Self {
        debug_assert!(Self::strict(&bytes).is_ok_and(|path| path.0 == bytes));
        Self(bytes)
    }

    /// Adds one component.
    fn push(&mut self, component: &[u8]) -> Result<(), PathError> {
        if component.contains(&0) {
            return Err(PathError::Nul {
                path: component.to_vec(),
            });
        }
        if component.len() > COMPONENT_LIMIT_BYTES {
            return Err(PathError::LongComponent {
                start: shown(component),
                length_bytes: component.len(),
            });
        }
        let length_bytes = self.0.len() + usize::from(!self.0.is_empty()) + component.len();
        if length_bytes > PATH_LIMIT_BYTES {
            return Err(PathError::LongPath {
                start: shown(&self.0),
                length_bytes,
            });
        }
        if !self.0.is_empty() {
            self.0.push(b'/');
        }
        self.0.extend_from_slice(component);
        Ok(())
    }

    /// Removes the last component, or nothing at the root.
    fn pop(&mut self) {
        let length = self.0.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        self.0.truncate(length);
    }

    /// Returns the bytes, without a leading slash; empty for the root.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Tells whether this is the root itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the components from the root downwards.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0
            .split(|&byte| byte == b'/')
            .filter(|component| !component.is_empty())
    }

    /// Returns the path of the directory that this one is in, `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        self.split_last().map(|(parent, _)| Self(parent.to_vec()))
    }

    /// Returns the last component, `None` for the root.
    pub fn file_name(&self) -> Option<&[u8]> {
        self.split_last().map(|(_, name)| name)
    }

    /// Returns the bytes of the parent and the last component, `None` for the root.
    pub(crate) fn split_last(&self) -> Option<(&[u8], &[u8])> {
        if self.is_root() {
            return None;
        }
        Some(match self.0.iter().rposition(|&byte| byte == b'/') {
            Some(slash) => (&self.0[..slash], &self.0[slash + 1..]),
            None => (&[], &self.0),
        })
    }

    /// Returns this path with one more component.
    ///
    /// # Errors
    ///
    /// Fails where `name` is no single component (empty, `.`, `..`, with a slash or a NUL byte), or
    /// one of the limits is exceeded.
    pub fn child(&self, name: &[u8]) -> Result<Self, PathError> {
        if matches!(name, b"" | b"." | b"..") || name.contains(&b'/') {
            return Err(PathError::Climbs {
                path: name.to_vec(),
            });
        }
        let mut path = self.with_room_for(name);
        path.push(name)?;
        Ok(path)
    }

    /// Returns this path with just enough memory for more behind it: there may be millions.
    fn with_room_for(&self, more: &[u8]) -> Self {
        let length = (self.0.len() + 1 + more.len()).min(PATH_LIMIT_BYTES);
        let mut bytes = Vec::with_capacity(length);
        bytes.extend_from_slice(&self.0);
        Self(bytes)
    }

    /// Returns `other` taken below this path.
    ///
    /// # Errors
    ///
    /// Fails where the result is longer than [`PATH_LIMIT_BYTES`].
    pub fn join(&self, other: &Self) -> Result<Self, PathError> {
        let mut path = self.with_room_for(&other.0);
        for component in other.components() {
            path.push(component)?;
        }
        Ok(path)
    }

    /// Returns what is left of this path below `ancestor`, `None` where it is not below it.
    pub fn strip_prefix(&self, ancestor: &Self) -> Option<Self> {
        if ancestor.is_root() {
            return Some(self.clone());
        }
        match self.0.strip_prefix(ancestor.as_bytes())? {
            [] => Some(Self::root()),
            [b'/', rest @ ..] => Some(Self(rest.to_vec())),
            _ => None,
        }
    }

    /// Tells whether this path is `ancestor` or below it.
    pub fn starts_with(&self, ancestor: &Self) -> bool {
        match self.0.strip_prefix(ancestor.as_bytes()) {
            Some(rest) => ancestor.is_root() || matches!(rest, [] | [b'/', ..]),
            None => false,
        }
    }

    /// Returns the paths of the directories above this one, from the first component downwards,
    /// without the root and without this path.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> {
        let slashes = self.0.iter().enumerate().filter(|&(_, &byte)| byte == b'/');
        slashes.map(|(at, _)| Self(self.0[..at].to_vec()))
    }

    /// Returns the path as an image's reader knows it, with a leading slash, escaped as by
    /// `Display`.
    pub fn absolute(&self) -> String {
        format!("/{}", escape(&self.0))
    }

    /// Returns the path whose [`Display`](fmt::Display) text this is.
    ///
    /// # Errors
    ///
    /// Fails where the text has a wrong escape, or what it means is no normalised path.
    pub fn from_escaped(text: &str) -> Result<Self, PathError> {
        let wrong = || PathError::Escape {
            text: text.to_owned(),
        };
        let bytes = unescape(text).ok_or_else(wrong)?;
        let path = Self::strict(&bytes)?;
        let normalised = path.0 == bytes || (path.is_root() && bytes == b".");
        if normalised { Ok(path) } else { Err(wrong()) }
    }
}

impl fmt::Display for RootPath {
    /// Writes the path without a leading slash, `.` for the root. Control characters, the backslash
    /// and what is not UTF-8 are written as `\xNN`, so that the text is one line and lossless.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            f.write_str(".")
        } else {
            f.write_str(&escape(&self.0))
        }
    }
}

impl fmt::Debug for RootPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

/// In the order of components: what is below a directory comes right after it, before `a-` and after `a`.
impl Ord for RootPath {
    fn cmp(&self, other: &Self) -> Ordering {
        compare_paths(&self.0, &other.0)
    }
}

/// Compares the bytes of two paths in the order of [`RootPath`].
pub fn compare_paths(one: &[u8], other: &[u8]) -> Ordering {
    // No name has a NUL, so that the end of a name counts as less than all that may follow in a longer one.
    let rank = |byte: u8| if byte == b'/' { 0 } else { byte };
    let differing = one.iter().zip(other).find(|(one, other)| one != other);
    match differing {
        Some((one, other)) => rank(*one).cmp(&rank(*other)),
        None => one.len().cmp(&other.len()),
    }
}

impl PartialOrd for RootPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Returns the start of a name that is too long to be shown.
fn shown(bytes: &[u8]) -> Vec<u8> {
    bytes[..bytes.len().min(SHOWN_BYTES)].to_vec()
}

/// Returns bytes as one line of text that [`unescape`] takes back.
pub(crate) fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() || character == '\\' {
                let mut buffer = [0; 4];
                push_escaped(&mut text, character.encode_utf8(&mut buffer).as_bytes());
            } else {
                text.push(character);
            }
        }
        push_escaped(&mut text, chunk.invalid());
    }
    text
}

fn push_escaped(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        text.push_str("\\x");
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

/// Returns the bytes that [`escape`] made this text of.
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first != b'\\' {
            bytes.push(first);
            continue;
        }
        let [b'x', high, low, tail @ ..] = rest else {
            return None;
        };
        bytes.push(hex_digit(*high)? << 4 | hex_digit(*low)?);
        rest = tail;
    }
    Some(bytes)
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}
