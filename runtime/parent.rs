//! The builder's side of one sandbox: four types, each made from the one before.
//!
//! ```text
//! Spawned ──isolate()──► Isolated ──proceed()──► Running ──wait()──► Exited
//!    └──────────────┴────────────────┴── dropped: killed, and reaped
//! ```
//!
//! A message out of order cannot be written. A sandbox that is dropped on the way, for an error or
//! a panic, is killed with all its processes.

mod pipe;
mod streams;

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::cancel::CancelToken;
use crate::channel::{Channel, ChannelError, Received, wait_for_any};
use crate::conversation::{Conversation, SOURCES, Talk};
use crate::executor::{ExecError, ExecutorMode, OutputSink, RecordedOwner};
use crate::mountpoint::Stub;
use crate::notify::Supervisor;
use crate::parent::pipe::{input_pipe, output_pipe};
use crate::parent::streams::Streams;
use crate::protocol::{Exit, ExitStatus, FromInit, InitFailure, Setup, ToInit};
use crate::spec::TerminalSize;
use crate::starter::{NewRole, Newborn, Starter};
use crate::stubs;
use crate::sys::{CallError, process};
use crate::userns::BuilderId;

type BuilderEnd = Channel<ToInit, FromInit>;

/// A process that has been started and told nothing.
#[derive(Debug)]
pub(crate) struct Spawned {
    processes: Processes,
    streams: Streams,
}

/// A sandbox with its namespaces and a PID 1, which waits.
#[derive(Debug)]
pub(crate) struct Isolated {
    processes: Processes,
    streams: Streams,
}

/// A sandbox in which the command runs.
#[derive(Debug)]
pub(crate) struct Running {
    processes: Processes,
    streams: Streams,
    stubs: Vec<Stub>,
    /// Behind the processes: it ends when the last of them has.
    supervisor: Supervisor,
    /// Our end of the command's terminal.
    terminal: Option<OwnedFd>,
}

/// A sandbox that is gone.
#[derive(Debug)]
pub(crate) struct Exited {
    pub(crate) status: ExitStatus,
    /// The resident size of the largest of its processes, in bytes.
    pub(crate) peak_bytes: u64,
    /// What it leaves in its root that is no part of the result.
    pub(crate) stubs: Vec<Stub>,
    /// Owners that were recorded of files that hold no attribute.
    pub(crate) recorded: Vec<RecordedOwner>,
}

/// What came of [`Isolated::proceed`].
#[derive(Debug)]
pub(crate) enum Proceeded {
    Running(Running),
    Failed(InitFailure),
}

impl Spawned {
    /// Starts `init`, with output pipes that belong to the command's user.
    ///
    /// Their owner matters to a command that opens `/dev/stdout`: that opens the pipe anew, with
    /// the permissions of a file. With an owner for it, the end of a pipe that the command reads is returned too.
    pub(crate) fn spawn(
        starter: &Starter,
        owner: (BuilderId, BuilderId),
        input: Option<(BuilderId, BuilderId)>,
    ) -> Result<(Self, Option<OwnedFd>), ExecError> {
        let [(stdout, stdout_writing), (stderr, stderr_writing)] =
            [output_pipe(owner)?, output_pipe(owner)?];
        let (reading, writing) = input.map(input_pipe).transpose()?.unzip();
        let outputs = [stdout_writing.as_fd(), stderr_writing.as_fd()];
        let newborn = starter.start(NewRole::Init, outputs);
        let mode = starter.mode();
        let processes = Processes::watch(newborn.map_err(ExecError::Starter)?, mode)?;
        let spawned = Self {
            processes,
            streams: Streams {
                input: writing,
                stdout: Some(stdout),
                stderr: Some(stderr),
            },
        };
        Ok((spawned, reading))
    }

    /// Returns the number of its process.
    pub(crate) fn id(&self) -> Pid {
        self.processes.pid
    }

