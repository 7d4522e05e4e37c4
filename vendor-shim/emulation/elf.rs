//! The little of ELF that tells whose program a file is, and whether it stands alone.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::Architecture;

/// Offset of the operating system's ABI in the header, `EI_OSABI`.
const OS_ABI: usize = 7;
/// Offset of `e_type` in the header; `e_machine` follows it.
const TYPE: usize = 16;
/// How much of a header a handler looks at, in bytes.
const SIGNATURE_BYTES: usize = 20;
/// `ET_EXEC`. `ET_DYN`, a program that may be loaded anywhere, is 3 and differs in the lowest bit
/// alone.
const EXECUTABLE: u16 = 2;
/// `PT_INTERP`: the file names a dynamic linker.
const INTERPRETER_SEGMENT: u32 = 3;
/// More program headers than a program has; a file that claims more is not read further.
const PROGRAM_HEADER_LIMIT: u16 = 512;

/// Width of addresses: `EI_CLASS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// 32 bits.
    Bits32 = 1,
    /// 64 bits.
    Bits64 = 2,
}

/// Order of bytes: `EI_DATA`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ByteOrder {
    /// Lowest byte first.
    Little = 1,
    /// Highest byte first.
    Big = 2,
}

/// What of an ELF header tells the processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ElfIdentity {
    class: Class,
    byte_order: ByteOrder,
    machine: u16,
}

/// The first bytes of a program, and which of their bits count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The bytes.
    pub magic: Vec<u8>,
    /// A bit is 1 where the bit of the magic counts.
    pub mask: Vec<u8>,
}

/// Whether a program needs others' files to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linkage {
    /// It names no dynamic linker.
    Static,
    /// It names a dynamic linker.
    Dynamic,
    /// It is no ELF file that makes sense.
    NotElf,
}

impl Architecture {
    /// Returns what the ELF header of a program for this processor says (`e_machine` of the ELF
    /// registry).
    pub const fn elf(self) -> ElfIdentity {
        use ByteOrder::{Big, Little};
        use Class::{Bits32, Bits64};
        let (class, byte_order, machine) = match self {
            Self::Amd64 => (Bits64, Little, 62),
            Self::Arm64 => (Bits64, Little, 183),
            Self::Arm => (Bits32, Little, 40),
            Self::I386 => (Bits32, Little, 3),
            Self::Riscv64 => (Bits64, Little, 243),
            Self::Ppc64le => (Bits64, Little, 21),
            Self::S390x => (Bits64, Big, 22),
            Self::Mips64 => (Bits64, Big, 8),
            Self::Mips64le => (Bits64, Little, 8),
            Self::Loong64 => (Bits64, Little, 258),
        };
        ElfIdentity {
            class,
            byte_order,
            machine,
        }
    }
}

impl ElfIdentity {
    /// Returns what a handler of `binfmt_misc` compares.
    ///
    /// The ABI of the operating system does not count (programs are marked as System V's or as
    /// GNU's), nor does the lowest bit of the type, so that both kinds of executables match.
    pub fn signature(self) -> Signature {
        let mut mask = vec![0xff; SIGNATURE_BYTES];
        let low_byte_of_type = match self.byte_order {
            ByteOrder::Little => TYPE,
            ByteOrder::Big => TYPE + 1,
        };
        for (offset, bits) in [(OS_ABI, 0x00), (low_byte_of_type, 0xfe)] {
            if let Some(byte) = mask.get_mut(offset) {
                *byte = bits;
            }
        }
        Signature {
            magic: self.header().to_vec(),
            mask,
        }
    }

    /// Returns the first bytes of an executable for this processor.
    pub(crate) fn header(self) -> [u8; SIGNATURE_BYTES] {
        let mut header = [0; SIGNATURE_BYTES];
        let identification = [
            0x7f,
            b'E',
            b'L',
            b'F',
            self.class as u8,
            self.byte_order as u8,
            1,
        ];
        let numbers = [EXECUTABLE, self.machine].map(|number| match self.byte_order {
            ByteOrder::Little => number.to_le_bytes(),
            ByteOrder::Big => number.to_be_bytes(),
        });
        let bytes = identification
            .iter()
            .chain(&[0; TYPE - 7])
            .chain(numbers.as_flattened());
        for (place, byte) in header.iter_mut().zip(bytes) {
            *place = *byte;
        }
        header
    }
}

/// Tells whether the file at `path` begins as the programs of an architecture do.
pub(super) fn is_program_of(path: &Path, architecture: Architecture) -> io::Result<bool> {
    let Signature { magic, mask } = architecture.elf().signature();
    let mut start = vec![0; magic.len()];
    match File::open(path)?.read_exact_at(&mut start, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
        read => read?,
    }
    let mut bytes = start.iter().zip(&magic).zip(&mask);
    Ok(bytes.all(|((byte, magic), mask)| byte & mask == magic & mask))
}

/// Says whether the program at `path` needs a dynamic linker.
pub(super) fn linkage(path: &Path) -> io::Result<Linkage> {
    let file = File::open(path)?;
    match program_header_types(&file) {
        Ok(Some(types)) if types.contains(&INTERPRETER_SEGMENT) => Ok(Linkage::Dynamic),
        Ok(Some(_)) => Ok(Linkage::Static),
        Ok(None) => Ok(Linkage::NotElf),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Linkage::NotElf),
        Err(error) => Err(error),
    }
}

/// Returns the type of each program header; `None` where the file is no ELF file of a host's kind.
///
/// An emulator is a program of this machine, and both of those that it may be compiled for are
/// little endian where QEMU is packaged; the header is read in its own byte order all the same.
fn program_header_types(file: &File) -> io::Result<Option<Vec<u32>>> {
    let mut header = [0; 64];
    file.read_exact_at(&mut header, 0)?;
    let [0x7f, b'E', b'L', b'F', class, data, ..] = header else {
        return Ok(None);
    };
    let read = Reader {
        header: &header,
        big: data == ByteOrder::Big as u8,
    };
    let (table, entry_bytes, count) = if class == Class::Bits64 as u8 {
        (read.u64(32), read.u16(54), read.u16(56))
    } else {
        (u64::from(read.u32(28)), read.u16(42), read.u16(44))
    };
    if count > PROGRAM_HEADER_LIMIT {
        return Ok(None);
    }
    let mut types = Vec::with_capacity(count.into());
    for index in 0..count {
        let Some(offset) = table.checked_add(u64::from(entry_bytes) * u64::from(index)) else {
            return Ok(None);
        };
        let mut kind = [0; 4];
        file.read_exact_at(&mut kind, offset)?;
        types.push(if read.big {
            u32::from_be_bytes(kind)
        } else {
            u32::from_le_bytes(kind)
        });
    }
    Ok(Some(types))
}

/// Numbers at fixed places of an ELF header.
struct Reader<'h> {
    header: &'h [u8; 64],
    big: bool,
}

impl Reader<'_> {
    fn bytes<const N: usize>(&self, offset: usize) -> [u8; N] {
        let mut bytes = [0; N];
        for (place, byte) in bytes.iter_mut().zip(self.header.iter().skip(offset)) {
            *place = *byte;
        }
        bytes
    }

    fn u16(&self, offset: usize) -> u16 {
        let bytes = self.bytes(offset);
        if self.big {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        }
    }

    fn u32(&self, offset: usize) -> u32 {
        let bytes = self.bytes(offset);
        if self.big {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        }
    }

    fn u64(&self, offset: usize) -> u64 {
        let bytes = self.bytes(offset);
        if self.big {
            u64::from_be_bytes(bytes)
        } else {
            u64::from_le_bytes(bytes)
        }
    }
}
