//! The client against a server that does what a script says.

mod body;
mod reach;
mod tls;

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::*;

/// What the server does with one connection, after it has read the head of the request.
type Script = Box<dyn Fn(&str, &mut TcpStream) + Send + Sync>;

/// A server on this machine; each connection is one request.
struct Server {
    port: u16,
    heads: Receiver<String>,
}

impl Server {
    fn start(script: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> Self {
        Self::start_on(Ipv4Addr::LOCALHOST, script)
    }

    fn start_on(
        address: Ipv4Addr,
        script: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, heads) = channel();
        let script: Arc<Script> = Arc::new(Box::new(script));
        // The thread ends with the program: nothing would wake it up before.
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let (sender, script) = (sender.clone(), Arc::clone(&script));
                thread::spawn(move || {
                    let head = read_head(&stream);
                    sender.send(head.clone()).ok();
                    script(&head, &mut stream);
                });
            }
        });
        Self { port, heads }
    }

    /// Starts one that gives these answers, one after the other, and the last one again and again.
    fn answering(answers: &[&str]) -> Self {
        Self::on(Ipv4Addr::LOCALHOST, answers)
    }

    /// Starts such a one with another address.
    fn on(address: Ipv4Addr, answers: &[&str]) -> Self {
        let answers: Vec<_> = answers.iter().map(ToString::to_string).collect();
        let given = Mutex::new(0);
        Self::start_on(address, move |_, stream| {
            let mut given = given.lock().unwrap();
            let answer = answers.get(*given).or(answers.last()).unwrap();
            *given += 1;
            stream.write_all(answer.as_bytes()).ok();
        })
    }

    fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://127.0.0.1:{}{path}", self.port)).unwrap()
    }

    fn heads(&self) -> Vec<String> {
        self.heads.try_iter().collect()
    }
}

/// Reads up to the empty line, and no byte of what is behind it. What is no text is no head, and left.
fn read_head(mut stream: &TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while matches!(stream.read(&mut byte), Ok(1)) {
        head.extend(byte);
        let is_text = byte != *b"\n" || std::str::from_utf8(&head).is_ok();
        if !is_text || head.ends_with(b"\r\n\r\n") {
            break;
        }
    }
    String::from_utf8_lossy(&head).to_ascii_lowercase()
}

/// How long a server may take in a test of one that is slow.
const QUICK: Duration = Duration::from_millis(60);

const OK: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nfile";

fn client_of(change: impl FnOnce(&mut ClientOptions)) -> Client {
    let mut options = ClientOptions {
        proxies: Proxies::default(),
        certificates: Certificates::System,
        user_agent: "test/1".to_owned(),
        retry: RetryPolicy::brief(),
        stop: Arc::new(|| false),
    };
    change(&mut options);
    Client::open(options).unwrap()
}

fn client() -> Client {
    client_of(|_| {})
}

fn get(url: Url) -> Request {
    Request::new(Method::Get, url)
}

#[derive(Default)]
struct Memory(Vec<u8>);

impl Sink for Memory {
    fn restart(&mut self) -> io::Result<()> {
        self.0.clear();
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

fn download(client: &Client, request: &Request) -> Result<String, FetchError> {
    let mut memory = Memory::default();
    client.download(request, 1000, &|_| true, &mut memory)?;
    Ok(String::from_utf8(memory.0).unwrap())
}

#[test]
fn a_file_is_asked_for_as_it_is() {
    let server = Server::answering(&[OK]);
    let request = get(server.url("/a b?c")).header("if-none-match", "\"x\"");
    assert_eq!(download(&client(), &request).unwrap(), "file");
    let heads = server.heads();
    assert!(
        heads[0].starts_with("get /a%20b?c http/1.1\r\n"),
        "{heads:?}"
    );
    for line in [
        "user-agent: test/1",
        "accept-encoding: identity",
        "if-none-match: \"x\"",
    ] {
        assert!(
            heads[0].lines().any(|found| found == line),
            "{line}: {heads:?}"
        );
    }
    assert!(!heads[0].contains("authorization"));
}

#[test]
fn an_answer_that_says_no_is_an_error() {
    let server = Server::answering(&["HTTP/1.1 404 Gone Fishing\r\nContent-Length: 0\r\n\r\n"]);
    let url = server.url("/x");
    let error = download(&client(), &get(url.clone())).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("fetch `{url}`: the server answered 404 Not Found")
    );
    assert_eq!(server.heads().len(), 1);
}

#[test]
fn what_passes_is_tried_again() {
    let busy = "HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let hung_up = "";
    let short = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\nfil";
    let server = Server::answering(&[busy, hung_up, short, OK]);
    let text = download(&client(), &get(server.url("/x"))).unwrap();
    assert_eq!(text, "file");
    assert_eq!(server.heads().len(), 4);
}

#[test]
fn what_does_not_pass_ends_at_last() {
    let short = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\nfil";
    let server = Server::answering(&[short]);
    let url = server.url("/x");
    let error = download(&client(), &get(url.clone())).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("fetch `{url}`: the connection broke after 3 bytes")
    );
    assert_eq!(server.heads().len(), 4);
}

