//! The bytes on the wire: one request after the other, with what goes wrong.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread;

use super::Fault;
use super::answer::Answer;
use crate::compress::gzip;
use crate::http::{Asked, read_head};

/// How long an endless body is, in the end: a test that waits for it fails.
const ENDLESS_BYTES: usize = 64 * 1024 * 1024;

/// How much is written at once, in bytes.
const PIECE_BYTES: usize = 64 * 1024;

/// Whether a connection takes another request.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Request,
    Break,
}

/// What answers requests.
pub(crate) trait Serve {
    /// Decides what goes wrong with a request.
    fn fault(&self, asked: &Asked) -> Option<Fault>;

    /// Carries a request out, as far as its fault lets it; none where there is no answer.
    fn answer(&self, asked: &Asked, body: Vec<u8>, fault: Option<&Fault>) -> Option<Answer>;
}

/// Answers the requests of a connection until one of the sides breaks it.
pub(crate) fn serve<S: Serve>(stream: &TcpStream, server: &S) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while let Some(asked) = read_head(&mut reader)? {
        let fault = server.fault(&asked);
        if serve_one(&mut reader, server, &asked, fault.as_ref())? == Next::Break {
            break;
        }
    }
    stream.shutdown(Shutdown::Both)
}

fn serve_one<S: Serve>(
    reader: &mut BufReader<&TcpStream>,
    server: &S,
    asked: &Asked,
    fault: Option<&Fault>,
) -> io::Result<Next> {
    let length = asked.header("content-length").map_or(Ok(0), str::parse);
    let length: u64 = length.map_err(io::Error::other)?;
    let most = match fault {
        Some(Fault::BreakRequest(bytes)) => length.min(*bytes),
        _ => length,
    };
    let body = take_body(reader, most, fault)?;
    let stream: &TcpStream = reader.get_ref();
    match server.answer(asked, body, fault) {
        Some(answer) => send(stream, answer, asked, fault),
        None => Ok(Next::Break),
    }
}

fn take_body(
    reader: &mut BufReader<&TcpStream>,
    most: u64,
    fault: Option<&Fault>,
) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    let mut taken = reader.take(most);
    let Some(Fault::TakeSlowly(pause)) = fault else {
        taken.read_to_end(&mut body)?;
        return Ok(body);
    };
    loop {
        thread::park_timeout(*pause);
        if taken
            .by_ref()
            .take(PIECE_BYTES as u64)
            .read_to_end(&mut body)?
            == 0
        {
            return Ok(body);
        }
    }
}

/// Sends an answer, as far as it is to come.
fn send(
    mut stream: &TcpStream,
    mut answer: Answer,
    asked: &Asked,
    fault: Option<&Fault>,
) -> io::Result<Next> {
    match fault {
        Some(Fault::Header(name, value)) => answer.set_header(name, value),
        Some(Fault::NoHeader(name)) => answer.remove_header(name),
        Some(Fault::Compress) => answer.set_header("Content-Encoding", "gzip"),
        _ => {}
    }
    let whole = Arc::clone(&answer.body);
    let body = spoiled(whole.get(answer.from..).unwrap_or_default(), fault);
    let is_head = asked.method == "HEAD";
    let is_endless = fault == Some(&Fault::Endless) && !is_head;
    let head = match fault {
        Some(Fault::OldHttp) => old_head(&answer),
        _ => head(&answer, body.len(), is_endless),
    };
    stream.write_all(head.as_bytes())?;
    match fault {
        Some(Fault::OldHttp) if is_head => Ok(Next::Break),
        _ if is_head => Ok(Next::Request),
        Some(Fault::Endless) => send_endless(stream, &body),
        Some(Fault::BreakAnswer(bytes)) => {
            stream.write_all(first(&body, *bytes))?;
            Ok(Next::Break)
        }
        Some(Fault::OldHttp) => {
            stream.write_all(&body)?;
            Ok(Next::Break)
        }
        Some(Fault::Slow(pause)) => {
            for byte in body.chunks(1) {
                thread::park_timeout(*pause);
                stream.write_all(byte)?;
            }
            Ok(Next::Request)
        }
        Some(Fault::Dribble) => {
            body.chunks(1).try_for_each(|byte| stream.write_all(byte))?;
            Ok(Next::Request)
        }
        _ => {
            body.chunks(PIECE_BYTES)
                .try_for_each(|piece| stream.write_all(piece))?;
            Ok(Next::Request)
        }
    }
}

/// Returns a body with what is wrong with it.
fn spoiled<'b>(body: &'b [u8], fault: Option<&Fault>) -> Cow<'b, [u8]> {
    match fault {
        Some(Fault::WrongByte) => {
            let mut wrong = body.to_vec();
            let middle = wrong.len() / 2;
            if let Some(byte) = wrong.get_mut(middle) {
                *byte ^= 1;
            }
            wrong.into()
        }
        Some(Fault::Compress) => gzip(body).into(),
        Some(Fault::Shorten(bytes)) => first(body, *bytes).into(),
        Some(Fault::Lengthen(bytes)) => {
            let more = (0..*bytes).map(|_| b'x');
            body.iter().copied().chain(more).collect()
        }
        _ => body.into(),
    }
}

fn first(body: &[u8], bytes: u64) -> &[u8] {
    let most = usize::try_from(bytes).unwrap_or(usize::MAX);
    body.get(..most).unwrap_or(body)
}

fn send_endless(mut stream: &TcpStream, body: &[u8]) -> io::Result<Next> {
    let mut chunk = |bytes: &[u8]| {
        stream.write_all(format!("{:x}\r\n", bytes.len()).as_bytes())?;
        stream.write_all(bytes)?;
        stream.write_all(b"\r\n")
    };
    for piece in body.chunks(PIECE_BYTES) {
        chunk(piece)?;
    }
    let more = vec![b'x'; PIECE_BYTES];
    for _ in 0..ENDLESS_BYTES / PIECE_BYTES {
        chunk(&more)?;
    }
    Ok(Next::Break)
}

/// Returns the head of an answer whose body ends with the connection.
fn old_head(answer: &Answer) -> String {
    let mut head = format!("HTTP/1.0 {} -\r\n", answer.status);
    for (name, value) in &answer.headers {
        write!(head, "{name}: {value}\r\n").expect("a String takes it");
    }
    head + "\r\n"
}

fn head(answer: &Answer, length: usize, is_endless: bool) -> String {
    let mut head = format!("HTTP/1.1 {} -\r\n", answer.status);
    let length = if is_endless {
        "Transfer-Encoding: chunked\r\n".to_owned()
    } else {
        format!("Content-Length: {length}\r\n")
    };
    if answer.status != 204 {
        head.push_str(&length);
    }
    for (name, value) in &answer.headers {
        write!(head, "{name}: {value}\r\n").expect("a String takes it");
    }
    head.push_str("\r\n");
    head
}
