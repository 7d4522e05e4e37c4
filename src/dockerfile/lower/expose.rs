//! `EXPOSE port[/protocol] …`

use crate::ast::{ExposeInstruction, Word};
use crate::diagnostic::Diagnostic;
use crate::limits::MAX_EXPOSED_PORTS;
use crate::lower::stage_lowering::StageLowering;
use crate::lower::{Lowered, format};
use crate::ports::{PortError, parse_ports};

/// Names ports in the configuration. The words are taken in the order of their text, which is seen in the
/// history; each may expand into several.
pub(super) fn lower(stage: &mut StageLowering<'_>, expose: &ExposeInstruction) -> Lowered {
    let mut words: Vec<&Word> = expose.ports.iter().collect();
    words.sort_by(|a, b| a.value.cmp(&b.value));
    let mut ports = Vec::new();
    for word in words {
        let texts = stage.expand(word)?.words;
        let found = parse_ports(texts.iter().map(String::as_str));
        ports.extend(found.map_err(|error| fault(&error, word))?);
        if ports.len() > MAX_EXPOSED_PORTS {
            return Err(fault(&PortError::TooMany, word));
        }
    }
    let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
    stage
        .state
        .record(format!("EXPOSE {}", format::list(&ports)), true);
    stage.config().exposed_ports.extend(ports);
    Ok(())
}

fn fault(error: &PortError, word: &Word) -> Vec<Diagnostic> {
    vec![Diagnostic::error(error.to_string(), word.span)]
}