#[test]
fn a_body_that_does_not_end_is_refused() {
    let server = Server::start(|_, stream| {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).ok();
        while stream.write_all(b"8\r\nendless!\r\n").is_ok() {}
    });
    let url = server.url("/x");
    let error = download(&client(), &get(url.clone())).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("fetch `{url}`: the file has more than 1000 bytes")
    );
}

#[test]
fn five_redirects_are_followed_and_six_are_not() {
    // `/N` leads to the file by so many redirects.
    let server = Server::start(|head, stream| {
        let left = head
            .strip_prefix("get /")
            .and_then(|rest| rest.split(' ').next());
        let answer = match left.and_then(|left| left.parse::<u32>().ok()) {
            Some(0) => OK.to_owned(),
            Some(left) => format!(
                "HTTP/1.1 302 x\r\nConnection: close\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n",
                left - 1
            ),
            None => panic!("another request: {head}"),
        };
        stream.write_all(answer.as_bytes()).ok();
    });
    let client = client();
    assert_eq!(download(&client, &get(server.url("/5"))).unwrap(), "file");
    server.heads();
    let url = server.url("/6");
    let error = download(&client, &get(url.clone())).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("fetch `{url}`: redirected more than 5 times")
    );
    assert_eq!(server.heads().len(), 6);
}

#[test]
fn a_head_of_sixty_four_kibibytes_is_read_and_a_larger_one_is_not() {
    let answer = |head_bytes: usize| {
        let rest = OK.strip_suffix("\r\n\r\nfile").unwrap();
        let padding = head_bytes - rest.len() - "\r\nX: \r\n\r\n".len();
        format!("{rest}\r\nX: {}\r\n\r\nfile", "x".repeat(padding))
    };
    let read = |head_bytes| {
        let server = Server::answering(&[&answer(head_bytes)]);
        download(&client(), &get(server.url("/x")))
    };
    assert_eq!(read(limits::HEAD_LIMIT_BYTES).unwrap(), "file");
    let error = read(limits::HEAD_LIMIT_BYTES + 1).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    // Between them stands how much had come by then.
    let (begins, ends) = ("response header is too big: ", " > 65536");
    assert!(
        cause.starts_with(begins) && cause.ends_with(ends),
        "{cause}"
    );
}

#[test]
fn a_redirect_leads_to_no_file_of_this_machine() {
    let answer = "HTTP/1.1 302 x\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n";
    let server = Server::answering(&[answer]);
    let url = server.url("/x");
    let error = download(&client(), &get(url.clone())).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("fetch `{url}`: redirected to `file:///etc/passwd`")
    );
}

#[test]
fn t_e05_credentials_do_not_go_to_another_server_nor_come_back() {
    let other = Server::start(|head, stream| {
        let back = head
            .lines()
            .find_map(|line| line.strip_prefix("get /back/"))
            .and_then(|rest| rest.split(' ').next())
            .unwrap_or_default()
            .to_owned();
        let answer = format!(
            "HTTP/1.1 302 x\r\nConnection: close\r\nLocation: http://127.0.0.1:{back}/end\r\nContent-Length: 0\r\n\r\n"
        );
        stream.write_all(answer.as_bytes()).ok();
    });
    let (other_port, own_port) = (other.port, Arc::new(Mutex::new(0)));
    let port = Arc::clone(&own_port);
    let own = Server::start(move |head, stream| {
        let answer = if head.starts_with("get /start ") {
            let back = *port.lock().unwrap();
            format!(
                "HTTP/1.1 302 x\r\nConnection: close\r\nLocation: http://127.0.0.1:{other_port}/back/{back}\r\nContent-Length: 0\r\n\r\n"
            )
        } else {
            OK.to_owned()
        };
        stream.write_all(answer.as_bytes()).ok();
    });
    *own_port.lock().unwrap() = own.port;
    let url = own.url("/start");
    let request = get(url.clone()).credentials(Credentials::bearer(url.origin(), "canary"));
    assert_eq!(download(&client(), &request).unwrap(), "file");
    let (own, other) = (own.heads(), other.heads());
    assert_eq!((own.len(), other.len()), (2, 1));
    assert!(own[0].contains("authorization: bearer canary\r\n"));
    assert!(!own[1].contains("canary"), "{}", own[1]);
    assert!(!other[0].contains("canary"), "{}", other[0]);
}

#[test]
fn nobody_there_is_told_at_once() {
    let port = {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.local_addr().unwrap().port()
    };
    let url = Url::parse(&format!("http://127.0.0.1:{port}/x")).unwrap();
    let error = download(&client(), &get(url.clone())).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("fetch `{url}`: connect to `127.0.0.1:{port}`")
    );
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.starts_with("Connection refused"), "{cause}");
}

#[test]
fn a_name_that_nobody_has_is_told() {
    let url = Url::parse("http://no.such.host.invalid/x").unwrap();
    let error = download(&client(), &get(url)).unwrap_err();
    assert!(
        matches!(error, FetchError::Host { .. } | FetchError::Connect { .. }),
        "{error:?}"
    );
}

