//! The first process's side: it starts the builder, has its ids mapped, and stays to pass signals
//! down and the exit status up.

use std::ffi::{CString, NulError, OsString};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use thiserror::Error;
use tracing::debug;
use vendor_shim::idmap::{DirectIdMap, IdMapError, IdMapper};

use super::{Caller, IdPlan, MapWriter};
use crate::channel::{Channel, ChannelError, Received, wait_for_any};
use crate::protocol::{ToBuilder, ToFirst};
use crate::role::{BuilderRole, THIS_PROGRAM};
use crate::spec::SecretVariable;
use crate::sys::process::Ending;
use crate::sys::{CallError, environment, process, signal, spawn};

/// How soon after another one a signal belongs to the same wish: `timeout` and shells tell a process, and at once
/// its whole group. Nobody presses a key twice as fast.
const SAME_WISH: Duration = Duration::from_millis(100);

/// What the builder is started with.
#[derive(Debug)]
pub struct BuilderCommand<'c> {
    /// The arguments that follow the role; the name of the program is the first of them and comes
    /// before it.
    pub arguments: &'c [OsString],
    /// The whole environment, but for the secrets.
    pub environment: &'c [(OsString, OsString)],
    /// Variables that are handed over on another way: every process of the user may read the
    /// environment of this one. Their values are taken out of that of the caller too.
    pub secrets: &'c [SecretVariable],
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
}

/// Why there was no builder.
#[derive(Debug, Error)]
pub enum BuilderError {
    /// An argument or a variable has a zero byte.
    #[error("pass {text:?} to another process")]
    Argument {
        /// The argument or the variable.
        text: OsString,
        /// Where the byte is.
        source: NulError,
    },
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

/// Runs this program as the builder to its end.
///
/// The builder inherits the standard streams. Signals that ask this process to end are passed on as
/// the wish to cancel; a second one kills the builder, and with it everything that it has started, unless
/// signals are messages.
///
/// Must be called at most once in a process.
///
/// # Errors
///
/// Fails when the builder cannot be started or gets no ids. What the builder itself cannot do it
/// reports, and this function returns its exit code.
pub fn run_builder(command: &BuilderCommand<'_>) -> Result<BuilderExit, BuilderError> {
    let names: Vec<&[u8]> = command.secrets.iter().map(SecretVariable::name).collect();
    environment::wipe(&names);
    let (channel, theirs) = Channel::pair().map_err(BuilderError::Start)?;
    // Before the child exists, so that no signal of the user's falls between the two.
    let signals = signal::note_endings().map_err(BuilderError::Start)?;
    if command.signals == SignalsAre::Messages {
        signal::note_more(&signal::FOR_COMMANDS).map_err(BuilderError::Start)?;
    }
    let child = Child::start(command, &theirs)?;
    drop(theirs);
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
    let (uids, gids) = command.plan.lines(command.caller);
    let pid = child.pid.as_raw().cast_unsigned();
    let mapped = match command.plan {
        IdPlan::Multi {
            writer: MapWriter::Helpers,
            ..
        } => command.helpers.map(pid, &uids, &gids),
        IdPlan::Multi {
            writer: MapWriter::Direct,
            ..
        } => DirectIdMap::AllowSetgroups.map(pid, &uids, &gids),
        IdPlan::Single { .. } => DirectIdMap::DenySetgroups.map(pid, &uids, &gids),
    };
    mapped.map_err(BuilderError::Map)?;
    let mapped = ToBuilder::Mapped {
        ids: command.plan.id_map(),
        secrets: command.secrets.to_vec(),
    };
    match channel.send(&mapped, &[]) {
        // It was killed meanwhile; its status says so.
        Err(ChannelError::Call(error)) if error.errno() == nix::errno::Errno::EPIPE => Ok(()),
        sent => sent.map_err(BuilderError::Talk),
    }
}

/// The builder's process, not yet waited for.
struct Child {
    pid: Pid,
    pidfd: OwnedFd,
}

impl Child {
    fn start(command: &BuilderCommand<'_>, control: &OwnedFd) -> Result<Self, BuilderError> {
        let role = BuilderRole {
            control: control.as_raw_fd(),
        }
        .argument();
        let (name, rest) = command.arguments.split_at(command.arguments.len().min(1));
        let arguments = name.iter().chain([&role]).chain(rest).cloned();
        let variables = command.environment.iter().map(|(name, value)| {
            let mut variable = name.clone();
            variable.push("=");
            variable.push(value);
            variable
        });
        let arguments: Vec<CString> = arguments.map(c_string).collect::<Result<_, _>>()?;
        let environment: Vec<CString> = variables.map(c_string).collect::<Result<_, _>>()?;
        let pid = spawn::spawn(THIS_PROGRAM, &arguments, &environment, control.as_fd())
            .map_err(BuilderError::Start)?;
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
                return self.wait();
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

fn c_string(text: OsString) -> Result<CString, BuilderError> {
    CString::new(text.clone().into_vec()).map_err(|source| BuilderError::Argument { text, source })
}