    /// Tells it everything, and waits until its PID 1 is there.
    pub(crate) fn isolate(
        mut self,
        setup: Setup,
        descriptors: &[BorrowedFd<'_>],
        cancel: &CancelToken,
    ) -> Result<Proceeding, ExecError> {
        self.processes
            .tell(&ToInit::Setup(Box::new(setup)), descriptors)?;
        match self.processes.hear(cancel)? {
            (FromInit::Isolated, descriptors) => {
                self.processes.first_in_namespace = descriptors.into_iter().next();
                let Self { processes, streams } = self;
                Ok(Proceeding::Isolated(Isolated { processes, streams }))
            }
            (FromInit::Failed(failure), _) => Ok(Proceeding::Failed(failure)),
            (FromInit::Asking | FromInit::Started { .. } | FromInit::Exited(_), _) => {
                Err(out_of_order())
            }
        }
    }
}

/// What came of [`Spawned::isolate`].
#[derive(Debug)]
pub(crate) enum Proceeding {
    Isolated(Isolated),
    Failed(InitFailure),
}

impl Isolated {
    /// Lets it go on, and waits until the command runs. What it asks about until then is answered by `supervisor`.
    pub(crate) fn proceed(
        self,
        mut supervisor: Supervisor,
        terminal: Option<TerminalSize>,
        cancel: &CancelToken,
    ) -> Result<Proceeded, ExecError> {
        // Held behind the supervisor, which ends when the last who could ask is gone: they are dropped before it.
        let Self { processes, streams } = self;
        processes.tell(&ToInit::Proceed, &[])?;
        loop {
            match processes.hear(cancel)? {
                (FromInit::Asking, descriptors) => {
                    let listener = descriptors.into_iter().next();
                    supervisor.listen(listener.ok_or_else(out_of_order)?);
                }
                (FromInit::Started { stubs }, mut descriptors) => {
                    let terminal = terminal.and_then(|_| descriptors.pop());
                    let stubs = stubs::received(stubs, descriptors).ok_or_else(out_of_order)?;
                    return Ok(Proceeded::Running(Running {
                        processes,
                        streams,
                        stubs,
                        supervisor,
                        terminal,
                    }));
                }
                (FromInit::Failed(failure), _) => return Ok(Proceeded::Failed(failure)),
                (FromInit::Isolated | FromInit::Exited(_), _) => return Err(out_of_order()),
            }
        }
    }
}

impl Running {
    /// Passes output on, and what is said to the command, until everything in the sandbox is gone. Questions about
    /// its system calls are answered meanwhile.
    pub(crate) fn wait(
        self,
        output: &mut dyn OutputSink,
        talk: Option<&Talk<'_>>,
        cancel: &CancelToken,
    ) -> Result<Exited, ExecError> {
        // Taken before the processes are held here: whoever answers ends when the last who could ask is gone.
        let mut supervisor = self.supervisor;
        let Self {
            processes,
            mut streams,
            stubs,
            terminal,
            ..
        } = self;
        let terminal = terminal
            .map(|terminal| streams.join(terminal))
            .transpose()?;
        let mut conversation = Conversation::new(talk, streams.input.take(), terminal);
        let mut exit = None;
        loop {
            let sources = (&processes, &streams, &conversation, &supervisor);
            let ready = wait_for_news(sources, cancel, exit.is_some())?;
            if ready.cancelled {
                return Err(ExecError::Cancelled);
            }
            streams.pass_on(ready.streams, output)?;
            if ready.asked {
                supervisor.go_on();
            }
            for signal in conversation.go_on(ready.talk) {
                // A command that has ended needs none.
                drop(processes.tell(&ToInit::Signal(signal), &[]));
            }
            if ready.told {
                exit = processes.hear_exit()?;
            }
            if ready.ended || (ready.told && exit.is_none()) {
                let exited = processes.finish(exit, streams, output, stubs)?;
                // Nobody can ask any more.
                let recorded = supervisor.finish();
                return Ok(Exited { recorded, ..exited });
            }
        }
    }
}

/// What a wait was ended by.
struct Ready {
    ended: bool,
    cancelled: bool,
    told: bool,
    asked: bool,
    streams: [bool; 2],
    talk: [bool; SOURCES],
}

fn wait_for_news(
    (processes, streams, conversation, supervisor): (
        &Processes,
        &Streams,
        &Conversation<'_>,
        &Supervisor,
    ),
    cancel: &CancelToken,
    has_status: bool,
) -> Result<Ready, ExecError> {
    // After its last message the socket would be ready for ever.
    let channel = processes.channel.as_ref().filter(|_| !has_status);
    let sources = [
        Some(processes.init.as_fd()),
        Some(cancel.as_fd()),
        channel.map(|channel| channel.as_fd()),
        supervisor.polled(),
        streams.stdout.as_ref().map(|pipe| pipe.as_fd()),
        streams.stderr.as_ref().map(|pipe| pipe.as_fd()),
    ];
    let talk = conversation.polled();
    let listened = sources
        .iter()
        .map(|fd| fd.map(|fd| (fd, PollFlags::POLLIN)));
    let mut polled: Vec<_> = listened
        .chain(talk)
        .flatten()
        .map(|(fd, flags)| PollFd::new(fd, flags))
        .collect();
    wait_for_any(&mut polled).map_err(ExecError::Watch)?;
    let mut answers = polled.iter().map(|source| source.any().unwrap_or(false));
    let [ended, cancelled, told, asked, stdout, stderr] =
        sources.map(|source| source.is_some() && answers.next().unwrap_or(false));
    let talk = talk.map(|source| source.is_some() && answers.next().unwrap_or(false));
    Ok(Ready {
        ended,
        cancelled,
        told,
        asked,
        streams: [stdout, stderr],
        talk,
    })
}

/// The processes of a sandbox. Dropping kills them, and waits until they are gone.
#[derive(Debug)]
struct Processes {
    pid: Pid,
    mode: ExecutorMode,
    reaped: bool,
    /// `init`, the child.
    init: OwnedFd,
    /// PID 1, as soon as it is there.
    first_in_namespace: Option<OwnedFd>,
    /// Open as long as the sandbox may live.
    channel: Option<BuilderEnd>,
}

impl Processes {
    fn watch(newborn: Newborn<ToInit, FromInit>, mode: ExecutorMode) -> Result<Self, ExecError> {
        let Newborn { pid, channel } = newborn;
        match process::pidfd_open(pid) {
            Ok(init) => Ok(Self {
                pid,
                mode,
                reaped: false,
                init,
                first_in_namespace: None,
                channel: Some(channel),
            }),
            Err(error) => {
                drop(channel);
                // Its socket is closed: it ends by itself.
                drop(process::wait(pid));
                Err(ExecError::Watch(error))
            }
        }
    }

