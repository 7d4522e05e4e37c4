//! What a command works with: the builder's process, the store, the sandbox.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use oci::Clock;
use rootfs::IdStorage;
use runtime::probe::Choice;
use runtime::userns::{IdMap, IdPlan, NotedSignals};
use runtime::{
    Builder, BuilderCommand, BuilderExit, BuilderRole, CancelToken, Chroot, Executor, ExecutorMode,
    KernelFeatures, Namespaces, NoExecutor, SignalsAre,
};
use solver::context::DigestTrust;
use solver::emulation::{Emulation, Handlers};
use solver::host_files::{HostFiles, ResolvConf};
use solver::pack::HeldBlobs;
use solver::realise::Piles;
use solver::remote::Remote;
use solver::unions::Unions;
use solver::{Events, Pulling, Reach, TimedEvent, Workshop};
use store::{IdMapName, OpenError, OpenOptions, Store, SyncPolicy, Waits};
use vendor_shim::network::{SystemNetwork, UserNetwork as _};

use crate::command::failure::disk;
use crate::env::Environment;
use crate::host::Host;
use crate::options::{Places, Resolver};
use crate::registries::registries;
use crate::report::{self, Kind, Report};

/// The machine's resolver configuration, and the one behind it where systemd-resolved is in between.
const RESOLV_CONF: &str = "/etc/resolv.conf";
const RESOLVED_CONF: &str = "/run/systemd/resolve/resolv.conf";

/// Starts the builder, which goes on with `build`, and waits for it.
pub(crate) fn run_builder<B: FnOnce(BuilderRole) -> u8>(
    env: &Environment,
    (host, choice): (&Host, &Choice),
    (signals, noted): (SignalsAre, Option<NotedSignals>),
    build: B,
) -> Result<BuilderExit, Box<Report>> {
    let command = BuilderCommand {
        hidden: &env.hidden(),
        caller: &host.caller,
        plan: &choice.plan,
        helpers: host.helpers(),
        signals,
    };
    runtime::run_builder(&command, noted, build).map_err(|error| {
        let mut report = Report::new(Kind::Host, &error);
        if let IdPlan::Single { reason } = choice.plan {
            report.notes.push(format!("one id only: {reason}"));
        }
        Box::new(report)
    })
}

/// Becomes the builder.
pub(crate) fn enter(role: BuilderRole) -> Result<Builder, Box<Report>> {
    role.enter()
        .map_err(|error| Box::new(Report::new(Kind::Host, &error)))
}

/// Opens what a command works with; the receiver gets what there is to show. The time is the system's and
/// nothing is packed, unless the command says otherwise.
pub(crate) fn open(
    builder: &Builder,
    places: &Places,
    resolver: &Resolver,
) -> Result<(Workshop, Receiver<TimedEvent>), Box<Report>> {
    let features = KernelFeatures::probe();
    let (executor, resolv_conf) = executor(builder, features, (places, resolver));
    let process = Process {
        ids: builder.ids(),
        cancel: builder.cancel(),
        reach: Reach::Everything,
        features,
        executor,
        resolv_conf,
    };
    process.open(places)
}

/// Opens what the first process works with while it has no builder: nothing is made with it, and no command run.
pub(crate) fn open_alone(
    cancel: &CancelToken,
    ids: IdMap,
    places: &Places,
) -> Result<(Workshop, Receiver<TimedEvent>), Box<Report>> {
    let process = Process {
        ids,
        cancel,
        reach: Reach::Known,
        features: KernelFeatures::default(),
        executor: Arc::new(NoExecutor::new(Vec::new())),
        resolv_conf: ResolvConf {
            machine: Vec::new(),
            sandbox: Vec::new(),
        },
    };
    process.open(places)
}

/// The process that a command works in.
struct Process<'a> {
    ids: IdMap,
    cancel: &'a CancelToken,
    reach: Reach,
    features: KernelFeatures,
    executor: Arc<dyn Executor>,
    resolv_conf: ResolvConf,
}

