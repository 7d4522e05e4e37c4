//! What the end-to-end tests stand on.
//!
//! * [`Bench`] is a directory of one test, with a build context, a store and a home of its own; careen is run
//!   there.
//! * [`BaseImage`] is an image to build upon: the machine's static busybox, or whatever a test makes up.
//! * [`Archive`] is what careen wrote, read back by code that shares nothing with the writer but the words of
//!   the formats (`oci`), whose invariants are checked on the way.
//! * [`HttpServer`] has files and [`GitRepository`] commits that a build fetches.
//! * [`Registry`] is a registry that misbehaves as it is told to.
//! * [`ActionsCache`] is the cache service that jobs of GitHub Actions have, with both of its protocols.
//! * [`agent`] brings OpenSSH's client into a build, and runs its agent.
//! * [`Gate`] stops a command of a build, so that no test has to wait for a time.
//! * [`Terminal`] is one that a test types at.
//! * [`process`] sees and kills the processes of a build; [`scan`] looks for bytes that must not be anywhere.
//!
//! Everything here panics where the machine is not as a test needs it: that is how a test fails.
#![forbid(unsafe_code)]
#![expect(
    clippy::missing_panics_doc,
    reason = "a test fails by a panic, so everything here may"
)]

pub mod actions;
pub mod agent;
pub mod archive;
pub mod bench;
pub mod compress;
pub mod damage;
pub mod gate;
pub mod git;
pub mod http;
pub mod layout;
pub mod needs;
pub mod process;
pub mod program;
pub mod registry;
pub mod scan;
pub mod tarball;
pub mod terminal;

pub use actions::ActionsCache;
pub use archive::{Archive, Image};
pub use bench::{Bench, Built};
pub use gate::Gate;
pub use git::GitRepository;
pub use http::{HttpServer, Reply};
pub use layout::BaseImage;
pub use needs::Feature;
pub use program::{Finished, Invocation, Outcome, Running};
pub use registry::{Fault, Registry};
pub use tarball::{Entry, Kind};
pub use terminal::Terminal;

/// Ends the test with a message.
#[expect(clippy::panic, reason = "a test fails by a panic")]
fn fail(message: &str) -> ! {
    panic!("{message}");
}
