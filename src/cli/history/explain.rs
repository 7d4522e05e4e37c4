//! Why a step ran that an earlier build had: what of its key is another.
//!
//! A step of now is held against the same step of the newest build that had it: of the same platform and stage, with the
//! same text, or else in the same place. What its key is made of is compared part by part, so that nothing that enters a
//! key can be forgotten here: the operation as it is written for the key, the content of what is copied, and the keys of
//! the steps that it is made from.

mod operation;
mod text;

use oci::Digest;
use serde::{Deserialize, Serialize};
use solver::ChangedFile;

use super::BuildId;
use crate::account::{Account, End, Keyed, Step};
use operation::Compared;

/// How many files of one copy are named.
const FILES_MAX: usize = 20;

/// Finds out which files changed between two contents of a copy; none where that is not known any more.
pub(crate) type ChangedFiles<'a> = &'a dyn Fn(&Digest, &Digest) -> Option<Vec<ChangedFile>>;

/// A build that may have had the steps of another.
#[derive(Debug)]
pub(crate) struct Earlier {
    /// Its name.
    pub(crate) id: BuildId,
    /// What became of it.
    pub(crate) account: Account,
    /// Whether it was built to its end: what it did not carry out then, it found.
    pub(crate) is_complete: bool,
    /// The build arguments that it was given.
    pub(crate) arguments: Vec<String>,
}

/// What was asked of the cache.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wish {
    /// Nothing of it counts: the flag that says so.
    pub(crate) nothing: Option<&'static str>,
    /// The stages of which nothing counts.
    pub(crate) renewed_stages: Vec<String>,
    /// Nothing counts that is older than some time.
    pub(crate) has_age: bool,
    /// The names of the build arguments that were given.
    pub(crate) arguments: Vec<String>,
}

/// A step that ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Explained {
    /// How it is called.
    pub(crate) step: String,
    /// The line of the Dockerfile that it stands in; 0 if it stands in none.
    pub(crate) line: usize,
    /// The build that had it; none if no build that is known had it.
    pub(crate) earlier: Option<BuildId>,
    /// Why it ran again.
    pub(crate) reasons: Vec<Reason>,
}

/// Why a step ran again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Reason {
    /// Its command is another.
    Command {
        /// What it was.
        from: String,
        /// What it is.
        to: String,
    },
    /// A build argument has another value.
    Argument {
        /// Its name.
        name: String,
        /// What it was; none if there was none.
        from: Option<String>,
        /// What it is.
        to: Option<String>,
    },
    /// An environment variable has another value.
    Variable {
        /// Its name.
        name: String,
        /// What it was.
        from: Option<String>,
        /// What it is.
        to: Option<String>,
    },
    /// Something else that its instruction, or a flag, says of it.
    Setting {
        /// What, as the key has it.
        name: String,
        /// What it was, as JSON.
        from: Option<String>,
        /// What it is.
        to: Option<String>,
    },
    /// It stands on another base.
    Base {
        /// The step of the base.
        step: String,
        /// The manifest that it was.
        from: String,
        /// The manifest that it is.
        to: String,
    },
    /// The files are others that it copies.
    Files {
        /// Those that changed; none where it is not known any more which.
        files: Option<Vec<ChangedFile>>,
        /// How many more there are.
        more: usize,
    },
    /// The step that it stands on is another.
    Below {
        /// That step.
        step: String,
    },
    /// What it copies or mounts from is another.
    Source {
        /// The step that made that.
        step: String,
    },
    /// The step below ran again under the same key, and left something else.
    StoodElsewhere {
        /// That step.
        step: String,
    },
    /// It was asked for.
    Asked {
        /// The flag.
        flag: String,
    },
    /// Nothing is another, and the result is in the store no more.
    Gone,
}

/// Explains the steps of a build that ran.
pub(crate) struct Explainer<'a> {
    /// The build.
    pub(crate) now: &'a Account,
    /// What it asked of the cache.
    pub(crate) wish: &'a Wish,
    /// Builds of the same, the newest first.
    pub(crate) earlier: &'a [Earlier],
    /// What knows the files of copies.
    pub(crate) files: ChangedFiles<'a>,
}

