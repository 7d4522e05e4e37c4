//! What a command prints, to where careen's own output goes.

use std::io::{self, Write};

use runtime::{OutputSink, Stream};

/// The standard streams of careen, as long as somebody reads them.
#[derive(Debug, Default)]
pub(in crate::command) struct Streams {
    is_closed: [bool; 2],
}

impl OutputSink for Streams {
    fn write(&mut self, stream: Stream, chunk: &[u8]) {
        let written = match stream {
            Stream::Stdout => pass_on(&mut io::stdout().lock(), chunk),
            Stream::Stderr => pass_on(&mut io::stderr().lock(), chunk),
        };
        let [stdout, stderr] = &mut self.is_closed;
        let is_closed = match stream {
            Stream::Stdout => stdout,
            Stream::Stderr => stderr,
        };
        *is_closed = written.is_err();
    }

    fn is_open(&self, stream: Stream) -> bool {
        let [stdout, stderr] = self.is_closed;
        match stream {
            Stream::Stdout => !stdout,
            Stream::Stderr => !stderr,
        }
    }
}

/// Writes a piece at once: whoever talks to a command sees half a line too.
fn pass_on(to: &mut dyn Write, chunk: &[u8]) -> io::Result<()> {
    to.write_all(chunk)?;
    to.flush()
}
