//! `careen debug ls` and `careen debug rm`.

use std::collections::BTreeMap;

use oci::{Clock, Timestamp};
use solver::KeptStep;
use store::{KeptId, KeptSteps, Removed};
use template::{Map, Value};

use super::{DebugError, find};
use crate::args::{DebugLsArguments, DebugRmArguments};
use crate::exit;
use crate::format::{self, RowFormat};
use crate::human;
use crate::report::{self, Report};
use crate::run::Outcome;

const TITLES: [(&str, &str); 6] = [
    ("ID", "ID"),
    ("CreatedSince", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("Platform", "PLATFORM"),
    ("Failure", "FAILURE"),
    ("Step", "STEP"),
];

/// How many characters of a step's text a table has.
const STEP_LIMIT: usize = 60;

const TABLE: &str = "{{.ID}}\t{{.CreatedSince}}\t{{.Failure}}\t{{.Step}}";

/// Runs `debug ls`.
pub(super) fn list(arguments: &DebugLsArguments, steps: &KeptSteps) -> Outcome {
    let text = if arguments.quiet {
        Some("{{.ID}}")
    } else {
        arguments.format.as_deref()
    };
    let format = RowFormat::new(text, TABLE)?;
    let now = Clock::System.now();
    let rows: Vec<_> = all(steps)?
        .iter()
        .map(|(id, step)| row(id, step, (now, text.is_none())))
        .collect();
    format::print(&format.show(&format::titles(&TITLES), &rows)?)?;
    Ok(exit::DONE)
}

/// Returns all kept steps, the latest first.
fn all(steps: &KeptSteps) -> Result<Vec<(KeptId, KeptStep)>, DebugError> {
    let mut found = Vec::new();
    for id in steps.ids()? {
        found.extend(steps.get(&id)?.map(|step: KeptStep| (id, step)));
    }
    found.sort_by_key(|(_, step)| std::cmp::Reverse(step.created));
    Ok(found)
}

fn row(id: &KeptId, step: &KeptStep, (now, is_short): (Timestamp, bool)) -> Value {
    let fields = [
        ("ID", id.to_string()),
        ("CreatedSince", human::ago(step.created, now)),
        ("CreatedAt", human::date(step.created)),
        ("Platform", step.platform.to_string()),
        ("Failure", step.failure.clone()),
        (
            "Step",
            if is_short {
                short(step.label.to_string())
            } else {
                step.label.to_string()
            },
        ),
    ];
    let fields: BTreeMap<String, String> = fields
        .into_iter()
        .map(|(name, text)| (name.to_owned(), text))
        .collect();
    Map::of_texts(&fields).into()
}

/// Returns as much of a step's text as a line of a table has room for.
fn short(text: String) -> String {
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() <= STEP_LIMIT && line.len() == text.len() {
        return text;
    }
    let shown: String = line.chars().take(STEP_LIMIT - 1).collect();
    format!("{shown}\u{2026}")
}

/// Runs `debug rm`.
pub(super) fn remove(arguments: &DebugRmArguments, steps: &KeptSteps) -> Outcome {
    let mut code = exit::DONE;
    let removed = if arguments.all {
        let ids = steps.ids().map_err(DebugError::from)?;
        ids.into_iter().map(|id| remove_one(steps, id)).collect()
    } else {
        let texts = arguments.ids.iter();
        texts
            .map(|text| remove_one(steps, find(steps, text)?))
            .collect::<Vec<_>>()
    };
    for removed in removed {
        match removed {
            Ok(id) => format::print(&format!("{id}\n"))?,
            Err(error) => {
                report::print(&Box::<Report>::from(error));
                code = exit::FAILED;
            }
        }
    }
    Ok(code)
}

fn remove_one(steps: &KeptSteps, id: KeptId) -> Result<KeptId, DebugError> {
    match steps.remove(&id)? {
        Removed::InUse => Err(DebugError::InUse { id }),
        Removed::Yes | Removed::Absent => Ok(id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_shown_in_part() {
        let (long, fits) = ("x".repeat(61), "x".repeat(60));
        let cut = format!("{}\u{2026}", "x".repeat(59));
        for (text, expected) in [
            ("[2/2] RUN make", "[2/2] RUN make"),
            (&*fits, &*fits),
            (&*long, &*cut),
            ("RUN <<EOF\na", "RUN <<EOF\u{2026}"),
        ] {
            assert_eq!(short(text.to_owned()), expected);
        }
    }
}
