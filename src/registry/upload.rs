//! Blobs are pushed: only if they have to be, and on from where it broke off (distribution-spec, "Pushing blobs").
//!
//! ```text
//! HEAD blob ── there ─────────────────────────────────────────────▶ Present
//!    │ not there
//! POST uploads?mount=…&from=… ── 201 ─────────────────────────────▶ Mounted
//!    │ 202, with the place of an upload
//! PUT place?digest=…, all bytes ── 201 ───────────────────────────▶ Sent
//!    │ broke off, 5xx, 413
//! GET place ── 204, so many bytes are there
//!    │         └─ 404: begin again with HEAD
//! PATCH place, the bytes after those, in chunks if it must be
//!    │
//! PUT place?digest=…, no bytes ── 201 ────────────────────────────▶ Sent
//! ```

mod part;

use std::io::{self, Read};

use fetch::{FetchError, Method, Response, Url};
use oci::descriptor::digest_of;
use oci::{Descriptor, Digest, Hasher, Reference};

use self::part::Part;
use crate::answer::{discard, refused};
use crate::client::Core;
use crate::error::{Failure, RegistryError};
use crate::host::Access;
use crate::limits::{CHUNK_BYTES, CHUNK_MIN_BYTES, COMMIT_LIMIT, RESTARTS_MAX};
use crate::patience::Patience;
use crate::repository::Repository;
use crate::scope::Scopes;
use crate::session::Session;

/// The content of a blob that is pushed. It can be read more than once: a connection may break.
pub trait BlobBody: Sync {
    /// Opens it from an offset in bytes on.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be read.
    fn open(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>>;
}

impl BlobBody for [u8] {
    fn open(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        Ok(Box::new(self.get(from..).unwrap_or_default()))
    }
}

impl BlobBody for Vec<u8> {
    fn open(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        self.as_slice().open(from)
    }
}

/// How a blob came to be in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uploaded {
    /// It was there.
    Present,
    /// The registry took it from another of its repositories.
    Mounted,
    /// Its bytes were sent.
    Sent,
}

impl Repository {
    /// Makes sure that the repository has a blob: sends it only if it is neither there nor in the other repository of
    /// the same registry. What is sent is hashed on the way, so that content that is not what the descriptor says
    /// never becomes a blob.
    ///
    /// # Errors
    ///
    /// Fails when the registry does not take it, or the content cannot be read or is not what the descriptor says.
    pub fn put_blob(
        &self,
        descriptor: &Descriptor,
        body: &dyn BlobBody,
        mount_from: Option<&Reference>,
    ) -> Result<Uploaded, RegistryError> {
        let asked = format!("push the blob `{}`", descriptor.digest());
        self.writing(&asked, |session| {
            let digest = digest_of(descriptor)
                .map_err(|error| Failure::malformed("a digest that is not supported", error))?;
            let upload = Upload {
                repository: self,
                session,
                digest,
                size_bytes: descriptor.size(),
                body,
            };
            upload.run(mount_from)
        })
    }
}

/// A blob on its way to one host.
struct Upload<'a> {
    repository: &'a Repository,
    session: &'a Session,
    digest: Digest,
    size_bytes: u64,
    body: &'a dyn BlobBody,
}

/// A place at the host that takes the bytes, and how many of them are there.
struct Place {
    location: Url,
    at: u64,
    /// The digest of the bytes that are there.
    hasher: Hasher,
    /// How many bytes are sent at once; none: all.
    chunk_bytes: Option<u64>,
    /// How often nothing at all arrived.
    failures: u32,
    /// Whether the host was asked how much is there.
    is_resumed: bool,
}

/// How often it was tried, and how far it went at most.
struct Progress {
    patience: Patience,
    furthest: u64,
}

impl Progress {
    /// Only what was never reached before is progress: a host that forgets everything would be tried for ever.
    fn went_to(&mut self, at: u64) {
        self.patience.came(at.saturating_sub(self.furthest));
        self.furthest = at.max(self.furthest);
    }
}

