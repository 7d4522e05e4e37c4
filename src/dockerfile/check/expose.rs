//! `ExposeProtoCasing` and `ExposeInvalidFormat`: words of `EXPOSE` that are tolerated.

use crate::ast::Word;
use crate::check::{Rule, Site};
use crate::ports::parse_port_spec;

/// Finds a protocol with capitals, and addresses or ports of the host, which mean nothing here. `text` is what `word`
/// expands to; one that is no port is an error elsewhere.
pub(crate) fn expose(text: &str, word: &Word, at: &mut Site<'_>) {
    let Ok(spec) = parse_port_spec(text) else {
        return;
    };
    if spec.capitals {
        let detail = format!("Defined protocol '{text}' in EXPOSE instruction should be lowercase");
        at.find(Rule::ExposeProtoCasing, detail, word.span);
    }
    if spec.names_host {
        let detail = format!(
            "EXPOSE instruction should not define an IP address or host-port mapping, found '{text}'"
        );
        at.find(Rule::ExposeInvalidFormat, detail, word.span);
    }
}
