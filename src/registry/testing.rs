//! A server that answers as a test says, and a client for it whose pauses are counted and not waited for.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use fetch::{Certificates, Proxies, RetryPolicy, Url};
use oci::{Descriptor, Digest, Reference};

use crate::*;

/// A request that the server has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// The path with its query.
    pub(crate) path: String,
    headers: BTreeMap<String, String>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Returns method and path.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// What the server answers.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// After how many bytes of the answer's body the server hangs up.
    cut: Option<usize>,
}

impl Reply {
    pub(crate) fn new<B: Into<Vec<u8>>>(status: u16, body: B) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
            cut: None,
        }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self::new(status, "")
    }

    /// Hangs up without an answer.
    pub(crate) fn hang_up() -> Self {
        Self::empty(0)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn cut(mut self, bytes: usize) -> Self {
        self.cut = Some(bytes);
        self
    }

    /// Hangs up after so many bytes, if there are more.
    pub(crate) fn cut_at(mut self, bytes: usize) -> Self {
        self.cut = Some(bytes.min(self.body.len()));
        self
    }

    fn bytes(&self, is_head: bool) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} -\r\nConnection: close\r\n", self.status);
        let has = |wanted: &str| {
            let mut names = self.headers.iter().map(|(name, _)| name);
            names.any(|name| name.eq_ignore_ascii_case(wanted))
        };
        if !has("content-length") && !has("transfer-encoding") {
            head.extend(["Content-Length: ", &self.body.len().to_string(), "\r\n"]);
        }
        for (name, value) in &self.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head.push_str("\r\n");
        let cut = self.cut.unwrap_or(self.body.len());
        let body = if is_head { &[][..] } else { &self.body[..cut] };
        [head.as_bytes(), body].concat()
    }
}

type Script = dyn Fn(&Asked, &mut dyn Read) -> Reply + Send + Sync;

/// A server on this machine; each connection is one request.
pub(crate) struct Server {
    pub(crate) port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// Starts one that answers what the script says, which reads as much of the request's body as it likes.
    pub(crate) fn start(
        script: impl Fn(&Asked, &mut dyn Read) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let script: Arc<Script> = Arc::new(script);
        let shared = Arc::clone(&asked);
        // The thread ends with the program: nothing would wake it up before.
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (asked, script) = (Arc::clone(&shared), Arc::clone(&script));
                // A client that hangs up is what some tests are about.
                thread::spawn(move || drop(serve(&stream, &asked, &*script)));
            }
        });
        Self { port, asked }
    }

    /// Starts one that looks at the head of a request alone.
    pub(crate) fn answering(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(move |asked, body| {
            io::copy(body, &mut io::sink()).ok();
            answer(asked)
        })
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Returns method and path of every request.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().iter().map(Asked::line).collect()
    }

    pub(crate) fn host(&self) -> Host {
        host(&format!("http://127.0.0.1:{}/v2", self.port))
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Returns the repository `team/app` of the server.
    pub(crate) fn repository(&self) -> Repository {
        Client::default().repository(vec![self.host()])
    }
}

fn serve(stream: &TcpStream, asked: &Mutex<Vec<Asked>>, script: &Script) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    if line.starts_with("CONNECT ") {
        // Who is asked as a proxy stands for whoever is meant.
        while reader.read_line(&mut line)? > 2 {}
        (&*stream).write_all(b"HTTP/1.1 200 -\r\n\r\n")?;
        line.clear();
        reader.read_line(&mut line)?;
    }
    let mut words = line.split(' ').map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Ok(());
    };
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let request = Asked {
        method,
        path,
        headers,
    };
    asked.lock().unwrap().push(request.clone());
    let length = request.header("content-length").unwrap_or("0").parse();
    let mut body = reader.take(length.unwrap());
    let reply = script(&request, &mut body);
    if reply.status != 0 {
        (&*stream).write_all(&reply.bytes(request.method == "HEAD"))?;
    }
    Ok(())
}

pub(crate) fn host(base: &str) -> Host {
    Host {
        base: Url::parse(base).unwrap(),
        repository: "team/app".to_owned(),
        credentials_for: "registry.example".to_owned(),
        capabilities: Capabilities::ALL,
        tls: HostTls::default(),
        headers: Vec::new(),
        stands_for: None,
        is_mirror: false,
    }
}

/// The hosts of a test, and who we are to them.
#[derive(Debug)]
struct Hosts(Vec<Host>, Login);

impl HostSource for Hosts {
    fn hosts(&self, _: &Reference, access: Access) -> Result<Vec<Host>, LookupError> {
        let hosts = self.0.iter().filter(|host| host.capabilities.allow(access));
        Ok(hosts.cloned().collect())
    }

    fn login(&self, _: &Reference, _: &Host) -> Result<Login, LookupError> {
        Ok(self.1.clone())
    }
}

/// A client of a test.
#[derive(Default)]
pub(crate) struct Client {
    pub(crate) login: Login,
    /// The pauses that were not waited for.
    pub(crate) pauses: Arc<Mutex<Vec<Duration>>>,
    pub(crate) stop: Option<Arc<dyn Fn() -> bool + Send + Sync>>,
    /// Through which server all others are reached but those on this machine.
    pub(crate) proxy: Option<String>,
    /// What is known of hosts to all registries that are made.
    pub(crate) learned: Option<Learned>,
}

impl Client {
    pub(crate) fn with(login: Login) -> Self {
        Self {
            login,
            ..Self::default()
        }
    }

    pub(crate) fn registry(&self, hosts: Vec<Host>) -> Registry {
        let pauses = Arc::clone(&self.pauses);
        let retry = RetryPolicy {
            attempts: 4,
            wait: Some(Arc::new(move |pause| pauses.lock().unwrap().push(pause))),
            ..RetryPolicy::brief()
        };
        let options = RegistryOptions {
            hosts: Arc::new(Hosts(hosts, self.login.clone())),
            retry,
            proxies: Proxies {
                http: self.proxy.clone(),
                ..Proxies::default()
            },
            certificates: Certificates::System,
            user_agent: "test/1".to_owned(),
            token_shown: None,
            stop: self.stop.clone().unwrap_or_else(|| Arc::new(|| false)),
        };
        let learned = self.learned.clone().unwrap_or_default();
        Registry::open_with(options, &learned).unwrap()
    }

    pub(crate) fn repository(&self, hosts: Vec<Host>) -> Repository {
        let registry = self.registry(hosts);
        registry.repository(&reference(), Access::Push).unwrap()
    }
}

pub(crate) fn reference() -> Reference {
    Reference::parse("registry.example/team/app:1").unwrap()
}

pub(crate) fn tag(tag: &str) -> Selector {
    Selector::Tag(tag.to_owned())
}

pub(crate) fn descriptor_of(bytes: &[u8]) -> Descriptor {
    oci::descriptor::descriptor(
        "application/octet-stream",
        &Digest::of(bytes),
        bytes.len() as u64,
    )
}

/// Returns an error with all its causes, as users see it.
pub(crate) fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.extend([": ", &error.to_string()]);
        cause = error.source();
    }
    text
}
