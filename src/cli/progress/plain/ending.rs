//! What plain progress says when all is over: the last lines of what failed, and the warnings of checks.

use std::collections::{BTreeMap, VecDeque};

use solver::event::StepId;

/// How many of a step's last lines are shown again where it failed, as BuildKit does.
const LAST_LINES: usize = 10;

/// What is to be said at the end.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// The last lines of each step that wrote any.
    lines: BTreeMap<StepId, VecDeque<Vec<u8>>>,
    failed: Vec<(StepId, String)>,
    /// Each warning in one line, and where it is.
    warnings: Vec<(String, String)>,
}

impl Ending {
    /// Takes note of a line that a step wrote.
    pub(super) fn wrote(&mut self, step: &StepId, seconds: f64, line: &[u8]) {
        if !self.lines.contains_key(step) {
            self.lines.insert(step.clone(), VecDeque::new());
        }
        if let Some(lines) = self.lines.get_mut(step) {
            if lines.len() == LAST_LINES {
                lines.pop_front();
            }
            lines.push_back([format!("{seconds:.3} ").as_bytes(), line].concat());
        }
    }

    /// Takes note of a step that failed.
    pub(super) fn failed(&mut self, step: &StepId, name: &str) {
        self.failed.push((step.clone(), name.to_owned()));
    }

    /// Takes note of a warning: in one line, and all that is said of it, which begins with that line.
    pub(super) fn warned(&mut self, short: &str, text: &str) {
        let place = text.split_once('\n').map_or("", |(_, place)| place);
        self.warnings.push((short.to_owned(), place.to_owned()));
    }

    /// Returns all of it as lines.
    pub(super) fn into_text(self) -> Vec<u8> {
        let mut text = Vec::new();
        for (step, name) in &self.failed {
            text.extend(format!("------\n > {}:\n", super::one_line(name)).into_bytes());
            for line in self.lines.get(step).into_iter().flatten() {
                text.extend_from_slice(line);
                text.push(b'\n');
            }
            text.extend_from_slice(b"------\n");
        }
        let many = match self.warnings.len() {
            0 => return text,
            1 => "1 warning".to_owned(),
            count => format!("{count} warnings"),
        };
        text.extend(format!("\n {many} found:\n").into_bytes());
        for (short, place) in &self.warnings {
            text.extend(format!(" - {short}\n{place}").into_bytes());
        }
        text
    }
}
