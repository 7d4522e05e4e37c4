//! Builds whose events were recorded with `--event-log`, for tests.

use solver::TimedEvent;

/// A build for two platforms of three stages, with a base from a registry and a push to it. Forty seconds in which a base
/// was unpacked are left out.
const TWO_PLATFORMS: &str = include_str!("recorded/two-platforms.jsonl");

/// When layers are pushed there.
pub(super) const PUSHING_SECONDS: f64 = 21.8;

pub(super) fn two_platforms() -> Vec<TimedEvent> {
    let events = TWO_PLATFORMS.lines().skip(1);
    events
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
