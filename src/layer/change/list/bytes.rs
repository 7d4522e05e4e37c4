//! The bytes of one block while it is written.

/// Writes the entries of a block.
#[derive(Debug, Clone, Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    path: Vec<u8>,
    /// What the path of the file before begins with, that its path in the image does not end with.
    start: Vec<u8>,
    seconds: i64,
}

impl Writer {
    /// Returns what is written.
    pub(super) fn written(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the block and begins the next one, with the same memory.
    pub(super) fn take(&mut self) -> Box<[u8]> {
        let block = self.bytes.as_slice().into();
        self.bytes.clear();
        self.path.clear();
        self.start.clear();
        self.seconds = 0;
        block
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Writes a number, seven bits in a byte, the lowest first.
    pub(super) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.bytes.push(number.to_le_bytes()[0]);
    }

    pub(super) fn length(&mut self, length: usize) {
        self.number(length as u64);
    }

    pub(super) fn text(&mut self, text: &[u8]) {
        self.length(text.len());
        self.bytes(text);
    }

    /// Writes seconds as what they are more or less than those before.
    pub(super) fn seconds(&mut self, seconds: i64) {
        let more = seconds.wrapping_sub(self.seconds);
        // Small ones of either sign are short: 0, -1, 1, -2, …
        self.number((more.cast_unsigned() << 1) ^ (more >> 63).cast_unsigned());
        self.seconds = seconds;
    }

    /// Writes the path of an entry.
    pub(super) fn path(&mut self, path: &[u8]) {
        let shared = common(path.iter(), self.path.iter());
        self.length(shared);
        self.text(&path[shared..]);
        self.path.truncate(shared);
        self.path.extend_from_slice(&path[shared..]);
    }

    /// Writes where a file is whose path in the image is given.
    pub(super) fn place(&mut self, place: &[u8], path: &[u8]) {
        let end = common(place.iter().rev(), path.iter().rev());
        let start = &place[..place.len() - end];
        let shared = common(start.iter(), self.start.iter());
        self.length(end);
        self.length(shared);
        self.text(&start[shared..]);
        self.start.truncate(shared);
        self.start.extend_from_slice(&start[shared..]);
    }
}

/// Returns how many items are the same up to the first that is not.
fn common<'b>(one: impl Iterator<Item = &'b u8>, other: impl Iterator<Item = &'b u8>) -> usize {
    one.zip(other)
        .take_while(|(one, other)| one == other)
        .count()
}
