//! What goes after a build: the least recently used, where the store has become too large.

use solver::Workshop;
use store::{Lease, Rule, Store};

use crate::config::Config;
use crate::options::disk;
use crate::report::{self, Kind, Report};

/// A build that has ended, with what it used still in use.
pub(in crate::command) struct After {
    store: Store,
    /// What the build used stays, though nothing else may be left.
    _lease: Lease,
    rules: Vec<Rule>,
}

impl After {
    /// Takes note of a build.
    ///
    /// # Errors
    ///
    /// Fails when the configuration cannot be understood.
    pub(in crate::command) fn new(
        workshop: &Workshop,
        config: &Config,
    ) -> Result<Self, Box<Report>> {
        Ok(Self {
            rules: disk::gc_rules(config, workshop.store.path())?,
            store: workshop.store.clone(),
            _lease: workshop.lease.clone(),
        })
    }

    /// Removes what the rules say. The build is not worse for it if something cannot be removed.
    pub(in crate::command) fn collect(self) {
        if let Err(error) = self.store.collect_after(&self.rules) {
            let report = Report::new(Kind::Host, &error);
            report::print_text(&format!("warning: {}\n", told(&report)));
        }
    }
}

fn told(report: &Report) -> String {
    let mut text = report.title.clone();
    for cause in &report.causes {
        text = format!("{text}: {cause}");
    }
    text
}
