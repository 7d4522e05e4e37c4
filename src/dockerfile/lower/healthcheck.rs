//! `HEALTHCHECK …`

use std::time::Duration;

use oci::config::Healthcheck;

use crate::ast::{CommandForm, HealthcheckInstruction, HealthcheckOptions};
use crate::lower::format;
use crate::lower::stage_lowering::StageLowering;
use crate::source::Spanned;

pub(super) fn lower(stage: &mut StageLowering<'_>, check: &HealthcheckInstruction) {
    let check = match check {
        HealthcheckInstruction::Disabled => Healthcheck {
            test: vec!["NONE".to_owned()],
            ..Healthcheck::default()
        },
        HealthcheckInstruction::Check(options) => configured(options),
    };
    stage.state.record(shown(&check), true);
    stage.config().healthcheck = Some(check);
}

fn configured(options: &HealthcheckOptions) -> Healthcheck {
    Healthcheck {
        test: test(&options.command),
        interval_ns: nanoseconds(options.interval.as_ref()),
        timeout_ns: nanoseconds(options.timeout.as_ref()),
        start_period_ns: nanoseconds(options.start_period.as_ref()),
        start_interval_ns: nanoseconds(options.start_interval.as_ref()),
        retries: options
            .retries
            .as_ref()
            .map_or(0, |retries| i64::from(retries.value)),
    }
}

fn test(command: &CommandForm) -> Vec<String> {
    match command {
        CommandForm::Shell(text) => vec!["CMD-SHELL".to_owned(), text.value.clone()],
        CommandForm::Exec(words) => {
            let words = words.iter().map(|word| word.value.clone());
            std::iter::once("CMD".to_owned()).chain(words).collect()
        }
    }
}

/// Returns the time as the configuration has it; 0 inherits the base's. 292 years are the most there is.
fn nanoseconds(time: Option<&Spanned<Duration>>) -> i64 {
    time.map_or(0, |time| {
        i64::try_from(time.value.as_nanos()).unwrap_or(i64::MAX)
    })
}

/// Returns the check as Go's `%q` writes the struct that `BuildKit` has it in; the number of retries is the
/// character of that number.
fn shown(check: &Healthcheck) -> String {
    let times = [
        check.interval_ns,
        check.timeout_ns,
        check.start_period_ns,
        check.start_interval_ns,
    ];
    let times = times.map(|ns| format!("\"{}\"", format::duration(ns)));
    format!(
        "HEALTHCHECK &{{{} {} {}}}",
        format::quoted_list(&check.test),
        times.join(" "),
        format::quoted_character(check.retries)
    )
}
