//! A registry in memory that misbehaves as it is told to, and remembers what it was asked for.
//!
//! It shares no code with the registry that careen serves: what one of them gets wrong, the other one shows. Left alone,
//! it does what the distribution specification says, but that it takes any manifest.
//!
//! * [`Fault`] is what can go wrong with one request; [`Registry::misbehave`] decides for each request anew.
//! * [`Manners`] is how it behaves throughout: where uploads are, who may ask, whether parts of blobs are given.
//! * `answer` is the protocol, `connection` the bytes on the wire.

pub(crate) mod answer;
pub(crate) mod connection;
pub(crate) mod door;
mod upload;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use oci::Digest;
use serde_json::Value;

use self::answer::Answer;
use self::connection::Serve;
use crate::http::{Asked, listen, serve_each};

/// What goes wrong with one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is not carried out, and this is the answer: a status and headers.
    Answer(u16, Vec<(String, String)>),
    /// The connection breaks after so many bytes of the request's body. An upload has those.
    BreakRequest(u64),
    /// The connection breaks after so many bytes of the answer's body.
    BreakAnswer(u64),
    /// It is carried out, and the connection breaks before the answer.
    LoseAnswer,
    /// A byte in the middle of the answer's body is another one.
    WrongByte,
    /// The answer's body ends after so many bytes, and its head says so.
    Shorten(u64),
    /// The answer's body has so many bytes more than it should, and its head says so.
    Lengthen(u64),
    /// The answer's body has no length and goes on until the client has had enough, or 64 MiB.
    Endless,
    /// The answer's body comes in packets of one byte.
    Dribble,
    /// The bytes of the answer's body come one by one, each after so long.
    Slow(Duration),
    /// The bytes of the request's body are taken 64 KiB at a time, each after so long.
    TakeSlowly(Duration),
    /// A header of the answer is another one.
    Header(&'static str, String),
    /// A header of the answer is not there.
    NoHeader(&'static str),
    /// The answer is one of HTTP/1.0: its body has no length and ends with the connection.
    OldHttp,
    /// The answer's body is compressed on the way (`Content-Encoding`), which nobody asked for.
    Compress,
    /// What is asked for by a `Range` is given whole.
    NoRange,
    /// The registry has forgotten all uploads.
    ForgetUploads,
}

impl Fault {
    /// Makes a refusal with a code of the specification.
    pub fn status(status: u16) -> Self {
        Self::Answer(status, Vec::new())
    }

    /// Makes a refusal that says when to come again.
    pub fn retry_after(status: u16, seconds: u64) -> Self {
        let header = ("Retry-After".to_owned(), seconds.to_string());
        Self::Answer(status, vec![header])
    }

    /// Sends the client elsewhere.
    pub fn redirect(to: &str) -> Self {
        Self::Answer(307, vec![("Location".to_owned(), to.to_owned())])
    }
}

/// How the registry says where an upload goes on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum LocationForm {
    /// By a path.
    #[default]
    Path,
    /// By a whole URL.
    Url,
    /// By a whole URL of another server: `http://127.0.0.1:1234`.
    Elsewhere(String),
    /// By a path with a query that changes with each answer, and without which nothing is found.
    Query,
    /// By a path that goes on from that of the request: `../uploads/1`.
    Relative,
}

/// Who may ask.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Door {
    /// Anybody.
    #[default]
    Open,
    /// Whoever says this name and this password with each request.
    Basic(String, String),
    /// Whoever has a token of the registry's own token service, which asks for a name and a password. A token is good for
    /// so many requests.
    Token {
        /// The name.
        user: String,
        /// The password.
        password: String,
        /// For how many requests.
        uses: u32,
    },
}

/// How the registry behaves throughout.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Manners {
    /// How it says where an upload goes on.
    pub location: LocationForm,
    /// Who may ask.
    pub door: Door,
    /// What a chunk of an upload has at least, in bytes.
    pub chunk_min_bytes: Option<u64>,
    /// What a request of an upload may have at most, in bytes.
    pub chunk_max_bytes: Option<u64>,
    /// Whether it has no list of referrers.
    pub no_referrers: bool,
    /// Whether it takes no blob from another repository.
    pub no_mounts: bool,
    /// Whether it refuses a manifest that names what it does not have.
    pub checks_references: bool,
    /// How many names are in a part of a list.
    pub page: Option<usize>,
}

/// A request that the registry has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What was asked.
    pub asked: Asked,
    /// How many bytes of the request's body came.
    pub received_bytes: u64,
    /// The status of the answer; none where there was no answer.
    pub status: Option<u16>,
}

type Misbehaviour = Box<dyn FnMut(&Asked) -> Option<Fault> + Send>;

/// What a registry has and has seen. The threads of the connections share it with the test.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) repositories: BTreeMap<String, Repository>,
    pub(crate) uploads: BTreeMap<String, Upload>,
    pub(crate) manners: Manners,
    pub(crate) seen: Vec<Seen>,
    pub(crate) tokens: BTreeMap<String, u32>,
    /// Of everything that has a number: uploads, tokens, places.
    pub(crate) count: u64,
    misbehaviour: Option<Misbehaviour>,
}

/// What a repository has.
#[derive(Debug, Default)]
pub(crate) struct Repository {
    pub(crate) blobs: BTreeMap<String, Arc<[u8]>>,
    /// Media type and bytes.
    pub(crate) manifests: BTreeMap<String, (String, Arc<[u8]>)>,
    pub(crate) tags: BTreeMap<String, String>,
}

/// An upload.
#[derive(Debug, Default)]
pub(crate) struct Upload {
    pub(crate) repository: String,
    pub(crate) bytes: Vec<u8>,
    /// The query without which it is not found.
    pub(crate) query: Option<String>,
}