/// What begins an upload.
enum Begun {
    /// The blob was taken from another repository.
    Mounted,
    /// Its bytes are waited for.
    At(Box<Place>),
}

/// What became of an attempt.
enum Step {
    /// The blob is there.
    Done,
    /// Some bytes more are there.
    Went,
    /// No more bytes are there.
    Stayed,
    /// The host takes less at once.
    TooLarge(Failure),
    /// The host no longer knows the upload.
    Lost(Failure),
}

impl Upload<'_> {
    fn run(&self, mount_from: Option<&Reference>) -> Result<Uploaded, Failure> {
        let mut progress = Progress {
            patience: Patience::with(self.session.attempts(), self.size_bytes),
            furthest: 0,
        };
        if self.is_there()? {
            return Ok(Uploaded::Present);
        }
        for _ in 0..RESTARTS_MAX {
            let place = match self.begin(mount_from)? {
                Begun::Mounted => return Ok(Uploaded::Mounted),
                Begun::At(place) => place,
            };
            let Some(lost) = self.send(place, &mut progress)? else {
                return Ok(Uploaded::Sent);
            };
            // An answer may have been lost, and not what it was about.
            if self.is_there()? {
                return Ok(Uploaded::Sent);
            }
            tracing::debug!(error = %lost, "beginning the upload anew");
            progress.patience.begin_anew(self.core(), lost)?;
        }
        Err(Failure::UploadLost {
            times: RESTARTS_MAX,
        })
    }

    fn core(&self) -> &Core {
        self.repository.core()
    }

    fn is_there(&self) -> Result<bool, Failure> {
        match self.repository.blob_size(self.session, &self.digest) {
            Ok(_) => Ok(true),
            Err(failure) => match failure.status() {
                // Not every registry answers such a question.
                Some(400 | 404 | 405 | 501) => Ok(false),
                _ => Err(failure),
            },
        }
    }

    fn begin(&self, mount_from: Option<&Reference>) -> Result<Begun, Failure> {
        let scopes = self.repository.scopes(self.session);
        if let Some(from) = mount_from.and_then(|from| self.other_repository(from)) {
            let mut both = scopes.clone();
            both.add(from, Access::Pull);
            let rest = format!("blobs/uploads/?mount={}&from={from}", self.digest);
            match self.post(&rest, &both, true) {
                Ok(begun) => return Ok(begun),
                // Who may not read the other repository may still write to this one.
                Err(failure) if is_refusal(&failure) => {
                    tracing::debug!(error = %failure, "not mounted");
                }
                Err(failure) => return Err(failure),
            }
        }
        self.post("blobs/uploads/", &scopes, false)
    }

    /// Returns the path of another repository of the host that is written to.
    fn other_repository<'r>(&self, from: &'r Reference) -> Option<&'r str> {
        let own = self.repository.reference();
        let is_same_name = self.session.host.repository == own.path();
        let is_other = from.domain() == own.domain() && from.path() != own.path();
        (is_same_name && is_other).then(|| from.path())
    }

    fn post(&self, rest: &str, scopes: &Scopes, is_mount: bool) -> Result<Begun, Failure> {
        let request = self.session.request(Method::Post, rest)?;
        let response = self.session.ask(&request, None, scopes)?;
        match response.status() {
            201 if is_mount => {
                discard(response);
                Ok(Begun::Mounted)
            }
            201 => Err(Failure::Malformed {
                what: "that it has a blob of which it has seen nothing",
                source: None,
            }),
            202 => {
                let least = response.header("oci-chunk-min-length");
                let least: Option<u64> = least.and_then(|least| least.parse().ok());
                let location = self.location(&response)?;
                discard(response);
                Ok(Begun::At(Box::new(Place {
                    location,
                    at: 0,
                    hasher: Hasher::with_algorithm(self.digest.algorithm()),
                    chunk_bytes: least.map(|least| least.max(CHUNK_BYTES)),
                    failures: 0,
                    is_resumed: false,
                })))
            }
            _ => Err(refused(response)),
        }
    }

    /// Returns where an upload goes on. Registries behind a proxy call themselves `http` where they are `https`.
    fn location(&self, response: &Response) -> Result<Url, Failure> {
        let location = response.header("location").ok_or(Failure::Malformed {
            what: "no place for the upload",
            source: None,
        })?;
        let url = response
            .url()
            .join(location)
            .map_err(|error| Failure::malformed("a place for the upload that is no URL", error))?
            .without_user();
        let base = self.session.base()?;
        if url.host() == base.host() && url.scheme() < base.scheme() {
            return Ok(url.at_origin_of(&base));
        }
        if url.scheme() < base.scheme() {
            return Err(FetchError::Downgrade {
                url: base,
                target: url.without_query(),
            }
            .into());
        }
        Ok(url)
    }

    /// Sends what is not there; returns why the upload is to be begun again, if it is.
    fn send(
        &self,
        mut place: Box<Place>,
        progress: &mut Progress,
    ) -> Result<Option<Failure>, Failure> {
        loop {
            let step = match self.step(&mut place) {
                Ok(step) => step,
                Err(failure) => self.recover(&mut place, failure, progress)?,
            };
            match step {
                Step::Done => return Ok(None),
                Step::Lost(failure) => return Ok(Some(failure)),
                Step::TooLarge(failure) => place.take_less(self.size_bytes, failure)?,
                Step::Went => progress.went_to(place.at),
                Step::Stayed => {}
            }
        }
    }

    /// Waits, and asks the host how far it got.
    fn recover(
        &self,
        place: &mut Place,
        mut failure: Failure,
        progress: &mut Progress,
    ) -> Result<Step, Failure> {
        loop {
            let before = progress.patience.pause(self.core(), failure)?;
            match self.look(place) {
                // That the host knows nothing of the upload any more is no reason: what happened to it is.
                Ok(Step::Lost(_)) => return Ok(Step::Lost(before)),
                Ok(Step::Stayed) if place.at == 0 => {
                    // A host that hangs up on large bodies does not always say so.
                    place.failures += 1;
                    if place.failures > 1 && self.size_bytes > CHUNK_BYTES {
                        place.chunk_bytes.get_or_insert(CHUNK_BYTES);
                    }
                    return Ok(Step::Stayed);
                }
                Ok(step) => return Ok(step),
                Err(other) => failure = other,
            }
        }
    }

    /// Sends as much as is sent at once.
    fn step(&self, place: &mut Place) -> Result<Step, Failure> {
        let is_whole =
            place.at == 0 && place.chunk_bytes.is_none_or(|most| most >= self.size_bytes);
        if is_whole || place.at == self.size_bytes {
            self.put(place)
        } else {
            self.patch(place)
        }
    }

    /// Sends the rest, which may be nothing, and says what all of it is.
    fn put(&self, place: &Place) -> Result<Step, Failure> {
        let url = place.location.with_field("digest", self.digest.as_str());
        let request = self
            .session
            .request_at(Method::Put, &url)?
            .header("content-type", "application/octet-stream")
            .answer_limit(COMMIT_LIMIT);
        let part = self.part(place, self.size_bytes);
        let scopes = self.repository.scopes(self.session);
        let response = self.session.send(&request, Some(&part), &scopes)?;
        match response.status() {
            201 | 204 => {
                discard(response);
                Ok(Step::Done)
            }
            _ => refusal_of(response, place),
        }
    }

    /// Sends a chunk.
    fn patch(&self, place: &mut Place) -> Result<Step, Failure> {
        let most = place.chunk_bytes.unwrap_or(u64::MAX);
        let end = place.at.saturating_add(most).min(self.size_bytes);
        let request = self
            .session
            .request_at(Method::Patch, &place.location)?
            .header("content-type", "application/octet-stream")
            .header("content-range", &format!("{}-{}", place.at, end - 1));
        let part = self.part(place, end);
        let scopes = self.repository.scopes(self.session);
        let response = self.session.send(&request, Some(&part), &scopes)?;
        if !matches!(response.status(), 200..=299) {
            return refusal_of(response, place);
        }
        let at = there(&response).unwrap_or(end);
        place.location = self.location(&response)?;
        discard(response);
        match part.into_hasher() {
            Some(hasher) if at == end => {
                place.hasher = hasher;
                place.at = end;
                Ok(Step::Went)
            }
            _ => match self.move_to(place, at)? {
                Step::Stayed => Err(Failure::Malformed {
                    what: "that nothing more is there of what it took",
                    source: None,
                }),
                step => Ok(step),
            },
        }
    }

    fn part<'a>(&'a self, place: &Place, end: u64) -> Part<'a> {
        Part::new(
            self.body,
            &self.digest,
            self.size_bytes,
            place.at..end,
            &place.hasher,
        )
    }

    /// Asks how much is there.
    fn look(&self, place: &mut Place) -> Result<Step, Failure> {
        let request = self.session.request_at(Method::Get, &place.location)?;
        let scopes = self.repository.scopes(self.session);
        let response = self.session.send(&request, None, &scopes)?;
        match response.status() {
            200..=299 => {
                let at = there(&response).unwrap_or(0);
                if response.header("location").is_some() {
                    place.location = self.location(&response)?;
                }
                discard(response);
                place.is_resumed = true;
                self.move_to(place, at)
            }
            // It is gone, or the host does not answer such a question.
            400 | 404 | 405 | 416 | 501 => Ok(Step::Lost(refused(response))),
            _ => Err(refused(response)),
        }
    }

    /// Goes to where the host is, and hashes what is there.
    fn move_to(&self, place: &mut Place, at: u64) -> Result<Step, Failure> {
        if at > self.size_bytes {
            return Ok(Step::Lost(Failure::WrongSize {
                expected_bytes: self.size_bytes,
                found_bytes: at,
            }));
        }
        let step = if at > place.at {
            Step::Went
        } else {
            Step::Stayed
        };
        if at < place.at {
            place.at = 0;
            place.hasher = Hasher::with_algorithm(self.digest.algorithm());
        }
        let part = self.part(place, at);
        part.hash().map_err(Failure::Content)?;
        if let Some(hasher) = part.into_hasher() {
            place.hasher = hasher;
        }
        place.at = at;
        Ok(step)
    }
}

