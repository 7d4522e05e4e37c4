//! A vertex of the graph: an op, its inputs, and the digest that identifies it.

use std::fmt;

use oci::{Digest, Platform};
use serde::{Deserialize, Serialize};

use crate::op::Op;

/// The place of a vertex in its [`crate::Definition`]. Inputs always have lower ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct VertexId(usize);

impl VertexId {
    /// Makes the id of the vertex at `index` of a definition.
    pub fn new(index: usize) -> Self {
        Self(index)
    }

    /// Returns the index in the definition.
    pub fn index(self) -> usize {
        self.0
    }
}

/// What a vertex is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Input {
    /// The empty file system: `FROM scratch`.
    Scratch,
    /// The result of another vertex.
    Vertex(VertexId),
}

/// One op, its inputs and its platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vertex {
    /// What is done.
    pub op: Op,
    /// What it is done to, in the order that [`Op`] documents.
    pub inputs: Vec<Input>,
    /// The platform whose programs run, and whose images are taken.
    pub platform: Platform,
    /// How the step is called in displays; not part of any digest or key.
    pub label: StepLabel,
}

/// How a vertex is shown to the user.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StepLabel {
    /// The stage's name, or `stage-` and its number; empty if the Dockerfile has one stage.
    pub stage: String,
    /// The step's place among those of its stage, from 1; 0 for what is no step of a stage.
    pub index: usize,
    /// The number of steps of the stage.
    pub count: usize,
    /// The instruction's text.
    pub text: String,
    /// First line of the instruction in the Dockerfile, from 1; 0 when there is none.
    pub line: usize,
    /// The platform, when the build has several, as `linux/arm64`, or
    /// `linux/amd64->arm64` of a step that runs on one platform and is made for another.
    pub platform: Option<String>,
}

impl fmt::Display for StepLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.index == 0 {
            return f.write_str(&self.text);
        }
        f.write_str("[")?;
        let stage = (!self.stage.is_empty()).then_some(&self.stage);
        for word in self.platform.iter().chain(stage) {
            write!(f, "{word} ")?;
        }
        write!(f, "{}/{}] {}", self.index, self.count, self.text)
    }
}

/// The digest of a vertex's definition: op, platform and the digests of its inputs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct VertexDigest(pub Digest);

impl fmt::Display for VertexDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_has_what_distinguishes_it() {
        let label = |stage: &str, platform: Option<&str>, index| StepLabel {
            stage: stage.to_owned(),
            index,
            count: 3,
            text: "RUN x".to_owned(),
            line: 1,
            platform: platform.map(str::to_owned),
        };
        for (label, expected) in [
            (label("", None, 1), "[1/3] RUN x"),
            (label("base", None, 2), "[base 2/3] RUN x"),
            (label("", Some("linux/arm64"), 2), "[linux/arm64 2/3] RUN x"),
            (
                label("base", Some("linux/arm64"), 2),
                "[linux/arm64 base 2/3] RUN x",
            ),
            (label("base", None, 0), "RUN x"),
        ] {
            assert_eq!(label.to_string(), expected);
        }
    }
}
