//! What is asked for of the sandboxes of commands, put together.

use std::collections::BTreeSet;

use dockerfile::stage::Entitlement;
use graph::{SandboxSettings, SecurityMode};

use super::hosts::Resolver;
use super::resources::ResourceOptions;
use super::{UsageError, allow, hosts, limits};
use crate::args::{NetworkArgument, SandboxArguments};

/// What a build asks of the sandboxes of its commands.
#[derive(Debug, Clone, Default)]
pub struct SandboxOptions {
    /// What the Dockerfile may ask for.
    pub entitlements: BTreeSet<Entitlement>,
    /// What each command has.
    pub settings: SandboxSettings,
    /// What commands have in `/etc/resolv.conf`.
    pub resolver: Resolver,
    /// What the processes of each command may use together.
    pub resources: ResourceOptions,
    /// What is to be told of arguments that change nothing.
    pub warnings: Vec<String>,
}

impl SandboxOptions {
    pub(super) fn new(
        arguments: &SandboxArguments,
        network: Option<NetworkArgument>,
    ) -> Result<Self, UsageError> {
        let SandboxArguments {
            dns,
            dns_options,
            dns_search,
            ..
        } = arguments;
        Ok(Self {
            entitlements: allow::entitlements(&arguments.allow, network)?,
            settings: SandboxSettings {
                // A step's own flag decides.
                security: SecurityMode::Sandbox,
                extra_hosts: hosts::extra_hosts(&arguments.add_hosts)?,
                shared_memory_bytes: limits::shared_memory_bytes(arguments.shm_size.as_deref())?,
                limits: limits::limits(&arguments.ulimits)?,
                cgroup_parent: arguments.cgroup_parent.clone(),
            },
            resolver: Resolver::new(dns, dns_options, dns_search)?,
            warnings: limits::warnings(&arguments.legacy),
            resources: ResourceOptions::new(arguments)?,
        })
    }
}