    fn channel(&self) -> Result<&BuilderEnd, ExecError> {
        self.channel.as_ref().ok_or(ExecError::Lost)
    }

    fn tell(&self, message: &ToInit, descriptors: &[BorrowedFd<'_>]) -> Result<(), ExecError> {
        match self.channel()?.send(message, descriptors) {
            Err(ChannelError::Call(error)) if error.errno() == Errno::EPIPE => Err(ExecError::Lost),
            told => told.map_err(ExecError::Talk),
        }
    }

    fn hear(&self, cancel: &CancelToken) -> Result<(FromInit, Vec<OwnedFd>), ExecError> {
        match self
            .channel()?
            .receive_unless(cancel)
            .map_err(ExecError::Talk)?
        {
            Received::Message(message, descriptors) => Ok((message, descriptors)),
            Received::Closed => Err(ExecError::Lost),
            Received::Cancelled => Err(ExecError::Cancelled),
        }
    }

    /// Returns how the command ended; `None` if PID 1 ended without telling it.
    fn hear_exit(&self) -> Result<Option<Exit>, ExecError> {
        let Some(channel) = &self.channel else {
            return Ok(None);
        };
        match channel.receive().map_err(ExecError::Talk)? {
            Received::Message(FromInit::Exited(exit), _) => Ok(Some(exit)),
            Received::Closed | Received::Cancelled => Ok(None),
            Received::Message(..) => Err(out_of_order()),
        }
    }

    /// Kills what is left of a sandbox whose end has begun, and returns what it leaves.
    fn finish(
        mut self,
        exit: Option<Exit>,
        mut streams: Streams,
        output: &mut dyn OutputSink,
        stubs: Vec<Stub>,
    ) -> Result<Exited, ExecError> {
        // If `init` alone was killed, PID 1 is still there and would not end for that.
        self.kill();
        let exit = match exit {
            Some(exit) => Some(exit),
            None => self.hear_exit()?,
        };
        self.reap().map_err(ExecError::Watch)?;
        streams.drain(output)?;
        let exit = exit.ok_or(ExecError::Lost)?;
        Ok(Exited {
            status: exit.status,
            peak_bytes: exit.peak_bytes,
            stubs,
            recorded: Vec::new(),
        })
    }

    /// Kills PID 1, which takes its namespace along; `init` ends when PID 1 has. While there is no
    /// PID 1, kills `init`; what it may just have made ends when our end of the socket closes.
    ///
    /// Without a namespace nothing dies with `init`: it kills what is below it when our end of the socket closes.
    fn kill(&self) {
        if self.mode == ExecutorMode::Chroot {
            return;
        }
        let target = self.first_in_namespace.as_ref().unwrap_or(&self.init);
        // It fails only if the process is gone already.
        drop(process::pidfd_send_signal(target.as_fd(), Signal::SIGKILL));
    }

    /// Waits until everything in the namespace is gone.
    fn reap(&mut self) -> Result<(), CallError> {
        self.reaped = true;
        self.channel = None;
        if let Some(first) = &self.first_in_namespace {
            let mut ended = [PollFd::new(first.as_fd(), PollFlags::POLLIN)];
            wait_for_any(&mut ended)?;
        }
        process::wait(self.pid).map(drop)
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        if !self.reaped {
            self.kill();
            // There is nobody to tell, and nothing more to be done.
            drop(self.reap());
        }
    }
}

fn out_of_order() -> ExecError {
    ExecError::Talk(ChannelError::OutOfOrder)
}
