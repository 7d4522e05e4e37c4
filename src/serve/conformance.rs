//! The sentences of the distribution specification 1.1, each as a test that speaks HTTP by itself.
//!
//! A test is named after what the registry must or should do; the section stands above it. What clients must do is
//! no business of these tests. `layout` and `wire` test what is promised beyond the specification.

mod discovery;
mod layout;
mod management;
mod pull;
mod push;
mod put;
mod wire;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use oci::Digest;
use oci::media_type::{OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{Access, Answered, Registry, Server};

/// A registry that listens, and the directory that it serves.
struct Served {
    directory: TempDir,
    address: SocketAddr,
    /// What the log is told; a lock, since some tests ask from several threads.
    log: Mutex<Receiver<Answered>>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Returns the code of the error, and checks its form.
    fn code(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            Some("application/json"),
            "{self:?}"
        );
        let document = self.json();
        let error = &document["errors"][0];
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{document}"
        );
        error["code"].as_str().unwrap().to_owned()
    }
}

impl Served {
    fn start() -> Self {
        Self::over(tempfile::tempdir().unwrap(), Access::ReadWrite)
    }

    fn over(directory: TempDir, access: Access) -> Self {
        let (registry, _) = Registry::open(directory.path(), access).unwrap();
        let server = Server::open((Ipv4Addr::LOCALHOST, 0).into(), registry).unwrap();
        let (address, (sender, log)) = (server.address(), mpsc::channel());
        // The test may have ended.
        let keep = move |answered: &Answered| drop(sender.send(answered.clone()));
        // The thread ends with the program: nothing would wake it up before.
        thread::spawn(move || server.run(&(Arc::new(keep) as crate::Log)));
        Self {
            directory,
            address,
            log: Mutex::new(log),
        }
    }

    /// Returns what the log is told next.
    fn logged(&self) -> Answered {
        let log = self.log.lock().unwrap();
        log.recv_timeout(Duration::from_mins(1)).unwrap()
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_mins(1)))
            .unwrap();
        stream
    }

    /// Asks on a connection of its own.
    fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut stream = self.connect();
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n");
        for (name, value) in headers {
            head.push_str(&[*name, ": ", *value, "\r\n"].concat());
        }
        if !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH") {
            head.push_str(&["Content-Length: ", &body.len().to_string(), "\r\n"].concat());
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        // A body may be refused before all of it was sent.
        drop(stream.write_all(body));
        read_answer(&mut BufReader::new(stream), method)
    }

    fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, &[], b"")
    }

    fn head(&self, target: &str) -> Answer {
        self.ask("HEAD", target, &[], b"")
    }

    /// Pushes a blob.
    fn push_blob(&self, repository: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        let target = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        let answer = self.ask("POST", &target, &[], bytes);
        assert_eq!(answer.status, 201, "{answer:?}");
        digest
    }

    fn begin_upload(&self, repository: &str) -> String {
        let answer = self.ask(
            "POST",
            &format!("/v2/{repository}/blobs/uploads/"),
            &[],
            b"",
        );
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.header("location").unwrap().to_owned()
    }

    fn put_manifest(&self, repository: &str, reference: &str, bytes: &[u8]) -> Answer {
        let target = format!("/v2/{repository}/manifests/{reference}");
        self.ask("PUT", &target, &[], bytes)
    }

    /// Pushes an image of one layer and returns its manifest.
    fn push_image(&self, repository: &str, reference: &str, text: &str) -> Vec<u8> {
        self.push_blob(repository, b"{}");
        self.push_blob(repository, text.as_bytes());
        let manifest = image(text.as_bytes());
        let answer = self.put_manifest(repository, reference, &manifest);
        assert_eq!(answer.status, 201, "{answer:?}");
        manifest
    }
}

/// Reads one answer from a connection.
fn read_answer<R: Read>(reader: &mut BufReader<R>, method: &str) -> Answer {
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    };
    let first = line();
    let status: u16 = first.split(' ').nth(1).unwrap_or_default().parse().unwrap();
    let mut headers = BTreeMap::new();
    loop {
        let line = line();
        let Some((name, value)) = line.split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers
        .get("content-length")
        .map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; if method == "HEAD" { 0 } else { length }];
    reader.read_exact(&mut body).unwrap();
    Answer {
        status,
        headers,
        body,
    }
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({
        "mediaType": media_type,
        "digest": Digest::of(bytes).as_str(),
        "size": bytes.len(),
    })
}

/// Returns the manifest of an image of one layer, with an empty configuration.
fn image(layer: &[u8]) -> Vec<u8> {
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(OCI_CONFIG, b"{}"),
        "layers": [descriptor(OCI_LAYER, layer)],
    });
    manifest.to_string().into_bytes()
}

/// Returns an index of manifests.
fn index(manifests: &[&[u8]]) -> Vec<u8> {
    let manifests = manifests
        .iter()
        .map(|bytes| descriptor(OCI_MANIFEST, bytes));
    let index = json!({
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": manifests.collect::<Vec<_>>(),
    });
    index.to_string().into_bytes()
}
