//! A Debian package as far as its files: `deb(5)`, an `ar` archive with a tar in it.
//!
//! ```text
//! "!<arch>\n"  { name 16 │ time 12 │ user 6 │ group 6 │ mode 8 │ size 10 │ "`\n" │ data, to an even size }…
//!              debian-binary, control.tar…, data.tar…
//! ```

use std::io::{self, Read};

/// What an `ar` archive begins with.
const MAGIC: &[u8; 8] = b"!<arch>\n";

/// The size of the head of a member, in bytes.
const HEAD_BYTES: usize = 60;

/// How many members are looked at: a package has three, or a signature more.
const MEMBERS_MAX: usize = 16;

/// Why a file is no package.
#[derive(Debug, thiserror::Error)]
pub(super) enum DebError {
    /// It begins as something else.
    #[error("it is no Debian package: it does not begin as one")]
    Magic,
    /// A head makes no sense.
    #[error("it is no Debian package: the head of a member is malformed")]
    Head,
    /// There are no files in it.
    #[error("it is no Debian package: it has no `data.tar`")]
    NoData,
    /// It cannot be read.
    #[error("it cannot be read")]
    Read(#[from] io::Error),
}

/// Returns the tar of a package's files, compressed as it is.
pub(super) fn data<R: Read>(mut package: R) -> Result<io::Take<R>, DebError> {
    let mut magic = [0; MAGIC.len()];
    read_head(&mut package, &mut magic, DebError::Magic)?;
    if magic != *MAGIC {
        return Err(DebError::Magic);
    }
    for _ in 0..MEMBERS_MAX {
        let mut head = [0; HEAD_BYTES];
        read_head(&mut package, &mut head, DebError::NoData)?;
        let (name, size_bytes) = member(&head).ok_or(DebError::Head)?;
        if name.starts_with("data.tar") {
            return Ok(package.take(size_bytes));
        }
        let padded = size_bytes + size_bytes % 2;
        io::copy(&mut package.by_ref().take(padded), &mut io::sink())?;
    }
    Err(DebError::NoData)
}

fn read_head<R: Read>(package: &mut R, head: &mut [u8], ended: DebError) -> Result<(), DebError> {
    match package.read_exact(head) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(ended),
        read => Ok(read?),
    }
}

/// Reads the head of a member: its name and size.
fn member(head: &[u8; HEAD_BYTES]) -> Option<(&str, u64)> {
    let text = str::from_utf8(head).ok()?;
    text.ends_with("`\n").then_some(())?;
    let name = text.get(..16)?.trim_end().trim_end_matches('/');
    // Ten digits: no size is so large that the sum of it and one more is too large.
    let size_bytes = text.get(48..58)?.trim_end().parse().ok()?;
    Some((name, size_bytes))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Makes a package of these members.
    pub(in crate::command::binfmt) fn package(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut made = MAGIC.to_vec();
        for (name, data) in members {
            let size = data.len();
            made.extend(
                format!(
                    "{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n",
                    0, 0, 0, 100_644
                )
                .bytes(),
            );
            made.extend(*data);
            made.extend(vec![b'\n'; size % 2]);
        }
        made
    }

    #[test]
    fn the_files_of_a_package_are_behind_what_describes_it() {
        let made = package(&[
            ("debian-binary", b"2.0\n"),
            ("control.tar.xz", b"odd"),
            ("data.tar.xz/", b"the files"),
            ("_gpgorigin", b"more"),
        ]);
        let mut text = String::new();
        data(made.as_slice())
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "the files");
    }

    #[test]
    fn what_is_no_package_is_told() {
        let whole = package(&[("debian-binary", b"2.0\n"), ("control.tar", b"c")]);
        let mut bad_size = package(&[("debian-binary", b"2.0\n")]);
        bad_size[8 + 48] = b'x';
        let many = package(&vec![("x", &b""[..]); MEMBERS_MAX + 1]);
        let table: [(&[u8], &str); 6] = [
            (b"", "it does not begin as one"),
            (b"PK\x03\x04 and so on", "it does not begin as one"),
            (&whole, "it has no `data.tar`"),
            (&whole[..30], "it has no `data.tar`"),
            (&bad_size, "malformed"),
            (&many, "it has no `data.tar`"),
        ];
        for (bytes, expected) in table {
            let error = data(bytes).map(drop).unwrap_err().to_string();
            assert!(error.ends_with(expected), "{error}");
        }
    }
}
