//! What holds inside a sandbox, tried from inside.
//!
//! This program plays every process of a build: the tests start it as a first process, that starts
//! it as the builder, and the builder starts it as `init`. So the role is asked for before anything
//! else.
#![expect(
    clippy::print_stderr,
    reason = "what goes wrong in another process is said there"
)]

mod alone;
mod builder;
#[cfg(target_arch = "x86_64")]
mod calls;
mod confinement;
mod devices;
mod escapes;
mod harness;
mod identities;
mod isolation;
mod kill;
mod mounts;
mod owners;
mod programs;
mod run;

use std::ffi::OsString;
use std::process::ExitCode;

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if let Some(role) = runtime::role(&arguments) {
        return role.take();
    }
    if let Some(arguments) = runtime::userns::begun_again(&arguments) {
        return alone::again(&arguments);
    }
    if arguments.get(1).is_some_and(|word| word == alone::CROWDED) {
        return alone::first(&arguments);
    }
    if arguments.get(1).is_some_and(|word| word == harness::FIRST) {
        return harness::first(arguments.get(2..).unwrap_or(&[]));
    }
    let tests = [
        alone::tests(),
        run::tests(),
        mounts::tests(),
        isolation::tests(),
        kill::tests(),
        confinement::tests(),
        devices::tests(),
        owners::tests(),
        escapes::tests(),
        identities::tests(),
    ]
    .concat_all();
    libtest_mimic::run(&Arguments::from_args(), tests).exit_code()
}

/// Joins the lists of tests of several files.
trait ConcatAll {
    fn concat_all(self) -> Vec<libtest_mimic::Trial>;
}

impl<const N: usize> ConcatAll for [Vec<libtest_mimic::Trial>; N] {
    fn concat_all(self) -> Vec<libtest_mimic::Trial> {
        self.into_iter().flatten().collect()
    }
}
