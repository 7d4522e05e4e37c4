//! F9: what unpacks gzip, zstd and the others.
//!
//! The bytes that come out do not depend on the sizes in which they are asked for or come in.

use std::io::{self, Read};

use layer::decompressor;

/// More than this of what comes out is not looked at.
const OUTPUT_MAX: u64 = 1 << 22;

/// Decompresses in large pieces and in small ones.
///
/// # Panics
///
/// Panics where the pieces make a difference.
pub fn check(data: &[u8]) {
    let whole = read(data, 1 << 16);
    let pieces = read(Dribble(data, 1), 7);
    match (&whole, &pieces) {
        (Ok(whole), Ok(pieces)) => assert!(whole == pieces, "other bytes in small pieces"),
        (Err(_), Err(_)) => {}
        _ => panic!(
            "{} in one piece, {} in small ones",
            said(&whole),
            said(&pieces)
        ),
    }
}

fn said(read: &io::Result<Vec<u8>>) -> String {
    match read {
        Ok(bytes) => format!("{} bytes", bytes.len()),
        Err(error) => error.to_string(),
    }
}

fn read<R: Read + Send>(input: R, size: usize) -> io::Result<Vec<u8>> {
    let mut output = decompressor(input)?.take(OUTPUT_MAX);
    let mut found = Vec::new();
    let mut buffer = vec![0; size];
    loop {
        match output.read(&mut buffer)? {
            0 => return Ok(found),
            count => found.extend_from_slice(&buffer[..count]),
        }
    }
}

/// Gives a few bytes at a time, each time one more, and begins again.
struct Dribble<'a>(&'a [u8], usize);

impl Read for Dribble<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.1.min(buffer.len()).min(self.0.len());
        self.1 = self.1 % 61 + 1;
        let (taken, rest) = self.0.split_at(count);
        buffer[..count].copy_from_slice(taken);
        self.0 = rest;
        Ok(count)
    }
}
