//! The keys of vertices: what they are made of, who sees them, and what becomes of them when one turns out to be another.

use std::cell::OnceCell;

use graph::{CacheKey, CacheMap, Input, InputKey, KeyInput, Op, SourceOp, VertexId};

use super::{Former, Machine, Phase};

/// What is known of the keys of a vertex beside its phase.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// How its key is made.
    map: OnceCell<Option<CacheMap>>,
    /// The key that others have taken into theirs.
    shown: Option<CacheKey>,
    /// The keys that it had before, or by which it was found.
    former: Vec<Former>,
    /// The key of an input turned out to be another while an action was under way.
    pub(super) is_stale: bool,
}

impl Keys {
    /// Notes keys that the vertex goes by no more.
    pub(super) fn note(&mut self, keys: [Option<Former>; 2]) {
        for key in keys.into_iter().flatten() {
            if !self.former.contains(&key) {
                self.former.push(key);
            }
        }
    }
}

impl Machine<'_> {
    /// Notes the key that others see. If it turns out to be another one, those that were keyed by the first are
    /// keyed anew.
    pub(super) fn show(&mut self, vertex: VertexId) {
        let phase = &self.phases[vertex.index()];
        let (Some(key), shown) = (phase.key(), &mut self.keys[vertex.index()].shown) else {
            return;
        };
        let is_certain = matches!(phase, Phase::Hit { .. } | Phase::Done { .. });
        let is_other = shown.as_ref().is_some_and(|shown| shown != key);
        if shown.is_some() && !(is_certain && is_other) {
            return;
        }
        *shown = Some(key.clone());
        if is_other {
            for index in 0..self.dependants[vertex.index()].len() {
                self.key_anew(self.dependants[vertex.index()][index]);
            }
        }
    }

    /// Forgets the keys of a vertex that was not found by them.
    pub(super) fn key_anew(&mut self, vertex: VertexId) {
        let keys = &mut self.keys[vertex.index()];
        let phase = &mut self.phases[vertex.index()];
        if let Some(open) = phase.open_keys() {
            keys.note(open);
            *phase = Phase::Unkeyed;
        } else if phase.is_outstanding() && !matches!(phase, Phase::Running { .. }) {
            keys.is_stale = true;
        }
    }

    /// Returns the keys that a vertex had before those of its inputs turned out to be others, or its result that of another
    /// key.
    pub fn former_keys(&self, vertex: VertexId) -> &[Former] {
        &self.keys[vertex.index()].former
    }

    pub(super) fn map(&self, id: VertexId) -> Option<&CacheMap> {
        let map = &self.keys[id.index()].map;
        map.get_or_init(|| CacheMap::of(self.definition.vertex(id)))
            .as_ref()
    }

    /// Returns the key that the definition of a copy, or of a command with mounts, gives without the content that it
    /// takes; none where there is no such key, or it is not known.
    pub fn definition_of(&self, id: VertexId) -> Option<CacheKey> {
        let map = CacheMap::of(self.definition.vertex(id))?;
        let inputs = self.key_inputs(id);
        let is_known = map.inputs.contains(&InputKey::KeyThenContent)
            && inputs.len() == self.definition.vertex(id).inputs.len();
        is_known.then(|| map.key(&inputs))
    }

    /// Returns the inputs that have a key of their own.
    pub(super) fn keyed_inputs(&self, id: VertexId) -> Vec<VertexId> {
        let inputs = self.definition.input_ids(id);
        inputs.filter(|id| !self.is_keyless(*id)).collect()
    }

    /// Returns the keys that the inputs give, as far as they have them.
    pub(super) fn key_inputs(&self, id: VertexId) -> Vec<KeyInput> {
        let inputs = self.definition.vertex(id).inputs.iter();
        let keys = inputs.filter_map(|input| match input {
            Input::Scratch => Some(KeyInput::Scratch),
            Input::Vertex(input) => self.phase(*input).key().cloned().map(KeyInput::Key),
        });
        keys.collect()
    }

    /// Returns what input 0 gives to the key, if it has one.
    pub fn below_key(&self, id: VertexId) -> Option<KeyInput> {
        match self.definition.vertex(id).inputs.first()? {
            Input::Scratch => Some(KeyInput::Scratch),
            Input::Vertex(below) => self.phase(*below).key().cloned().map(KeyInput::Key),
        }
    }

    /// Returns the inputs of which the content may stand in the place of the key: what a copy copies from
    /// and what a command mounts. That of a command always has a key of its own.
    pub(super) fn content_sources(&self, id: VertexId) -> Vec<VertexId> {
        let Some(map) = self.map(id) else {
            return Vec::new();
        };
        let inputs = &self.definition.vertex(id).inputs;
        let parts = inputs.iter().zip(&map.inputs);
        let sources = parts.filter_map(|(input, part)| match (input, part) {
            (Input::Vertex(source), InputKey::KeyThenContent) => Some(*source),
            (Input::Vertex(_), InputKey::Key) | (Input::Scratch, _) => None,
        });
        sources.collect()
    }

    /// Tells whether nothing but its files can stand for a vertex.
    pub(super) fn is_keyless(&self, id: VertexId) -> bool {
        match &self.definition.vertex(id).op {
            Op::Source(SourceOp::Local(_) | SourceOp::Http(_) | SourceOp::Git(_)) => true,
            Op::Source(SourceOp::Image(_)) | Op::Exec(_) | Op::File(_) => false,
        }
    }
}
