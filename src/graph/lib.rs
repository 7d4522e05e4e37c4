//! The build graph: what is to be built, before anything is built.
//!
//! A frontend makes a [`Definition`] with a [`DefinitionBuilder`]; the solver executes it. The graph
//! knows neither Dockerfiles nor disks: text and values in, values out.
//!
//! * [`op`]: what a vertex does; [`mount`]: what its command sees beside the root;
//! * [`vertex`]: a vertex, its inputs and its digest;
//! * [`definition`] and [`builder`]: the whole graph, checked and ordered;
//! * [`cache_map`]: the table of what enters a cache key;
//! * [`remote`]: files that a server has;
//! * [`sandbox`]: what a build asks of the sandboxes of its commands;
//! * [`pattern`]: include, exclude and `.dockerignore` patterns;
//! * [`policy`]: which sources a build may use;
//! * [`userinfo`]: what of the URLs of sources nobody is to see;
//! * [`render`]: the graph as text, for golden tests.
#![forbid(unsafe_code)]

pub mod builder;
pub mod cache_map;
pub mod definition;
pub mod mount;
pub mod op;
pub mod pattern;
pub mod policy;
pub mod remote;
pub mod render;
pub mod sandbox;
pub mod userinfo;
pub mod vertex;

pub use builder::DefinitionBuilder;
pub use cache_map::{CacheKey, CacheMap, InputKey, KeyFormat, KeyInput};
pub use definition::Definition;
pub use mount::{
    BindMount, CacheMount, CacheSeed, CacheSharing, ExecMount, MountAccess, MountKey, MountOwner,
    SecretMount, SshMount, TmpfsMount,
};
pub use op::{
    Archives, CopyAction, CopySource, ExecFile, ExecOp, FileAction, FileOp, ImageOrigin,
    ImageSource, LocalSource, MakeDirectory, NetworkMode, Op, SourceOp,
};
pub use pattern::PatternSet;
pub use policy::{PolicySource, SourcePolicy};
pub use remote::{GitSource, GitTimes, HttpSource};
pub use sandbox::{ExtraHost, Limit, SandboxSettings, SecurityMode};
pub use vertex::{Input, StepLabel, Vertex, VertexDigest, VertexId};
