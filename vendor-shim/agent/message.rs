//! Messages of the agent protocol: a length, a type, and fields.
//!
//! ```text
//! message  = u32 length, u8 type, fields      the length counts what follows it
//! field    = u32 | string
//! string   = u32 length, bytes
//! mpint    = string: a number, its highest byte first, with a zero before it if its highest bit is set
//! ```

use std::io::{self, Read, Write};

use super::{Identity, SignRequest};

/// Types of messages (draft-miller-ssh-agent, section 6.1).
pub(super) mod kind {
    pub(in super::super) const FAILURE: u8 = 5;
    pub(in super::super) const REQUEST_IDENTITIES: u8 = 11;
    pub(in super::super) const IDENTITIES_ANSWER: u8 = 12;
    pub(in super::super) const SIGN_REQUEST: u8 = 13;
    pub(in super::super) const SIGN_RESPONSE: u8 = 14;
}

/// No message is longer, in bytes; the limit of OpenSSH's own agent.
const LENGTH_LIMIT_BYTES: usize = 256 * 1024;

/// A message without its length; it has at least its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message(Vec<u8>);

impl Message {
    fn new(kind: u8) -> Self {
        Self(vec![kind])
    }

    /// Returns the answer to what is not granted.
    pub(super) fn failure() -> Self {
        Self::new(kind::FAILURE)
    }

    pub(super) fn request_identities() -> Self {
        Self::new(kind::REQUEST_IDENTITIES)
    }

    pub(super) fn identities(identities: &[Identity]) -> Self {
        let mut message = Self::new(kind::IDENTITIES_ANSWER);
        put_number(&mut message.0, length(identities.len()));
        for Identity { key, comment } in identities {
            put_string(&mut message.0, key);
            put_string(&mut message.0, comment);
        }
        message
    }

    pub(super) fn sign_request(request: &SignRequest) -> Self {
        let mut message = Self::new(kind::SIGN_REQUEST);
        put_string(&mut message.0, &request.key);
        put_string(&mut message.0, &request.data);
        put_number(&mut message.0, request.flags);
        message
    }

    pub(super) fn signature(signature: &[u8]) -> Self {
        let mut message = Self::new(kind::SIGN_RESPONSE);
        put_string(&mut message.0, signature);
        message
    }

    /// Returns the type; that of a failure for a message without one.
    pub(super) fn kind(&self) -> u8 {
        self.0.first().copied().unwrap_or(kind::FAILURE)
    }

    /// Returns the fields.
    pub(super) fn body(&self) -> &[u8] {
        self.0.get(1..).unwrap_or_default()
    }

