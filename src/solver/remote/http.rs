//! A file that a server has: as a blob of the store.

use std::io::{self, Write as _};
use std::sync::Arc;

use fetch::{Downgrade, Downloaded, FetchError, Method, Request, Response, Sink, Url};
use graph::HttpSource;
use graph::userinfo::without_secret;
use oci::{Digest, Timestamp, VerifyError};
use rootfs::{File, FsError, Root, RootPath};
use serde::{Deserialize, Serialize};
use store::{BlobSource as _, ClaimName, Ingest, IngestError, ObjectId, Presence};

use super::RemoteError;
use crate::cancel::Cancellable;
use crate::job::Workshop;

/// A file that was fetched, now or earlier. The job's lease keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedFile {
    /// The digest of its blob.
    pub digest: Digest,
    /// Its size, in bytes.
    pub size_bytes: u64,
    /// The last component of the URL's path, if it has one. It is a stranger's word.
    pub file_name: Option<String>,
    /// What the server says it is.
    pub content_type: Option<String>,
    /// When it was changed last, if the server says so.
    pub last_modified: Option<Timestamp>,
}

impl FetchedFile {
    /// Opens the file.
    ///
    /// # Errors
    ///
    /// Fails when somebody removed it.
    pub fn open(&self, workshop: &Workshop) -> Result<File, RemoteError> {
        let (root, path) = self.place(workshop)?;
        Ok(root.open_file_nofollow(&path)?)
    }

    /// Returns where the file is: a directory, and its path there.
    ///
    /// # Errors
    ///
    /// Fails when no more descriptors can be had.
    pub fn place(&self, workshop: &Workshop) -> Result<(Arc<Root>, RootPath), RemoteError> {
        let root = workshop.store.content().root().try_clone()?;
        let algorithm = self.digest.algorithm().as_str();
        let path = RootPath::strict(format!("blobs/{algorithm}/{}", self.digest.encoded()))
            .map_err(FsError::from)?;
        Ok((Arc::new(root), path))
    }
}

/// What a URL led to the last time.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct HttpRecord {
    digest: Digest,
    size_bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    /// Seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_modified: Option<i64>,
}

impl HttpRecord {
    fn into_file(self, url: &Url) -> FetchedFile {
        let time = self.last_modified;
        FetchedFile {
            digest: self.digest,
            size_bytes: self.size_bytes,
            file_name: url.file_name(),
            content_type: self.content_type,
            last_modified: time.and_then(|seconds| Timestamp::from_unix_seconds(seconds).ok()),
        }
    }
}

/// Fetches a file, unless the store has the one that is meant.
///
/// # Errors
///
/// Fails when the server cannot be reached or does not give the file, when it is not the one that was asked for, and
/// when the store cannot hold it.
pub fn fetch_http(workshop: &Workshop, source: &HttpSource) -> Result<FetchedFile, RemoteError> {
    let url = Url::parse(&source.url).map_err(|error| RemoteError::Url {
        url: without_secret(&source.url),
        source: error,
    })?;
    let key = Digest::of(format!("http\0{}", url.with_userinfo()).as_bytes());
    let cancelled = || workshop.cancel.is_cancelled();
    let claims = workshop.store.claims();
    let claim = claims.exclusive_or(ClaimName::Key(&key), &cancelled)?;
    let _claim = claim.ok_or(RemoteError::Cancelled)?;
    let transfer = Transfer {
        workshop,
        source,
        url: &url,
    };
    let known = transfer.known(&key)?;
    if let (Some(record), Some(_)) = (&known, &source.checksum) {
        return Ok(record.clone().into_file(&url));
    }
    let record = transfer.fetch(known)?;
    // What cannot be remembered is fetched again the next time.
    if let Err(error) = workshop.store.records().put(&key, &record) {
        tracing::debug!(%error, "fetched file not remembered");
    }
    Ok(record.into_file(&url))
}

struct Transfer<'a> {
    workshop: &'a Workshop,
    source: &'a HttpSource,
    url: &'a Url,
}

