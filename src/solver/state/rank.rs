//! How much work comes after each vertex: the longest way from it to a target. What has the longest begins first.

use graph::{Definition, Input, VertexId};

/// Returns the length of the longest way that begins with each vertex, its own length included.
pub fn ranks<L: Fn(VertexId) -> u64>(definition: &Definition, length: L) -> Vec<u64> {
    let mut ranks = vec![0_u64; definition.len()];
    // Inputs stand before what is made from them.
    for id in definition.ids().rev() {
        let own = length(id).saturating_add(ranks[id.index()]);
        ranks[id.index()] = own;
        for input in &definition.vertex(id).inputs {
            if let Input::Vertex(input) = input {
                let after = &mut ranks[input.index()];
                *after = own.max(*after);
            }
        }
    }
    ranks
}
