//! What reaches registries, as the user asked for it.

use std::sync::Arc;

use registry::{Registry, RegistryConfig};
use runtime::CancelToken;
use solver::event::{Event, NoticeLevel};
use solver::remote::{RemoteOptions, USER_AGENT};
use solver::{Events, Pulling, Registries};

use crate::options::RegistryOptions;
use crate::report::{self, Kind, Report};

/// Returns what reaches registries; nothing is opened yet.
pub(crate) fn registries(
    options: &RegistryOptions,
    remote: &RemoteOptions,
    (cancel, pulling): (&CancelToken, Pulling),
) -> Registries {
    Registries::new(settings(options, remote, cancel), pulling)
}

/// As [`registries`], for a build: its display tells why it waits.
pub(crate) fn registries_of_build(
    options: &RegistryOptions,
    remote: &RemoteOptions,
    (cancel, pulling): (&CancelToken, Pulling),
    events: &Events,
) -> Registries {
    let mut settings = settings(options, remote, cancel);
    let events = events.clone();
    settings.retry.told = Some(Arc::new(move |why, pause| {
        if let Some(text) = report::pause_notice(why, pause) {
            events.emit(Event::Notice {
                level: NoticeLevel::Warning,
                short: text.trim_end().to_owned(),
                text,
            });
        }
    }));
    Registries::new(settings, pulling)
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
