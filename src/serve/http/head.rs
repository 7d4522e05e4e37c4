//! The head of a request: method, path, query, headers, and how its body ends.

use std::collections::BTreeMap;

use crate::limits::{HEAD_LIMIT_BYTES, HEADER_LIMIT};

/// The head of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// The method, as it was sent.
    pub(crate) method: String,
    /// The target, as it was sent.
    pub(crate) target: String,
    /// The path, decoded.
    pub(crate) path: String,
    /// What stands behind the `?`.
    pub(crate) query: Query,
    /// How the body ends.
    pub(crate) framing: Framing,
    /// Whether the client waits to be told before it sends the body.
    pub(crate) expects_continue: bool,
    /// Whether the client may send another request on the same connection.
    pub(crate) keeps_alive: bool,
    headers: BTreeMap<String, Vec<String>>,
}

/// How a body ends (RFC 9112, section 6.3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is none.
    #[default]
    None,
    /// After this many bytes.
    Length(u64),
    /// After a chunk of no bytes.
    Chunked,
}

/// The names and values of a query, decoded, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Returns the first value of a name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    fn parse(text: &str) -> Option<Self> {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let plain = |text: &str| decoded(&text.replace('+', " "));
            Some((plain(name)?, plain(value)?))
        });
        pairs.collect::<Option<_>>().map(Self)
    }
}

/// A head is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeadError {
    #[error("the head of the request is malformed")]
    Malformed,
    #[error(
        "the head of the request has more than {HEADER_LIMIT} lines or {HEAD_LIMIT_BYTES} bytes"
    )]
    TooLarge,
    #[error("the path or the query of the request is not valid UTF-8 in percent-encoding")]
    Target,
    #[error("the request does not say clearly how its body ends")]
    Framing,
    #[error("the request expects what is not known here")]
    Expectation,
}

impl HeadError {
    /// Returns the status that it is answered with.
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::Malformed | Self::Target | Self::Framing => 400,
            Self::TooLarge => 431,
            Self::Expectation => 417,
        }
    }
}

impl Head {
    /// Parses what there is of a head; `None` when it goes on. Returns how many bytes it has.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, HeadError> {
        let mut lines = [httparse::EMPTY_HEADER; HEADER_LIMIT];
        let mut request = httparse::Request::new(&mut lines);
        let size_bytes = match request.parse(bytes) {
            Ok(httparse::Status::Complete(size_bytes)) => size_bytes,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooLarge),
            Err(_) => return Err(HeadError::Malformed),
        };
        let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in request.headers.iter() {
            let value = str::from_utf8(line.value).map_err(|_not_text| HeadError::Malformed)?;
            let values = headers.entry(line.name.to_ascii_lowercase()).or_default();
            values.push(value.trim().to_owned());
        }
        let head = Self {
            method: request.method.unwrap_or_default().to_owned(),
            target: request.path.unwrap_or_default().to_owned(),
            headers,
            ..Self::default()
        };
        head.complete(request.version == Some(1))
            .map(|head| Some((head, size_bytes)))
    }

    /// Fills in what the lines mean.
    fn complete(mut self, is_1_1: bool) -> Result<Self, HeadError> {
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        self.path = decoded(path).ok_or(HeadError::Target)?;
        self.query = Query::parse(query).ok_or(HeadError::Target)?;
        self.framing = self.find_framing(is_1_1)?;
        self.expects_continue = match self.header("expect") {
            None => false,
            Some(what) if what.eq_ignore_ascii_case("100-continue") => is_1_1,
            Some(_) => return Err(HeadError::Expectation),
        };
        let connection = self.headers.get("connection").map(|lines| lines.join(","));
        let says = |word: &str| {
            let words = connection.as_deref().unwrap_or_default().split(',');
            words
                .map(str::trim)
                .any(|found| found.eq_ignore_ascii_case(word))
        };
        self.keeps_alive = !says("close") && (is_1_1 || says("keep-alive"));
        Ok(self)
    }

    /// Two proxies must not see two requests in the same bytes: a body has one length or is chunked, not
    /// both, and nothing else is known (RFC 9112, section 6.1).
    fn find_framing(&self, is_1_1: bool) -> Result<Framing, HeadError> {
        let coding = self.headers.get("transfer-encoding");
        let length = self.headers.get("content-length");
        match (coding.map(Vec::as_slice), length.map(Vec::as_slice)) {
            (None, None) => Ok(Framing::None),
            (Some([coding]), None) if is_1_1 && coding.eq_ignore_ascii_case("chunked") => {
                Ok(Framing::Chunked)
            }
            (None, Some([length])) => number(length)
                .map(Framing::Length)
                .ok_or(HeadError::Framing),
            _ => Err(HeadError::Framing),
        }
    }

    /// Returns the value of a header that is there once, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        match self.headers.get(name)?.as_slice() {
            [value] => Some(value),
            _ => None,
        }
    }
}