impl Process<'_> {
    fn open(self, places: &Places) -> Result<(Workshop, Receiver<TimedEvent>), Box<Report>> {
        let ids = storage(self.ids);
        let (events, receiver) = Events::channel();
        // A step that fails ends those beside it, and no more.
        let cancel = self
            .cancel
            .child()
            .map_err(|error| Report::new(Kind::Host, &error))?;
        let store = open_store_of(self.ids, places, &events.waits())?;
        let lease = store
            .lease()
            .map_err(|error| Report::new(Kind::Host, &error))?;
        let workshop = Workshop {
            store,
            lease,
            reach: self.reach,
            found: Arc::default(),
            memo: solver::Memo::default(),
            executor: self.executor,
            features: self.features,
            emulation: Arc::new(Emulation::new(
                Box::new(places.system_emulators()),
                handlers(self.ids),
            )),
            host_files: Arc::new(HostFiles::new(self.resolv_conf, ids)),
            networks: Arc::default(),
            remote: Arc::new(Remote::new(places.remote.clone(), cancel.clone())),
            registries: Arc::new(registries(
                &places.registry,
                &places.remote,
                (&cancel, Pulling::Allowed),
            )),
            ids,
            users: places.users,
            pack: Vec::new(),
            decoders: layer::DecoderRoom::default(),
            digests: DigestTrust::default(),
            clock: Clock::System,
            cancel,
            events,
            unions: unions(self.ids),
            piles: Piles::default(),
            blobs: HeldBlobs::default(),
        };
        Ok((workshop, receiver))
    }
}

/// Returns whose emulators commands have.
fn handlers(ids: IdMap) -> Handlers {
    match ids.mode() {
        ExecutorMode::UsernsMulti | ExecutorMode::UsernsSingle => Handlers::OfNamespace,
        ExecutorMode::Chroot | ExecutorMode::Nothing => Handlers::OfMachine,
    }
}

/// Returns what runs commands for a builder with these ids, and what they find name servers by.
fn executor(
    builder: &Builder,
    features: KernelFeatures,
    (places, resolver): (&Places, &Resolver),
) -> (Arc<dyn Executor>, ResolvConf) {
    match builder.ids().mode() {
        ExecutorMode::UsernsMulti | ExecutorMode::UsernsSingle => {
            let executor = Namespaces::new(builder, &features).with_proc(places.proc);
            let (executor, resolv_conf) = networked(executor, places, resolver);
            (Arc::new(executor), resolv_conf)
        }
        ExecutorMode::Chroot => {
            let executor = Chroot::new(builder, &features);
            (Arc::new(executor), machines(resolver))
        }
        ExecutorMode::Nothing => {
            let executor = NoExecutor::new(places.obstacles.clone());
            (Arc::new(executor), machines(resolver))
        }
    }
}

/// Returns what commands find name servers by that have no network but the machine's.
fn machines(resolver: &Resolver) -> ResolvConf {
    let machine = resolver.applied_to(resolv_conf());
    ResolvConf {
        sandbox: machine.clone(),
        machine,
    }
}

/// Gives an executor what connects the network of a build, and returns what commands find name servers by.
fn networked(
    executor: Namespaces,
    places: &Places,
    resolver: &Resolver,
) -> (Namespaces, ResolvConf) {
    let machine = resolv_conf();
    let text = String::from_utf8_lossy(&machine);
    let (executor, sandbox) = match SystemNetwork::find(&places.remote.search_path, &text) {
        Ok(helper) => {
            let sandbox = helper.resolver().into_bytes();
            (executor.with_network(Ok(Arc::new(helper))), sandbox)
        }
        // What there is not has no name servers either.
        Err(error) => (executor.with_network(Err(error)), Vec::new()),
    };
    let [machine, sandbox] = [machine, sandbox].map(|text| resolver.applied_to(text));
    (executor, ResolvConf { machine, sandbox })
}

