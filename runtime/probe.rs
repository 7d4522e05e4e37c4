//! What this machine allows: found by doing it, in processes that end at once.
//!
//! A kernel's version says little about what a user may do: a distribution, an administrator, a container's runtime and
//! a security module each take something away, and each differently. So nothing is read and concluded here. The first
//! process makes copies of itself that do what a build would do, and notes what the kernel said:
//!
//! | Trial | Ids | Needed by |
//! | --- | --- | --- |
//! | [`TrialKind::IdRange`] | a new user namespace with the caller and a range | `userns-multi` |
//! | [`TrialKind::OneId`] | a new user namespace with the caller alone | `userns-single` |
//! | [`TrialKind::OwnIds`] | those that there are: no new namespace | `chroot` |
//!
//! What follows from it is decided elsewhere ([`choose`]), from the report alone. A report holds as long as nothing
//! changes of what it was made from; to know that is for whoever keeps it.

mod choice;
mod copy;
mod namespace;
mod own;
mod report;

use std::path::Path;

use vendor_shim::idmap::IdMapper;

pub use choice::{Choice, Obstacle, Plans, Wish, WishError, choose, without_range};
pub use report::{Finding, HostReport, Primitive, Trial, TrialKind};

use crate::userns::Caller;

/// How much is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thoroughness {
    /// Trials in the order of preference, until one has all that its mode needs.
    Enough,
    /// Every trial.
    Everything,
}

/// What a trial is made with.
#[derive(Debug, Clone, Copy)]
pub struct Bench<'b> {
    /// Who is to build.
    pub caller: &'b Caller,
    /// The ids that there may be.
    pub plans: &'b Plans,
    /// Who maps ranges of ids, if the plan asks for that.
    pub helpers: &'b dyn IdMapper,
    /// A directory in which files may be made, as that of the store: what is made there is gone afterwards.
    pub scratch: &'b Path,
}

/// Tries what the modes need, and returns what the kernel said.
///
/// Must be called while the process has one thread. What cannot even be tried, because no process can be made, is not
/// in the report.
pub fn probe(bench: &Bench<'_>, thoroughness: Thoroughness) -> HostReport {
    let mut report = HostReport::default();
    for kind in TrialKind::ALL {
        let Some(trial) = kind.run(bench) else {
            continue;
        };
        let is_enough = trial.allows(kind.mode());
        report.trials.insert(kind, trial);
        if is_enough && thoroughness == Thoroughness::Enough {
            break;
        }
    }
    report
}

impl TrialKind {
    /// Runs the trial; `None` if there is nothing to be tried.
    fn run(self, bench: &Bench<'_>) -> Option<Trial> {
        match self {
            Self::IdRange => namespace::run(bench, bench.plans.range.as_ref()?),
            Self::OneId => namespace::run(bench, &bench.plans.one),
            Self::OwnIds => Some(own::run(bench)),
        }
    }
}
