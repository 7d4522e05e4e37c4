//! Files of a git repository: as a snapshot of the store.
//!
//! ```text
//! name ──ls-remote──► commit ──known?──► snapshot
//!                        │ no
//!                        ▼
//!          fetch into the remote's repository (kept, for one at a time)
//!                        │
//!                        ▼
//!          check out beside an active snapshot ──► snapshot
//! ```
//!
//! No server is asked when the commit is known: because its whole name is given, or because the name that
//! is given was seen to stand for the commit that is given.

use std::path::PathBuf;
use std::sync::Arc;

use fetch::Url;
use graph::GitSource;
use graph::userinfo::without_secret;
use oci::{Digest, Timestamp};
use rootfs::Root;
use serde::{Deserialize, Serialize};
use store::{
    ActiveSnapshot, ClaimName, Repository, RepositoryState, Snapshot, SnapshotId, SnapshotKind,
    SnapshotMeta,
};
use vendor_shim::git::{
    Depth, GitError, ObjectFormat, RemoteAccess, SecretHeader, Session, SessionSettings,
};

use super::checkout::{self, Files};
use super::{RemoteError, RemoteOptions};
use crate::job::Workshop;

/// Files of a commit. The job's lease keeps them.
///
/// On disk they belong to the builder: they are read as a directory of the user's is, of which the owners mean nothing.
#[derive(Debug, Clone)]
pub struct Checkout {
    /// The directory with the files.
    pub root: Arc<Root>,
    /// Where it is.
    pub path: PathBuf,
    /// The whole name of the commit.
    pub commit: String,
    /// When the commit was made.
    pub commit_time: Timestamp,
}

/// A commit, and the name that led to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Resolved {
    pub(super) commit: String,
    /// The whole name of the branch or tag; none of a commit that was asked for by its own.
    pub(super) name: Option<String>,
    /// The object that the name stands for: an annotated tag is no commit.
    object: Option<String>,
}

impl Resolved {
    fn of_commit(commit: &str) -> Self {
        Self {
            commit: commit.to_owned(),
            name: None,
            object: None,
        }
    }

    /// Tells whether it is the commit that was asked for, or one that begins so.
    fn is(&self, checksum: &str) -> bool {
        let checksum = checksum.to_ascii_lowercase();
        let object = self.object.as_deref();
        self.commit.starts_with(&checksum) || object.is_some_and(|own| own.starts_with(&checksum))
    }
}

/// Fetches files of a repository, unless the store has those that are meant.
///
/// # Errors
///
/// Fails when there is no `git`, the repository cannot be reached or does not have what is meant, and when the store
/// cannot hold it.
pub fn fetch_git(workshop: &Workshop, source: &GitSource) -> Result<Checkout, RemoteError> {
    let work = Work {
        workshop,
        source,
        remote: RemoteUrl::new(&source.remote),
    };
    let pinned = work.pinned()?;
    if let Some(resolved) = &pinned
        && let Some(checkout) = work.find(resolved)?
    {
        return Ok(checkout);
    }
    let active = workshop.store.snapshots().prepare(&workshop.lease)?;
    let cancelled = || workshop.cancel.is_cancelled();
    let git = work.session(&active, &cancelled)?;
    let resolved = match pinned {
        Some(resolved) => resolved,
        None => work.ask(&git)?,
    };
    match work.find(&resolved)? {
        Some(checkout) => Ok(checkout),
        None => work.make(&git, active, &resolved),
    }
}

/// A repository's URL, for git and for messages without the password that it may have.
struct RemoteUrl {
    /// As git takes it.
    plain: String,
    /// Where it is one of HTTP.
    url: Option<Url>,
}

impl RemoteUrl {
    fn new(remote: &str) -> Self {
        let url = Url::parse(remote).ok();
        Self {
            plain: url
                .as_ref()
                .map_or_else(|| without_secret(remote), Url::without_userinfo),
            url,
        }
    }
}

/// What a checkout was made of; its digest is the name of the snapshot.
#[derive(Serialize)]
struct CheckoutKey<'a> {
    format: &'static str,
    commit: &'a str,
    subdirectory: Option<&'a str>,
    submodules: bool,
    times: graph::GitTimes,
    /// Of what is kept in `.git`, and of what submodules' relative URLs lead from.
    remote: Option<&'a str>,
    /// Of a kept `.git`, which has the name.
    name: Option<&'a str>,
}

