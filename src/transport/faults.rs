//! Pulling from and pushing to registries that misbehave.
//!
//! Whatever a registry does, in the end what was asked for is there, byte for byte, or there is an error that says which
//! registry did what. Nothing hangs, nothing wrong is taken for right, and no credential goes to another server.
//!
//! * `pull`, `push`: connections that break and answers that are wrong;
//! * `slow`: connections that stand still;
//! * `trust`: logins, tokens, redirects;
//! * `count`: what is asked for, and what is not;
//! * `drills`: content that is hostile.

mod count;
mod drills;
mod pull;
mod push;
mod slow;
mod trust;

use std::io::{self, Read};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use ::registry::{
    Access, Capabilities, Host, HostSource, HostTls, Login, LookupError, Registry, RegistryOptions,
    Repository,
};
use fetch::{Certificates, Proxies, RetryPolicy, Slowest, Url};
use oci::descriptor::descriptor;
use oci::media_type::OCI_LAYER;
use oci::{Descriptor, Digest, Reference};
use support::registry::{Manners, Seen};
use support::{Fault, Registry as Server};

use crate::testing::chain;

/// How long anything may take before the test says that it hangs.
const PATIENCE: Duration = Duration::from_mins(2);

/// The repository of all tests.
const APP: &str = "team/app";

/// Asks one registry, as somebody.
#[derive(Debug)]
struct Only {
    server: Server,
    login: Login,
}

impl HostSource for Only {
    fn hosts(&self, repository: &Reference, _: Access) -> Result<Vec<Host>, LookupError> {
        Ok(vec![Host {
            base: Url::parse(&self.server.url("/v2"))?,
            repository: repository.path().to_owned(),
            credentials_for: self.server.host(),
            capabilities: Capabilities::ALL,
            tls: HostTls::default(),
            headers: vec![("X-Own".to_owned(), "for this host".to_owned())],
            stands_for: None,
            is_mirror: false,
        }])
    }

    fn login(&self, _: &Reference, _: &Host) -> Result<Login, LookupError> {
        Ok(self.login.clone())
    }
}

/// A client of one registry, whose pauses are noted and not waited for.
struct Client {
    registry: Registry,
    server: Server,
    pauses: Arc<Mutex<Vec<Duration>>>,
}

impl Client {
    fn of(server: &Server) -> Self {
        Self::with_login(server, Login::Anonymous)
    }

    fn with_login(server: &Server, login: Login) -> Self {
        Self::open(server, login, Slowest::default())
    }

    /// Makes one that gives up connections sooner.
    fn with_slowest(server: &Server, slowest: Slowest) -> Self {
        Self::open(server, Login::Anonymous, slowest)
    }

    fn open(server: &Server, login: Login, slowest: Slowest) -> Self {
        let pauses = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&pauses);
        let retry = RetryPolicy {
            wait: Some(Arc::new(move |pause| noted.lock().unwrap().push(pause))),
            slowest,
            ..RetryPolicy::patient(Arc::new(|| 0.0))
        };
        let hosts = Only {
            server: server.clone(),
            login,
        };
        let options = RegistryOptions {
            hosts: Arc::new(hosts),
            retry,
            proxies: Proxies::default(),
            certificates: Certificates::default(),
            user_agent: "test".to_owned(),
            token_shown: None,
            stop: Arc::new(|| false),
        };
        Self {
            registry: Registry::open(options).unwrap(),
            server: server.clone(),
            pauses,
        }
    }

    fn reference(&self, name: &str) -> Reference {
        Reference::parse(&format!("{}/{name}", self.server.host())).unwrap()
    }

    fn repository(&self, access: Access) -> Repository {
        self.registry
            .repository(&self.reference(APP), access)
            .unwrap()
    }

    /// Reads a blob whole.
    fn pull(&self, blob: &Descriptor) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut reader = self.repository(Access::Pull).blob(blob, 0)?;
        reader.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Pushes a blob, and makes sure that the registry has it.
    fn push(&self, bytes: &[u8]) -> Result<(), String> {
        let pushed = self
            .repository(Access::Push)
            .put_blob(&blob(bytes), &bytes.to_vec(), None);
        let pushed = pushed.map(drop).map_err(|error| chain(&error));
        let found = self.server.blob(APP, &Digest::of(bytes));
        assert_eq!(found.as_deref(), pushed.is_ok().then_some(bytes));
        pushed
    }

    /// Returns an error as a user sees it, without the number of the port.
    fn shown(&self, error: &dyn std::error::Error) -> String {
        chain(error).replace(&self.server.host(), "$HOST")
    }
}

/// Does something, and fails if it does not end.
fn promptly<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, done) = mpsc::channel();
    let worker = thread::spawn(move || sender.send(work()).unwrap_or_default());
    match done.recv_timeout(PATIENCE) {
        Ok(done) => done,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        // What the worker said is what is wrong.
        Err(mpsc::RecvTimeoutError::Disconnected) => match worker.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => panic!("the worker is gone"),
        },
    }
}

/// Returns bytes that are not the same anywhere, so that no piece can stand for another one.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let words = length.div_ceil(8);
    let mut bytes: Vec<_> = (0..words).flat_map(|_| next().to_le_bytes()).collect();
    bytes.truncate(length);
    bytes
}

/// Returns places below 4,097: all at the beginning, then those around powers of two.
fn places() -> impl Iterator<Item = u64> {
    let powers = (7..=12).flat_map(|power| [(1 << power) - 1, 1 << power, (1 << power) + 1]);
    (0..100).chain(powers).filter(|place| *place <= 4096)
}

fn blob(bytes: &[u8]) -> Descriptor {
    descriptor(OCI_LAYER, &Digest::of(bytes), bytes.len() as u64)
}

/// Starts a registry that has a blob.
fn server_with(bytes: &[u8]) -> Server {
    let server = Server::start();
    server.add_blob(APP, bytes);
    server
}

/// Returns how many requests there were of a method whose path has some words in it.
fn count(seen: &[Seen], method: &str, words: &str) -> usize {
    let is_one = |seen: &&Seen| seen.asked.method == method && seen.asked.path.contains(words);
    seen.iter().filter(is_one).count()
}

/// Says that the first requests of a method, whose path has some words in it, go wrong in the same way.
fn first(
    times: usize,
    method: &'static str,
    words: &'static str,
    fault: Fault,
) -> impl FnMut(&support::http::Asked) -> Option<Fault> + Send {
    let mut left = times;
    move |asked| {
        let is_one = asked.method == method && asked.path.contains(words);
        left = left.checked_sub(usize::from(is_one))?;
        is_one.then(|| fault.clone())
    }
}
