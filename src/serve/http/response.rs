//! An answer: status, headers and bytes → the wire.

use std::fs::File;
use std::io::{self, Read as _, Write as _};

use super::pace::Paced;

/// How much of a file is sent at once, in bytes.
const COPY_BYTES: usize = 256 * 1024;

/// An answer.
#[derive(Debug)]
pub(crate) struct Response {
    status: u16,
    headers: Vec<(&'static str, String)>,
    content: Content,
    problem: Option<String>,
}

/// The bytes of an answer.
#[derive(Debug)]
pub(crate) enum Content {
    /// These.
    Bytes(Vec<u8>),
    /// So many of a file, from where it stands.
    File(File, u64),
    /// None, though as many as this would be there if they were asked for by `GET`.
    Withheld(u64),
}

impl Response {
    /// Makes an answer without bytes.
    pub(crate) fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            content: Content::Bytes(Vec::new()),
            problem: None,
        }
    }

    /// Sets what is wrong here, which the log is told and the client is not.
    #[must_use]
    pub(crate) fn problem(mut self, problem: Option<String>) -> Self {
        self.problem = problem;
        self
    }

    /// Takes out what is wrong here.
    pub(crate) fn take_problem(&mut self) -> Option<String> {
        self.problem.take()
    }

    /// Adds a header.
    #[must_use]
    pub(crate) fn header<V: Into<String>>(mut self, name: &'static str, value: V) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Sets the bytes.
    #[must_use]
    pub(crate) fn content(mut self, content: Content) -> Self {
        self.content = content;
        self
    }

    /// Sets the bytes to a JSON document.
    #[must_use]
    pub(crate) fn json(self, document: &serde_json::Value) -> Self {
        self.header("Content-Type", "application/json")
            .content(Content::Bytes(document.to_string().into_bytes()))
    }

    /// Returns the status.
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    /// Takes the bytes away, for an answer to `HEAD`.
    pub(crate) fn withhold(&mut self) {
        let length = self.length();
        self.content = Content::Withheld(length);
    }

    fn length(&self) -> u64 {
        match &self.content {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::File(_, length) | Content::Withheld(length) => *length,
        }
    }

    /// Sends the answer, and returns how many bytes its content had.
    pub(crate) fn send(self, to: &mut Paced<'_>, keeps_alive: bool) -> io::Result<u64> {
        let head = self.head(keeps_alive);
        match self.content {
            Content::Withheld(_) => to.write_all(head.as_bytes()).map(|()| 0),
            Content::Bytes(bytes) => {
                // One packet where it fits: the answer to most requests is small.
                to.write_all(&[head.as_bytes(), &bytes].concat())?;
                Ok(bytes.len() as u64)
            }
            Content::File(file, length) => {
                to.write_all(head.as_bytes())?;
                send_file(&file, length, to)
            }
        }
    }

    fn head(&self, keeps_alive: bool) -> String {
        use std::fmt::Write as _;
        let reason = reason(self.status);
        let mut head = format!("HTTP/1.1 {} {reason}\r\n", self.status);
        let mut line = |name: &str, value: &str| {
            writeln!(head, "{name}: {value}\r").expect("a String takes it");
        };
        line("Docker-Distribution-API-Version", "registry/2.0");
        // What is 204 or 304 has no content to be long (RFC 9110, section 8.6).
        if !matches!(self.status, 204 | 304) {
            line("Content-Length", &self.length().to_string());
        }
        for (name, value) in &self.headers {
            line(name, value);
        }
        if !keeps_alive {
            line("Connection", "close");
        }
        head.push_str("\r\n");
        head
    }
}

fn send_file(mut file: &File, length: u64, to: &mut Paced<'_>) -> io::Result<u64> {
    let mut buffer = vec![0; COPY_BYTES];
    let mut left_bytes = length;
    while left_bytes > 0 {
        let most = usize::try_from(left_bytes)
            .unwrap_or(COPY_BYTES)
            .min(COPY_BYTES);
        let window = buffer.get_mut(..most).unwrap_or_default();
        let count = file.read(window)?;
        if count == 0 {
            // Somebody has cut the file off. The client sees a body that is too short.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        to.write_all(window.get(..count).unwrap_or_default())?;
        left_bytes -= count as u64;
    }
    Ok(length)
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        304 => "Not Modified",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        507 => "Insufficient Storage",
        _ => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_has_the_length_unless_there_can_be_no_content() {
        let response = Response::new(200)
            .header("X", "y")
            .content(Content::Bytes(b"abc".to_vec()));
        assert_eq!(
            response.head(false),
            "HTTP/1.1 200 OK\r\nDocker-Distribution-API-Version: registry/2.0\r\n\
             Content-Length: 3\r\nX: y\r\nConnection: close\r\n\r\n"
        );
        assert!(!Response::new(204).head(true).contains("Content-Length"));
    }
}