impl Transfer<'_> {
    /// Returns what is known of the file, if its blob is there and whole. With a checksum, any file of that digest is
    /// the one, whatever it was fetched from.
    fn known(&self, key: &Digest) -> Result<Option<HttpRecord>, RemoteError> {
        let record = self.workshop.store.records().get::<HttpRecord>(key)?;
        let digest = match (&self.source.checksum, &record) {
            (Some(checksum), _) => checksum.clone(),
            (None, Some(record)) => record.digest.clone(),
            (None, None) => return Ok(None),
        };
        let Some(size_bytes) = self.stored_size(&digest)? else {
            return Ok(None);
        };
        let record = record.filter(|record| record.digest == digest);
        Ok(Some(record.unwrap_or(HttpRecord {
            digest,
            size_bytes,
            etag: None,
            content_type: None,
            last_modified: None,
        })))
    }

    /// Returns the size of a blob that is there and is what its name says.
    fn stored_size(&self, digest: &Digest) -> Result<Option<u64>, RemoteError> {
        let object = ObjectId::Blob(digest.clone());
        if self.workshop.lease.hold(&object)? == Presence::Absent {
            return Ok(None);
        }
        let content = self.workshop.store.content();
        let Ok(Some(size_bytes)) = content.has(digest) else {
            return Ok(None);
        };
        let Ok(reader) = content.open_blob(digest, size_bytes) else {
            return Ok(None);
        };
        let cancel = &self.workshop.cancel;
        let read = io::copy(&mut Cancellable::new(reader, cancel), &mut io::sink());
        if cancel.is_cancelled() {
            return Err(RemoteError::Cancelled);
        }
        // A damaged one is fetched again.
        Ok(read.ok().map(|_| size_bytes))
    }

    /// Asks the server; what is known stays if the server says that it is unchanged.
    fn fetch(&self, known: Option<HttpRecord>) -> Result<HttpRecord, RemoteError> {
        let remote = &self.workshop.remote;
        let etag = known.as_ref().and_then(|record| record.etag.as_deref());
        let mut request = Request::new(Method::Get, self.url.clone());
        if let Some(etag) = etag {
            request = request.header("if-none-match", etag);
        }
        if let Some(credentials) = remote.http_credentials(self.url) {
            request = request.credentials(credentials);
        }
        if self.source.checksum.is_some() {
            request = request.downgrade(Downgrade::Allow);
        }
        let mut sink = BlobSink {
            workshop: self.workshop,
            ingest: None,
        };
        // Not every server that has tags looks at those it is sent.
        let is_unchanged = |head: &Response| {
            head.status() == 304 || (etag.is_some() && head.header("etag") == etag)
        };
        let limit_bytes = remote.options.file_limit_bytes;
        let is_wanted = |head: &Response| !is_unchanged(head);
        let client = remote.client()?;
        let downloaded = client.download(&request, limit_bytes, &is_wanted, &mut sink)?;
        match (known, sink.ingest) {
            (_, Some(ingest)) => self.keep(ingest, &downloaded),
            (Some(known), None) => Ok(known),
            (None, None) => Err(self.unasked(&downloaded)),
        }
    }

    fn keep(&self, ingest: Ingest, downloaded: &Downloaded) -> Result<HttpRecord, RemoteError> {
        let head = &downloaded.head;
        let expected = self.source.checksum.as_ref();
        let committed = ingest.commit(expected.map(|digest| (digest, downloaded.size_bytes)));
        let (digest, size_bytes) = committed.map_err(|error| self.refused(error))?;
        let header = |name| head.header(name).map(str::to_owned);
        Ok(HttpRecord {
            digest,
            size_bytes,
            etag: header("etag"),
            content_type: header("content-type"),
            last_modified: head
                .header("last-modified")
                .and_then(fetch::parse_http_date),
        })
    }

    fn refused(&self, error: IngestError) -> RemoteError {
        match error {
            IngestError::Unexpected(VerifyError::WrongDigest {
                expected, found, ..
            }) => RemoteError::Checksum {
                url: self.url.to_string(),
                expected,
                found,
            },
            error => error.into(),
        }
    }

    /// A server said that what it was not asked about is unchanged.
    fn unasked(&self, downloaded: &Downloaded) -> RemoteError {
        FetchError::Status {
            url: self.url.clone(),
            status: downloaded.head.status(),
            reason: "Not Modified, though nothing was known",
            retry_after: None,
        }
        .into()
    }
}

/// Writes a blob, from its beginning whenever the transfer begins anew.
struct BlobSink<'a> {
    workshop: &'a Workshop,
    ingest: Option<Ingest>,
}

impl Sink for BlobSink<'_> {
    fn restart(&mut self) -> io::Result<()> {
        let Workshop { store, lease, .. } = self.workshop;
        let ingest = store.content().ingest(lease).map_err(io::Error::other)?;
        self.ingest = Some(ingest);
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.ingest {
            Some(ingest) => ingest.write_all(bytes),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}