#[test]
fn a_server_without_tls_is_not_trusted() {
    let server = Server::start(|_, stream| {
        stream.write_all(b"this is not TLS, sorry").ok();
    });
    let url = Url::parse(&format!("https://127.0.0.1:{}/x", server.port)).unwrap();
    let error = download(&client(), &get(url.clone())).unwrap_err();
    assert!(matches!(error, FetchError::Tls { .. }), "{error:?}");
}

#[test]
fn a_proxy_is_asked_for_what_is_not_here() {
    let proxy = Server::answering(&["HTTP/1.1 407 Pay first\r\nContent-Length: 0\r\n\r\n"]);
    let port = proxy.port;
    let client = client_of(|options| {
        options.proxies.http = Some(format!("http://me:word@127.0.0.1:{port}"));
    });
    let error = download(&client, &get(Url::parse("http://e.invalid/x").unwrap())).unwrap_err();
    assert!(
        matches!(error, FetchError::ProxyRefused { .. }),
        "{error:?}"
    );
    assert!(!format!("{error:?} {error}").contains("word"));
    let heads = proxy.heads();
    assert!(heads[0].starts_with("connect e.invalid:80 "), "{heads:?}");
}

#[test]
fn a_cancelled_job_does_not_wait_for_a_server() {
    let (arrived, arrivals) = channel();
    let server = Server::start(move |_, stream| {
        arrived.send(()).ok();
        // Until the client is gone.
        read_head(stream);
    });
    let stopped = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&stopped);
    let client = client_of(|options| options.stop = Arc::new(move || stop.load(Ordering::SeqCst)));
    let request = get(server.url("/x"));
    let started = Instant::now();
    let fetching = thread::spawn(move || download(&client, &request));
    arrivals.recv().unwrap();
    stopped.store(true, Ordering::SeqCst);
    let error = fetching.join().unwrap().unwrap_err();
    assert!(matches!(error, FetchError::Cancelled), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_file_of_certificates_must_have_some() {
    let directory = std::env::temp_dir().join(format!("careen-fetch-{}", std::process::id()));
    std::fs::write(&directory, "no certificate\n").unwrap();
    let options = |path: &std::path::Path| ClientOptions {
        proxies: Proxies::default(),
        certificates: Certificates::File(path.to_owned()),
        user_agent: String::new(),
        retry: RetryPolicy::brief(),
        stop: Arc::new(|| false),
    };
    let empty = Client::open(options(&directory)).unwrap_err();
    std::fs::remove_file(&directory).unwrap();
    assert!(
        matches!(empty, ClientError::NoCertificate { .. }),
        "{empty:?}"
    );
    let missing = Client::open(options(&directory)).unwrap_err();
    assert!(matches!(missing, ClientError::Read { .. }), "{missing:?}");
}

#[test]
fn a_body_that_comes_too_slowly_is_given_up() {
    for (silence, after, bytes) in [
        // Nothing comes for a while, and what comes is too little.
        (QUICK, Duration::MAX, 0),
        (Duration::MAX, QUICK, 1000),
    ] {
        let server = Server::start(|_, stream| {
            stream.write_all(&OK.as_bytes()[..OK.len() - 4]).unwrap();
            for byte in b"fil" {
                thread::park_timeout(QUICK * 2);
                // The client has hung up.
                drop(stream.write_all(&[*byte]));
            }
        });
        let client = client_of(|options| {
            options.retry.slowest = Slowest {
                silence,
                after,
                bytes,
            };
        });
        let mut response = client.send(&get(server.url("/"))).unwrap();
        let error = io::copy(&mut response, &mut io::sink()).unwrap_err();
        assert_eq!(
            response.broken(0, error).to_string(),
            format!(
                "fetch `{}`: waited for the rest of the file for too long",
                server.url("/")
            ),
            "{silence:?} {after:?}"
        );
    }
}

// A registry that checks a large blob says nothing for minutes.
#[test]
fn an_answer_is_waited_for_longer_than_a_body_may_be_silent() {
    let server = Server::start(|_, stream| {
        thread::park_timeout(QUICK * 4);
        stream.write_all(OK.as_bytes()).unwrap();
    });
    let client = client_of(|options| options.retry.slowest.silence = QUICK);
    assert_eq!(download(&client, &get(server.url("/"))).unwrap(), "file");
}

#[test]
fn an_answer_without_a_length_ends_with_its_connection() {
    let server = Server::answering(&["HTTP/1.0 200 OK\r\n\r\nfile"]);
    assert_eq!(download(&client(), &get(server.url("/"))).unwrap(), "file");
}

#[test]
fn what_is_compressed_on_the_way_stays_so() {
    let server = Server::answering(&[
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x0b\x08\x00",
    ]);
    let found = download(&client(), &get(server.url("/"))).unwrap();
    assert_eq!(found, "\x1f\x0b\x08\x00");
    assert!(server.heads()[0].contains("\r\naccept-encoding: identity\r\n"));
}