impl Explainer<'_> {
    /// Returns each step that ran, in the order of the build.
    pub(crate) fn explain(&self) -> Vec<Explained> {
        let ran = self.now.steps().iter().filter(|step| step.has_run());
        ran.map(|step| self.explained(step)).collect()
    }

    fn explained(&self, step: &Step) -> Explained {
        let matched = self.earlier.iter().find_map(|earlier| {
            let before = same_step(self.now, step, earlier)?;
            Some((earlier, before))
        });
        let reasons = matched.map(|(earlier, before)| self.reasons(step, earlier, before));
        Explained {
            step: step.name.clone(),
            line: step.label.as_ref().map_or(0, |label| label.line),
            earlier: matched.map(|(earlier, _)| earlier.id.clone()),
            reasons: reasons.unwrap_or_default(),
        }
    }

    fn reasons(&self, step: &Step, earlier: &Earlier, before: &Step) -> Vec<Reason> {
        let (Some(new), Some(old)) = (&step.keyed, &before.keyed) else {
            return Vec::new();
        };
        let is_argument = |name: &str| {
            let names = self.wish.arguments.iter().chain(&earlier.arguments);
            names.into_iter().any(|argument| argument == name)
        };
        let compared = Compared {
            old: &old.operation,
            new: &new.operation,
        };
        let mut reasons = compared.reasons(&is_argument);
        reasons.extend(self.of_inputs((old, new), &earlier.account));
        reasons.extend(self.asked(step));
        if reasons.is_empty() {
            reasons.push(self.of_the_same_key(new));
        }
        reasons
    }

    /// Compares what a step is made from, input by input.
    fn of_inputs(&self, (old, new): (&Keyed, &Keyed), earlier: &Account) -> Vec<Reason> {
        let mut reasons = Vec::new();
        let content = old.content.as_ref().zip(new.content.as_ref());
        for index in 0..new.inputs.len().max(old.inputs.len()) {
            // The content stands for whatever a copy copies from.
            if index > 0 && content.is_some() {
                continue;
            }
            let input = |keyed: &Keyed, account: &Account| {
                let id = keyed.inputs.get(index).cloned().flatten()?;
                account.get(&id).cloned()
            };
            let (old, new) = (input(old, earlier), input(new, self.now));
            reasons.extend(of_input(index, old.as_ref(), new.as_ref()));
        }
        if let Some((old, new)) = content.filter(|(old, new)| old != new) {
            reasons.push(self.of_files(old, new));
        }
        reasons
    }

    fn of_files(&self, old: &Digest, new: &Digest) -> Reason {
        let mut files = (self.files)(old, new);
        let count = files.as_ref().map_or(0, Vec::len);
        if let Some(files) = &mut files {
            files.truncate(FILES_MAX);
        }
        let more = count.saturating_sub(FILES_MAX);
        Reason::Files { files, more }
    }

    /// Tells which flag wants a step to run, whatever the cache has.
    fn asked(&self, step: &Step) -> Option<Reason> {
        let stage = step.label.as_ref().map(|label| label.stage.as_str());
        let is_renewed = |renewed: &String| Some(renewed.as_str()) == stage;
        let of_stage = self.wish.renewed_stages.iter().any(is_renewed);
        let flag = self
            .wish
            .nothing
            .or(of_stage.then_some("--no-cache-filter"));
        flag.map(|flag| Reason::Asked {
            flag: flag.to_owned(),
        })
    }

    /// Tells why a step ran of which nothing is another.
    fn of_the_same_key(&self, keyed: &Keyed) -> Reason {
        let mut below = keyed.inputs.first().cloned().flatten();
        while let Some(step) = below.and_then(|id| self.now.get(&id)) {
            if step.end == End::Made && is_command(step) {
                return Reason::StoodElsewhere {
                    step: step.name.clone(),
                };
            }
            let inputs = step.keyed.as_ref().map(|keyed| &keyed.inputs);
            below = inputs.and_then(|inputs| inputs.first().cloned().flatten());
        }
        if self.wish.has_age {
            let flag = "--cache-ttl".to_owned();
            return Reason::Asked { flag };
        }
        Reason::Gone
    }
}

fn is_command(step: &Step) -> bool {
    step.kind().is_some_and(|kind| kind == "exec")
}

/// Finds the step of an earlier build that one of now is: it has the same text, or, if that one is not among the steps of
/// now, the same place.
fn same_step<'a>(now: &Account, step: &Step, earlier: &'a Earlier) -> Option<&'a Step> {
    let label = step.label.as_ref()?;
    let had = |before: &&Step| {
        let of_same = before.label.as_ref().is_some_and(|before| {
            (&before.platform, &before.stage) == (&label.platform, &label.stage)
        });
        let had = match before.end {
            End::Cached | End::Made => true,
            End::None => earlier.is_complete,
            End::Failed | End::Cancelled => false,
        };
        of_same && before.keyed.is_some() && had
    };
    let has = |wanted: &str, step: &Step| {
        let text = step.label.as_ref().map(|label| &label.text);
        text.is_some_and(|text| text == wanted)
    };
    let mut same = earlier.account.steps().iter().filter(had);
    let nearest = same
        .clone()
        .filter(|before| has(&label.text, before))
        .min_by_key(|before| distance(before, label.index));
    nearest.or_else(|| {
        same.find(|before| {
            let text = before.label.as_ref().map_or("", |label| &label.text);
            let is_elsewhere = || now.steps().iter().any(|step| has(text, step));
            distance(before, label.index) == 0 && before.kind() == step.kind() && !is_elsewhere()
        })
    })
}

fn distance(step: &Step, index: usize) -> usize {
    step.label
        .as_ref()
        .map_or(usize::MAX, |label| label.index.abs_diff(index))
}

/// Compares one input.
fn of_input(index: usize, old: Option<&Step>, new: Option<&Step>) -> Option<Reason> {
    let key = |step: Option<&Step>| {
        let keyed = step.and_then(|step| step.keyed.as_ref());
        keyed.map(|keyed| keyed.key.clone())
    };
    let is_other = key(old) != key(new);
    let new = new.filter(|_| is_other)?;
    let step = new.name.clone();
    Some(match (old.and_then(Step::manifest), new.manifest()) {
        (Some(from), Some(to)) => Reason::Base { step, from, to },
        _ if index == 0 => Reason::Below { step },
        _ => Reason::Source { step },
    })
}

#[cfg(test)]
mod tests;
