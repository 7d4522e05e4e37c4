//! `HEALTHCHECK NONE` and `HEALTHCHECK [options] CMD command`

use std::time::Duration;

use crate::ast::{HealthcheckInstruction, HealthcheckOptions, InstructionKind, Word};
use crate::diagnostic::{Diagnostic, quoted};
use crate::node::Node;
use crate::number::{self, DurationFault};
use crate::parse::flag::{Flags, Known, Takes};
use crate::source::Spanned;

const FLAGS: [Known; 5] = [
    ("interval", Takes::Text),
    ("timeout", Takes::Text),
    ("start-period", Takes::Text),
    ("start-interval", Takes::Text),
    ("retries", Takes::Text),
];

/// The shortest duration that is not zero; Docker's engine refuses less.
const SHORTEST: Duration = Duration::from_millis(1);

pub(super) fn healthcheck(
    node: &Node,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<InstructionKind> {
    let flags = Flags::read(node, &FLAGS, diagnostics);
    let Some((kind, rest)) = super::words(node).split_first() else {
        diagnostics.push(super::text::needs_an_argument(
            node,
            "HEALTHCHECK CMD command",
        ));
        return None;
    };
    let check = match kind.value.to_ascii_uppercase().as_str() {
        "NONE" => disabled(rest, diagnostics),
        "CMD" => check(node, &flags, rest, diagnostics),
        _ => {
            diagnostics.push(unknown_kind(kind));
            None
        }
    };
    check.map(InstructionKind::Healthcheck)
}

fn unknown_kind(kind: &Word) -> Diagnostic {
    let title = format!("HEALTHCHECK takes CMD or NONE, not {}", quoted(&kind.value));
    Diagnostic::error(title, kind.span).with_help(format!(
        "to run a command, write `HEALTHCHECK CMD {} …`",
        kind.value
    ))
}

fn disabled(rest: &[Word], diagnostics: &mut Vec<Diagnostic>) -> Option<HealthcheckInstruction> {
    match rest.first() {
        None => Some(HealthcheckInstruction::Disabled),
        Some(superfluous) => {
            let title = "HEALTHCHECK NONE takes no arguments";
            diagnostics.push(Diagnostic::error(title, superfluous.span));
            None
        }
    }
}

fn check(
    node: &Node,
    flags: &Flags<'_>,
    command: &[Word],
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<HealthcheckInstruction> {
    if command.is_empty() {
        diagnostics.push(Diagnostic::error(
            "HEALTHCHECK CMD has no command",
            node.span,
        ));
        return None;
    }
    let mut time = |name| duration(name, flags.text(name)?, diagnostics);
    let (interval, timeout) = (time("interval"), time("timeout"));
    let (start_period, start_interval) = (time("start-period"), time("start-interval"));
    Some(HealthcheckInstruction::Check(HealthcheckOptions {
        interval,
        timeout,
        start_period,
        start_interval,
        retries: flags
            .text("retries")
            .and_then(|word| retries(word, diagnostics)),
        command: super::command::command_form(node, command),
    }))
}

fn duration(
    name: &str,
    word: Word,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Spanned<Duration>> {
    let diagnostic = match number::parse_duration(&word.value) {
        Ok(duration) if duration.is_zero() || duration >= SHORTEST => {
            return Some(word.map(|_| duration));
        }
        Err(DurationFault::Malformed) => {
            Diagnostic::error(format!("{} is no duration", option(name, &word)), word.span)
                .with_help("write a number with its unit: `30s`, `1m30s`, `500ms`".to_owned())
        }
        Ok(_) | Err(DurationFault::Negative) => Diagnostic::error(
            format!("{} is shorter than a millisecond", option(name, &word)),
            word.span,
        ),
    };
    diagnostics.push(diagnostic);
    None
}

fn option(name: &str, word: &Word) -> String {
    quoted(&format!("--{name}={}", word.value))
}

fn retries(word: Word, diagnostics: &mut Vec<Diagnostic>) -> Option<Spanned<u32>> {
    // Docker's limit is that of a signed number of 32 bits.
    if let Ok(Ok(retries)) = word.value.parse::<i32>().map(u32::try_from) {
        return Some(word.map(|_| retries));
    }
    let title = format!("{} is no number of retries", option("retries", &word));
    diagnostics.push(Diagnostic::error(title, word.span));
    None
}
