//! The lines of plain progress by their steps, without what differs from run to run.

use std::collections::{BTreeMap, BTreeSet};

/// What plain progress said.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// What is said of the whole build before the steps.
    pub(super) opening: String,
    /// The lines of each step, by its name.
    steps: BTreeMap<String, BTreeSet<String>>,
    /// What follows the steps, in its order: the last lines of what failed, the Dockerfile, the error, warnings.
    pub(super) ending: Vec<String>,
}

impl Log {
    pub(super) fn of(text: &str) -> Self {
        let mut log = Self::default();
        let mut names: BTreeMap<&str, String> = BTreeMap::new();
        let mut lines = text.lines();
        for line in lines.by_ref() {
            let Some((number, rest)) = line.strip_prefix('#').and_then(|line| line.split_once(' '))
            else {
                if !line.is_empty() {
                    log.end(line);
                }
                continue;
            };
            if number == "0" {
                rest.clone_into(&mut log.opening);
            } else if let Some(name) = names.get(number) {
                let kept = masked(rest).filter(|line| line != name);
                let step = log.steps.entry(name.clone()).or_default();
                step.extend(kept);
            } else {
                let name = masked_words(rest);
                log.steps.entry(name.clone()).or_default();
                names.insert(number, name);
            }
        }
        log.shortened()
    }

    fn end(&mut self, line: &str) {
        self.ending.push(match output(line) {
            Some(text) => format!("TIME {text}"),
            None => line.to_owned(),
        });
    }

    /// Leaves out what careen says beside BuildKit's lines: where warnings are, and what follows the error. The order of
    /// warnings is another one, and BuildKit's says how to have more.
    fn shortened(mut self) -> Self {
        let is_error = |line: &String| line.starts_with("ERROR: ");
        let error = self.ending.iter().position(is_error);
        self.ending
            .truncate(error.map_or(self.ending.len(), |at| at + 1));
        let warned = self.ending.iter().position(|line| line.contains(" found"));
        if let Some(at) = warned {
            let mut warnings = self.ending.split_off(at);
            let title = warnings.remove(0);
            self.ending
                .push(title.replace(" (use docker --debug to expand)", ""));
            warnings.retain(|line| line.starts_with(" - "));
            warnings.sort();
            self.ending.extend(warnings);
        }
        self
    }

    /// Returns the lines that another log has and this one has not, unless they are excused.
    pub(super) fn lacking(
        &self,
        other: &Self,
        is_excused: impl Fn(&str, &str) -> bool,
    ) -> Vec<String> {
        let mut lacking = Vec::new();
        for (step, lines) in &other.steps {
            let own = self.steps.get(step);
            if own.is_none() && !is_excused(step, "") {
                lacking.push(step.clone());
            }
            let lines = lines.iter().filter(|line| !is_excused(step, line));
            let lines = lines.filter(|line| own.is_some_and(|own| !own.contains(*line)));
            lacking.extend(lines.map(|line| format!("{step}: {line}")));
        }
        lacking
    }
}

/// Returns a line of a step; none of what is not done yet, or goes on later.
fn masked(line: &str) -> Option<String> {
    if line == "..." {
        return None;
    }
    if let Some(text) = output(line) {
        return Some(format!("TIME {text}"));
    }
    let first = line.split(' ').next().unwrap_or_default();
    match first {
        "DONE" | "CACHED" => Some(first.to_owned()),
        "ERROR:" | "WARN:" => Some(line.to_owned()),
        _ => {
            let what = line.strip_suffix(" done")?;
            let what = what.rsplit_once(' ').filter(|(_, last)| is_time(last));
            let what = what.map_or_else(|| line.strip_suffix(" done"), |(what, _)| Some(what))?;
            Some(masked_words(what))
        }
    }
}

/// Returns what a command wrote, if the line is that: it has the time before it, with three decimals.
fn output(line: &str) -> Option<&str> {
    let (time, text) = line.split_once(' ')?;
    let (whole, parts) = time.split_once('.')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_number(whole) && is_number(parts) && parts.len() == 3).then_some(text)
}

fn is_time(word: &str) -> bool {
    let number = word.strip_suffix('s');
    number.is_some_and(|number| number.parse::<f64>().is_ok())
}

/// Replaces digests and sizes.
fn masked_words(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        if let Some((before, digest)) = word.split_once("sha256:")
            && digest.len() == 64
        {
            return format!("{before}sha256:DIGEST");
        }
        if is_size(word) {
            "SIZE".to_owned()
        } else {
            word.to_owned()
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

fn is_size(word: &str) -> bool {
    let number = word
        .strip_suffix('B')
        .map(|word| word.trim_end_matches(['k', 'M', 'G']));
    number.is_some_and(|number| number.parse::<f64>().is_ok())
}

#[test]
fn what_differs_from_run_to_run_is_left_out() {
    let digest = "0".repeat(64);
    let log = Log::of(&format!(
        "#0 building\n\n#1 FROM a@sha256:{digest}\n#1 sha256:{digest} 1.03MB / 1.03MB 0.2s\n\
         #1 sha256:{digest} 1.03MB / 1.03MB 0.2s done\n#1 ...\n\n#2 RUN x\n#2 0.123 out\n#2 DONE 1.2s\n\n\
         #1 FROM a@sha256:{digest}\n#1 DONE 0.3s\n------\n > RUN x:\n0.123 out\n------\nERROR: x\n --> own\n"
    ));
    assert_eq!(log.opening, "building");
    let steps: Vec<_> = log.steps.into_iter().collect();
    let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
    let expected: [(String, BTreeSet<String>); 2] = [
        (
            "FROM a@sha256:DIGEST".to_owned(),
            lines(&["sha256:DIGEST SIZE / SIZE", "DONE"]),
        ),
        ("RUN x".to_owned(), lines(&["TIME out", "DONE"])),
    ];
    assert_eq!(steps, expected);
    assert_eq!(
        log.ending,
        ["------", " > RUN x:", "TIME out", "------", "ERROR: x"]
    );
}
