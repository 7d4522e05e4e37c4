//! What a step asks of its sandbox, in the words of what makes sandboxes.

use graph::{SandboxSettings, SecurityMode};
use runtime::{Confinement, DEFAULT_SHARED_MEMORY_BYTES, LimitedResource, ResourceLimit};

/// Returns what keeps the command from the machine.
pub(super) fn confinement(settings: &SandboxSettings) -> Confinement {
    match settings.security {
        SecurityMode::Sandbox => Confinement::Container,
        SecurityMode::Insecure => Confinement::Namespace,
    }
}

/// Returns how much `/dev/shm` holds.
pub(super) fn shared_memory_bytes(settings: &SandboxSettings) -> u64 {
    settings
        .shared_memory_bytes
        .unwrap_or(DEFAULT_SHARED_MEMORY_BYTES)
}

/// Returns the limits of the command. A resource that the runtime does not know was refused when the
/// graph was made.
pub(super) fn limits(settings: &SandboxSettings) -> Vec<ResourceLimit> {
    let limits = settings.limits.iter();
    limits
        .filter_map(|limit| {
            Some(ResourceLimit {
                resource: LimitedResource::from_name(&limit.resource)?,
                soft: limit.soft,
                hard: limit.hard,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use graph::Limit;

    use super::*;

    #[test]
    fn a_step_that_asks_for_nothing_has_a_containers_sandbox() {
        let settings = SandboxSettings::default();
        assert_eq!(confinement(&settings), Confinement::Container);
        assert_eq!(shared_memory_bytes(&settings), 64 << 20);
        assert_eq!(limits(&settings), []);
    }

    #[test]
    fn what_a_step_asks_for_reaches_its_sandbox() {
        let settings = SandboxSettings {
            security: SecurityMode::Insecure,
            shared_memory_bytes: Some(1),
            limits: vec![Limit {
                resource: "nproc".to_owned(),
                soft: Some(2),
                hard: None,
            }],
            ..SandboxSettings::default()
        };
        assert_eq!(confinement(&settings), Confinement::Namespace);
        assert_eq!(shared_memory_bytes(&settings), 1);
        let expected = ResourceLimit {
            resource: LimitedResource::Processes,
            soft: Some(2),
            hard: None,
        };
        assert_eq!(limits(&settings), [expected]);
    }
}
