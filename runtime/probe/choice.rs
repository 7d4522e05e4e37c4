//! Which mode a build has: decided from the report, without touching the machine.

use std::fmt;
use std::str::FromStr;

use super::{Finding, HostReport, Primitive, TrialKind};
use crate::executor::ExecutorMode;
use crate::spec::ProcSource;
use crate::userns::Caller;
use crate::userns::{IdPlan, IdSources, SandboxId, SingleReason, plan_ids};

/// The ids that a build may have, by mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plans {
    /// For `userns-multi`, if the host gives a range.
    pub range: Option<IdPlan>,
    /// For `userns-single`.
    pub one: IdPlan,
    /// For `chroot`.
    pub own: IdPlan,
}

/// Which mode the user wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wish {
    /// The best one that this machine allows.
    #[default]
    Best,
    /// This one and no other.
    Mode(ExecutorMode),
}

/// What is no mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no executor: there are `auto`, `userns-multi`, `userns-single`, `chroot` and `none`"
)]
pub struct WishError {
    text: String,
}

/// Why a mode is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// The host gives no ids for it.
    Ids(SingleReason),
    /// Something that it needs was refused.
    Refused {
        /// What.
        primitive: Primitive,
        /// What the kernel said.
        finding: Finding,
    },
    /// It was not tried, or the trial did not come so far.
    Untried(Option<Primitive>),
}

/// What a build runs its commands with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Its ids; those of a build that runs no commands where nothing can run them.
    pub plan: IdPlan,
    /// Where its commands' `/proc` is from.
    pub proc: ProcSource,
    /// The modes that would have been preferred, each with the first thing that is in its way.
    pub passed_over: Vec<(ExecutorMode, Obstacle)>,
}

impl Plans {
    /// Decides about ids for every mode.
    pub fn new(caller: &Caller, sources: &IdSources) -> Self {
        let (range, one) = match plan_ids(caller, sources) {
            plan @ IdPlan::Multi { .. } => (
                Some(plan),
                IdPlan::Single {
                    reason: SingleReason::NotUsed,
                },
            ),
            plan => (None, plan),
        };
        Self {
            range,
            one,
            own: sources.own_plan(),
        }
    }

    /// Returns these without the range, which does not reach an id of an image; as they are where there is no range.
    #[must_use]
    pub fn without(self, id: SandboxId) -> Self {
        let Some(range) = &self.range else {
            return self;
        };
        let reason = SingleReason::TooFew {
            count: range.id_map().count(),
            id: id.0,
        };
        Self {
            range: None,
            one: IdPlan::Single { reason },
            own: self.own,
        }
    }

    fn of(&self, kind: TrialKind) -> Option<&IdPlan> {
        match kind {
            TrialKind::IdRange => self.range.as_ref(),
            TrialKind::OneId => Some(&self.one),
            TrialKind::OwnIds => Some(&self.own),
        }
    }
}

impl FromStr for Wish {
    type Err = WishError;

    fn from_str(text: &str) -> Result<Self, WishError> {
        let modes = [
            ExecutorMode::UsernsMulti,
            ExecutorMode::UsernsSingle,
            ExecutorMode::Chroot,
            ExecutorMode::Nothing,
        ];
        if text == "auto" {
            return Ok(Self::Best);
        }
        let mode = modes.into_iter().find(|mode| mode.to_string() == text);
        mode.map(Self::Mode).ok_or_else(|| WishError {
            text: text.to_owned(),
        })
    }
}

/// Decides what a build runs its commands with: the first mode, in the order of preference, that has all it needs.
/// Where none has, or another is wished for that cannot be had, a build runs no commands.
pub fn choose(report: &HostReport, plans: &Plans, wish: Wish) -> Choice {
    let mut passed_over = Vec::new();
    for kind in TrialKind::ALL {
        let mode = kind.mode();
        if wish != Wish::Best && wish != Wish::Mode(mode) {
            continue;
        }
        match (obstacle(report, plans, kind), plans.of(kind)) {
            (None, Some(plan)) => {
                return Choice {
                    plan: plan.clone(),
                    proc: proc_source(report, kind),
                    passed_over,
                };
            }
            (Some(obstacle), _) => passed_over.push((mode, obstacle)),
            (None, None) => {}
        }
    }
    Choice {
        plan: IdPlan::Nothing,
        proc: ProcSource::Fresh,
        passed_over,
    }
}

/// Returns what is in the way of a range where the host gives none; nothing where it gives one.
pub fn without_range(plans: &Plans) -> Vec<(ExecutorMode, Obstacle)> {
    match (&plans.range, &plans.one) {
        (None, IdPlan::Single { reason }) => {
            vec![(ExecutorMode::UsernsMulti, Obstacle::Ids(*reason))]
        }
        _ => Vec::new(),
    }
}

fn obstacle(report: &HostReport, plans: &Plans, kind: TrialKind) -> Option<Obstacle> {
    if kind == TrialKind::IdRange
        && let Some((_, obstacle)) = without_range(plans).pop()
    {
        return Some(obstacle);
    }
    let Some(trial) = report.trials.get(&kind) else {
        return Some(Obstacle::Untried(None));
    };
    let primitive = trial.obstacle(kind.mode())?;
    Some(match trial.findings.get(&primitive) {
        Some(finding) => Obstacle::Refused {
            primitive,
            finding: finding.clone(),
        },
        None => Obstacle::Untried(Some(primitive)),
    })
}

fn proc_source(report: &HostReport, kind: TrialKind) -> ProcSource {
    let trial = report.trials.get(&kind);
    if trial.is_some_and(|trial| trial.has(Primitive::FreshProc)) {
        ProcSource::Fresh
    } else {
        ProcSource::Outer
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ids(reason) => reason.fmt(formatter),
            Self::Refused { primitive, finding } => {
                write!(formatter, "{}: {finding}", primitive.name())
            }
            Self::Untried(Some(primitive)) => {
                write!(formatter, "{}: not reached", primitive.name())
            }
            Self::Untried(None) => formatter.write_str("not tried"),
        }
    }
}

#[cfg(test)]
mod tests;
