//! Which file systems commands will see, and copies: those whose directories are needed sooner or later.

use graph::{Definition, Input, Op};

/// Tells of each vertex whether a command of the job, or a copy from its stage, sees its files, be it under those of
/// other steps.
pub fn seen_by_commands(definition: &Definition) -> Vec<bool> {
    let mut seen = vec![false; definition.len()];
    // Inputs stand before what is made from them.
    for id in definition.ids().rev() {
        let vertex = definition.vertex(id);
        let is_command = matches!(vertex.op, Op::Exec(_));
        for (place, input) in vertex.inputs.iter().enumerate() {
            // What is below a step is seen by whoever sees that step.
            let sees = is_command || place > 0 || seen[id.index()];
            if let Input::Vertex(input) = input {
                seen[input.index()] |= sees;
            }
        }
    }
    seen
}
