//! What this machine runs commands with: chosen by trying, and remembered while it is the best there is.
//!
//! A build asks once, in the first process and before anything else is done. That costs a handful of processes, so the
//! answer is remembered ([`memory`]); but only the best one: whoever changes something about the machine because
//! `careen doctor` said so has the good of it at the next build.

mod knob;
mod memory;

use std::path::{Path, PathBuf};

use runtime::probe::{
    self, Bench, Choice, HostReport, Obstacle, Plans, Primitive, Thoroughness, Wish,
};
use runtime::userns::{Caller, IdPlan, IdSources, SandboxId, SingleReason};
use runtime::{ExecutorMode, ProcSource};
use serde::Serialize;
use vendor_shim::idmap::{DirectIdMap, IdMapper, NewIdMap};
use vendor_shim::program::ProgramNotFound;

use crate::env::Environment;
use crate::report::{Kind, Report};

pub(crate) use knob::{Advice, hidden_proc_advice};

use knob::{Facts, advise};

/// The id of `nobody`, the highest one that distributions give out by themselves.
const NOBODY: u32 = 65_534;

/// Commands cannot be run in the way that was asked for.
#[derive(Debug, thiserror::Error)]
#[error("commands cannot be run with `{mode}` on this machine")]
struct NotHere {
    mode: ExecutorMode,
}

/// A range of ids that is too small for most images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct ShortRange {
    /// How many ids it has, counted from 0.
    pub(crate) ids: u32,
    /// One that every distribution has, and that it does not reach.
    pub(crate) lacks: u32,
}

/// What is known of the machine before anything is tried.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) caller: Caller,
    pub(crate) plans: Plans,
    helpers: Result<NewIdMap, ProgramNotFound>,
    memory: Option<PathBuf>,
    /// Where it is remembered that the range is too small.
    shortage: Option<PathBuf>,
}

impl Host {
    /// Looks at the tables of ids and for the helpers.
    pub(crate) fn look(env: &Environment) -> Self {
        let helpers = NewIdMap::find(&env.search_path);
        let caller = Caller::current();
        let sources = IdSources::probe(&caller, Path::new("/etc"), helpers.is_ok());
        Self {
            plans: Plans::new(&caller, &sources),
            caller,
            helpers,
            memory: memory::place(env),
            shortage: memory::place(env).map(|place| place.with_file_name("shortage")),
        }
    }

    /// Returns who maps ranges of ids.
    pub(crate) fn helpers(&self) -> &dyn IdMapper {
        match &self.helpers {
            Ok(helpers) => helpers,
            Err(_) => &DirectIdMap::DenySetgroups,
        }
    }

    /// Tries what the modes need. Files are made in the nearest directory of `store` that is there.
    pub(crate) fn probe(&self, store: &Path, thoroughness: Thoroughness) -> HostReport {
        let is_there = |path: &&Path| std::fs::metadata(path).is_ok_and(|found| found.is_dir());
        let scratch = store.ancestors().find(is_there);
        let bench = Bench {
            caller: &self.caller,
            plans: &self.plans,
            helpers: self.helpers(),
            scratch: scratch.unwrap_or(Path::new("/")),
        };
        probe::probe(&bench, thoroughness)
    }

    /// Decides what commands are run with.
    ///
    /// # Errors
    ///
    /// Fails when what was wished for cannot be had.
    pub(crate) fn choose(&mut self, store: &Path, wish: Wish) -> Result<Choice, Box<Report>> {
        if wish == Wish::Best {
            self.recall_shortage();
        }
        let print = memory::fingerprint(&self.plans);
        if wish == Wish::Best && memory::knows(self.memory.as_deref(), print.as_deref()) {
            return Ok(self.best());
        }
        if wish == Wish::Mode(ExecutorMode::Nothing) {
            return Ok(probe::choose(&HostReport::default(), &self.plans, wish));
        }
        let thoroughness = match wish {
            Wish::Best => Thoroughness::Enough,
            Wish::Mode(_) => Thoroughness::Everything,
        };
        let report = self.probe(store, thoroughness);
        let choice = probe::choose(&report, &self.plans, wish);
        if let Wish::Mode(mode) = wish
            && choice.plan == IdPlan::Nothing
        {
            return Err(self.refuse(mode, &choice));
        }
        if wish == Wish::Best && choice == self.best() {
            memory::remember(self.memory.as_deref(), print.as_deref());
        }
        Ok(choice)
    }

    /// Forgets what was remembered: something did not go as it went then.
    pub(crate) fn forget(&self) {
        memory::forget(self.memory.as_deref());
        memory::forget(self.shortage.as_deref());
    }

    /// Gives the range of ids up, since an image has one that it does not reach. Where that is one that every distribution
    /// has, it will be missed by the next image as well, and is remembered for as long as the machine looks the same.
    pub(crate) fn lacks(&mut self, id: SandboxId) {
        if self.has_short_range() {
            let print = memory::fingerprint(&self.plans);
            let text = print.map(|print| format!("{print}{}\n", id.0));
            memory::remember(self.shortage.as_deref(), text.as_deref());
        }
        self.plans = self.plans.clone().without(id);
    }

