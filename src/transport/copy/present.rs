//! An image that is at the target already: found out by its names and documents alone.
//!
//! A registry takes no manifest whose blobs it does not have (distribution-spec, "Pushing Manifests"), so one question
//! for each document stands for one for each blob. Whether an index came with all that it names is asked: there are
//! places that take one without. Who has to push the blobs again, to a registry that lost some, gives the image another
//! name.

use oci::Descriptor;

use super::parallel;
use super::plan::Plan;
use super::{Copier, Referrers};
use crate::place::{PlaceError, Transferred};

impl Copier<'_> {
    /// Tells whether nothing has to be done. Where that cannot be found out, the copy is made, and says what is wrong.
    pub(super) fn is_all_there(&self, plan: &Plan) -> bool {
        // What refers to an image changes without it.
        self.options.referrers == Referrers::Left && self.look(plan).unwrap_or(false)
    }

    fn look(&self, plan: &Plan) -> Result<bool, PlaceError> {
        if !self.target.is_named(&plan.root)? {
            return Ok(false);
        }
        let documents: Vec<_> = plan.levels.iter().flatten().collect();
        let found = parallel::map(&documents, self.options.jobs, |document| {
            self.target.has_document(document)
        })?;
        Ok(found.into_iter().all(|is_there| is_there))
    }

    /// Tells what became of each blob: nothing.
    pub(super) fn leave(&self, plan: &Plan) -> Vec<Option<Transferred>> {
        let leave = |blob: &Descriptor| {
            if self.is_passed_over(blob) {
                self.options.progress.passed_over(blob);
                return None;
            }
            self.options.progress.started(blob);
            self.options.progress.finished(blob, Transferred::Present);
            Some(Transferred::Present)
        };
        plan.blobs.iter().map(leave).collect()
    }
}
