//! One connection: one request after the other, until somebody has had enough.

use std::io::{self, BufReader, ErrorKind, Read as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;

use super::body::Body;
use super::head::{Head, HeadError};
use super::pace::{Pace, Paced};
use super::response::Response;
use crate::limits::{
    HEAD_LIMIT_BYTES, HEAD_TIME_LIMIT, IDLE_LIMIT, LINGER_LIMIT, LINGER_LIMIT_BYTES,
};
use crate::refusal::Refusal;

/// What answers requests.
pub(crate) trait Service: Send + Sync {
    /// Answers one request; its body is read as far as the answer needs it.
    fn answer(&self, head: &Head, body: &mut Body<'_, '_>) -> Response;
}

/// A request that was answered, for a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Who asked.
    pub peer: SocketAddr,
    /// The method.
    pub method: String,
    /// The path with its query, as it was sent.
    pub target: String,
    /// The status of the answer.
    pub status: u16,
    /// How many bytes the answer had behind its head.
    pub sent_bytes: u64,
    /// What is wrong with the registry itself, if something is.
    pub problem: Option<String>,
}

/// Is told of every request when it has been answered, from the thread of its connection.
pub type Log = Arc<dyn Fn(&Answered) + Send + Sync>;

/// How a connection goes on.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// Another request may come.
    Request,
    /// It is closed.
    Close,
}

/// Answers the requests of a connection until it is closed. How it ends is nobody's business: a client that goes
/// away in the middle of something comes again.
pub(crate) fn serve(stream: &TcpStream, service: &dyn Service, log: &Log) {
    let Ok(peer) = stream.peer_addr() else {
        return;
    };
    let mut reader = BufReader::new(Paced::new(stream, Pace::within(IDLE_LIMIT)));
    let connection = Connection { stream, peer, log };
    while let Ok(Next::Request) = connection.serve_one(&mut reader, service) {}
}

/// Tells a client that there are too many.
pub(crate) fn refuse_connection(stream: &TcpStream) {
    let response = Refusal::too_many_connections().into_response();
    let mut paced = Paced::new(stream, Pace::within(LINGER_LIMIT));
    // Whoever cannot be told sees that the connection is closed.
    drop(response.send(&mut paced, false));
}

struct Connection<'c> {
    stream: &'c TcpStream,
    peer: SocketAddr,
    log: &'c Log,
}

impl<'c> Connection<'c> {
    fn serve_one(
        &self,
        reader: &mut BufReader<Paced<'c>>,
        service: &dyn Service,
    ) -> io::Result<Next> {
        let head = match read_head(reader)? {
            Read::Head(head) => head,
            Read::Nothing => return Ok(Next::Close),
            Read::Wrong(error) => {
                let response = Refusal::of_head(error).into_response();
                let head = Head::default();
                return self.send(&head, response, Next::Close);
            }
        };
        reader.get_mut().pace = Pace::of_body();
        let mut body = Body::new(&head, reader);
        let mut response = service.answer(&head, &mut body);
        if head.method == "HEAD" {
            response.withhold();
        }
        let next = if head.keeps_alive && body.can_be_drained() {
            Next::Request
        } else {
            Next::Close
        };
        let next = self.send(&head, response, next)?;
        if next == Next::Request {
            body.drain()?;
        }
        Ok(next)
    }

    fn send(&self, head: &Head, mut response: Response, next: Next) -> io::Result<Next> {
        let (status, problem) = (response.status(), response.take_problem());
        let mut paced = Paced::new(self.stream, Pace::of_body());
        let sent = response.send(&mut paced, next == Next::Request);
        (self.log)(&Answered {
            peer: self.peer,
            method: head.method.clone(),
            target: head.target.clone(),
            status,
            sent_bytes: sent.as_ref().copied().unwrap_or_default(),
            problem,
        });
        sent?;
        if next == Next::Close {
            linger(self.stream);
        }
        Ok(next)
    }
}

enum Read {
    Head(Head),
    /// The client is gone, or never said anything.
    Nothing,
    Wrong(HeadError),
}

fn read_head(reader: &mut BufReader<Paced<'_>>) -> io::Result<Read> {
    let mut bytes = Vec::new();
    reader.get_mut().pace = Pace::within(IDLE_LIMIT);
    loop {
        let seen_bytes = bytes.len();
        let more = io::BufRead::fill_buf(reader)?;
        if more.is_empty() {
            return Ok(Read::Nothing);
        }
        bytes.extend_from_slice(more);
        let more_bytes = more.len();
        match Head::parse(&bytes) {
            Err(error) => return Ok(Read::Wrong(error)),
            Ok(Some((_, size_bytes))) if size_bytes > HEAD_LIMIT_BYTES => {
                return Ok(Read::Wrong(HeadError::TooLarge));
            }
            Ok(Some((head, size_bytes))) => {
                io::BufRead::consume(reader, size_bytes.saturating_sub(seen_bytes));
                return Ok(Read::Head(head));
            }
            Ok(None) if bytes.len() > HEAD_LIMIT_BYTES => {
                return Ok(Read::Wrong(HeadError::TooLarge));
            }
            Ok(None) => io::BufRead::consume(reader, more_bytes),
        }
        if seen_bytes == 0 {
            reader.get_mut().pace = Pace::within(HEAD_TIME_LIMIT);
        }
    }
}

/// Closes a connection on which the client may still be sending. If it were closed at once, the kernel would
/// answer what still comes with a reset, and the client could lose the answer (RFC 9112, section 9.6).
fn linger(stream: &TcpStream) {
    // A client that is gone has nothing to lose.
    if stream.shutdown(Shutdown::Write).is_err() {
        return;
    }
    let mut paced = Paced::new(stream, Pace::within(LINGER_LIMIT));
    let mut buffer = [0; 16 * 1024];
    let mut left_bytes = LINGER_LIMIT_BYTES;
    while left_bytes > 0 {
        match paced.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => left_bytes = left_bytes.saturating_sub(count as u64),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
