//! What a step asks of its sandbox, in the words of what makes sandboxes.

use graph::{SandboxSettings, SecurityMode};
use runtime::{Confinement, DEFAULT_SHARED_MEMORY_BYTES, LimitedResource, ResourceLimit};

use crate::job::CommandLimits;

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

/// Returns the limits of the command's processes: those of the step, then those of the job. A resource that the runtime
/// does not know was refused when the graph was made.
pub(super) fn limits(settings: &SandboxSettings, usual: &CommandLimits) -> Vec<ResourceLimit> {
    let limits = settings.limits.iter();
    let mut limits: Vec<ResourceLimit> = limits
        .filter_map(|limit| {
            Some(ResourceLimit {
                resource: LimitedResource::from_name(&limit.resource)?,
                soft: limit.soft,
                hard: limit.hard,
            })
        })
        .collect();
    let is_said = |limit: &ResourceLimit| limits.iter().any(|own| own.resource == limit.resource);
    let more: Vec<_> = usual
        .processes
        .iter()
        .copied()
        .filter(|limit| !is_said(limit))
        .collect();
    limits.extend(more);
    limits
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
        assert_eq!(limits(&settings, &CommandLimits::default()), []);
    }

    #[test]
    fn a_steps_own_limit_goes_before_that_of_the_job() {
        let of = |resource, soft| ResourceLimit {
            resource,
            soft: Some(soft),
            hard: None,
        };
        let usual = CommandLimits {
            processes: vec![
                of(LimitedResource::Processes, 9),
                of(LimitedResource::Core, 0),
            ],
            ..CommandLimits::default()
        };
        let settings = SandboxSettings {
            limits: vec![Limit {
                resource: "nproc".to_owned(),
                soft: Some(2),
                hard: None,
            }],
            ..SandboxSettings::default()
        };
        let expected = [
            of(LimitedResource::Processes, 2),
            of(LimitedResource::Core, 0),
        ];
        assert_eq!(limits(&settings, &usual), expected);
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
        assert_eq!(limits(&settings, &CommandLimits::default()), [expected]);
    }
}
