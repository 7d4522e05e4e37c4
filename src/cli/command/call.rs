//! `careen build --call` and `--check`: what a Dockerfile says of itself, and what is found in it. Nothing is built and
//! nothing is written; the answer goes to standard output.

use dockerfile::call::{Outline, targets};
use dockerfile::stage::StagePlan;
use serde_json::Value;
use solver::Workshop;

use super::build::{self, Prepared};
use super::said::Said;
use crate::env::Environment;
use crate::exit;
use crate::format;
use crate::options::{AnswerFormat, BuildOptions, Call, Question};
use crate::report::Report;
use crate::run::Outcome;

mod check;
mod describe;
mod outline;
mod table;
mod target;

use check::Checked;

/// What there is to say to a question, and how it was asked.
pub(super) struct Answer {
    call: Call,
    said: Saying,
}

/// An answer in both formats, with what it means for the exit code.
struct Saying {
    text: String,
    json: Value,
    /// What is wrong with the Dockerfile, for people.
    error: Option<Box<Report>>,
    /// Whether something was found that should not be there.
    is_bad: bool,
}

impl Saying {
    /// Makes an answer of which nothing follows.
    fn good(text: String, json: Value) -> Self {
        Self {
            text,
            json,
            error: None,
            is_bad: false,
        }
    }
}

impl Answer {
    /// Prints the answer, and ends the command.
    pub(super) fn tell(self) -> Outcome {
        let Self { call, said } = self;
        let text = match call.format {
            AnswerFormat::Text => said.text,
            AnswerFormat::Json => format!("{:#}\n", said.json),
        };
        format::print(&text)?;
        match said.error {
            Some(error) if call.format == AnswerFormat::Text && !call.ignore_status => Err(error),
            _ if said.is_bad && !call.ignore_status => Ok(exit::FAILED),
            _ => Ok(exit::DONE),
        }
    }
}

/// Answers a question about the Dockerfile of a build.
pub(super) fn answer(
    call: Call,
    options: &BuildOptions,
    env: &Environment,
    workshop: &mut Workshop,
) -> Result<Answer, Box<Report>> {
    let said = match call.question {
        Question::Describe => describe::answer(),
        Question::Targets => {
            let prepared = build::prepare(options, env, workshop)?;
            target_list(workshop, &prepared)?
        }
        Question::Outline => outlined(options, build::prepare(options, env, workshop)?, workshop)?,
        Question::Check => checked(options, build::prepare(options, env, workshop)?, workshop),
    };
    Ok(Answer { call, said })
}

fn target_list(workshop: &Workshop, prepared: &Prepared<'_>) -> Result<Saying, Box<Report>> {
    let Prepared { source, parsed, .. } = prepared;
    if parsed.has_errors() {
        return Err(Said::new(source, &workshop.events).refuse(&parsed.diagnostics));
    }
    Ok(target::answer(&targets(&parsed.ast), source))
}

fn outlined(
    options: &BuildOptions,
    prepared: Prepared<'_>,
    workshop: &Workshop,
) -> Result<Saying, Box<Report>> {
    let source = &prepared.source;
    let mut said = Said::new(source, &workshop.events);
    let plan = StagePlan::new(&prepared.parsed, prepared.plan_options);
    let mut plan = plan.map_err(|faults| said.refuse(&faults))?;
    build::resolve_bases(&mut plan, (options, &prepared.sources), workshop, source)?;
    let outline = match options.platforms.first() {
        Some(platform) => plan.outline(platform),
        None => Ok(Outline::default()),
    };
    let outline = outline.map_err(|faults| said.refuse(&faults))?;
    Ok(outline::answer(&outline, source))
}

fn checked(options: &BuildOptions, prepared: Prepared<'_>, workshop: &Workshop) -> Saying {
    let source = &prepared.source;
    let mut checked = Checked::default();
    let plan_options = check::whole_file(prepared.plan_options);
    match StagePlan::new(&prepared.parsed, plan_options) {
        Err(said) => checked.take(&said, source),
        Ok(mut plan) => {
            let wanted = (options, &prepared.sources);
            checked.plan(&mut plan, wanted, (workshop, source));
        }
    }
    Said::new(source, &workshop.events).warn(checked.asides());
    checked.answer(source)
}