/// What is known of a checkout beside its files.
#[derive(Serialize, Deserialize)]
struct CheckoutRecord {
    /// Seconds since 1970.
    commit_time: i64,
}

struct Work<'a> {
    workshop: &'a Workshop,
    source: &'a GitSource,
    remote: RemoteUrl,
}

impl Work<'_> {
    /// Returns the commit where it is known without asking anybody.
    fn pinned(&self) -> Result<Option<Resolved>, RemoteError> {
        let GitSource {
            reference,
            checksum,
            fetch_by_commit,
            ..
        } = self.source;
        let whole = |text: &Option<String>| {
            let text = text.as_deref()?;
            ObjectFormat::of(text).map(|_| Resolved::of_commit(text))
        };
        if *fetch_by_commit {
            return whole(checksum)
                .map(Some)
                .ok_or_else(|| RemoteError::NotACommit {
                    checksum: checksum.clone().unwrap_or_default(),
                });
        }
        if let Some(resolved) = whole(reference) {
            self.check(&resolved)?;
            return Ok(Some(resolved));
        }
        if whole(checksum).is_none() {
            return Ok(None);
        }
        let records = self.workshop.store.records();
        let resolved = records.get::<Resolved>(&self.name_key())?;
        Ok(resolved.filter(|resolved| self.check(resolved).is_ok()))
    }

    /// Asks the remote which commit is meant.
    fn ask(&self, git: &Session<'_>) -> Result<Resolved, RemoteError> {
        let remote = || self.remote.plain.clone();
        let found = match &self.source.reference {
            None => {
                let refs = git.refs(&["HEAD".to_owned()])?;
                refs.head()
                    .ok_or_else(|| RemoteError::NoHead { remote: remote() })?
            }
            Some(reference) => {
                let refs = git.refs(&[reference.clone(), format!("{reference}^{{}}")])?;
                let found = refs.find(reference).cloned();
                found.ok_or_else(|| RemoteError::NoReference {
                    remote: remote(),
                    reference: reference.clone(),
                })?
            }
        };
        let resolved = Resolved {
            commit: found.commit().to_owned(),
            name: Some(found.name),
            object: Some(found.object),
        };
        self.check(&resolved)?;
        // What cannot be remembered is asked for again.
        let records = self.workshop.store.records();
        if let Err(error) = records.put(&self.name_key(), &resolved) {
            tracing::debug!(%error, "commit of a name not remembered");
        }
        Ok(resolved)
    }

    /// Refuses a commit that is not the one that was asked for.
    fn check(&self, resolved: &Resolved) -> Result<(), RemoteError> {
        match &self.source.checksum {
            Some(expected) if !resolved.is(expected) => Err(RemoteError::WrongCommit {
                remote: self.remote.plain.clone(),
                reference: self.source.reference.clone().unwrap_or("HEAD".to_owned()),
                expected: expected.clone(),
                found: resolved.commit.clone(),
            }),
            Some(_) | None => Ok(()),
        }
    }

    fn name_key(&self) -> Digest {
        let reference = self.source.reference.as_deref().unwrap_or_default();
        Digest::of(format!("git name\0{}\0{reference}", self.remote.plain).as_bytes())
    }

    fn snapshot_id(&self, resolved: &Resolved) -> Result<SnapshotId, RemoteError> {
        let GitSource {
            subdirectory,
            submodules,
            times,
            ..
        } = self.source;
        let keeps = self.keeps_git_dir();
        let key = CheckoutKey {
            format: "1",
            commit: &resolved.commit,
            subdirectory: subdirectory.as_deref(),
            submodules: *submodules,
            times: *times,
            remote: (keeps || *submodules).then_some(&self.remote.plain),
            name: resolved.name.as_deref().filter(|_| keeps),
        };
        let text = serde_json::to_vec(&key).expect("texts and switches are valid JSON");
        Ok(SnapshotId::from_digest("git", &Digest::of(&text))?)
    }

    /// A part of a repository has no `.git` of its own.
    fn keeps_git_dir(&self) -> bool {
        self.source.keep_git_dir && self.source.subdirectory.is_none()
    }

    /// Returns the files if they were checked out before.
    fn find(&self, resolved: &Resolved) -> Result<Option<Checkout>, RemoteError> {
        let Workshop { store, lease, .. } = self.workshop;
        let id = self.snapshot_id(resolved)?;
        let record = store.records().get::<CheckoutRecord>(&record_key(&id))?;
        let Some(record) = record else {
            return Ok(None);
        };
        let snapshot = store.snapshots().open(lease, &id)?;
        Ok(snapshot.map(|snapshot| of_snapshot(snapshot, resolved, &record)))
    }

    fn session<'c>(
        &self,
        active: &ActiveSnapshot,
        cancelled: &'c dyn Fn() -> bool,
    ) -> Result<Session<'c>, RemoteError> {
        let remote = &self.workshop.remote;
        let program = remote.git().map_err(|source| RemoteError::NoGit {
            remote: self.remote.plain.clone(),
            source,
        })?;
        let RemoteOptions {
            proxies,
            ssh_agent,
            known_hosts,
            ..
        } = &remote.options;
        let variables = [
            ("http_proxy", &proxies.http),
            ("https_proxy", &proxies.https),
            ("no_proxy", &proxies.no_proxy),
        ];
        let set = |(name, value): (&'static str, &Option<String>)| Some((name, value.clone()?));
        let url = self.remote.url.as_ref();
        let authorization = url.and_then(|url| remote.git_credentials(url));
        let header = authorization.map(|credentials| SecretHeader {
            url: token_scope(&self.remote.plain).to_owned(),
            header: format!("Authorization: {}", credentials.authorization()),
        });
        let home = checkout::make_home(active)?;
        let settings = SessionSettings {
            access: RemoteAccess {
                remote: self.remote.plain.clone(),
                proxies: variables.into_iter().filter_map(set).collect(),
                ssh_agent: ssh_agent.clone(),
                known_hosts: known_hosts.clone(),
            },
            header,
            certificates: self.certificates(active)?,
        };
        Ok(Session::create(program, &home, &settings, cancelled)?)
    }

    /// Returns the file of certificates that are trusted, if they are not the machine's alone.
    fn certificates(&self, active: &ActiveSnapshot) -> Result<Option<PathBuf>, RemoteError> {
        let options = &self.workshop.remote.options;
        if options.authorities.is_empty() {
            return Ok(options.certificates.clone());
        }
        let texts = fetch::certificate_texts(&options.trusted()).map_err(RemoteError::Client)?;
        checkout::keep_certificates(active, &texts.concat()).map(Some)
    }

    /// Fetches the commit and checks it out.
    fn make(
        &self,
        git: &Session<'_>,
        active: ActiveSnapshot,
        resolved: &Resolved,
    ) -> Result<Checkout, RemoteError> {
        let id = self.snapshot_id(resolved)?;
        let store = &self.workshop.store;
        let cancelled = || self.workshop.cancel.is_cancelled();
        let claim = ClaimName::Key(&record_key(&id));
        let claim = store.claims().exclusive_or(claim, &cancelled)?;
        let _claim = claim.ok_or(RemoteError::Cancelled)?;
        if let Some(checkout) = self.find(resolved)? {
            return Ok(checkout);
        }
        let format = ObjectFormat::of(&resolved.commit).ok_or_else(|| RemoteError::NoCommit {
            remote: self.remote.plain.clone(),
            commit: resolved.commit.clone(),
        })?;
        let repository = self.fetch(git, resolved, format)?;
        let record = CheckoutRecord {
            commit_time: git.commit_time(repository.path(), &resolved.commit)?,
        };
        let files = Files {
            git,
            remote: &self.remote.plain,
            repository: repository.path(),
            format,
            resolved,
            submodules: self.source.submodules,
            keeps_git_dir: self.keeps_git_dir(),
            subdirectory: self.source.subdirectory.as_deref(),
            time: match self.source.times {
                graph::GitTimes::Checkout => self.workshop.clock.now().seconds(),
                graph::GitTimes::Commit => record.commit_time,
            },
        };
        files.check_out(&active)?;
        drop(repository);
        store.records().put(&record_key(&id), &record)?;
        let snapshot = active.commit(&id, SnapshotMeta::of(SnapshotKind::Files))?;
        Ok(of_snapshot(snapshot, resolved, &record))
    }

    /// Returns the repository of the remote with the commit in it.
    fn fetch(
        &self,
        git: &Session<'_>,
        resolved: &Resolved,
        format: ObjectFormat,
    ) -> Result<Repository, RemoteError> {
        let name = Digest::of(format!("{format:?} {}", self.remote.plain).as_bytes());
        let cancelled = || self.workshop.cancel.is_cancelled();
        let store = &self.workshop.store;
        let repository = store.repository(&name, &cancelled)?;
        let mut repository = repository.ok_or(RemoteError::Cancelled)?;
        match self.fill(git, &repository, resolved, format) {
            Err(RemoteError::Git(error)) if error.is_about_repository() => {
                // A git that was killed may have left a lock, and a disk may fail.
                tracing::debug!(%error, "repository made anew");
                store.clear_repository(&mut repository)?;
                self.fill(git, &repository, resolved, format)?;
            }
            filled => filled?,
        }
        Ok(repository)
    }

    /// Fetches as little as the server lets: one commit by its name, all commits of the name, everything.
    fn fill(
        &self,
        git: &Session<'_>,
        repository: &Repository,
        resolved: &Resolved,
        format: ObjectFormat,
    ) -> Result<(), RemoteError> {
        let path = repository.path();
        let commit = &resolved.commit;
        if repository.state() == RepositoryState::New {
            git.create_bare(path, format)?;
        } else if git.has_commit(path, commit)? {
            return Ok(());
        }
        let what = resolved.name.as_ref().unwrap_or(commit);
        let one = vec![format!("+{what}:refs/careen/{commit}")];
        let all = ["heads", "tags"].map(|kind| format!("+refs/{kind}/*:refs/careen/{kind}/*"));
        let ways = [
            (one.clone(), Depth::One),
            (one, Depth::All),
            (all.to_vec(), Depth::All),
        ];
        let mut refusal: Option<GitError> = None;
        for (what, depth) in ways {
            match git.fetch(path, &what, depth) {
                // What a name stands for may have changed since it was asked for.
                Ok(()) if git.has_commit(path, commit)? => return Ok(()),
                Ok(()) => {}
                Err(error) if error.is_refused_by_server() => refusal = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        tracing::debug!(?refusal, %commit, "no such commit");
        Err(RemoteError::NoCommit {
            remote: self.remote.plain.clone(),
            commit: commit.clone(),
        })
    }
}

/// Returns the URLs that see the secret of a remote: its own, since submodules may come from elsewhere. Those of
/// GitHub see that of each other, as they do with BuildKit.
fn token_scope(remote: &str) -> &str {
    let shared = ["https://github.com/", "https://www.github.com/"];
    let found = shared.into_iter().find(|start| remote.starts_with(start));
    found.unwrap_or(remote)
}

fn of_snapshot(snapshot: Snapshot, resolved: &Resolved, record: &CheckoutRecord) -> Checkout {
    let time = Timestamp::from_unix_seconds(record.commit_time);
    Checkout {
        path: snapshot.fs.shown().to_owned(),
        root: Arc::new(snapshot.fs),
        commit: resolved.commit.clone(),
        commit_time: time.unwrap_or(Timestamp::UNIX_EPOCH),
    }
}

fn record_key(id: &SnapshotId) -> Digest {
    Digest::of(format!("git checkout\0{id}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_a_commit_or_a_tag_or_the_start_of_one() {
        let resolved = Resolved {
            commit: "abcdef".to_owned(),
            name: Some("refs/tags/v1".to_owned()),
            object: Some("012345".to_owned()),
        };
        for (checksum, expected) in [("abc", true), ("0123", true), ("ABC", true), ("bcd", false)] {
            assert_eq!(resolved.is(checksum), expected, "{checksum}");
        }
    }

    #[test]
    fn a_password_is_no_part_of_the_url_that_git_gets() {
        for (remote, plain) in [
            ("https://u:p@e.com/r.git", "https://e.com/r.git"),
            ("https://%@e.com/r.git", "https://e.com/r.git"),
            ("ssh://git@e.com/r.git", "ssh://git@e.com/r.git"),
            ("ssh://git:p@e.com/r.git", "ssh://git@e.com/r.git"),
            ("git@e.com:r.git", "git@e.com:r.git"),
        ] {
            assert_eq!(RemoteUrl::new(remote).plain, plain);
        }
    }
}
