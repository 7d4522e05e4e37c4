//! `--progress=rawjson`: BuildKit's `SolveStatus` (client/graph.go), a JSON object a line.
//!
//! | Event | In the object |
//! | --- | --- |
//! | `Planned`, `Started`, `Finished`, `Failed` | `vertexes`: the vertex with all that is known of it by then |
//! | `Progress` | `statuses`, by the text of what is moved |
//! | `Output` | `logs`, with `data` in base64 |
//! | `Warning`, `Notice` | `warnings`, with `short` and `detail` in base64 |
//!
//! A vertex is named by its digest; a step that is no vertex has one that is made of its name.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use fetch::base64;
use oci::{Digest, Timestamp};
use serde::Serialize;
use solver::event::{Moved, Origin, OutputStream, StepId};
use solver::{Event, TimedEvent};

/// The words for work that statuses have as a name of their own.
const WORK: [&str; 2] = ["transferring", "extracting"];

/// The level of all warnings: that of BuildKit's checks.
const WARNING_LEVEL: u32 = 1;

#[derive(Debug, Default, Serialize)]
struct Status<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    vertexes: Option<[&'a Vertex; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    statuses: Option<[VertexStatus<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logs: Option<[VertexLog<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warnings: Option<[VertexWarning; 1]>,
}

#[derive(Debug, Default, Serialize)]
struct Vertex {
    digest: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    inputs: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed: Option<String>,
    #[serde(skip_serializing_if = "is_not")]
    cached: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    error: String,
    /// When its things began that are told of on their own.
    #[serde(skip)]
    begun: BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
struct VertexStatus<'a> {
    id: &'a str,
    vertex: &'a str,
    /// What is done, for kinds of work that BuildKit has a word for.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "is_zero")]
    total: u64,
    current: u64,
    timestamp: &'a str,
    started: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct VertexLog<'a> {
    vertex: &'a str,
    stream: u32,
    data: String,
    timestamp: &'a str,
}

#[derive(Debug, Serialize)]
struct VertexWarning {
    level: u32,
    short: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    detail: Vec<String>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks with a reference"
)]
fn is_not(value: &bool) -> bool {
    !value
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks with a reference"
)]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// Renders events as JSON.
#[derive(Debug)]
pub(super) struct RawJson {
    start: Timestamp,
    vertices: BTreeMap<StepId, Vertex>,
}

impl RawJson {
    /// Begins; events happen so long after `start`.
    pub(super) fn new(start: Timestamp) -> Self {
        Self {
            start,
            vertices: BTreeMap::new(),
        }
    }

    /// Writes what an event says.
    pub(super) fn render(&mut self, timed: &TimedEvent, out: &mut dyn Write) -> io::Result<()> {
        let at = self.time(timed.at);
        match &timed.event {
            Event::Planned {
                step,
                label,
                inputs,
            } => {
                let vertex = self.vertex(step);
                vertex.name = label.to_string();
                vertex.inputs = inputs.iter().map(digest).collect();
                told(vertex, out)
            }
            Event::Started { step, name } => {
                let vertex = self.named(step, name);
                vertex.started = Some(at);
                told(vertex, out)
            }
            Event::Finished { step, name, origin } => {
                let vertex = self.ended(step, name, at);
                vertex.cached = *origin == Origin::Cached;
                told(vertex, out)
            }
            Event::Failed { step, name, error } => {
                let vertex = self.ended(step, name, at);
                vertex.error.clone_from(error);
                told(vertex, out)
            }
            Event::Cancelled { step, name } => {
                let vertex = self.ended(step, name, at);
                // What readers of BuildKit's look for at the end of an error.
                "context canceled".clone_into(&mut vertex.error);
                told(vertex, out)
            }
            Event::Output { step, stream, text } => self.output(step, (*stream, text), &at, out),
            Event::Progress {
                step,
                what,
                bytes,
                done,
            } => self.progress(step, (what, *bytes, *done), &at, out),
            // BuildKit tells nothing of them.
            Event::Keyed { .. }
            | Event::Layers { .. }
            | Event::Packed { .. }
            | Event::Waited { .. } => Ok(()),
            Event::Warning { text } => warning(text, &[], out),
            Event::Notice { short, text, .. } => {
                let detail: Vec<_> = text.lines().collect();
                warning(short, &detail, out)
            }
        }
    }

    fn time(&self, at: Duration) -> String {
        self.start.later_by(at).to_string()
    }

    fn vertex(&mut self, step: &StepId) -> &mut Vertex {
        let new = || Vertex {
            digest: digest(step),
            ..Vertex::default()
        };
        self.vertices.entry(step.clone()).or_insert_with(new)
    }

    fn named(&mut self, step: &StepId, name: &str) -> &mut Vertex {
        let vertex = self.vertex(step);
        name.clone_into(&mut vertex.name);
        // It may be done once more.
        (vertex.completed, vertex.cached) = (None, false);
        vertex.error.clear();
        vertex
    }

    fn ended(&mut self, step: &StepId, name: &str, at: String) -> &mut Vertex {
        let vertex = self.named(step, name);
        vertex.started.get_or_insert_with(|| at.clone());
        vertex.completed = Some(at);
        vertex
    }

    fn output(
        &mut self,
        step: &StepId,
        (stream, text): (OutputStream, &[u8]),
        timestamp: &str,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let log = VertexLog {
            vertex: &self.vertex(step).digest,
            stream: match stream {
                OutputStream::Stdout => 1,
                OutputStream::Stderr => 2,
            },
            data: base64(text),
            timestamp,
        };
        let logs = Some([log]);
        line(
            &Status {
                logs,
                ..Status::default()
            },
            out,
        )
    }

    fn progress(
        &mut self,
        step: &StepId,
        (what, bytes, done): (&str, Option<Moved>, bool),
        timestamp: &str,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let vertex = self.vertex(step);
        let begun = vertex.begun.entry(what.to_owned());
        let started = &*begun.or_insert_with(|| timestamp.to_owned());
        let status = VertexStatus {
            id: what,
            vertex: &vertex.digest,
            name: WORK.into_iter().find(|name| what.starts_with(name)),
            total: bytes.and_then(|bytes| bytes.total).unwrap_or(0),
            current: bytes.map_or(0, |bytes| bytes.current),
            timestamp,
            started,
            completed: done.then_some(timestamp),
        };
        let statuses = Some([status]);
        line(
            &Status {
                statuses,
                ..Status::default()
            },
            out,
        )
    }
}

fn told(vertex: &Vertex, out: &mut dyn Write) -> io::Result<()> {
    let vertexes = Some([vertex]);
    line(
        &Status {
            vertexes,
            ..Status::default()
        },
        out,
    )
}

fn warning(short: &str, detail: &[&str], out: &mut dyn Write) -> io::Result<()> {
    let warning = VertexWarning {
        level: WARNING_LEVEL,
        short: base64(short.as_bytes()),
        detail: detail.iter().map(|line| base64(line.as_bytes())).collect(),
    };
    let warnings = Some([warning]);
    line(
        &Status {
            warnings,
            ..Status::default()
        },
        out,
    )
}

fn line(status: &Status<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut text = serde_json::to_vec(status)?;
    text.push(b'\n');
    out.write_all(&text)
}

/// Returns the digest of a step: its own, or one of its name.
fn digest(step: &StepId) -> String {
    match step.0.parse::<Digest>() {
        Ok(digest) => digest.to_string(),
        Err(_) => Digest::of(step.0.as_bytes()).to_string(),
    }
}

#[cfg(test)]
mod tests;