/// Returns how layers become one file system for a builder with these ids.
fn unions(ids: IdMap) -> Unions {
    match ids.mode() {
        ExecutorMode::UsernsMulti | ExecutorMode::UsernsSingle | ExecutorMode::Nothing => {
            Unions::of_store()
        }
        ExecutorMode::Chroot => Unions::without_mounts(),
    }
}

/// Opens the store for the builder's id map. That of a builder of its own is below the user's, which is made first.
pub(crate) fn open_store(builder: &Builder, places: &Places) -> Result<Store, Box<Report>> {
    open_store_of(builder.ids(), places, &waits_said())
}

/// Returns what says that a wait for a lock lasts, for commands that show no progress.
pub(crate) fn waits_said() -> Waits {
    Waits::told_to(|wait| {
        if !wait.is_over {
            let lock = &wait.lock;
            report::print_text(&format!(
                "waiting for another careen to be done with `{lock}`\n"
            ));
        }
    })
}

/// As [`open_store`], for whoever has these ids.
fn open_store_of(ids: IdMap, places: &Places, waits: &Waits) -> Result<Store, Box<Report>> {
    let open = |path: &Path| {
        try_store(ids, path, (places.sync, waits))?.map_err(|error| not_open(&error, path))
    };
    if let Some(users) = &places.users_store {
        drop(open(users)?);
    }
    open(&places.store)
}

/// Opens the store at a path, if that can be opened.
pub(crate) fn try_store(
    ids: IdMap,
    path: &Path,
    (sync, waits): (SyncPolicy, &Waits),
) -> Result<Result<Store, OpenError>, Box<Report>> {
    let mode = ids.mode();
    let id_map =
        IdMapName::new(&mode.to_string()).map_err(|error| Report::new(Kind::Internal, &error))?;
    if let Some(parent) = path.parent() {
        // The store makes its own directory and says best what is wrong with it.
        drop(std::fs::create_dir_all(parent));
    }
    let options = OpenOptions {
        id_map,
        sync,
        waits: waits.clone(),
    };
    Ok(Store::open(path, options))
}

/// Returns what is said of a store that cannot be opened.
pub(crate) fn not_open(error: &OpenError, path: &Path) -> Box<Report> {
    let mut report = Report::new(Kind::Host, error);
    report.notes.push(format!("store: {}", path.display()));
    let help = match error {
        OpenError::Content { .. } => "`careen fsck --repair` makes the frame of its images anew",
        OpenError::Version { .. } => {
            "where no newer careen has used it, write a `1` into its file `VERSION`"
        }
        OpenError::Newer { .. } => {
            "the careen that made it reads it; `--store DIR` or `CAREEN_STORE` names another directory"
        }
        _ if disk::is_full(error) => disk::WAY_OUT,
        _ => "`--store DIR` or `CAREEN_STORE` names another directory",
    };
    report.help = Some(help.to_owned());
    Box::new(report)
}

/// Returns how the ids of images stand on disk, as the builder sees them.
pub(crate) fn storage(ids: IdMap) -> IdStorage {
    match ids.mode() {
        ExecutorMode::UsernsMulti | ExecutorMode::Chroot => IdStorage::Shifted {
            by: ids.container_root().0,
            count: ids.count(),
        },
        ExecutorMode::UsernsSingle | ExecutorMode::Nothing => IdStorage::Recorded,
    }
}

/// Returns the resolver configuration that commands see: the machine's, or the one behind it where
/// the machine's only names a stub on its own loop-back.
fn resolv_conf() -> Vec<u8> {
    let text = std::fs::read(RESOLV_CONF).unwrap_or_default();
    let lines = String::from_utf8_lossy(&text);
    let mut servers = lines
        .lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver"));
    let is_stub = |server: &str| server.trim() == "127.0.0.53";
    let only_stub = servers.clone().count() > 0 && servers.all(is_stub);
    if only_stub && let Ok(behind) = std::fs::read(RESOLVED_CONF) {
        return behind;
    }
    text
}
