//! Reading zstd, one frame after the other, each with the memory that its header asks for.
//!
//! ```text
//! 28 b5 2f fd   descriptor   [window]   [dictionary]   [content size]      RFC 8878, section 3.1.1.1
//! ```

use std::io::{self, Read};

use zstd::stream::raw::{DParameter, Decoder, Operation as _};

use crate::limits::{DECODER_ROOM_BYTES, ZSTD_WINDOW_LOG_MAX};
use crate::room::{DecoderRoom, Taken};

/// How much of a blob is read at once.
const BUFFER_BYTES: usize = 128 * 1024;

/// The longest header of a frame, in bytes.
const HEADER_MAX_BYTES: usize = 18;

/// How a frame starts.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Reads all frames of a stream.
pub(crate) struct ZstdFrames<R> {
    input: Input<R>,
    room: DecoderRoom,
    /// What decodes, with its memory; none before the first frame.
    decoder: Option<(Decoder<'static>, Taken)>,
    is_between: bool,
}

impl<R: Read> ZstdFrames<R> {
    pub(crate) fn new(reader: R, room: &DecoderRoom) -> Self {
        Self {
            input: Input::new(reader),
            room: room.clone(),
            decoder: None,
            is_between: true,
        }
    }

    /// Returns a decoder that has the memory for the next frame.
    fn begin(&mut self, window_bytes: u64) -> io::Result<()> {
        let has_room = matches!(&self.decoder, Some((_, taken)) if taken.bytes() >= window_bytes);
        if !has_room {
            // Nobody waits for room while having some.
            self.decoder = None;
            let taken = self.room.take(window_bytes);
            let mut decoder = Decoder::new()?;
            decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))?;
            self.decoder = Some((decoder, taken));
        }
        self.is_between = false;
        Ok(())
    }
}

impl<R: Read> Read for ZstdFrames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.is_between {
                let header = self.input.at_least(HEADER_MAX_BYTES)?;
                if header.is_empty() || buffer.is_empty() {
                    return Ok(0);
                }
                let window_bytes = window_of(header).unwrap_or(DECODER_ROOM_BYTES);
                self.begin(window_bytes)?;
            }
            let Some((decoder, _)) = &mut self.decoder else {
                return Ok(0);
            };
            let input = self.input.at_least(1)?;
            let is_end = input.is_empty();
            let status = decoder.run_on_buffers(input, buffer)?;
            self.input.consume(status.bytes_read);
            if status.remaining == 0 {
                decoder.reinit()?;
                self.is_between = true;
            }
            if status.bytes_written > 0 {
                return Ok(status.bytes_written);
            }
            if is_end && !self.is_between {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "incomplete frame",
                ));
            }
        }
    }
}

/// Returns how many bytes of its output the decoder of a frame keeps; none where the header does not say, as in forms of
/// old. What is no header at all needs nothing: the decoder says what is wrong.
fn window_of(header: &[u8]) -> Option<u64> {
    let [magic @ .., descriptor] = header.first_chunk::<5>()?;
    if *magic != MAGIC {
        // A frame that is passed over.
        return (magic[1..] == [0x2a, 0x4d, 0x18]).then_some(0);
    }
    let is_single_segment = descriptor & 0x20 != 0;
    if !is_single_segment {
        let window = header.get(5)?;
        let base = 1_u64 << (10 + (window >> 3));
        return Some(base + base / 8 * u64::from(window & 7));
    }
    let dictionary_bytes = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let size_bytes = [1, 2, 4, 8][usize::from(descriptor >> 6)];
    let size = header.get(5 + dictionary_bytes..)?.get(..size_bytes)?;
    let number = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
    let size = size.iter().rev().fold(0, number);
    // Of two bytes the value is 256 less.
    Some(if size_bytes == 2 { size + 256 } else { size })
}

/// A reader with a buffer of which some bytes can be looked at together.
struct Input<R> {
    reader: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl<R: Read> Input<R> {
    fn new(reader: R) -> Self {
        Self {
            reader,
            buffer: vec![0; BUFFER_BYTES],
            start: 0,
            end: 0,
        }
    }

    /// Returns what is in the buffer: so many bytes at least, or all that are left.
    fn at_least(&mut self, count: usize) -> io::Result<&[u8]> {
        if self.end - self.start < count {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        while self.end - self.start < count {
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(0) => break,
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(&self.buffer[self.start..self.end])
    }

    fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    /// Gives its bytes in pieces of few.
    struct Dripping<'b>(&'b [u8], usize);

    impl Read for Dripping<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = buffer.len().min(self.1);
            self.0.read(&mut buffer[..count])
        }
    }

