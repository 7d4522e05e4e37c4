//! `pasta` and `slirp4netns`: programs that connect a network namespace to this machine's network without a privilege.
//!
//! What is in the namespace reaches what this machine reaches, and not this machine's own loop-back; nothing reaches
//! what is in the namespace. Where the machine's resolver is on its loop-back, or at another address of its own, it is asked
//! at an address of the namespace's: a namespace that `pasta` connects has the machine's addresses for its own.
//!
//! The namespace is the program's standard input, so that it needs no name: who could find a process by its number
//! could not always open its namespaces (`ptrace(2)`, "access mode checking"). The program says on its standard output
//! that it is ready, and it goes on until its [`Connection`] is dropped.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::pipe2;
use thiserror::Error;

use crate::program::{self, LAST_WORDS_LIMIT_BYTES, Program, ProgramError, ProgramNotFound};

/// What both programs make their interface with.
const DEVICE: &str = "/dev/net/tun";

/// How long a connection may take; it usually takes some hundredths of a second.
const LIMIT: Duration = Duration::from_secs(10);

/// How often a wait looks whether it was cancelled, in milliseconds.
const LOOK_MILLISECONDS: u8 = 20;

/// Why a namespace is not connected.
#[derive(Debug, Error)]
pub enum NetworkError {
    /// Neither program is there.
    #[error("neither `pasta` nor `slirp4netns` is installed")]
    NotFound(#[source] ProgramNotFound),
    /// The device is closed to this user, or not there.
    #[error("open `{DEVICE}`")]
    Device(#[source] io::Error),
    /// The program could not be started.
    #[error(transparent)]
    Start(#[from] ProgramError),
    /// There is no pipe to hear it by, or it cannot be waited for.
    #[error("hear `{}`", .program.display())]
    Hear {
        /// The program.
        program: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// It ended and had not connected anything.
    #[error("connect a network with `{}`: it ended{}", .program.display(), program::quoted(.last_words))]
    Ended {
        /// The program.
        program: PathBuf,
        /// The end of its standard error.
        last_words: String,
    },
    /// It was not ready in time.
    #[error("connect a network with `{}`: not ready after {LIMIT:?}{}", .program.display(), program::quoted(.last_words))]
    TimedOut {
        /// The program.
        program: PathBuf,
        /// The end of its standard error.
        last_words: String,
    },
    /// The job was cancelled.
    #[error("connect a network: cancelled")]
    Cancelled,
}

/// What connects a network namespace.
pub trait UserNetwork: fmt::Debug + Send + Sync {
    /// Returns the resolver configuration for what is in a namespace.
    fn resolver(&self) -> String;

    /// Starts to connect a namespace. Whether that succeeds, [`Connection::wait`] tells.
    ///
    /// # Errors
    ///
    /// Fails when it is known at once that it cannot be.
    fn connect(&self, namespace: OwnedFd) -> Result<Connection, NetworkError>;
}

/// Which of the programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Pasta,
    Slirp,
}

/// One of the two programs, as it is installed here.
#[derive(Debug, Clone)]
pub struct SystemNetwork {
    kind: Kind,
    program: Program,
    resolver: String,
    /// Whether name servers are asked through the program.
    forwards: bool,
}

impl SystemNetwork {
    /// Finds one of the programs in `search_path`; `pasta` goes before `slirp4netns`, which is slower. `resolver` is the
    /// machine's resolver configuration.
    ///
    /// # Errors
    ///
    /// Fails when neither is there.
    pub fn find(search_path: &OsStr, resolver: &str) -> Result<Self, NetworkError> {
        let forwards = resolver.lines().any(is_this_machines);
        let find = |kind: Kind, name| {
            let resolver = if forwards {
                with_one_server(resolver, kind.name_server())
            } else {
                resolver.to_owned()
            };
            let found = Program::find(name, search_path);
            found.map(|program| Self {
                kind,
                program,
                resolver,
                forwards,
            })
        };
        find(Kind::Pasta, "pasta")
            .or_else(|_| find(Kind::Slirp, "slirp4netns"))
            .map_err(NetworkError::NotFound)
    }
}

impl UserNetwork for SystemNetwork {
    fn resolver(&self) -> String {
        self.resolver.clone()
    }

    fn connect(&self, namespace: OwnedFd) -> Result<Connection, NetworkError> {
        // Sooner than the program would find out.
        check_device().map_err(NetworkError::Device)?;
        Connection::start(
            &self.program,
            &self.kind.arguments(self.forwards),
            namespace,
        )
    }
}

/// Any address that nobody has: of those that stay on one link.
const PASTA_NAME_SERVER: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);

/// That of the network that `slirp4netns` makes (slirp4netns(1)).
const SLIRP_NAME_SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);

/// What a line of a resolver configuration begins with that names a server.
const NAME_SERVER: &str = "nameserver";

impl Kind {
    /// Returns the address at which a namespace finds the machine's resolver.
    fn name_server(self) -> IpAddr {
        IpAddr::V4(match self {
            Self::Pasta => PASTA_NAME_SERVER,
            Self::Slirp => SLIRP_NAME_SERVER,
        })
    }

