//! One request to the solver.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use graph::{Definition, Input};
use oci::time::{Clock, Timestamp};
use runtime::{CancelToken, Executor, GroupLimits, KernelFeatures, ResourceLimit};
use store::{Lease, Store};
use vendor_shim::agent::Agent;

use crate::authorities::Authorities;
use crate::base::FoundImages;
use crate::cache::Memo;
use crate::context::{DigestTrust, DirectorySource};
use crate::emulation::Emulation;
use crate::event::Events;
use crate::host_files::HostFiles;
use crate::import::Imports;
use crate::kept::FailedStep;
use crate::listing::Listings;
use crate::network::{Networks, UsualNetwork};
use crate::ops::exec::{Secrets, Volume};
use crate::pack::HeldBlobs;
use crate::pack::PackPlan;
use crate::reach::Reach;
use crate::realise::Piles;
use crate::registries::Registries;
use crate::remote::Remote;
use crate::result::StackLayer;
use crate::state::Reuse;
use crate::unions::Unions;

/// One request: a graph, and what of it is wanted.
#[derive(Debug)]
pub struct Job {
    /// The graph.
    pub definition: Definition,
    /// The vertices whose results are wanted, one for each platform.
    pub targets: Vec<Input>,
    /// How it is to be carried out.
    pub options: JobOptions,
}

/// How a job is to be carried out; nothing of it changes a result.
#[derive(Debug, Clone)]
pub struct JobOptions {
    /// Whether results of earlier builds count.
    pub reuse: Reuse,
    /// Since when a result must have been made to count.
    pub oldest: Option<Timestamp>,
    /// How many commands run at the same time.
    pub jobs: NonZeroUsize,
    /// How much memory the commands that run at the same time may be expected to need, in bytes.
    pub memory_budget_bytes: Option<u64>,
    /// The directories of the user's, by the name that the graph knows them by.
    pub directories: BTreeMap<String, DirectorySource>,
    /// Variables that commands see and that enter neither keys nor history (`http_proxy`, …), as
    /// `NAME=value`.
    pub untracked_env: Vec<String>,
    /// Whom commands trust beside those whom their image trusts. No part of a key, and of no layer.
    pub authorities: Authorities,
    /// The secrets that steps may mount.
    pub secrets: Secrets,
    /// The sockets of SSH agents that steps may mount, by their ids.
    pub ssh: BTreeMap<String, Arc<dyn Agent>>,
    /// What of this machine every command sees.
    pub volumes: Vec<Volume>,
    /// What each command may use.
    pub limits: CommandLimits,
    /// Which network a command gets whose step does not say.
    pub network: UsualNetwork,
    /// Of which vertices is told what their keys led to.
    pub keyed: KeyedLayers,
    /// Where results of other builds are looked for, after the store.
    pub imports: Imports,
    /// Whether it is kept what copies copy, so that the next build can tell what changed.
    pub listings: Listings,
    /// Who gets each layer of the targets as soon as it is there, the lowest of each target first.
    pub layers: Option<Sender<Arc<StackLayer>>>,
    /// Who is told what is kept of commands that fail. Without anybody, nothing is kept.
    pub failed: Option<Sender<FailedStep>>,
}

/// What a command may use, as far as this machine can see to that. No part of a key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CommandLimits {
    /// By its control group, if it has one.
    pub group: Option<GroupLimits>,
    /// By limits of each process.
    pub processes: Vec<ResourceLimit>,
}

/// Of which vertices is told what their keys led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum KeyedLayers {
    /// Of none.
    #[default]
    None,
    /// Of those whose layers the targets have.
    OfResults,
    /// Of all that the targets are made from, as far as they have a result.
    All,
}

/// What is done about users in the tables of an image that the range of ids does not reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UsersBeyond {
    /// A command on such an image is an error: it can be run with ids that are enough.
    Refused,
    /// They are there, and nobody can become them.
    #[default]
    Kept,
}

/// What a job is carried out with.
#[derive(Debug, Clone)]
pub struct Workshop {
    /// The state on disk.
    pub store: Store,
    /// What keeps this job's objects alive.
    pub lease: Lease,
    /// What can be done in this process.
    pub reach: Reach,
    /// What names of images were found to be.
    pub found: Arc<FoundImages>,
    /// What the cache was asked already.
    pub memo: Memo,
    /// What runs commands.
    pub executor: Arc<dyn Executor>,
    /// What this kernel has.
    pub features: KernelFeatures,
    /// The programs that run foreign platforms' commands.
    pub emulation: Arc<Emulation>,
    /// The files of the machine that commands see.
    pub host_files: Arc<HostFiles>,
    /// What is known of the networks of commands.
    pub networks: Arc<Networks>,
    /// What reaches servers.
    pub remote: Arc<Remote>,
    /// What reaches registries.
    pub registries: Arc<Registries>,
    /// How image ids stand on disk.
    pub ids: rootfs::IdStorage,
    /// What is done about users of an image that these do not reach.
    pub users: UsersBeyond,
    /// How layers will be packed, once for each output that packs them: a result that is packed in all
    /// these ways already counts as there.
    pub pack: Vec<PackPlan>,
    /// The memory that decoders of layers share.
    pub decoders: layer::DecoderRoom,
    /// Whether digests that earlier builds found out are believed.
    pub digests: DigestTrust,
    /// What time it is.
    pub clock: Clock,
    /// Whether everything is to end. A step that fails cancels it, unless it may go well the next time: what is done beside
    /// that is in vain.
    pub cancel: CancelToken,
    /// Who is told.
    pub events: Events,
    /// How layers become one file system.
    pub unions: Unions,
    /// The directories of the stacks that were needed last.
    pub piles: Piles,
    /// The blobs that layers were found to be.
    pub blobs: HeldBlobs,
}
