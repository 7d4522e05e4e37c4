//! What a `RUN` asks of its sandbox: network and security mode, which the user may have to allow.

use graph::SandboxSettings;

use crate::ast::{NetworkMode, RunInstruction, SecurityMode};
use crate::diagnostic::Diagnostic;
use crate::lower::Lowered;
use crate::lower::stage_lowering::StageLowering;
use crate::source::Span;
use crate::stage::Entitlement;

/// Returns the network that the command sees.
pub(super) fn network(stage: &StageLowering<'_>, run: &RunInstruction) -> graph::NetworkMode {
    match run.network.as_ref().map(|mode| mode.value) {
        None | Some(NetworkMode::Default) => stage.plan.options.network,
        Some(NetworkMode::None) => graph::NetworkMode::None,
        Some(NetworkMode::Host) => graph::NetworkMode::Host,
    }
}

/// Returns what else is asked for: what every command of the build has, and its own security mode.
pub(super) fn settings(stage: &StageLowering<'_>, run: &RunInstruction) -> SandboxSettings {
    let insecure = run
        .security
        .as_ref()
        .is_some_and(|mode| mode.value == SecurityMode::Insecure);
    SandboxSettings {
        security: if insecure {
            graph::SecurityMode::Insecure
        } else {
            graph::SecurityMode::Sandbox
        },
        ..stage.plan.options.sandbox.clone()
    }
}

/// Refuses what the user has not allowed.
pub(super) fn check(stage: &StageLowering<'_>, run: &RunInstruction) -> Lowered {
    let host = run.network.iter();
    let host = host.filter(|mode| mode.value == NetworkMode::Host);
    let insecure = run.security.iter();
    let insecure = insecure.filter(|mode| mode.value == SecurityMode::Insecure);
    let host = host.map(|mode| (Entitlement::NetworkHost, mode.span));
    let insecure = insecure.map(|mode| (Entitlement::SecurityInsecure, mode.span));
    let faults: Vec<_> = host
        .chain(insecure)
        .filter(|(wanted, _)| !stage.plan.options.entitlements.contains(wanted))
        .map(|(wanted, span)| refusal(wanted, span))
        .collect();
    if faults.is_empty() {
        Ok(())
    } else {
        Err(faults)
    }
}

/// The title has `BuildKit`'s words, for which people search.
fn refusal(wanted: Entitlement, span: Span) -> Diagnostic {
    let name = wanted.name();
    Diagnostic::error(format!("the entitlement {name} is not allowed"), span)
        .with_label("asks for it")
        .with_help(format!("`--allow {name}` allows it for this build"))
}
