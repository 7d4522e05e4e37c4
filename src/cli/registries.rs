//! What reaches registries, as the user asked for it.

use std::sync::Arc;

use registry::{Registry, RegistryConfig};
use runtime::CancelToken;
use solver::remote::{RemoteOptions, USER_AGENT};
use solver::{Pulling, Registries};

use crate::options::RegistryOptions;
use crate::report::{Kind, Report};

/// Returns what reaches registries; nothing is opened yet.
pub(crate) fn registries(
    options: &RegistryOptions,
    remote: &RemoteOptions,
    (cancel, pulling): (&CancelToken, Pulling),
) -> Registries {
    Registries::new(settings(options, remote, cancel), pulling)
}

/// Makes a client of registries; none is asked yet.
pub(crate) fn client(
    options: &RegistryOptions,
    remote: &RemoteOptions,
    cancel: &CancelToken,
) -> Result<Registry, Box<Report>> {
    let opened = Registry::open(settings(options, remote, cancel));
    opened.map_err(|error| Box::new(Report::new(Kind::Host, &error)))
}

fn settings(
    options: &RegistryOptions,
    remote: &RemoteOptions,
    cancel: &CancelToken,
) -> registry::RegistryOptions {
    let cancel = cancel.clone();
    let hosts: Arc<RegistryConfig> = Arc::clone(&options.config);
    registry::RegistryOptions {
        hosts,
        retry: options.retry_policy(),
        proxies: remote.proxies.clone(),
        certificates: remote.trusted(),
        user_agent: USER_AGENT.to_owned(),
        stop: Arc::new(move || cancel.is_cancelled()),
    }
}
