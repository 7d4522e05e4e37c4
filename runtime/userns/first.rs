//! The first process's side: it starts the builder, has its ids mapped, and stays to pass signals
//! down and the exit status up.

use std::os::fd::{AsFd as _, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::unistd::{ForkResult, Pid};
use thiserror::Error;
use tracing::debug;
use vendor_shim::idmap::{DirectIdMap, IdMapError, IdMapper};

use super::{Caller, IdPlan, MapWriter, NotedSignals, SandboxId};
use crate::channel::{Channel, ChannelError, Received, wait_for_any};
use crate::protocol::{ToBuilder, ToFirst};
use crate::role::{BuilderRole, OwnNamespaces};
use crate::sys::process::Ending;
use crate::sys::{CallError, environment, process, signal};

/// How soon after another one a signal belongs to the same wish: `timeout` and shells tell a process, and at once
/// its whole group. Nobody presses a key twice as fast.
pub(super) const SAME_WISH: Duration = Duration::from_millis(100);

/// Takes the values of variables that hold secrets out of this process's environment, where every process of the user may
/// read them, and so out of that of its children. To be called before the first child, and while there is one thread.
pub fn wipe_environment(names: &[&[u8]]) {
    environment::wipe(names);
}

/// What the builder is started with.
#[derive(Debug)]
pub struct BuilderCommand<'c> {
    /// The names of variables that hold secrets: their values are taken out of this process's environment, and so out
    /// of the builder's, since every process of the user may read them there.
    pub hidden: &'c [&'c [u8]],
    /// Whose builder it is.
    pub caller: &'c Caller,
    /// The ids it is to have.
    pub plan: &'c IdPlan,
    /// Who maps them if the plan is for [`MapWriter::Helpers`].
    pub helpers: &'c dyn IdMapper,
    /// What signals to this process mean.
    pub signals: SignalsAre,
}

/// What signals to the first process mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignalsAre {
    /// The wish to end; the second one is an order.
    Wishes,
    /// Messages to a command of the builder's ([`crate::Builder::relay_signals`]), as many as there are.
    Messages,
}

/// How the builder ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuilderExit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(Signal),
    /// Having said that an image has an id that its range does not reach
    /// ([`Builder::lacks_id`](crate::Builder::lacks_id)).
    LacksId(SandboxId),
}