    /// Tells whether there is a range which does not reach an id that every distribution has.
    fn has_short_range(&self) -> bool {
        self.short_range().is_some()
    }

    /// Returns the range if it does not reach an id that every distribution has.
    pub(crate) fn short_range(&self) -> Option<ShortRange> {
        let ids = self.plans.range.as_ref()?.id_map().count();
        let lacks = NOBODY;
        (ids <= lacks).then_some(ShortRange { ids, lacks })
    }

    /// Returns what would make a range larger.
    pub(crate) fn short_range_advice(&self, range: ShortRange) -> Option<Advice> {
        let obstacle = Obstacle::Ids(SingleReason::TooFew {
            count: range.ids,
            id: range.lacks,
        });
        // No setting of the machine's has to do with it.
        advise(&obstacle, Facts::default(), &self.caller)
    }

    /// Gives the range up at once where it was too small before. Of other ranges that is never remembered, and nothing is
    /// read.
    fn recall_shortage(&mut self) {
        if !self.has_short_range() {
            return;
        }
        let print = memory::fingerprint(&self.plans);
        let rest = memory::rest(self.shortage.as_deref(), print.as_deref());
        let id = rest.and_then(|rest| rest.trim_end().parse().ok());
        if let Some(id) = id {
            self.plans = self.plans.clone().without(SandboxId(id));
        }
    }

    /// Returns what would be chosen if everything worked that the plans allow.
    fn best(&self) -> Choice {
        let (plan, passed_over) = match &self.plans.range {
            Some(plan) => (plan, Vec::new()),
            None => (&self.plans.one, probe::without_range(&self.plans)),
        };
        Choice {
            plan: plan.clone(),
            proc: ProcSource::Fresh,
            passed_over,
        }
    }

    /// Returns what would let commands be run, as a line, where none can be.
    pub(crate) fn advice_on_nothing(&self, choice: &Choice) -> Option<String> {
        match choice.plan.id_map().mode() {
            ExecutorMode::Nothing => self.advice(choice).map(|advice| advice.to_string()),
            _ => None,
        }
    }

    fn refuse(&self, mode: ExecutorMode, choice: &Choice) -> Box<Report> {
        let mut report = Report::new(Kind::Host, &NotHere { mode });
        report.notes = obstacles(choice);
        report.help = self.advice(choice).map(|advice| advice.to_string());
        Box::new(report)
    }

    /// Returns what would let modes be taken that were not, the most preferred first, each once. More ids are of no use
    /// where there is no namespace that could have them.
    pub(crate) fn all_advice(&self, choice: &Choice) -> Vec<Advice> {
        let facts = Facts::read(Path::new("/"));
        let obstacles = || choice.passed_over.iter().map(|(_, obstacle)| obstacle);
        let is_refused = |obstacle: &Obstacle| {
            let primitive = Primitive::UserNamespace;
            matches!(obstacle, Obstacle::Refused { primitive: of, .. } if *of == primitive)
        };
        let without_namespaces = obstacles().any(is_refused);
        let mut all: Vec<Advice> = Vec::new();
        for obstacle in obstacles() {
            if without_namespaces && matches!(obstacle, Obstacle::Ids(_)) {
                continue;
            }
            all.extend(advise(obstacle, facts, &self.caller).filter(|one| !all.contains(one)));
        }
        all
    }

    /// Returns what would let the most preferred of the modes be taken that were not.
    pub(crate) fn advice(&self, choice: &Choice) -> Option<Advice> {
        self.all_advice(choice).into_iter().next()
    }

    /// Says which mode is not taken because something that it needs was refused, as the user may expect it to be; nothing
    /// where no better one is to be expected.
    pub(crate) fn notice(&self, choice: &Choice) -> Option<String> {
        let mode = choice.plan.id_map().mode();
        let is_refused = |(_, obstacle): &&(ExecutorMode, Obstacle)| {
            matches!(
                obstacle,
                Obstacle::Refused { .. } | Obstacle::Ids(SingleReason::TooFew { .. })
            )
        };
        let (wanted, obstacle) = choice.passed_over.iter().find(is_refused)?;
        if mode == ExecutorMode::Nothing {
            return None;
        }
        let title = format!("commands are run with `{mode}`, since `{wanted}` does not work here");
        let report = Report {
            kind: Kind::Host,
            title,
            place: None,
            causes: vec![obstacle.to_string()],
            notes: Vec::new(),
            help: self.advice(choice).map(|advice| advice.to_string()),
            solve: None,
        };
        Some(report.to_warning())
    }
}

/// Returns what is in the way of each mode, a line each.
pub(crate) fn obstacles(choice: &Choice) -> Vec<String> {
    let line = |(mode, obstacle): &(ExecutorMode, Obstacle)| format!("`{mode}`: {obstacle}");
    choice.passed_over.iter().map(line).collect()
}