impl State {
    /// Decides what goes wrong with a request.
    pub(crate) fn fault(&mut self, asked: &Asked) -> Option<Fault> {
        self.misbehaviour.as_mut()?(asked)
    }

    /// Returns a number that was not there before.
    pub(crate) fn number(&mut self) -> u64 {
        self.count += 1;
        self.count
    }
}

/// A registry on this machine.
#[derive(Clone)]
pub struct Registry {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registry({})", self.host())
    }
}

impl Registry {
    /// Starts one that behaves well, on a port that nobody else has.
    pub fn start() -> Self {
        Self::with(Manners::default())
    }

    /// Starts one with these manners.
    pub fn with(manners: Manners) -> Self {
        let (listener, port) = listen();
        let state = State {
            manners,
            ..State::default()
        };
        let registry = Self {
            port,
            state: Arc::new(Mutex::new(state)),
        };
        let shared = registry.clone();
        serve_each(listener, move |stream| connection::serve(stream, &shared));
        registry
    }

    /// Returns the host with the port: `127.0.0.1:12345`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns the URL of a path, which begins with `/`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.host())
    }

    /// Has a function say of each request what goes wrong with it.
    pub fn misbehave<M>(&self, misbehaviour: M)
    where
        M: FnMut(&Asked) -> Option<Fault> + Send + 'static,
    {
        self.state().misbehaviour = Some(Box::new(misbehaviour));
    }

    /// Changes how it behaves throughout.
    pub fn behave(&self, manners: Manners) {
        self.state().manners = manners;
    }

    /// Gives it a blob, as if it had been pushed.
    pub fn add_blob(&self, repository: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        let mut state = self.state();
        let repository = state.repositories.entry(repository.to_owned()).or_default();
        repository
            .blobs
            .insert(digest.to_string(), Arc::from(bytes));
        digest
    }

    /// Gives it a manifest with a tag, as if it had been pushed.
    pub fn add_manifest(&self, name: &str, tag: &str, media_type: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        let mut state = self.state();
        let repository = state.repositories.entry(name.to_owned()).or_default();
        let manifest = (media_type.to_owned(), Arc::from(bytes));
        repository.manifests.insert(digest.to_string(), manifest);
        repository.tags.insert(tag.to_owned(), digest.to_string());
        digest
    }

    /// Returns a blob of a repository.
    pub fn blob(&self, repository: &str, digest: &Digest) -> Option<Vec<u8>> {
        let state = self.state();
        let blob = state
            .repositories
            .get(repository)?
            .blobs
            .get(digest.as_str())?;
        Some(blob.to_vec())
    }

    /// Returns what a tag of a repository names.
    pub fn tagged(&self, repository: &str, tag: &str) -> Option<Vec<u8>> {
        let state = self.state();
        let repository = state.repositories.get(repository)?;
        let (_, bytes) = repository.manifests.get(repository.tags.get(tag)?)?;
        Some(bytes.to_vec())
    }

    /// Returns what tags of a repository lead to that is not there: the digests of manifests and blobs.
    pub fn dangling(&self, repository: &str) -> Vec<String> {
        let state = self.state();
        let Some(repository) = state.repositories.get(repository) else {
            return Vec::new();
        };
        let mut wanted: Vec<_> = repository.tags.values().cloned().collect();
        let mut missing = Vec::new();
        while let Some(digest) = wanted.pop() {
            match repository.manifests.get(&digest) {
                Some((_, bytes)) => wanted.extend(references(bytes)),
                None if repository.blobs.contains_key(&digest) => {}
                None => missing.push(digest),
            }
        }
        missing
    }

    /// Returns the requests so far, and forgets them.
    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.state().seen)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the digests that a manifest or an index names.
pub(crate) fn references(manifest: &[u8]) -> Vec<String> {
    let document: Value = serde_json::from_slice(manifest).unwrap_or_default();
    let lists = ["manifests", "layers"].map(|key| document[key].as_array().cloned());
    let listed = lists.into_iter().flatten().flatten();
    let entries = listed.chain([document["config"].clone()]);
    entries
        .filter_map(|entry| entry["digest"].as_str().map(str::to_owned))
        .collect()
}

impl Serve for Registry {
    fn fault(&self, asked: &Asked) -> Option<Fault> {
        self.state().fault(asked)
    }

    fn answer(&self, asked: &Asked, body: Vec<u8>, fault: Option<&Fault>) -> Option<Answer> {
        let mut state = self.state();
        let received_bytes = body.len() as u64;
        let answer = match fault {
            Some(Fault::BreakRequest(_)) => {
                upload::keep_part(&mut state, asked, &body);
                None
            }
            Some(Fault::Answer(status, headers)) => Some(Answer::refusal(*status, headers)),
            _ => {
                if fault == Some(&Fault::ForgetUploads) {
                    state.uploads.clear();
                }
                let ranges = fault != Some(&Fault::NoRange);
                Some(answer::answer(&mut state, asked, body, ranges))
            }
        };
        let answer = answer.filter(|_| fault != Some(&Fault::LoseAnswer));
        state.seen.push(Seen {
            asked: asked.clone(),
            received_bytes,
            status: answer.as_ref().map(|answer| answer.status),
        });
        answer
    }
}

impl Seen {
    /// Returns method and path, without the query.
    pub fn line(&self) -> String {
        let path = self.asked.path.split('?').next().unwrap_or_default();
        format!("{} {path}", self.asked.method)
    }

    /// Returns whom the request says that it is from.
    pub fn authorization(&self) -> Option<&str> {
        self.asked.header("authorization")
    }
}
