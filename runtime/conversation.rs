//! What goes into a command while it runs: what it reads, signals, and the size of its terminal.
//!
//! Nothing here waits: the builder's side of a sandbox asks what to wait for, and tells what is ready.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::signal::Signal;
use nix::unistd::read;

use crate::inbox::SignalInbox;
use crate::sys::terminal;

/// How much is read at once, in bytes: what a pipe holds.
const CHUNK_BYTES: usize = 64 << 10;

/// Who talks to a command.
#[derive(Debug)]
pub struct Talk<'t> {
    /// What the command reads. Without it, it finds nothing to read.
    pub input: Option<BorrowedFd<'t>>,
    /// The user's terminal: the command's gets the size of it whenever that changes.
    pub terminal: Option<BorrowedFd<'t>>,
    /// Signals that are passed on.
    pub signals: Option<&'t SignalInbox>,
}

/// What is to be waited for, in the order of [`Conversation::polled`].
pub(crate) const SOURCES: usize = 3;

/// One conversation with a command that runs.
#[derive(Debug)]
pub(crate) struct Conversation<'t> {
    source: Option<BorrowedFd<'t>>,
    /// Where the command reads; `None` when it was told that there is no more.
    sink: Option<File>,
    /// What was read and not written yet.
    pending: Vec<u8>,
    signals: Option<&'t SignalInbox>,
    /// The user's terminal, and our end of the command's.
    terminals: Option<(BorrowedFd<'t>, OwnedFd)>,
}

impl<'t> Conversation<'t> {
    /// Begins one. The sink must not block; `terminal` is our end of the command's.
    pub(crate) fn new(
        talk: Option<&Talk<'t>>,
        sink: Option<File>,
        terminal: Option<OwnedFd>,
    ) -> Self {
        let users = talk.and_then(|talk| talk.terminal);
        Self {
            source: talk.and_then(|talk| talk.input),
            sink,
            pending: Vec::new(),
            signals: talk.and_then(|talk| talk.signals),
            terminals: users.zip(terminal),
        }
    }

