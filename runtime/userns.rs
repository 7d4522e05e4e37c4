//! The user namespaces of a build, and who dies with whom.
//!
//! ```text
//! user                      builder's namespace            namespace of commands
//! caller's uid      ◄─────  0  the builder
//! first subuid      ◄─────  1                     ◄─────   0  root of a container
//! second subuid     ◄─────  2                     ◄─────   1
//! …                         …                              …
//! ```
//!
//! Container root is not the caller: a command that breaks out of its sandbox can neither read the
//! caller's private files nor signal its processes. On disk an id of a container is a subuid; seen
//! from the builder it is one more than in the container ([`IdMap`]). Where there is no range of
//! ids ([`IdPlan::Single`]), container root is the builder's root and the caller, and there are no
//! other ids.
//!
//! The **first process** keeps the caller's ids. What needs no others it may do itself ([`Alone`]); else
//! ([`run_builder`]) it starts the **builder**
//! ([`BuilderRole::enter`]), has its ids mapped, passes signals down and the exit status up. When the first command is
//! run, the builder starts the **starter**, which makes an **init** for each of them.
//!
//! | Who is killed | Who notices, by what | What happens |
//! | --- | --- | --- |
//! | first process | builder: its socket closes | cancels, and kills itself if that takes longer than [`ORPHAN_GRACE`] |
//! | builder | first process: its child ends | returns the signal |
//! | | each PID 1: its socket closes | ends, and the kernel kills its namespace |
//! | | starter: its socket closes | ends |
//! | starter | builder: its socket closes | no step starts any more; those that run go on |
//! | `init` | builder: a pidfd | kills PID 1; the step has failed |
//! | PID 1 | the kernel | kills its namespace; `init` ends; the step has failed |
//! | command | PID 1: its child ends | reports the status |
//!
//! Mounts need no care: they are in namespaces of these processes or held by their descriptors.
//!
//! [`BuilderRole::enter`]: crate::BuilderRole::enter

mod alone;
mod builder;
mod first;
pub(crate) mod nested;
mod plan;

pub use alone::{Alone, AloneError, NotedSignals, begun_again};
pub use builder::{Builder, EnterError, ORPHAN_GRACE, Watch, WatchError};
pub(crate) use first::write_maps;
pub use first::{
    BuilderCommand, BuilderError, BuilderExit, SignalsAre, run_builder, wipe_environment,
};
pub use nested::{CommandNamespace, NamespaceError};
pub use plan::{
    BuilderId, Caller, IdMap, IdPlan, IdSources, MapWriter, PRIVATE_RANGE, SandboxId, SingleReason,
    plan_ids,
};
