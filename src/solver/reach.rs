//! How far a job may go: whether what is not there may be made.

use graph::{Definition, Op, SourceOp};

use crate::realise::RealiseError;
use crate::state::Action;

/// What a process that carries a job out can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    /// Everything: it has the ids that files have, and may mount and run commands.
    #[default]
    Everything,
    /// Only look up: it has the user's own ids and rights. Records and blobs are the user's files; into the directories of
    /// layers it must not look, since what it cannot read there, and what owners it sees, is not what they have.
    Known,
}

impl Reach {
    /// Refuses what needs the files of layers where they are out of reach.
    ///
    /// # Errors
    ///
    /// Fails where they are.
    pub(crate) fn files(self) -> Result<(), RealiseError> {
        match self {
            Self::Everything => Ok(()),
            Self::Known => Err(RealiseError::OutOfReach),
        }
    }

    /// Tells whether an action can be carried out: look-ups can always, and so can what only says which image is meant. Files
    /// of the user's are not read: what reads them starts threads that stay, and a process with threads cannot be copied.
    pub(crate) fn allows(self, action: &Action, definition: &Definition) -> bool {
        let op = &definition.vertex(action.vertex()).op;
        match (self, action) {
            (Self::Everything, _)
            | (
                Self::Known,
                Action::FindAlias { .. } | Action::LookUp { .. } | Action::Take { .. },
            ) => true,
            (Self::Known, Action::Run { .. }) => matches!(op, Op::Source(SourceOp::Image(_))),
            (Self::Known, Action::Check { .. }) => false,
        }
    }
}
