//! How long something took of the processor: what others do on the machine meanwhile does not count.

use std::fs;
use std::time::Duration;

/// Returns the time that this thread had of a processor.
pub(crate) fn own_time() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = text.split(' ').next().and_then(|word| word.parse().ok());
    Duration::from_nanos(first.unwrap_or_default())
}
