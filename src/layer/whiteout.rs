//! How a layer tar says that a name is gone: `.wh.` names (image-spec layer.md, "Whiteouts").

/// How the name of an entry starts that removes another name.
pub(crate) const PREFIX: &[u8] = b".wh.";

/// The name of an entry that makes the directory it is in opaque.
pub(crate) const OPAQUE: &[u8] = b".wh..wh..opq";

/// How the names of AUFS' own files start, which old layers have at their top and nobody unpacks.
const RESERVED_PREFIX: &[u8] = b".wh..wh.";

/// What the raw name of an entry means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning<'a> {
    /// An object at the path of this name.
    Object,
    /// The removal of a name from the directory with this path.
    Delete {
        /// The directory.
        parent: &'a [u8],
        /// The name in it.
        name: &'a [u8],
    },
    /// The directory with this path hides what is below.
    Opaque {
        /// The directory.
        parent: &'a [u8],
    },
    /// A file of AUFS, left out.
    Reserved,
    /// A whiteout of nothing, of `.` or of `..`, or something in a directory with such a name.
    Malformed,
}

/// Says what the raw name of an entry means.
pub(crate) fn meaning(raw: &[u8]) -> Meaning<'_> {
    let trimmed = raw.trim_ascii_end_slashes();
    let first = trimmed
        .split(|&byte| byte == b'/')
        .find(|name| !matches!(*name, b"" | b"."));
    if first.is_some_and(|name| name.starts_with(RESERVED_PREFIX) && name != OPAQUE) {
        return Meaning::Reserved;
    }
    let slash = trimmed.iter().rposition(|&byte| byte == b'/');
    let (parent, name) = slash.map_or((&trimmed[..0], trimmed), |at| {
        (&trimmed[..at], &trimmed[at + 1..])
    });
    if parent.split(|&byte| byte == b'/').any(is_marker) {
        return Meaning::Malformed;
    }
    match name.strip_prefix(PREFIX) {
        None => Meaning::Object,
        Some(_) if name == OPAQUE => Meaning::Opaque { parent },
        Some(b"" | b"." | b"..") => Meaning::Malformed,
        Some(name) => Meaning::Delete { parent, name },
    }
}

/// Tells whether a file with this name would be read as a whiteout.
pub(crate) fn is_marker(name: &[u8]) -> bool {
    name.starts_with(PREFIX)
}

trait TrimSlashes {
    fn trim_ascii_end_slashes(&self) -> &[u8];
}

impl TrimSlashes for [u8] {
    fn trim_ascii_end_slashes(&self) -> &[u8] {
        let end = self
            .iter()
            .rposition(|&byte| byte != b'/')
            .map_or(0, |at| at + 1);
        &self[..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_whiteouts_are_recognised() {
        use Meaning::{Delete, Malformed, Object, Opaque, Reserved};
        for (raw, expected) in [
            (&b"a/b"[..], Object),
            (
                b"a/.wh.b",
                Delete {
                    parent: b"a",
                    name: b"b",
                },
            ),
            (
                b".wh.b",
                Delete {
                    parent: b"",
                    name: b"b",
                },
            ),
            (
                b"./.wh.b/",
                Delete {
                    parent: b".",
                    name: b"b",
                },
            ),
            (
                b"a/.wh..b",
                Delete {
                    parent: b"a",
                    name: b".b",
                },
            ),
            (
                b"a/.wh....",
                Delete {
                    parent: b"a",
                    name: b"...",
                },
            ),
            (b"a/.wh..wh..opq", Opaque { parent: b"a" }),
            (b".wh..wh..opq", Opaque { parent: b"" }),
            (b".wh..wh.plnk/x", Reserved),
            (b"./.wh..wh.aufs", Reserved),
            (b".wh.", Malformed),
            (b".wh..", Malformed),
            (b"a/.wh...", Malformed),
            (b".wh.a/b", Malformed),
            (b"a.wh.b", Object),
            (b"/", Object),
            (b"", Object),
        ] {
            assert_eq!(meaning(raw), expected, "{}", raw.escape_ascii());
        }
    }
}
