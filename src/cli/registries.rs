//! What reaches registries, as the user asked for it.

use std::sync::Arc;
use std::time::Duration;

use fetch::{Certificates, RetryPolicy};
use registry::{Registry, RegistryConfig};
use runtime::CancelToken;
use solver::remote::{RemoteOptions, USER_AGENT};
use solver::{Pulling, Registries};

use crate::options::RegistryOptions;
use crate::report::{Kind, Report};

/// The pause between attempts where the user says how many there are and not when: buildah's.
const PAUSE: Duration = Duration::from_secs(2);

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
    let certificates = remote.certificates.clone();
    let cancel = cancel.clone();
    let hosts: Arc<RegistryConfig> = Arc::clone(&options.config);
    registry::RegistryOptions {
        hosts,
        retry: retry(options),
        proxies: remote.proxies.clone(),
        certificates: certificates.map_or(Certificates::System, Certificates::File),
        user_agent: USER_AGENT.to_owned(),
        stop: Arc::new(move || cancel.is_cancelled()),
    }
}

/// Returns when something is tried again.
fn retry(options: &RegistryOptions) -> RetryPolicy {
    match (options.retry, options.retry_delay) {
        (Some(times), pause) => RetryPolicy::steady(times, pause.unwrap_or(PAUSE)),
        (None, Some(pause)) => RetryPolicy {
            first_pause: pause,
            growth: 1,
            ..RetryPolicy::patient(fetch::random_jitter())
        },
        (None, None) => RetryPolicy::patient(fetch::random_jitter()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::RegistryArguments;
    use crate::env::Environment;

    #[test]
    fn attempts_and_pauses_are_those_that_were_asked_for() {
        let policy = |retry, delay: Option<&str>| {
            let arguments = RegistryArguments {
                retry,
                retry_delay: delay.map(str::to_owned),
                ..RegistryArguments::default()
            };
            let env = Environment::default();
            retry_of(&RegistryOptions::new(&arguments, &env, Vec::new()).unwrap())
        };
        let seconds = Duration::from_secs;
        assert_eq!(policy(Some(3), None), (4, seconds(2), 1));
        assert_eq!(policy(Some(0), Some("5s")), (1, seconds(5), 1));
        assert_eq!(policy(None, Some("7s")), (u32::MAX, seconds(7), 1));
        assert_eq!(policy(None, None).0, u32::MAX);
    }

    fn retry_of(options: &RegistryOptions) -> (u32, Duration, u32) {
        let policy = retry(options);
        (policy.attempts, policy.first_pause, policy.growth)
    }
}
