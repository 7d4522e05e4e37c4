//! What a helper reads from its standard input, written as it takes it.

use std::io::{self, Write as _};
use std::process::ChildStdin;

/// A pipe that has room takes this much without blocking (pipe(7), `PIPE_BUF`), in bytes.
const CHUNK_BYTES: usize = 4096;

/// The rest of what a helper has to read.
pub(super) struct Input<'a> {
    pipe: Option<ChildStdin>,
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    /// Takes the pipe of a child, and what goes into it.
    pub(super) fn new(pipe: Option<ChildStdin>, content: &'a [u8]) -> Self {
        Self {
            pipe,
            rest: content,
        }
    }

    /// Returns the pipe while there is something to write.
    pub(super) fn pipe(&self) -> Option<&ChildStdin> {
        self.pipe.as_ref()
    }

    /// Writes a part that does not block once the pipe is ready, and closes the pipe after the last one.
    pub(super) fn write_once(&mut self) -> io::Result<()> {
        let Some(pipe) = &mut self.pipe else {
            return Ok(());
        };
        let chunk = self.rest.get(..CHUNK_BYTES).unwrap_or(self.rest);
        match pipe.write(chunk) {
            Ok(count) => self.rest = self.rest.get(count..).unwrap_or_default(),
            // Whoever closes its input has read what it wanted.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.rest = &[],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if self.rest.is_empty() {
            self.pipe = None;
        }
        Ok(())
    }
}
