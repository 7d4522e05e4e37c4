//! What is said where commands are to have a network of their build's own and cannot.

use runtime::{ExecError, NetworkFailure};
use vendor_shim::network::NetworkError;

use crate::report::{Kind, Report};

/// Reports it, with the way out.
pub(super) fn report(failure: &ExecError, cause: &NetworkFailure) -> Report {
    let mut report = Report::new(Kind::Host, failure);
    report.help = match cause {
        NetworkFailure::Connect(NetworkError::NotFound(_)) => {
            Some("apt-get install --no-install-recommends passt".to_owned())
        }
        NetworkFailure::Connect(NetworkError::Device(_)) => Some(
            "`chmod 666 /dev/net/tun`, as root, opens it; `--network=host` does without".to_owned(),
        ),
        _ => None,
    };
    report
}
