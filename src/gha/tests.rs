//! The client against a service that behaves as GitHub's does, and misbehaves as a test says.

mod blobs;
mod documents;
mod settings;

use std::error::Error;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use fetch::{Certificates, ClientOptions, Proxies, RetryPolicy};
use support::ActionsCache;

use crate::*;

const MAIN: &str = "refs/heads/main";
const BRANCH: &str = "refs/pull/7/merge";

/// Both protocols, as users name them.
const VERSIONS: [&str; 2] = ["1", "2"];

/// A job of a workflow: its pauses are counted, and not waited for.
struct Job {
    service: Service,
    pauses: Arc<Mutex<Vec<Duration>>>,
}

impl Job {
    /// A job with a token for these branches.
    fn new(server: &ActionsCache, version: &str, permissions: &[(&'static str, u32)]) -> Self {
        let token = server.token(permissions);
        Self::with(server, &attributes(server, version, &token))
    }

    fn with(server: &ActionsCache, attributes: &Attributes) -> Self {
        let surroundings = Surroundings {
            api_url: Some(server.api_url()),
            ..Surroundings::default()
        };
        let settings = Settings::choose(attributes, &surroundings).unwrap();
        let pauses = Arc::<Mutex<Vec<Duration>>>::default();
        let service = Service::open(settings, options(&pauses)).unwrap();
        Self { service, pauses }
    }

    /// A job whose pauses are shorter than they are told.
    fn hurried(server: &ActionsCache, version: &str) -> Self {
        let token = server.token(&[(MAIN, 3)]);
        let attributes = attributes(server, version, &token);
        let settings = Settings::choose(&attributes, &Surroundings::default()).unwrap();
        let pauses = Arc::default();
        let mut options = options(&pauses);
        options.retry.wait = Some(Arc::new(|pause| thread::park_timeout(pause / 20)));
        let service = Service::open(settings, options).unwrap();
        Self { service, pauses }
    }

    fn pauses(&self) -> Vec<Duration> {
        std::mem::take(&mut self.pauses.lock().unwrap())
    }
}

fn options(pauses: &Arc<Mutex<Vec<Duration>>>) -> ClientOptions {
    let pauses = Arc::clone(pauses);
    let wait = move |pause| pauses.lock().unwrap().push(pause);
    ClientOptions {
        proxies: Proxies::default(),
        certificates: Certificates::System,
        user_agent: "test".to_owned(),
        retry: RetryPolicy {
            wait: Some(Arc::new(wait)),
            ..RetryPolicy::brief()
        },
        stop: Arc::new(|| false),
    }
}

fn attributes(server: &ActionsCache, version: &str, token: &str) -> Attributes {
    Attributes {
        version: Some(version.to_owned()),
        url: Some(server.url()),
        url_v2: Some(server.url()),
        token: Some(token.to_owned()),
        ..Attributes::default()
    }
}

/// Returns all that is said of an error, and checks that no secret is.
fn said(error: &dyn Error, server: &ActionsCache) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text.push_str(": ");
        text.push_str(&error.to_string());
        next = error.source();
    }
    let all = format!("{text} {error:?}");
    for secret in ["SECRET", "SIGNED", "GHTOKEN", "sig="] {
        assert!(!all.contains(secret), "{all}");
    }
    text.replace(&server.host(), "HOST")
}
