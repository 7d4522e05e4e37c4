//! The cache service of GitHub Actions in memory, with the store behind it: both protocols, and it misbehaves as it is told.
//!
//! What it does is what is known of GitHub's: an entry is given to whoever reserves its key first and never changes; it
//! is there when it was committed; a job sees the entries of the branches that its token names, of the first of them that
//! has any; a key is looked for as it is, and then the newest one that begins so. URLs of contents are signed, and good
//! until [`ActionsCache::expire`].

mod answer;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::json;

use crate::http::{Asked, listen, serve_each};
use crate::registry::answer::Answer;
use crate::registry::connection::{self, Serve};
use crate::registry::door::base64;
use crate::registry::{Fault, Seen};

/// A branch, and what a token allows there: 1 for reading, 2 for writing.
pub type Permission = (&'static str, u32);

type Misbehaviour = Box<dyn FnMut(&Asked) -> Option<Fault> + Send>;

/// An entry, or what is to become one.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    pub(crate) id: u64,
    pub(crate) branch: String,
    pub(crate) key: String,
    /// Empty for one that a test took: it stands for every version.
    pub(crate) version: String,
    /// What was sent of it: by block, or by its place.
    pub(crate) parts: Vec<(String, Vec<u8>)>,
    /// All of it, once it was committed, and when that was.
    pub(crate) content: Option<(u64, Arc<[u8]>)>,
}

/// What the service has and has seen. The threads of the connections share it with the test.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) entries: Vec<Entry>,
    pub(crate) tokens: Vec<(String, Vec<Permission>)>,
    /// The signatures that are good.
    pub(crate) signatures: Vec<String>,
    pub(crate) port: u16,
    count: u64,
    seen: Vec<Seen>,
    misbehaviour: Option<Misbehaviour>,
}

impl State {
    /// Returns a number that was not there before.
    pub(crate) fn number(&mut self) -> u64 {
        self.count += 1;
        self.count
    }
}

/// A cache service on this machine.
#[derive(Clone)]
pub struct ActionsCache {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl fmt::Debug for ActionsCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActionsCache({})", self.url())
    }
}

impl ActionsCache {
    /// Starts one on a port that nobody else has.
    pub fn start() -> Self {
        let (listener, port) = listen();
        let state = State {
            port,
            ..State::default()
        };
        let service = Self {
            port,
            state: Arc::new(Mutex::new(state)),
        };
        let shared = service.clone();
        serve_each(listener, move |stream| connection::serve(stream, &shared));
        service
    }

    /// Returns the URL of the service.
    pub fn url(&self) -> String {
        format!("http://{}/service/", self.host())
    }

    /// Returns the URL of GitHub's API.
    pub fn api_url(&self) -> String {
        format!("http://{}/api", self.host())
    }

    /// Returns the host with the port: `127.0.0.1:12345`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Gives a token for these branches, the job's own first.
    pub fn token(&self, permissions: &[Permission]) -> String {
        let ac: Vec<_> = permissions
            .iter()
            .map(|(branch, permission)| json!({ "Scope": branch, "Permission": permission }))
            .collect();
        let mut state = self.state();
        let number = state.number();
        let claims = json!({ "ac": json!(ac).to_string(), "jti": number });
        let claims = base64(claims.to_string().as_bytes());
        let claims = claims.replace('+', "-").replace('/', "_");
        drop(state);
        let token = format!("e30.{}.SECRET{number}", claims.trim_end_matches('='));
        self.add_token(&token, permissions);
        token
    }

    /// Takes a token that does not say itself what it is for.
    pub fn add_token(&self, token: &str, permissions: &[Permission]) {
        let token = (token.to_owned(), permissions.to_vec());
        self.state().tokens.push(token);
    }

    /// Takes a key for a job that never stores anything under it.
    pub fn take(&self, branch: &str, key: &str) {
        let mut state = self.state();
        let id = state.number();
        state.entries.push(Entry {
            id,
            branch: branch.to_owned(),
            key: key.to_owned(),
            ..Entry::default()
        });
    }

    /// Removes the entries whose keys begin so, as the service does with those that nobody reads.
    pub fn evict(&self, prefix: &str) {
        let entries = &mut self.state().entries;
        entries.retain(|entry| !entry.key.starts_with(prefix));
    }

    /// Has all signed URLs expire.
    pub fn expire(&self) {
        self.state().signatures.clear();
    }

    /// Has a function say of each request what goes wrong with it.
    pub fn misbehave<M>(&self, misbehaviour: M)
    where
        M: FnMut(&Asked) -> Option<Fault> + Send + 'static,
    {
        self.state().misbehaviour = Some(Box::new(misbehaviour));
    }

    /// Returns branch, key and content of the entries that are there, in the order in which they came.
    pub fn entries(&self) -> Vec<(String, String, Vec<u8>)> {
        let state = self.state();
        let mut entries: Vec<_> = state
            .entries
            .iter()
            .filter_map(|entry| {
                let (time, content) = entry.content.as_ref()?;
                let entry = (entry.branch.clone(), entry.key.clone(), content.to_vec());
                Some((*time, entry))
            })
            .collect();
        entries.sort_by_key(|(time, _)| *time);
        entries.into_iter().map(|(_, entry)| entry).collect()
    }

    /// Returns the requests so far, and forgets them.
    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.state().seen)
    }

    /// Returns what was asked so far, one word for each request, and forgets it.
    pub fn steps(&self) -> Vec<&'static str> {
        self.seen()
            .iter()
            .map(|seen| answer::step(&seen.asked))
            .collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Serve for ActionsCache {
    fn fault(&self, asked: &Asked) -> Option<Fault> {
        self.state().misbehaviour.as_mut()?(asked)
    }

    fn answer(&self, asked: &Asked, body: Vec<u8>, fault: Option<&Fault>) -> Option<Answer> {
        let mut state = self.state();
        let received_bytes = body.len() as u64;
        let answer = match fault {
            Some(Fault::BreakRequest(_)) => None,
            Some(Fault::Answer(status, headers)) => Some(Answer::refusal(*status, headers)),
            _ => Some(answer::answer(
                &mut state,
                asked,
                body,
                fault != Some(&Fault::NoRange),
            )),
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
