//! What is told of a machine, as it is in the JSON.

use std::path::{Path, PathBuf};

use runtime::probe::{self, Choice, HostReport, Primitive, Thoroughness, TrialKind};
use runtime::userns::IdPlan;
use runtime::{ExecutorMode, ProcSource};
use serde::Serialize;
use store::Medium;
use vendor_shim::emulation::{Architecture, Emulators as _};

use crate::env::Environment;
use crate::host::{Advice, Host, ShortRange, hidden_proc_advice};
use crate::options::Places;

/// All that is told.
#[derive(Debug, Serialize)]
pub(super) struct Diagnosis {
    /// What commands are run with: `none` if they cannot be run.
    pub(super) executor: String,
    /// How many ids a command has.
    pub(super) ids: u32,
    /// The range of ids that commands have, if it is too small for most images.
    pub(super) short_range: Option<ShortRange>,
    /// What is in the way of each mode that would be preferred.
    pub(super) passed_over: Vec<PassedOver>,
    /// What was tried, by the ids that it was tried with.
    pub(super) trials: HostReport,
    /// What commands have in place of what was refused in the mode that is taken.
    pub(super) instead: Vec<Instead>,
    /// What would improve it.
    pub(super) advice: Vec<AdviceLine>,
    /// The store.
    pub(super) store: StorePlace,
    /// The emulators of other processors.
    pub(super) emulators: Vec<EmulatorLine>,
    /// The kernel's version.
    pub(super) kernel: String,
}

/// A mode that is not taken.
#[derive(Debug, Serialize)]
pub(super) struct PassedOver {
    pub(super) executor: String,
    pub(super) because: String,
}

/// What is used in place of something.
#[derive(Debug, Serialize)]
pub(super) struct Instead {
    pub(super) primitive: Primitive,
    pub(super) instead: &'static str,
}

/// What would improve it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct AdviceLine {
    pub(super) because: &'static str,
    pub(super) command: String,
}

/// Where the store is.
#[derive(Debug, Serialize)]
pub(super) struct StorePlace {
    pub(super) path: PathBuf,
    /// What it is on; not there where that cannot be found out.
    pub(super) file_system: Option<&'static str>,
    /// Whether that is refused, since other machines write to it.
    pub(super) is_refused: bool,
    pub(super) free_bytes: Option<u64>,
}

/// An emulator.
#[derive(Debug, Serialize)]
pub(super) struct EmulatorLine {
    pub(super) architecture: String,
    pub(super) path: PathBuf,
    /// Whether the machine has it registered in a way that works in images.
    pub(super) is_registered: bool,
}

impl Diagnosis {
    /// Tries everything.
    pub(super) fn make(places: &Places, env: &Environment) -> Self {
        let host = Host::look(env);
        let trials = host.probe(&places.store, Thoroughness::Everything);
        let choice = probe::choose(&trials, &host.plans, places.executor);
        let ids = choice.plan.id_map();
        let mode = ids.mode();
        let is_ranged = mode == ExecutorMode::UsernsMulti;
        let short_range = host.short_range().filter(|_| is_ranged);
        Self {
            executor: mode.to_string(),
            ids: ids.count(),
            short_range,
            passed_over: passed_over(&choice),
            instead: instead(&trials, mode),
            advice: advice(&choice, &host, short_range),
            trials,
            store: StorePlace::look(&places.store),
            emulators: emulators(places),
            kernel: kernel(),
        }
    }

    /// Tells whether commands can be run.
    pub(super) fn runs_commands(&self) -> bool {
        self.executor != ExecutorMode::Nothing.to_string()
    }
}

fn passed_over(choice: &Choice) -> Vec<PassedOver> {
    let line = |(mode, obstacle): &(ExecutorMode, probe::Obstacle)| PassedOver {
        executor: mode.to_string(),
        because: obstacle.to_string(),
    };
    choice.passed_over.iter().map(line).collect()
}

fn instead(report: &HostReport, mode: ExecutorMode) -> Vec<Instead> {
    let kind = TrialKind::ALL.into_iter().find(|kind| kind.mode() == mode);
    let trial = kind.and_then(|kind| report.trials.get(&kind));
    let refused = trial
        .into_iter()
        .flat_map(|trial| &trial.findings)
        .filter(|(_, finding)| !finding.works());
    let line = |primitive: Primitive| {
        let instead = in_place_of(primitive)?;
        Some(Instead { primitive, instead })
    };
    refused
        .filter_map(|(primitive, _)| line(*primitive))
        .collect()
}

/// Returns what commands have where something is refused that their mode can do without.
fn in_place_of(primitive: Primitive) -> Option<&'static str> {
    match primitive {
        Primitive::FreshProc => Some(
            "the outer `/proc`, with a user namespace for each step: the names of other processes are seen, and nothing \
             else of them",
        ),
        Primitive::HostName => {
            Some("the host name of the container; one that was asked for is an error")
        }
        Primitive::Overlay | Primitive::Upper => Some(
            "copies: each command changes a copy of its files, which takes time and room; `--store DIR` or `CAREEN_STORE` \
             names a directory on another file system",
        ),
        Primitive::NetworkNamespace => Some("nothing: `--network=none` is an error"),
        Primitive::Questions => Some("nothing: `mknod` of a device in a RUN fails"),
        Primitive::Filter => Some("nothing: a RUN fails, but for `--security=insecure`"),
        Primitive::Emulators => Some("the emulators that the machine has registered, if any"),
        _ => None,
    }
}

fn advice(choice: &Choice, host: &Host, short_range: Option<ShortRange>) -> Vec<AdviceLine> {
    let hidden_proc = (choice.proc == ProcSource::Outer && runs(choice)).then(hidden_proc_advice);
    let more_ids = short_range.and_then(|range| host.short_range_advice(range));
    let all = host.all_advice(choice).into_iter();
    let all = all.chain(more_ids).chain(hidden_proc);
    let line = |advice: Advice| AdviceLine {
        because: advice.because,
        command: advice.command,
    };
    all.map(line).collect()
}

fn runs(choice: &Choice) -> bool {
    matches!(choice.plan, IdPlan::Multi { .. } | IdPlan::Single { .. })
}

impl StorePlace {
    fn look(path: &Path) -> Self {
        let medium = Medium::of(path).ok();
        Self {
            path: path.to_owned(),
            file_system: medium.as_ref().map(|medium| medium.name),
            is_refused: medium.as_ref().is_some_and(|medium| medium.is_network),
            free_bytes: medium.map(|medium| medium.free_bytes),
        }
    }
}

fn emulators(places: &Places) -> Vec<EmulatorLine> {
    let emulators = places.system_emulators();
    let registered = emulators.host_registrations().ok();
    let line = |architecture: Architecture| {
        let hosts = registered
            .as_ref()
            .and_then(|registered| registered.usable(architecture));
        let path = hosts
            .map(|handler| handler.interpreter.clone())
            .or_else(|| emulators.find(architecture).ok())?;
        Some(EmulatorLine {
            architecture: architecture.to_string(),
            path,
            is_registered: hosts.is_some(),
        })
    };
    Architecture::others().filter_map(line).collect()
}

fn kernel() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease");
    release.unwrap_or_default().trim().to_owned()
}
