//! The diagnosis as people read it.

use std::fmt::Write as _;

use runtime::probe::{HostReport, TrialKind};

use super::diagnosis::{Diagnosis, StorePlace};
use crate::host::ShortRange;
use crate::human;

/// How wide the column of names is.
const NAMES: usize = 25;

/// Returns the text.
pub(super) fn render(diagnosis: &Diagnosis) -> String {
    let mut text = String::new();
    row(&mut text, "executor", &executor(diagnosis));
    if let Some(range) = diagnosis.short_range {
        row(&mut text, "range of ids", &too_small(range));
    }
    for mode in &diagnosis.passed_over {
        row(&mut text, &format!("not {}", mode.executor), &mode.because);
    }
    row(&mut text, "kernel", &diagnosis.kernel);
    row(&mut text, "store", &store(&diagnosis.store));
    for emulator in &diagnosis.emulators {
        let registered = if emulator.is_registered {
            ", registered on the machine"
        } else {
            ""
        };
        let path = emulator.path.display();
        let name = format!("emulator of {}", emulator.architecture);
        row(&mut text, &name, &format!("{path}{registered}"));
    }
    trials(&mut text, &diagnosis.trials);
    for line in &diagnosis.instead {
        let title = format!("\nWithout {}: {}.\n", line.primitive.name(), line.instead);
        text.push_str(&title);
    }
    for advice in &diagnosis.advice {
        let advice = format!("\n{}:\n  {}\n", sentence(advice.because), advice.command);
        text.push_str(&advice);
    }
    text
}

fn row(text: &mut String, name: &str, value: &str) {
    writeln!(text, "{name:NAMES$} {value}").expect("a String takes what is written");
}

fn executor(diagnosis: &Diagnosis) -> String {
    match (diagnosis.runs_commands(), diagnosis.ids) {
        (false, _) => "none: a Dockerfile with a RUN cannot be built, others can".to_owned(),
        (true, 1) => format!("{}, 1 id", diagnosis.executor),
        (true, ids) => format!("{}, {ids} ids", diagnosis.executor),
    }
}

fn too_small(ShortRange { ids, lacks }: ShortRange) -> String {
    let last = ids.saturating_sub(1);
    format!(
        "too small for most images: {ids} ids, 0 to {last}, and `nobody` is {lacks}; they are built with one id"
    )
}

fn store(store: &StorePlace) -> String {
    let mut text = store.path.display().to_string();
    if let (Some(name), Some(bytes)) = (store.file_system, store.free_bytes) {
        let free = human::size(bytes, 3);
        write!(text, ": {name}, {free} free").expect("a String takes what is written");
    }
    if store.is_refused {
        text.push_str("; refused, `--store DIR` or `CAREEN_STORE` names another directory");
    }
    text
}

fn trials(text: &mut String, report: &HostReport) {
    for (kind, trial) in &report.trials {
        let title = match kind {
            TrialKind::IdRange => "a range of ids",
            TrialKind::OneId => "one id",
            TrialKind::OwnIds => "no namespace",
        };
        writeln!(text, "\n{} with {title}:", kind.mode()).expect("a String takes what is written");
        for (primitive, finding) in &trial.findings {
            row(
                text,
                &format!("  {}", primitive.name()),
                &finding.to_string(),
            );
        }
    }
}

fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters
        .next()
        .map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + characters.as_str()
}