impl Place {
    /// Sends less at once from now on.
    fn take_less(&mut self, size_bytes: u64, failure: Failure) -> Result<(), Failure> {
        let less = self.chunk_bytes.map_or(CHUNK_BYTES, |most| most / 2);
        if less < CHUNK_MIN_BYTES || self.chunk_bytes.is_none() && size_bytes <= CHUNK_MIN_BYTES {
            return Err(failure);
        }
        self.chunk_bytes = Some(less.min(size_bytes / 2).max(CHUNK_MIN_BYTES));
        Ok(())
    }
}

/// Says what a host that did not take something means.
fn refusal_of(response: Response, place: &Place) -> Result<Step, Failure> {
    let status = response.status();
    let failure = refused(response);
    match status {
        404 => Ok(Step::Lost(failure)),
        413 => Ok(Step::TooLarge(failure)),
        // What went on after it broke may have gone wrong on the way; what was sent in one piece has not.
        400 | 416 if place.at > 0 || place.is_resumed => Ok(Step::Lost(failure)),
        _ => Err(failure),
    }
}

/// Tells whether a host refuses, rather than fails.
fn is_refusal(failure: &Failure) -> bool {
    let failure = match failure {
        Failure::Token { source, .. } => source,
        failure => failure,
    };
    failure
        .status()
        .is_some_and(|status| (400..500).contains(&status) && status != 429)
}

/// Returns how many bytes of an upload are there, as `Range: 0-9` says it.
fn there(response: &Response) -> Option<u64> {
    let range = response.header("range")?;
    let range = range.strip_prefix("bytes=").unwrap_or(range);
    let last: u64 = range.strip_prefix("0-")?.trim().parse().ok()?;
    // Registries say `0-0` when nothing is there.
    Some(if last == 0 { 0 } else { last + 1 })
}
