//! What reaches registries, as the user asked for it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use registry::{Registry, RegistryConfig, TokenShown};
use runtime::CancelToken;
use solver::event::{Event, NoticeLevel, StepId};
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
    let (events, shown) = (events.clone(), events.clone());
    settings.retry.told = Some(Arc::new(move |why, pause| {
        if let Some(text) = report::pause_notice(why, pause) {
            events.emit(Event::Notice {
                level: NoticeLevel::Warning,
                short: text.trim_end().to_owned(),
                text,
            });
        }
    }));
    settings.token_shown = Some(token_steps(shown));
    Registries::new(settings, pulling)
}

/// Shows each token that is asked for as a step of its own, as buildx does: once, however often it is asked for anew.
fn token_steps(events: Events) -> TokenShown {
    // Several threads ask for tokens, and one that is shown is not to be shown by another.
    let shown = Mutex::new(BTreeSet::new());
    Arc::new(move |what, work| {
        let is_new = {
            let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
            shown.insert(what.to_owned())
        };
        // What goes wrong is told by whoever needs the token.
        drop(if is_new {
            let step = StepId(format!("token {what}"));
            events.show((&step, &format!("[auth] {what}")), work)
        } else {
            work()
        });
    })
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
        token_shown: None,
        stop: Arc::new(move || cancel.is_cancelled()),
    }
}
