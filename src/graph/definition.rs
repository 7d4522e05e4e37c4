//! The whole graph of one build.

use std::collections::BTreeSet;

use crate::vertex::{Input, Vertex, VertexDigest, VertexId};

/// A checked, acyclic graph whose vertices stand after their inputs.
///
/// Made by [`crate::DefinitionBuilder`] alone, which is what makes the order and the checks hold.
#[derive(Debug, Clone, Default)]
pub struct Definition {
    pub(crate) vertices: Vec<Vertex>,
    pub(crate) digests: Vec<VertexDigest>,
    pub(crate) renewed: BTreeSet<VertexId>,
}

impl Definition {
    /// Returns the number of vertices.
    pub fn len(&self) -> usize {
        self.vertices.len()
    }

    /// Tells whether there is no vertex: the result is the empty file system.
    pub fn is_empty(&self) -> bool {
        self.vertices.is_empty()
    }

    /// Returns a vertex.
    ///
    /// # Panics
    ///
    /// When the id is of another definition.
    pub fn vertex(&self, id: VertexId) -> &Vertex {
        &self.vertices[id.index()]
    }

    /// Returns the digest of a vertex.
    ///
    /// # Panics
    ///
    /// When the id is of another definition.
    pub fn digest(&self, id: VertexId) -> &VertexDigest {
        &self.digests[id.index()]
    }

    /// Tells whether earlier results of a vertex do not count: it is carried out again.
    pub fn is_renewed(&self, id: VertexId) -> bool {
        self.renewed.contains(&id)
    }

    /// Returns every id, inputs before what is made from them.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = VertexId> + use<> {
        (0..self.vertices.len()).map(VertexId::new)
    }

    /// Returns the vertices that `id` is made from, without scratch.
    pub fn input_ids(&self, id: VertexId) -> impl Iterator<Item = VertexId> + '_ {
        self.vertex(id)
            .inputs
            .iter()
            .filter_map(|input| match input {
                Input::Scratch => None,
                Input::Vertex(input) => Some(*input),
            })
    }
}
