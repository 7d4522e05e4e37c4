//! A call about ids, and what it was given: by programs of 64 bits, of 32, and with ids of 16.
//!
//! Ids had 16 bits at first. Programs for 386 and arm have calls of both kinds, and those of the older names are the
//! narrow ones; there the highest number stands for none, and an id that is too large is shown as `overflowuid`
//! (linux/highuid.h).

use std::ffi::c_int;

use nix::errno::Errno;

use crate::notify::caller::Caller;
use crate::seccomp::{AskedCall, ProgramKind};
use crate::sys::notification::Question;

/// What an id is shown as that does not fit.
const OVERFLOW_ID: u16 = 65_534;

/// One call that waits.
#[derive(Debug)]
pub(super) struct Request<'q> {
    /// Its name, without what tells it from the narrow one.
    pub(super) name: &'static str,
    width: Width,
    kind: ProgramKind,
    arguments: [u64; 6],
    pub(super) caller: &'q Caller<'q>,
}

/// How many bits ids have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    Narrow,
    Wide,
}

impl<'q> Request<'q> {
    /// Takes a question apart.
    pub(super) fn new(call: AskedCall, question: &Question, caller: &'q Caller<'q>) -> Self {
        let (name, width) = named(call);
        Self {
            name,
            width,
            kind: call.kind,
            arguments: question.arguments,
            caller,
        }
    }

    /// Tells whether a `long` has 64 bits for whoever calls.
    pub(super) fn has_wide_longs(&self) -> bool {
        matches!(self.kind, ProgramKind::Amd64 | ProgramKind::Arm64)
    }

    /// Returns an argument as it was given: an address or a `long`.
    pub(super) fn number(&self, at: usize) -> u64 {
        self.arguments.get(at).copied().unwrap_or_default()
    }

    /// Returns an argument that is an `int` to the kernel.
    pub(super) fn int(&self, at: usize) -> c_int {
        low_half(self.number(at)).cast_signed()
    }

    /// Returns an argument that is an id; `None` for that which stands for none.
    pub(super) fn id(&self, at: usize) -> Option<u32> {
        self.width.taken(low_half(self.number(at)))
    }

    /// Returns an id as a value that a call returns.
    pub(super) fn shown(&self, id: u32) -> i64 {
        match self.width {
            Width::Wide => id.into(),
            Width::Narrow => narrowed(id).into(),
        }
    }

    /// Reads `N` bytes of the caller's memory.
    pub(super) fn read<const N: usize>(&self, address: u64) -> Result<[u8; N], Errno> {
        let mut bytes = [0; N];
        self.caller.read(address, &mut bytes)?;
        Ok(bytes)
    }

    /// Reads ids from the caller's memory.
    pub(super) fn read_ids(&self, address: u64, count: usize) -> Result<Vec<Option<u32>>, Errno> {
        let mut bytes = vec![0; count * self.width.bytes()];
        self.caller.read(address, &mut bytes)?;
        Ok(self.width.parse(&bytes))
    }

    /// Writes ids to the caller's memory.
    pub(super) fn write_ids(&self, address: u64, ids: &[u32]) -> Result<(), Errno> {
        self.caller.write(address, &self.width.bytes_of(ids))
    }
}

impl Width {
    fn bytes(self) -> usize {
        match self {
            Self::Narrow => size_of::<u16>(),
            Self::Wide => size_of::<u32>(),
        }
    }

    fn taken(self, number: u32) -> Option<u32> {
        let none = match self {
            Self::Narrow => u32::from(u16::MAX),
            Self::Wide => u32::MAX,
        };
        // The narrow calls take a number of 16 bits, whatever is above them.
        Some(number & none).filter(|id| *id != none)
    }

    fn parse(self, bytes: &[u8]) -> Vec<Option<u32>> {
        let number = |bytes: &[u8]| {
            let digits = bytes.iter().rev();
            self.taken(digits.fold(0, |number, byte| number << 8 | u32::from(*byte)))
        };
        bytes.chunks_exact(self.bytes()).map(number).collect()
    }

    fn bytes_of(self, ids: &[u32]) -> Vec<u8> {
        let bytes = |id: &u32| match self {
            Self::Narrow => narrowed(*id).to_le_bytes().to_vec(),
            Self::Wide => id.to_le_bytes().to_vec(),
        };
        ids.iter().flat_map(bytes).collect()
    }
}

/// Returns what a call is, and how wide its ids are.
fn named(call: AskedCall) -> (&'static str, Width) {
    let has_narrow = matches!(call.kind, ProgramKind::I386 | ProgramKind::Arm);
    match call.name.strip_suffix("32") {
        Some(name) => (name, Width::Wide),
        None if has_narrow => (call.name, Width::Narrow),
        None => (call.name, Width::Wide),
    }
}

fn narrowed(id: u32) -> u16 {
    u16::try_from(id).unwrap_or(OVERFLOW_ID)
}

fn low_half(argument: u64) -> u32 {
    u32::try_from(argument & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seccomp::Subject;

    #[test]
    fn the_older_names_are_narrow_where_there_are_two() {
        for (name, kind, expected) in [
            ("setuid", ProgramKind::Amd64, ("setuid", Width::Wide)),
            ("setuid", ProgramKind::Arm64, ("setuid", Width::Wide)),
            ("setuid", ProgramKind::I386, ("setuid", Width::Narrow)),
            ("setuid", ProgramKind::Arm, ("setuid", Width::Narrow)),
            ("setuid32", ProgramKind::I386, ("setuid", Width::Wide)),
            ("getgroups32", ProgramKind::Arm, ("getgroups", Width::Wide)),
        ] {
            let call = AskedCall {
                name,
                subject: Subject::Ids,
                kind,
            };
            assert_eq!(named(call), expected, "{name} {kind:?}");
        }
    }

    #[test]
    fn an_id_is_taken_in_its_width() {
        for (width, number, expected) in [
            (Width::Wide, 70_000, Some(70_000)),
            (Width::Wide, 0xffff, Some(0xffff)),
            (Width::Wide, u32::MAX, None),
            (Width::Narrow, 33, Some(33)),
            (Width::Narrow, 0xffff, None),
            (Width::Narrow, u32::MAX, None),
            (Width::Narrow, 0x1_0021, Some(33)),
        ] {
            assert_eq!(width.taken(number), expected, "{width:?} {number}");
        }
    }

    #[test]
    fn ids_are_read_and_written_in_their_width() {
        let ids = [1, 70_000, 0xfffe];
        assert_eq!(Width::Narrow.bytes_of(&ids), [1, 0, 0xfe, 0xff, 0xfe, 0xff]);
        let wide = Width::Wide.bytes_of(&ids);
        assert_eq!(wide, [1, 0, 0, 0, 0x70, 0x11, 1, 0, 0xfe, 0xff, 0, 0]);
        assert_eq!(Width::Wide.parse(&wide), ids.map(Some));
        assert_eq!(
            Width::Narrow.parse(&[1, 2, 0xff, 0xff]),
            [Some(0x201), None]
        );
    }
}