    /// Returns the arguments: the namespace is standard input, and what says that all is ready is standard output.
    fn arguments(self, forwards: bool) -> Vec<OsString> {
        let words: &[&str] = match self {
            Self::Pasta => &[
                "--foreground",
                "--quiet",
                "--config-net",
                "--netns",
                "/proc/self/fd/0",
                "--pid",
                "/proc/self/fd/1",
                // Nothing of the machine's loop-back in the namespace, and the other way round.
                "--no-map-gw",
                "--tcp-ports",
                "none",
                "--udp-ports",
                "none",
                "--tcp-ns",
                "none",
                "--udp-ns",
                "none",
            ],
            Self::Slirp => &[
                "--configure",
                "--mtu=65520",
                "--disable-host-loopback",
                "--ready-fd=1",
                "--netns-type=path",
                "/proc/self/fd/0",
                "tap0",
            ],
        };
        let mut arguments: Vec<OsString> = words.iter().map(OsString::from).collect();
        if forwards && self == Self::Pasta {
            // Only then: answers of a server that was asked itself would come from this address (seen with 2023_03_09).
            let server = PASTA_NAME_SERVER.to_string();
            arguments.extend(["--dns-forward".to_owned(), server].map(OsString::from));
        }
        arguments
    }
}

/// A program that connects a namespace. Dropping it ends the program, and with that the connection.
#[derive(Debug)]
pub struct Connection {
    program: PathBuf,
    child: Child,
    said: File,
    last_words: File,
    since: Instant,
}

impl Connection {
    fn start(
        program: &Program,
        arguments: &[OsString],
        namespace: OwnedFd,
    ) -> Result<Self, NetworkError> {
        let hear = |errno: Errno| NetworkError::Hear {
            program: program.path().to_owned(),
            source: errno.into(),
        };
        let (said, saying) = pipe2(OFlag::O_CLOEXEC).map_err(hear)?;
        // Nobody reads what it says later on, and it is not to wait for that.
        let (words, wording) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).map_err(hear)?;
        let streams = [namespace, saying, wording].map(Stdio::from);
        Ok(Self {
            program: program.path().to_owned(),
            child: program.start_service(arguments, streams)?,
            said: said.into(),
            last_words: words.into(),
            since: Instant::now(),
        })
    }

    /// Returns the number of the program's process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends the program, and does not wait for that: what comes with the end of a network takes the kernel some
    /// hundredths of a second.
    pub fn end(&self) {
        program::kill(&self.child);
    }

    /// Waits until the namespace is connected.
    ///
    /// # Errors
    ///
    /// Fails when the program ends, takes too long, or the job is cancelled.
    pub fn wait(&mut self, cancelled: &dyn Fn() -> bool) -> Result<(), NetworkError> {
        while !self.is_ready()? {
            if cancelled() {
                return Err(NetworkError::Cancelled);
            }
            if self.since.elapsed() > LIMIT {
                let (program, last_words) = (self.program.clone(), self.last_words());
                return Err(NetworkError::TimedOut {
                    program,
                    last_words,
                });
            }
        }
        Ok(())
    }

    /// Waits a moment, and tells whether the program has said anything.
    fn is_ready(&mut self) -> Result<bool, NetworkError> {
        let mut said = [PollFd::new(self.said.as_fd(), PollFlags::POLLIN)];
        match poll(&mut said, PollTimeout::from(LOOK_MILLISECONDS)) {
            Ok(0) | Err(Errno::EINTR) => return Ok(false),
            Ok(_) => {}
            Err(errno) => return Err(self.unheard(errno.into())),
        }
        let count = self.said.read(&mut [0; 64]);
        match count.map_err(|error| self.unheard(error))? {
            0 => Err(NetworkError::Ended {
                program: self.program.clone(),
                last_words: self.last_words(),
            }),
            _ => Ok(true),
        }
    }

    fn unheard(&self, source: io::Error) -> NetworkError {
        NetworkError::Hear {
            program: self.program.clone(),
            source,
        }
    }

    fn last_words(&mut self) -> String {
        let mut said = vec![0; LAST_WORDS_LIMIT_BYTES];
        // What cannot be read was not said.
        let count = self.last_words.read(&mut said).unwrap_or_default();
        let said = String::from_utf8_lossy(said.get(..count).unwrap_or_default()).into_owned();
        // The remark of a program that finds no system log.
        let is_news = |line: &&str| !line.starts_with("Failed to send ");
        said.lines().filter(is_news).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        program::stop(&mut self.child);
    }
}

/// Tells whether commands could not ask a name server of this resolver configuration from elsewhere.
fn is_this_machines(line: &str) -> bool {
    let server = line.trim().strip_prefix(NAME_SERVER);
    let server = server.and_then(|server| server.split_whitespace().next());
    let address = server.and_then(|server| server.parse::<IpAddr>().ok());
    address.is_some_and(|address| address.is_loopback() || is_own(address))
}

/// Tells whether an address is one of this machine's, by taking a port there (`EADDRNOTAVAIL`, bind(2)).
fn is_own(address: IpAddr) -> bool {
    !address.is_unspecified() && UdpSocket::bind((address, 0)).is_ok()
}

/// Returns a resolver configuration in which `server` is the only one.
fn with_one_server(text: &str, server: IpAddr) -> String {
    let mut lines = vec![[NAME_SERVER, " ", &server.to_string()].concat()];
    let others = text
        .lines()
        .filter(|line| !line.trim().starts_with(NAME_SERVER));
    lines.extend(others.map(str::to_owned));
    lines.push(String::new());
    lines.join("\n")
}

/// Tells whether the device that both programs need can be opened by this user.
///
/// # Errors
///
/// Fails when it cannot.
pub fn check_device() -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).open(DEVICE).map(drop)
}

#[cfg(test)]
mod tests;
