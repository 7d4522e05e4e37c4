//! Decides, schedules and executes a build graph.
//!
//! A [`Job`] goes in, the file systems of its targets come out ([`solve`]), and [`Event`]s on the way. The
//! solver knows neither Dockerfiles nor output formats.
//!
//! * [`state`]: which vertex is where, a pure function;
//! * [`scheduler`]: the one thread that owns all states;
//! * `worker`: what carries out one action;
//! * [`ops`]: what each op does;
//! * `cache`: what a key led to, and `footing`: on what; [`import`]: what it led to elsewhere;
//! * [`realise`]: change sets as directories; [`pack`]: change sets as blobs; [`squash`]: several as one;
//! * [`stash`]: what cache mounts hold; `compared`: directories beside the blobs of their layers;
//! * [`tree`]: what a stack looks like from inside;
//! * [`cancel`]: streams that end with the job;
//! * [`launch`](mod@launch): one command on an image, to try it;
//! * [`kept`]: commands that failed, to be looked into;
//! * [`base`]: base images; [`context`]: directories of the user's;
//! * [`remote`]: what servers have; [`registries`]: what reaches registries;
//! * [`emulation`], [`host_files`], [`network`]: what this machine gives to commands.
#![forbid(unsafe_code)]

mod admission;
mod authorities;
pub mod base;
mod cache;
pub mod cancel;
mod compared;
pub mod context;
pub mod counted;
mod crew;
mod earlier;
pub mod emulation;
pub mod error;
pub mod event;
mod experience;
mod footing;
pub mod host_files;
pub mod import;
pub mod job;
pub mod kept;
pub mod launch;
pub mod listing;
pub mod network;
pub mod ops;
pub mod owners;
pub mod pack;
mod reach;
pub mod realise;
pub mod registries;
pub mod remote;
pub mod result;
pub mod scheduler;
pub mod squash;
pub mod stash;
pub mod state;
pub mod tree;
mod trees;
pub mod unions;
mod worker;

pub use authorities::Authorities;
pub use cache::Memo;
pub use cancel::{Cancellable, CancellablePipe};
pub use compared::LayerFiles;
pub use error::{SolveError, StepError};
pub use event::{Event, Events, TimedEvent};
pub use footing::{of_tars as digest_of_commands, on_top_of as digest_with_command};
pub use import::{CacheBackend, ImportError, ImportedLayer, Imports, RemoteLayer};
pub use job::{CommandLimits, Job, JobOptions, KeyedLayers, UsersBeyond, Workshop};
pub use kept::{FailedStep, Given, KeptStep};
pub use launch::{Launch, launch};
pub use listing::{ChangedFile, FileChange, Listings, changed_files};
pub use network::{Networks, UsualNetwork};
pub use ops::image::stack as stack_of;
pub use pack::{BaseLayers, LayerBlob, PackPlan, PackedWhen, are_packed, pack_early, pack_layer};
pub use reach::Reach;
pub use registries::{Protection, Pulling, Registries};
pub use result::{BuildResult, HistoryStep, PlatformResult, Recipe, Stack};
pub use scheduler::{KeyedLayer, Solved, solve, solve_keyed};
pub use squash::{SquashError, pack_squashed};
pub use tree::Tree;
