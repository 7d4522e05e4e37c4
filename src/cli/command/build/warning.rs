//! Warnings about what the user said: what changes nothing, or means something else than it seems to.

use solver::Events;

use crate::env::Environment;
use crate::options::BuildOptions;

/// Warns of what the options know already.
pub(super) fn of_options(options: &BuildOptions, env: &Environment, events: &Events) {
    let of_sandbox = options.sandbox.warnings.iter();
    for warning in of_sandbox.chain(&options.progress.warnings) {
        events.warn(warning.clone());
    }
    for name in &env.buildx.idle {
        let text = format!("`{name}` is not supported yet, and changes nothing");
        events.warn(text);
    }
}