    /// Reads the next message; `None` when the other end has closed.
    pub(super) fn receive(stream: &mut dyn Read) -> io::Result<Option<Self>> {
        let mut length = [0; 4];
        let mut read = 0;
        while read < length.len() {
            match stream.read(length.get_mut(read..).unwrap_or_default()) {
                Ok(0) if read == 0 => return Ok(None),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => read += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length == 0 || length > LENGTH_LIMIT_BYTES {
            let text =
                format!("a message of {length} bytes; from 1 to {LENGTH_LIMIT_BYTES} can be");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let mut message = vec![0; length];
        stream.read_exact(&mut message)?;
        Ok(Some(Self(message)))
    }

    pub(super) fn send(&self, stream: &mut dyn Write) -> io::Result<()> {
        let mut bytes = Vec::new();
        put_string(&mut bytes, &self.0);
        stream.write_all(&bytes)
    }
}

/// The fields of a message, taken one after the other.
#[derive(Debug)]
pub(super) struct Fields<'b> {
    rest: &'b [u8],
}

impl<'b> Fields<'b> {
    pub(super) fn new(body: &'b [u8]) -> Self {
        Self { rest: body }
    }

    pub(super) fn number(&mut self) -> Option<u32> {
        let (number, rest) = self.rest.split_first_chunk::<4>()?;
        self.rest = rest;
        Some(u32::from_be_bytes(*number))
    }

    pub(super) fn string(&mut self) -> Option<&'b [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (string, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(string)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Reads the keys of an answer.
    pub(super) fn identities(mut self) -> Option<Vec<Identity>> {
        let count = self.number()?;
        let mut identities = Vec::new();
        for _ in 0..count {
            identities.push(Identity {
                key: self.string()?.to_vec(),
                comment: self.string()?.to_vec(),
            });
        }
        self.is_empty().then_some(identities)
    }
}

pub(super) fn put_number(bytes: &mut Vec<u8>, number: u32) {
    bytes.extend(number.to_be_bytes());
}

pub(super) fn put_string(bytes: &mut Vec<u8>, string: &[u8]) {
    put_number(bytes, length(string.len()));
    bytes.extend(string);
}

/// Adds a number that is given with its highest byte first.
pub(super) fn put_mpint(bytes: &mut Vec<u8>, number: &[u8]) {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let digits = number.get(zeros..).unwrap_or_default();
    let sign: &[u8] = match digits.first() {
        Some(first) if first & 0x80 != 0 => &[0],
        _ => &[],
    };
    put_string(bytes, &[sign, digits].concat());
}

/// What is longer than a length can say does not come out of a message of 256 KiB; whoever reads the
/// message that it would be in refuses it.
fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(bytes: &[u8]) -> Result<Option<Message>, String> {
        Message::receive(&mut &*bytes).map_err(|error| error.to_string())
    }

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let request = SignRequest {
            key: b"key".to_vec(),
            data: b"data".to_vec(),
            flags: 4,
        };
        let mut bytes = Vec::new();
        Message::sign_request(&request).send(&mut bytes).unwrap();
        assert_eq!(
            bytes,
            b"\0\0\0\x14\x0d\0\0\0\x03key\0\0\0\x04data\0\0\0\x04"
        );
        let message = received(&bytes).unwrap().unwrap();
        assert_eq!(super::super::sign_request(message.body()), Some(request));
    }

    #[test]
    fn keys_are_read_as_they_were_written() {
        let identity = |key: &[u8], comment: &[u8]| Identity {
            key: key.to_vec(),
            comment: comment.to_vec(),
        };
        let identities = [identity(b"a", b""), identity(b"b", b"of b")];
        let message = Message::identities(&identities);
        let read = Fields::new(message.body()).identities().unwrap();
        assert_eq!(read, identities);
    }

    #[test]
    fn what_is_cut_off_or_too_long_is_no_message() {
        let too_long = u32::try_from(LENGTH_LIMIT_BYTES + 1).unwrap().to_be_bytes();
        assert_eq!(received(b""), Ok(None));
        assert_eq!(
            received(&too_long),
            Err("a message of 262145 bytes; from 1 to 262144 can be".to_owned())
        );
        assert_eq!(
            received(b"\0\0\0\0"),
            Err("a message of 0 bytes; from 1 to 262144 can be".to_owned())
        );
        received(b"\0\0").unwrap_err();
        received(b"\0\0\0\x05abcd").unwrap_err();
    }

    #[test]
    fn fields_end_where_the_message_ends() {
        for body in [&b"\0\0\0\x02a"[..], b"\0\0\0", b"\xff\xff\xff\xffa"] {
            assert_eq!(Fields::new(body).string(), None, "{body:?}");
        }
        // A count that no message could hold.
        assert_eq!(Fields::new(b"\xff\xff\xff\xff").identities(), None);
        assert_eq!(Fields::new(b"\0\0\0\0more").identities(), None);
    }

    #[test]
    fn a_number_has_no_zero_that_it_does_not_need() {
        for (number, expected) in [
            (&[][..], &b"\0\0\0\0"[..]),
            (&[0, 0], b"\0\0\0\0"),
            (&[0, 1], b"\0\0\0\x01\x01"),
            (&[0x80], b"\0\0\0\x02\0\x80"),
            (&[0x7f, 0], b"\0\0\0\x02\x7f\0"),
        ] {
            let mut bytes = Vec::new();
            put_mpint(&mut bytes, number);
            assert_eq!(bytes, expected);
        }
    }
}
