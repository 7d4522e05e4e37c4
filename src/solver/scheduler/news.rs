//! What workers tell the scheduler.

use graph::VertexId;

use super::lane::Lane;
use crate::crew::Member;
use crate::error::StepError;
use crate::worker::Answer;

/// What a worker tells.
#[derive(Debug)]
pub(crate) enum News {
    /// An action is over.
    Ended(Box<Report>),
    /// A command can do nothing before somebody else has done something: others are prepared in its place.
    StepsAside,
    /// It goes on.
    IsBack,
}

/// What came of an action.
#[derive(Debug)]
pub(crate) struct Report {
    pub(super) vertex: VertexId,
    pub(super) lane: Lane,
    /// Who has carried it out, and is free again; none when there was no thread for it.
    pub(super) member: Option<Member>,
    pub(super) result: Result<Answer, StepError>,
}