    /// Returns a frame of so many bytes, which says no size and asks for a window of so many bits.
    fn frame(length: usize, window_log: u32) -> (Vec<u8>, Vec<u8>) {
        let bytes: Vec<u8> = (0..251).cycle().take(length).collect();
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(window_log).unwrap();
        io::copy(&mut bytes.as_slice(), &mut encoder).unwrap();
        (bytes, encoder.finish().unwrap())
    }

    #[test]
    fn frames_of_all_windows_come_one_after_the_other_in_pieces_of_any_size() {
        let skippable = [0x51, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
        let (mut plain, mut packed) = (Vec::new(), Vec::new());
        for (length, window_log) in [(300_000, 17), (0, 10), (3_000_000, 24), (5, 20)] {
            let (bytes, frame) = frame(length, window_log);
            plain.extend(bytes);
            packed.extend(frame);
            packed.extend(skippable);
        }
        let short = zstd::encode_all(&b"short"[..], 3).unwrap();
        packed.extend(zstd::bulk::compress(b"short", 3).unwrap());
        packed.extend(&short);
        plain.extend(b"shortshort");
        for piece in [1, 7, 100_000, usize::MAX] {
            let room = DecoderRoom::default();
            let mut found = Vec::new();
            let mut frames = ZstdFrames::new(Dripping(&packed, piece), &room);
            frames.read_to_end(&mut found).unwrap();
            assert!(found == plain, "{piece}");
            drop(frames);
            assert_eq!(room.taken(), 0);
        }
    }

    #[test]
    fn a_frame_has_the_room_that_it_asks_for() {
        let (_, small) = frame(5_000_000, 20);
        let (_, large) = frame(5_000_000, 25);
        let room = DecoderRoom::default();
        let packed = [small, large].concat();
        let mut frames = ZstdFrames::new(packed.as_slice(), &room);
        let mut buffer = [0; 1000];
        frames.read_exact(&mut buffer).unwrap();
        assert_eq!(room.taken(), MIB);
        io::copy(&mut frames.by_ref().take(5_000_000), &mut io::sink()).unwrap();
        assert_eq!(room.taken(), 32 * MIB);
        drop(frames);
        assert_eq!(room.taken(), 0);
    }

    #[test]
    fn a_stream_that_ends_too_early_or_goes_on_with_something_else_is_an_error() {
        let (bytes, frame) = frame(1_000, 20);
        let read = |packed: &[u8]| {
            let mut found = Vec::new();
            let mut frames = ZstdFrames::new(packed, &DecoderRoom::default());
            frames.read_to_end(&mut found).map(|_| found)
        };
        assert_eq!(read(&frame).unwrap(), bytes);
        for end in [1, 4, 5, 8, frame.len() - 1] {
            let error = read(&frame[..end]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{end}");
        }
        let garbage = [&frame[..], b"more"].concat();
        let error = read(&garbage).unwrap_err();
        assert!(
            error.to_string().contains("Unknown frame descriptor"),
            "{error}"
        );
    }

    #[test]
    fn the_window_is_in_the_header() {
        let header = |rest: &[u8]| [&MAGIC[..], rest].concat();
        for (header, expected) in [
            (header(&[0, 0]), Some(1024)),
            (header(&[0, 0x88]), Some(128 * MIB)),
            (header(&[0, 0x8f]), Some(240 * MIB)),
            (header(&[0, 0xff]), Some((1 << 41) / 8 * 15)),
            (header(&[0x20, 9]), Some(9)),
            (header(&[0x60, 1, 1]), Some(513)),
            (header(&[0xa1, 7, 0, 0, 16, 0]), Some(MIB)),
            (header(&[0xe0, 0, 0, 0, 0, 1, 0, 0, 0]), Some(1 << 32)),
            (header(&[0xe0, 0]), None),
            (vec![0x5f, 0x2a, 0x4d, 0x18, 0], Some(0)),
            (vec![0x25, 0xb5, 0x2f, 0xfd, 0], None),
            (vec![0x28, 0xb5], None),
        ] {
            assert_eq!(window_of(&header), expected, "{header:x?}");
        }
    }
}
