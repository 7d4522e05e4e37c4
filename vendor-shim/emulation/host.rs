//! The handlers that the host has registered with `binfmt_misc`.
//!
//! One file a handler, as `Documentation/admin-guide/binfmt-misc.rst` describes it:
//!
//! ```text
//! enabled
//! interpreter /usr/bin/qemu-aarch64-static
//! flags: OCF
//! offset 0
//! magic 7f454c460201010000000000000000000200b700
//! mask ffffffffffffff00fffffffffffffffffeffffff
//! ```

use std::io;
use std::path::{Path, PathBuf};

use super::{Architecture, HandlerFlags, Signature};

/// Where the kernel shows the handlers of the host.
pub const HOST_REGISTRATIONS: &str = "/proc/sys/fs/binfmt_misc";

/// One handler of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRegistration {
    /// Its name.
    pub name: String,
    /// Whether it is switched on.
    pub enabled: bool,
    /// What it starts.
    pub interpreter: PathBuf,
    /// How it starts it.
    pub flags: HandlerFlags,
    /// Where in the file the signature is, in bytes.
    pub offset: usize,
    /// What the file has there.
    pub signature: Signature,
}

/// All handlers of the host that go by a signature, in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostRegistrations {
    /// The handlers, switched off ones included.
    pub handlers: Vec<HostRegistration>,
}

impl HostRegistrations {
    /// Reads the handlers in `directory`, which need not be there.
    ///
    /// # Errors
    ///
    /// Fails when the directory is there and cannot be read. A single handler that cannot be read
    /// or understood is passed over: it may just have been removed.
    pub fn read(directory: &Path) -> io::Result<Self> {
        let entries = match std::fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        if std::fs::read_to_string(directory.join("status"))
            .is_ok_and(|text| text.trim() == "disabled")
        {
            return Ok(Self::default());
        }
        let mut handlers = Vec::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Ok(text) = std::fs::read_to_string(entry.path()) {
                handlers.extend(HostRegistration::parse(&name, &text));
            }
        }
        handlers.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(Self { handlers })
    }

    /// Returns the handler that would start the programs of `architecture` in a root directory of
    /// their own: one that is switched on and holds its interpreter open.
    pub fn usable(&self, architecture: Architecture) -> Option<&HostRegistration> {
        self.handlers.iter().find(|handler| {
            handler.enabled && handler.flags.fix_binary && handler.starts(architecture)
        })
    }
}

impl HostRegistration {
    /// Reads the file of one handler; `None` for one that goes by file name, or that makes no
    /// sense.
    pub fn parse(name: &str, text: &str) -> Option<Self> {
        let field = |key: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(key).map(str::trim))
        };
        let magic = hexadecimal(field("magic ")?)?;
        let mask = match field("mask ") {
            Some(digits) => hexadecimal(digits)?,
            None => vec![0xff; magic.len()],
        };
        (mask.len() == magic.len()).then_some(())?;
        Some(Self {
            name: name.to_owned(),
            enabled: text.lines().next() == Some("enabled"),
            interpreter: field("interpreter ")?.into(),
            flags: HandlerFlags::from_letters(field("flags:").unwrap_or_default()),
            offset: field("offset ")?.parse().ok()?,
            signature: Signature { magic, mask },
        })
    }

    /// Returns whether a program for `architecture` has this handler's signature.
    pub fn starts(&self, architecture: Architecture) -> bool {
        let header = architecture.elf().header();
        let Signature { magic, mask } = &self.signature;
        let place = header.iter().skip(self.offset);
        // A longer signature looks at more than the processor, such as flags: it cannot be relied
        // on.
        self.offset + magic.len() <= header.len()
            && magic
                .iter()
                .zip(mask)
                .zip(place)
                .all(|((magic, mask), byte)| magic & mask == byte & mask)
    }
}

fn hexadecimal(digits: &str) -> Option<Vec<u8>> {
    let nibbles: Option<Vec<u32>> = digits.chars().map(|digit| digit.to_digit(16)).collect();
    let nibbles = nibbles?;
    let (pairs, []) = nibbles.as_chunks::<2>() else {
        return None;
    };
    pairs
        .iter()
        .map(|[high, low]| u8::try_from(high * 16 + low).ok())
        .collect()
}
