//! A builder that a signal ended: it could not say anything itself.

use runtime::Signal;

use crate::report::{Kind, Report};

/// Reports that a signal ended the builder.
pub(crate) fn builder_ended(signal: Signal) -> Box<Report> {
    let number = u8::try_from(signal as i32).unwrap_or_default();
    Box::new(Report {
        kind: Kind::Interrupted(number),
        title: format!("the builder was ended by {signal}"),
        place: None,
        causes: Vec::new(),
        notes: meaning(signal).map(str::to_owned).into_iter().collect(),
        help: None,
        solve: None,
    })
}

/// Says what such an end means, where it is the kernel that ends processes so.
fn meaning(signal: Signal) -> Option<&'static str> {
    match signal {
        Signal::SIGKILL => {
            Some("the kernel ends processes so when memory is short, and writes it into its log")
        }
        Signal::SIGXFSZ => {
            Some("a file would have become larger than this session allows (`ulimit -f`)")
        }
        Signal::SIGXCPU => {
            Some("it has used more time of the processor than this session allows (`ulimit -t`)")
        }
        _ => None,
    }
}
