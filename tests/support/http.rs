//! A web server of one test: it has what the test gives it, and remembers what it was asked for.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// What the server answers.
#[derive(Clone, Debug)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// The `Authorization` without which there is only a challenge.
    authorization: Option<String>,
}

impl Reply {
    /// Makes an answer with a file.
    pub fn file<B: Into<Vec<u8>>>(body: B) -> Self {
        Self {
            status: 200,
            headers: Vec::new(),
            body: body.into(),
            authorization: None,
        }
    }

    /// Makes an answer without a file.
    pub fn status(status: u16) -> Self {
        Self {
            status,
            ..Self::file("")
        }
    }

    /// Adds a header. With an `ETag`, a request that has it is answered 304.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Answers whoever does not send this `Authorization` with the challenge for user and password.
    #[must_use]
    pub fn only_for(mut self, authorization: &str) -> Self {
        self.authorization = Some(authorization.to_owned());
        self
    }

    fn has_tag(&self, tag: &str) -> bool {
        let mut headers = self.headers.iter();
        headers.any(|(name, value)| name.eq_ignore_ascii_case("etag") && value == tag)
    }

    /// Returns the bytes of the answer to a request.
    fn bytes(&self, request: &Asked) -> Vec<u8> {
        if self.authorization.is_some()
            && self.authorization.as_deref() != request.header("authorization")
        {
            let challenge = Self::status(401).header("WWW-Authenticate", "Basic realm=\"test\"");
            return challenge.bytes(request);
        }
        let tag = request.header("if-none-match");
        let is_known = tag.is_some_and(|tag| self.has_tag(tag));
        let (status, body) = match (is_known, request.method.as_str()) {
            (true, _) => (304, [].as_slice()),
            (false, "HEAD") => (self.status, [].as_slice()),
            (false, _) => (self.status, self.body.as_slice()),
        };
        let mut head = format!("HTTP/1.1 {status} -\r\nConnection: close\r\n");
        let has_length = |(name, _): &(String, String)| name.eq_ignore_ascii_case("content-length");
        if !self.headers.iter().any(has_length) {
            write!(head, "Content-Length: {}\r\n", body.len()).expect("a String takes it");
        }
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").expect("a String takes it");
        }
        head.push_str("\r\n");
        [head.as_bytes(), body].concat()
    }
}

/// A request that the server has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// `GET` or `HEAD`.
    pub method: String,
    /// The path with its query.
    pub path: String,
    headers: BTreeMap<String, String>,
}

impl Asked {
    /// Returns a header of the request, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// What the server has and has seen. The threads of the connections share it with the test.
#[derive(Debug, Default)]
struct State {
    replies: BTreeMap<String, Reply>,
    directories: BTreeMap<String, PathBuf>,
    asked: Vec<Asked>,
}

/// A web server on this machine.
#[derive(Debug)]
pub struct HttpServer {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl HttpServer {
    /// Starts one on a port that nobody else has.
    pub fn start() -> Self {
        let (listener, port) = listen();
        let state = Arc::default();
        let shared = Arc::clone(&state);
        serve_each(listener, move |stream| answer(stream, &shared));
        Self { port, state }
    }

    /// Returns the URL of a path, which begins with `/`.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Sets what a path, with its query, is answered with.
    pub fn serve(&self, path: &str, reply: Reply) {
        self.state().replies.insert(path.to_owned(), reply);
    }

    /// Serves the files of a directory below a path: so a git repository is served to `git`.
    pub fn serve_directory(&self, path: &str, directory: &Path) {
        let directories = &mut self.state().directories;
        directories.insert(format!("{path}/"), directory.to_owned());
    }

    /// Returns what careen says with `$URL` in the place of the server's address.
    pub fn conceal(&self, said: &str) -> String {
        said.replace(&self.url(""), "$URL")
    }

    /// Returns the requests so far, and forgets them.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.state().asked)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a port of five digits, so that the columns of messages are the same every time.
pub(crate) fn listen() -> (TcpListener, u16) {
    let mut refused = Vec::new();
    loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = listener.local_addr();
        let port = address.expect("the listener has an address").port();
        if port >= 10_000 {
            return (listener, port);
        }
        // Held until the end, so that it is not given out again.
        refused.push(listener);
    }
}

/// Serves each connection on a thread of its own.
pub(crate) fn serve_each<S>(listener: TcpListener, serve: S)
where
    S: Fn(&TcpStream) -> io::Result<()> + Clone + Send + 'static,
{
    // The thread ends with the program: nothing would wake it up before.
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let serve = serve.clone();
            // A client that goes away early is what some tests are about.
            thread::spawn(move || drop(serve(&stream)));
        }
    });
}

fn answer(mut stream: &TcpStream, state: &Mutex<State>) -> io::Result<()> {
    let Some(asked) = read_head(&mut BufReader::new(stream))? else {
        return Ok(());
    };
    let reply = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.asked.push(asked.clone());
        find(&state, &asked.path)
    };
    stream.write_all(&reply.bytes(&asked))
}

/// Reads the head of a request; `None` where the client is gone.
pub(crate) fn read_head<R: BufRead>(reader: &mut R) -> io::Result<Option<Asked>> {
    let mut next = || {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        Ok::<_, io::Error>(line.trim_end_matches(['\r', '\n']).to_owned())
    };
    let first = next()?;
    let mut words = first.split(' ').map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Ok(None);
    };
    let mut headers = BTreeMap::new();
    loop {
        let line = next()?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    Ok(Some(Asked {
        method,
        path,
        headers,
    }))
}

fn find(state: &State, path: &str) -> Reply {
    if let Some(reply) = state.replies.get(path) {
        return reply.clone();
    }
    let path = path.split('?').next().unwrap_or_default();
    for (prefix, directory) in &state.directories {
        let Some(below) = path.strip_prefix(prefix.as_str()) else {
            continue;
        };
        let is_name = |part: Component<'_>| matches!(part, Component::Normal(_));
        if Path::new(below).components().all(is_name)
            && let Ok(bytes) = std::fs::read(directory.join(below))
        {
            return Reply::file(bytes);
        }
    }
    Reply::status(404)
}