/// Parses digits and nothing else.
pub(crate) fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Undoes percent-encoding; `None` where it is malformed or the bytes are no UTF-8.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'%' => digit(bytes.next()?)? << 4 | digit(bytes.next()?)?,
            byte => byte,
        });
    }
    String::from_utf8(plain).ok()
}

fn digit(byte: u8) -> Option<u8> {
    let value = char::from(byte).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Option<(Head, usize)>, HeadError> {
        Head::parse(text.replace('\n', "\r\n").as_bytes())
    }

    #[test]
    fn a_head_has_a_decoded_path_and_query_and_says_how_its_body_ends() {
        let text = "PUT /v2/a%2Fb/x?digest=sha256%3Aab&state=a+b&flag HTTP/1.1\nHost: h\n\
            Content-Length: 12\nExpect: 100-Continue\n\nrest";
        let (head, size_bytes) = parse(text).unwrap().unwrap();
        assert_eq!(size_bytes, text.replace('\n', "\r\n").len() - "rest".len());
        assert_eq!(
            (head.method.as_str(), head.path.as_str()),
            ("PUT", "/v2/a/b/x")
        );
        let values = ["digest", "state", "flag", "none"].map(|name| head.query.get(name));
        assert_eq!(values, [Some("sha256:ab"), Some("a b"), Some(""), None]);
        assert_eq!(head.framing, Framing::Length(12));
        assert_eq!((head.expects_continue, head.keeps_alive), (true, true));
    }

    #[test]
    fn a_connection_is_kept_where_the_version_or_the_client_says_so() {
        for (version, connection, expected) in [
            ("1.1", "x", true),
            ("1.1", "Close", false),
            ("1.1", "upgrade, close", false),
            ("1.0", "x", false),
            ("1.0", "Keep-Alive", true),
        ] {
            let text = format!("GET / HTTP/{version}\nConnection: {connection}\n\n");
            let (head, _) = parse(&text).unwrap().unwrap();
            assert_eq!(head.keeps_alive, expected, "{version} {connection}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for (lines, expected) in [
            ("Content-Length: 1\nContent-Length: 1\n", HeadError::Framing),
            (
                "Content-Length: 1\nTransfer-Encoding: chunked\n",
                HeadError::Framing,
            ),
            ("Content-Length: +1\n", HeadError::Framing),
            ("Content-Length: \n", HeadError::Framing),
            ("Content-Length: 18446744073709551616\n", HeadError::Framing),
            ("Transfer-Encoding: gzip, chunked\n", HeadError::Framing),
            ("Expect: wonders\n", HeadError::Expectation),
            ("Bad Name: x\n", HeadError::Malformed),
            (" folded: x\n", HeadError::Malformed),
        ] {
            assert_eq!(
                parse(&format!("GET / HTTP/1.1\n{lines}\n")),
                Err(expected),
                "{lines}"
            );
        }
        for (target, expected) in [("/%zz", HeadError::Target), ("/?a=%ff", HeadError::Target)] {
            assert_eq!(parse(&format!("GET {target} HTTP/1.1\n\n")), Err(expected));
        }
        let many = "X: y\n".repeat(HEADER_LIMIT + 1);
        assert_eq!(
            parse(&format!("GET / HTTP/1.1\n{many}\n")),
            Err(HeadError::TooLarge)
        );
        assert_eq!(
            parse("GET / HTTP/1.0\nTransfer-Encoding: chunked\n\n"),
            Err(HeadError::Framing)
        );
        assert_eq!(parse("GET / HTTP/1.1\nHost"), Ok(None));
    }
}
