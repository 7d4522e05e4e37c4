//! A program that makes a list of calls and prints what they returned, for amd64: to compare what is answered with what
//! the kernel does.
//!
//! The list is one of sequences. Each is made by a process of its own, which begins as its parent did, and prints one
//! [`Record`]: what its calls returned, and what they wrote.

use crate::programs::{BASE, HEADERS, elf};

/// How many numbers a record has.
pub(crate) const RECORD: usize = 20;
/// The place in a record of what nobody asks for.
const UNUSED: usize = RECORD - 1;

/// Bytes of an entry of the list: a number, five arguments, where the result goes, and nothing.
const ENTRY_BYTES: u64 = 64;

/// The calls that the program itself cannot do without.
const WRITE: u64 = 1;
const FORK: u64 = 57;
const EXIT: u64 = 60;

/// Goes through the list. The place of its first entry stands from the third byte on.
const CODE: [u8; 84] = [
    0x48, 0xbb, 0, 0, 0, 0, 0, 0, 0, 0, // mov rbx, list
    0x48, 0x8b, 0x03, // next: mov rax, [rbx]
    0x48, 0x8b, 0x7b, 0x08, // mov rdi, [rbx+8]
    0x48, 0x8b, 0x73, 0x10, // mov rsi, [rbx+16]
    0x48, 0x8b, 0x53, 0x18, // mov rdx, [rbx+24]
    0x4c, 0x8b, 0x53, 0x20, // mov r10, [rbx+32]
    0x4c, 0x8b, 0x43, 0x28, // mov r8, [rbx+40]
    0x0f, 0x05, // syscall
    0x48, 0x8b, 0x4b, 0x30, // mov rcx, [rbx+48]
    0x89, 0x01, // mov [rcx], eax
    0x83, 0x3b, 0x39, // cmp [rbx], fork
    0x75, 0x20, // jne on
    0x85, 0xc0, // test eax, eax
    0x74, 0x1c, // jz on: the child
    0xbf, 0xff, 0xff, 0xff, 0xff, // mov edi, -1
    0x31, 0xf6, // xor esi, esi
    0x31, 0xd2, // xor edx, edx
    0x45, 0x31, 0xd2, // xor r10d, r10d
    0xb8, 0x3d, 0, 0, 0, // mov eax, wait4
    0x0f, 0x05, // syscall
    0x48, 0x83, 0xc3, 0x40, // skip: add rbx, 64
    0x83, 0x3b, 0x3c, // cmp [rbx], exit
    0x75, 0xf7, // jne skip
    0x48, 0x83, 0xc3, 0x40, // on: add rbx, 64
    0xeb, 0xb6, // jmp next
];

/// What a call is given.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Argument {
    Number(u64),
    /// The address of this place of the record.
    Record(usize),
    /// The address of this word of the constants.
    Constant(usize),
}

/// A call, and the place of the record for what it returns, if anybody is to know.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) number: u64,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) result: Option<usize>,
}

impl Call {
    /// Returns a call with numbers.
    pub(crate) fn plain(number: u64, arguments: &[u64]) -> Self {
        let arguments = arguments.iter().copied().map(Argument::Number).collect();
        Self::new(number, arguments)
    }

    pub(crate) fn new(number: u64, arguments: Vec<Argument>) -> Self {
        Self {
            number,
            arguments,
            result: None,
        }
    }

    pub(crate) fn into(self, result: usize) -> Self {
        Self {
            result: Some(result),
            ..self
        }
    }
}

/// Returns a program that makes these sequences of calls, with constants in its memory.
pub(crate) fn program(sequences: &[Vec<Call>], constants: &[u32]) -> Vec<u8> {
    let bytes = |count: usize, size: u64| u64::try_from(count).unwrap_or(0) * size;
    let record = BASE + HEADERS + bytes(CODE.len(), 1);
    let constant = record + bytes(RECORD, 4);
    let list = constant + bytes(constants.len(), 4);
    let place = |argument: Argument| match argument {
        Argument::Number(number) => number,
        Argument::Record(at) => record + bytes(at, 4),
        Argument::Constant(at) => constant + bytes(at, 4),
    };
    let mut code = CODE.to_vec();
    code.splice(2..10, list.to_le_bytes());
    code.extend([0; RECORD * 4]);
    code.extend(constants.iter().flat_map(|word| word.to_le_bytes()));
    let print = vec![
        Argument::Number(1),
        Argument::Record(0),
        Argument::Number(bytes(RECORD, 4)),
    ];
    let framed = sequences.iter().flat_map(|calls| {
        let begin = Call::plain(FORK, &[]);
        let end = [Call::new(WRITE, print.clone()), Call::plain(EXIT, &[0])];
        [begin].into_iter().chain(calls.clone()).chain(end)
    });
    for call in framed.chain([Call::plain(EXIT, &[0])]) {
        let mut words = vec![call.number];
        words.extend(call.arguments.into_iter().map(place));
        words.resize(6, 0);
        words.push(place(Argument::Record(call.result.unwrap_or(UNUSED))));
        words.resize(usize::try_from(ENTRY_BYTES / 8).unwrap_or(0), 0);
        code.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    }
    elf(62, &code)
}