/// Why there was no builder.
#[derive(Debug, Error)]
pub enum BuilderError {
    /// The process could not be started or watched.
    #[error("start the builder")]
    Start(#[source] CallError),
    /// The builder and this process could not talk.
    #[error("talk to the builder")]
    Talk(#[source] ChannelError),
    /// Its ids could not be mapped.
    #[error("give the builder its ids")]
    Map(#[source] IdMapError),
}

/// What a builder ends with that panicked: what the standard library ends a program with.
const PANICKED: u8 = 101;

/// Runs the builder, a copy of this process that goes on with `build`, to its end.
///
/// To execute this program once more would take longer than everything else that a build with nothing to do does. The
/// copy ends with the code that `build` returns, and nothing that this process has to tidy up is tidied up in it.
///
/// The builder inherits the standard streams, to which nothing may have been written that is not flushed. Signals
/// that ask this process to end are passed on as the wish to cancel; a second one kills the builder, and with it
/// everything that it has started, unless signals are messages.
///
/// Must be called while the process has one thread, and again only when the builder has ended with
/// [`BuilderExit::LacksId`]. `noted` is what [`Alone`](super::Alone) left, if the process was at work before.
///
/// # Errors
///
/// Fails when the builder cannot be started or gets no ids. What the builder itself cannot do it
/// reports, and this function returns its exit code.
pub fn run_builder<B: FnOnce(BuilderRole) -> u8>(
    command: &BuilderCommand<'_>,
    noted: Option<NotedSignals>,
    build: B,
) -> Result<BuilderExit, BuilderError> {
    environment::wipe(command.hidden);
    let (channel, theirs) = Channel::pair().map_err(BuilderError::Start)?;
    // Before the child exists, so that no signal of the user's falls between the two.
    let signals = match noted {
        Some(NotedSignals(signals)) => signals,
        None => signal::note_endings().map_err(BuilderError::Start)?,
    };
    if command.signals == SignalsAre::Messages {
        signal::note_more(&signal::FOR_COMMANDS).map_err(BuilderError::Start)?;
    }
    let pid = match process::fork().map_err(BuilderError::Start)? {
        ForkResult::Child => {
            // Kept open here, it would hide from the builder that the first process is gone.
            drop((channel, signals));
            let namespaces = match command.plan {
                IdPlan::Multi { .. } | IdPlan::Single { .. } => OwnNamespaces::Yes,
                IdPlan::Own { .. } | IdPlan::Nothing => OwnNamespaces::No,
            };
            let role = BuilderRole {
                control: theirs,
                namespaces,
            };
            let code = catch_unwind(AssertUnwindSafe(|| build(role)));
            process::end(code.unwrap_or(PANICKED))
        }
        ForkResult::Parent { child } => child,
    };
    drop(theirs);
    let child = Child::watch(pid)?;
    match introduce(&channel, command, &child) {
        Ok(()) => child.supervise(&channel, &signals, command.signals),
        Err(error) => {
            child.kill();
            drop(child.wait());
            Err(error)
        }
    }
}

type FirstEnd = Channel<ToBuilder, ToFirst>;

/// Gives the builder its ids once it has asked for them.
fn introduce(
    channel: &FirstEnd,
    command: &BuilderCommand<'_>,
    child: &Child,
) -> Result<(), BuilderError> {
    let Received::Message(ToFirst::Unshared, _) = channel.receive().map_err(BuilderError::Talk)?
    else {
        // It could not make its namespace. It says so itself and ends.
        return Ok(());
    };
    let pid = child.pid.as_raw().cast_unsigned();
    write_maps(pid, command.plan, command.caller, command.helpers).map_err(BuilderError::Map)?;
    let mapped = ToBuilder::Mapped(command.plan.id_map());
    match channel.send(&mapped, &[]) {
        // It was killed meanwhile; its status says so.
        Err(ChannelError::Call(error)) if error.errno() == nix::errno::Errno::EPIPE => Ok(()),
        sent => sent.map_err(BuilderError::Talk),
    }
}

/// Returns the id that a builder which has ended has said it lacks.
fn lacking(channel: &FirstEnd) -> Option<SandboxId> {
    let mut said = [PollFd::new(channel.as_fd(), PollFlags::POLLIN)];
    // What it has said is there by now; whoever else had its end says nothing.
    if poll(&mut said, PollTimeout::ZERO) != Ok(1) {
        return None;
    }
    match channel.receive() {
        Ok(Received::Message(ToFirst::LacksId(id), _)) => Some(SandboxId(id)),
        _ => None,
    }
}

/// Gives process `pid`, which has just made a user namespace, the ids of `plan`.
pub(crate) fn write_maps(
    pid: u32,
    plan: &IdPlan,
    caller: &Caller,
    helpers: &dyn IdMapper,
) -> Result<(), IdMapError> {
    let (uids, gids) = plan.lines(caller);
    match plan {
        IdPlan::Multi {
            writer: MapWriter::Helpers,
            ..
        } => helpers.map(pid, &uids, &gids),
        IdPlan::Multi {
            writer: MapWriter::Direct,
            ..
        } => DirectIdMap::AllowSetgroups.map(pid, &uids, &gids),
        IdPlan::Single { .. } => DirectIdMap::DenySetgroups.map(pid, &uids, &gids),
        IdPlan::Own { .. } | IdPlan::Nothing => Ok(()),
    }
}

/// The builder's process, not yet waited for.
struct Child {
    pid: Pid,
    pidfd: OwnedFd,
}

impl Child {
    fn watch(pid: Pid) -> Result<Self, BuilderError> {
        let pidfd = process::pidfd_open(pid).map_err(BuilderError::Start)?;
        Ok(Self { pid, pidfd })
    }

    /// Waits for the end, passing signals on.
    fn supervise(
        self,
        channel: &FirstEnd,
        signals: &OwnedFd,
        meaning: SignalsAre,
    ) -> Result<BuilderExit, BuilderError> {
        let mut asked: Option<Instant> = None;
        loop {
            let mut sources =
                [self.pidfd.as_fd(), signals.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            wait_for_any(&mut sources).map_err(BuilderError::Start)?;
            let [ended, signalled] = sources.map(|source| source.any().unwrap_or(false));
            if ended {
                let exit = self.wait()?;
                return Ok(lacking(channel).map_or(exit, BuilderExit::LacksId));
            }
            if !signalled {
                continue;
            }
            for number in signal::take_noted(signals.as_fd()) {
                debug!(number, ?asked, "signal received");
                match asked {
                    Some(since) if since.elapsed() < SAME_WISH => {}
                    Some(_) => self.kill(),
                    None => self.tell(channel, number),
                }
                if meaning == SignalsAre::Wishes {
                    asked.get_or_insert_with(Instant::now);
                }
            }
        }
    }

    /// Tells the builder of a signal.
    fn tell(&self, channel: &FirstEnd, number: u8) {
        let message = ToBuilder::Signal(number.into());
        // A builder that does not listen any more is about to end.
        if channel.send(&message, &[]).is_err() {
            self.kill();
        }
    }

    fn kill(&self) {
        // It fails only if the child is dead already.
        drop(process::pidfd_send_signal(
            self.pidfd.as_fd(),
            Signal::SIGKILL,
        ));
    }

    fn wait(&self) -> Result<BuilderExit, BuilderError> {
        Ok(
            match process::wait(self.pid).map_err(BuilderError::Start)? {
                Ending::Exited(code) => BuilderExit::Code(code),
                Ending::Signaled(number) => match Signal::try_from(number) {
                    Ok(signal) => BuilderExit::Signal(signal),
                    // One without a name: told as a shell would.
                    Err(_) => BuilderExit::Code(128 + number),
                },
            },
        )
    }
}