    /// Returns what to wait for. More is read only when what was read before is written.
    pub(crate) fn polled(&self) -> [Option<(BorrowedFd<'_>, PollFlags)>; SOURCES] {
        let is_idle = self.pending.is_empty();
        let source = self.source.filter(|_| is_idle && self.sink.is_some());
        let sink = self.sink.as_ref().filter(|_| !is_idle);
        [
            source.map(|source| (source, PollFlags::POLLIN)),
            sink.map(|sink| (sink.as_fd(), PollFlags::POLLOUT)),
            self.signals
                .map(|signals| (signals.as_fd(), PollFlags::POLLIN)),
        ]
    }

    /// Goes on with what is ready; returns the signals that the command is to get.
    pub(crate) fn go_on(&mut self, [source, sink, signals]: [bool; SOURCES]) -> Vec<i32> {
        if source {
            self.read();
        }
        if sink || !self.pending.is_empty() {
            self.write();
        }
        if signals { self.signals() } else { Vec::new() }
    }

    fn read(&mut self) {
        let Some(source) = self.source else { return };
        self.pending.resize(CHUNK_BYTES, 0);
        let count = match read(source, &mut self.pending) {
            Err(Errno::EINTR | Errno::EAGAIN) => None,
            // A terminal that is gone has nothing more to say either.
            Err(_) => Some(0),
            Ok(count) => Some(count),
        };
        self.pending.truncate(count.unwrap_or(0));
        if count == Some(0) {
            self.source = None;
            // A command sees the end of a pipe. A terminal of its own has none.
            self.sink = None;
        }
    }

    fn write(&mut self) {
        let Some(sink) = &mut self.sink else { return };
        match sink.write(&self.pending) {
            Ok(count) => drop(self.pending.drain(..count)),
            Err(error)
                if [io::ErrorKind::WouldBlock, io::ErrorKind::Interrupted]
                    .contains(&error.kind()) => {}
            // Nobody reads any more.
            Err(_) => {
                self.sink = None;
                self.pending.clear();
            }
        }
    }

    fn signals(&self) -> Vec<i32> {
        let noted = self.signals.map(SignalInbox::take).unwrap_or_default();
        let mut passed: Vec<i32> = noted.into_iter().map(i32::from).collect();
        if let Some((users, ours)) = &self.terminals {
            let resized = Signal::SIGWINCH as i32;
            if passed.contains(&resized)
                && let Ok(size) = terminal::size(*users)
            {
                // The kernel tells the command. A terminal that is gone has no size.
                drop(terminal::set_size(ours.as_fd(), size));
            }
            passed.retain(|signal| *signal != resized);
        }
        passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::OFlag;
    use nix::unistd::pipe2;
    use std::io::Read as _;

    fn pipe() -> (OwnedFd, File) {
        let (reading, writing) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).unwrap();
        (reading, File::from(writing))
    }

    fn wanted(conversation: &Conversation<'_>) -> [bool; SOURCES] {
        conversation.polled().map(|source| source.is_some())
    }

    #[test]
    fn what_the_user_says_reaches_the_command_and_so_does_its_end() {
        let (inbox, _slot) = SignalInbox::create().unwrap();
        let ((source, mut user), (command, sink)) = (pipe(), pipe());
        let talk = Talk {
            input: Some(source.as_fd()),
            terminal: None,
            signals: Some(&inbox),
        };
        let mut conversation = Conversation::new(Some(&talk), Some(sink), None);
        user.write_all(b"hello").unwrap();
        assert_eq!(wanted(&conversation), [true, false, true]);
        assert_eq!(conversation.go_on([true, false, false]), Vec::<i32>::new());
        drop(user);
        conversation.go_on([true, false, false]);
        assert_eq!(wanted(&conversation), [false, false, true]);
        let mut text = String::new();
        File::from(command).read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
    }

    #[test]
    fn nothing_more_is_read_than_the_command_takes() {
        let (inbox, _slot) = SignalInbox::create().unwrap();
        let ((source, mut user), (command, sink)) = (pipe(), pipe());
        let talk = Talk {
            input: Some(source.as_fd()),
            terminal: None,
            signals: Some(&inbox),
        };
        let mut conversation = Conversation::new(Some(&talk), Some(sink), None);
        let mut said = 0;
        while wanted(&conversation)[0] {
            said += user.write(&[b'x'; 4096]).unwrap();
            conversation.go_on([true, false, false]);
        }
        assert_eq!(wanted(&conversation), [false, true, true]);
        let mut taken = vec![0; said];
        let mut command = File::from(command);
        command.read_exact(&mut taken[..CHUNK_BYTES]).unwrap();
        conversation.go_on([false, true, false]);
        command.read_exact(&mut taken[CHUNK_BYTES..]).unwrap();
        assert_eq!(taken, vec![b'x'; said]);
        assert_eq!(wanted(&conversation), [true, false, true]);
    }

    #[test]
    fn a_command_that_reads_no_more_ends_the_reading() {
        let (inbox, _slot) = SignalInbox::create().unwrap();
        let ((source, mut user), (command, sink)) = (pipe(), pipe());
        let talk = Talk {
            input: Some(source.as_fd()),
            terminal: None,
            signals: Some(&inbox),
        };
        let mut conversation = Conversation::new(Some(&talk), Some(sink), None);
        drop(command);
        user.write_all(b"x").unwrap();
        conversation.go_on([true, false, false]);
        assert_eq!(wanted(&conversation), [false, false, true]);
    }

    #[test]
    fn signals_are_passed_on_but_a_new_size_is_set() {
        let (inbox, slot) = SignalInbox::create().unwrap();
        let dev = File::open("/dev").unwrap();
        let pair = || terminal::open_pair(dev.as_fd()).unwrap();
        let ((users, _far), (ours, commands)) = (pair(), pair());
        let size = crate::spec::TerminalSize {
            rows: 3,
            columns: 7,
        };
        terminal::set_size(users.as_fd(), size).unwrap();
        let talk = Talk {
            input: None,
            terminal: Some(users.as_fd()),
            signals: Some(&inbox),
        };
        let mut conversation = Conversation::new(Some(&talk), None, Some(ours));
        for signal in [Signal::SIGTERM, Signal::SIGWINCH, Signal::SIGUSR1] {
            slot.put(signal as i32);
        }
        let passed = conversation.go_on([false, false, true]);
        assert_eq!(passed, [Signal::SIGTERM as i32, Signal::SIGUSR1 as i32]);
        assert_eq!(terminal::size(commands.as_fd()), Ok(size));
    }
}
