//! How a frontend makes a [`Definition`].

use std::collections::BTreeMap;

use oci::Digest;
use serde::Serialize;

use crate::cache_map::{CacheMap, InputKey};
use crate::definition::Definition;
use crate::mount::ExecMount;
use crate::op::{CopySource, ExecOp, FileAction, Op};
use crate::vertex::{Input, Vertex, VertexDigest, VertexId};

/// Collects vertices; two that are the same become one.
///
/// That is how a stage that runs on the build platform is run once for all target platforms.
#[derive(Debug, Default)]
pub struct DefinitionBuilder {
    definition: Definition,
    by_digest: BTreeMap<VertexDigest, VertexId>,
}

impl DefinitionBuilder {
    /// Starts an empty definition.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a vertex and returns its id; the id of the one that is there if it is the same.
    ///
    /// # Errors
    ///
    /// Fails when an input is not there yet, or the op does not take that many inputs.
    pub fn add(&mut self, vertex: Vertex) -> Result<VertexId, DefinitionError> {
        self.check_inputs(&vertex)?;
        let digest = self.digest(&vertex);
        if let Some(id) = self.by_digest.get(&digest) {
            return Ok(*id);
        }
        let id = VertexId::new(self.definition.vertices.len());
        self.definition.vertices.push(vertex);
        self.definition.digests.push(digest.clone());
        self.by_digest.insert(digest, id);
        Ok(id)
    }

    /// Makes a vertex be carried out again, whatever the cache has, and all whose keys follow from its key.
    /// It is no part of any digest or key.
    pub fn renew(&mut self, id: VertexId) {
        self.definition.renewed.insert(id);
    }

    /// Returns what was collected.
    pub fn finish(mut self) -> Definition {
        // What takes part by its key would be found by that, whatever was made anew below it.
        for id in self.definition.ids() {
            if self.stands_on_renewed(id) {
                self.definition.renewed.insert(id);
            }
        }
        self.definition
    }

    fn stands_on_renewed(&self, id: VertexId) -> bool {
        let vertex = self.definition.vertex(id);
        let parts = CacheMap::of(vertex).map(|map| map.inputs);
        let mut inputs = vertex.inputs.iter().zip(parts.unwrap_or_default());
        inputs.any(|(input, part)| match (input, part) {
            (Input::Vertex(input), InputKey::Key) => self.definition.is_renewed(*input),
            (Input::Vertex(_), InputKey::KeyThenContent) | (Input::Scratch, _) => false,
        })
    }

    fn check_inputs(&self, vertex: &Vertex) -> Result<(), DefinitionError> {
        let found = vertex.inputs.len();
        let allowed = match &vertex.op {
            Op::Source(_) => 0..=0,
            Op::Exec(exec) => 1 + mounted_inputs(exec)..=1 + mounted_inputs(exec),
            Op::File(file) => 1..=copied_inputs(&file.action),
        };
        if !allowed.contains(&found) {
            return Err(DefinitionError::InputCount { found });
        }
        let known = self.definition.len();
        let unknown = vertex.inputs.iter().any(|input| match input {
            Input::Scratch => false,
            Input::Vertex(id) => id.index() >= known,
        });
        if unknown {
            Err(DefinitionError::UnknownInput)
        } else {
            Ok(())
        }
    }

    fn digest(&self, vertex: &Vertex) -> VertexDigest {
        #[derive(Serialize)]
        struct Digested<'a> {
            op: &'a Op,
            platform: &'a oci::Platform,
            inputs: Vec<Option<&'a VertexDigest>>,
        }
        let inputs = vertex.inputs.iter().map(|input| match input {
            Input::Scratch => None,
            Input::Vertex(id) => Some(self.definition.digest(*id)),
        });
        let digested = Digested {
            op: &vertex.op,
            platform: &vertex.platform,
            inputs: inputs.collect(),
        };
        let text = serde_json::to_vec(&digested)
            .expect("an op is made of strings, numbers and lists, which JSON can hold");
        VertexDigest(Digest::of(&text))
    }
}

/// Returns how many inputs the mounts of a command have: each its own, from 1 on.
fn mounted_inputs(exec: &ExecOp) -> usize {
    exec.mounts
        .iter()
        .filter_map(ExecMount::input)
        .map(|(input, _)| input)
        .max()
        .unwrap_or(0)
}

/// Returns how many inputs a change of files has at most: what is changed, what is copied from, and what was fetched.
fn copied_inputs(action: &FileAction) -> usize {
    let FileAction::Copy(copy) = action else {
        return 2;
    };
    let remote = copy.sources.iter().filter_map(|source| match source {
        CopySource::Remote { input, .. } => Some(input + 1),
        CopySource::Path(_) | CopySource::Parents { .. } | CopySource::Inline { .. } => None,
    });
    remote.max().unwrap_or(2)
}

/// Why a vertex cannot be part of a definition: a fault of the frontend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// An input is not part of the definition, or stands after the vertex.
    #[error("an input of the vertex is not in the definition")]
    UnknownInput,
    /// The op does not take that many inputs.
    #[error("the vertex has {found} inputs, which its op does not take")]
    InputCount {
        /// The number of inputs that it has.
        found: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::{LocalSource, SourceOp};
    use crate::vertex::StepLabel;

    fn local(name: &str, line: usize) -> Vertex {
        let source = LocalSource {
            name: name.to_owned(),
            ignore: Vec::new(),
        };
        Vertex {
            op: Op::Source(SourceOp::Local(source)),
            inputs: Vec::new(),
            platform: oci::Platform::new("linux", "amd64"),
            label: StepLabel {
                line,
                ..StepLabel::default()
            },
        }
    }

    #[test]
    fn equal_vertices_are_one_whatever_their_labels() {
        let mut builder = DefinitionBuilder::new();
        let first = builder.add(local("context", 1)).unwrap();
        let again = builder.add(local("context", 2)).unwrap();
        let other = builder.add(local("other", 1)).unwrap();
        assert_eq!(first, again);
        assert_ne!(first, other);
        assert_eq!(builder.finish().len(), 2);
    }

    #[test]
    fn an_input_must_be_there_first() {
        let mut builder = DefinitionBuilder::new();
        let mut vertex = local("context", 1);
        vertex.inputs = vec![Input::Scratch];
        assert_eq!(
            builder.add(vertex),
            Err(DefinitionError::InputCount { found: 1 })
        );
    }
}
