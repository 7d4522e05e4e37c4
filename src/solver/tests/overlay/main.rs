//! A layer says what was changed: `apply(diff(a, b), a) == b`, for random trees and changes, on real overlays.
//!
//! This program plays the first process and the builder, as `careen` does, since only a builder may mount. The tests
//! start it as a first process; its builder makes trees, changes them, packs what changed, unpacks it, and looks at what
//! that shows upon the first tree. `PROPTEST_CASES` says how often.
#![expect(
    clippy::print_stderr,
    reason = "what goes wrong in another process is said there"
)]

mod change;
mod law;
mod tree;

use std::error::Error;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};
use runtime::userns::{BuilderCommand, BuilderExit, Caller, IdPlan, IdSources, SingleReason};
use runtime::{BuilderRole, KernelFeatures, SignalsAre, run_builder};
use vendor_shim::idmap::{DirectIdMap, IdMapper, NewIdMap};

use crate::law::{Ground, Seam};

/// The argument that makes this program the first process.
const FIRST: &str = "--first";
/// Where helpers are.
const SEARCH_PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";
/// The words for the ids that a builder may have: as many as this machine gives, and the caller's alone.
const IDS: [&str; 2] = ["many_ids", "one_id"];

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if let Some(role) = runtime::role(&arguments) {
        return role.take();
    }
    if arguments.get(1).is_some_and(|word| word == FIRST) {
        return first(arguments.get(2..).unwrap_or(&[]));
    }
    let laws = Seam::ALL.into_iter().flat_map(|seam| {
        IDS.map(|ids| {
            let name = format!("{}_with_{ids}", seam.law());
            Trial::test(name, move || hold(seam, ids))
        })
    });
    libtest_mimic::run(&Arguments::from_args(), laws.collect()).exit_code()
}

/// Has a builder look whether a law holds.
#[expect(clippy::disallowed_methods, reason = "the tests start themselves")]
fn hold(seam: Seam, ids: &str) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let output = Command::new(std::env::current_exe()?)
        .args([FIRST, ids, seam.word()])
        .arg(directory.path())
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{}: {said}", output.status).into())
}

/// Is the first process: `arguments` are which ids to take, the seam and a directory.
fn first(arguments: &[OsString]) -> ExitCode {
    let caller = Caller::current();
    let helpers = NewIdMap::find(SEARCH_PATH.as_ref());
    let sources = IdSources::probe(&caller, Path::new("/etc"), helpers.is_ok());
    let plan = match arguments.first() {
        Some(word) if word == "one_id" => IdPlan::Single {
            reason: SingleReason::NoSubuids,
        },
        _ => runtime::userns::plan_ids(&caller, &sources),
    };
    let helpers: Box<dyn IdMapper> = match helpers {
        Ok(helpers) => Box::new(helpers),
        Err(_) => Box::new(DirectIdMap::DenySetgroups),
    };
    let command = BuilderCommand {
        signals: SignalsAre::Wishes,
        hidden: &[],
        caller: &caller,
        plan: &plan,
        helpers: helpers.as_ref(),
    };
    let words = arguments.get(1..).unwrap_or(&[]);
    match run_builder(&command, None, |role| builder(role, words)) {
        Ok(BuilderExit::Code(code)) => ExitCode::from(u8::try_from(code).unwrap_or(255)),
        Ok(ended) => {
            eprintln!("the builder ended with {ended:?}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// Is the builder to its end.
fn builder(role: BuilderRole, words: &[OsString]) -> u8 {
    match obey(role, words) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("{}", chain(error.as_ref()));
            1
        }
    }
}

fn obey(role: BuilderRole, words: &[OsString]) -> Result<(), Box<dyn Error>> {
    let builder = role.enter()?;
    let _watch = builder.watch()?;
    let [seam, directory] = words else {
        return Err("no seam and no directory".into());
    };
    let seam = Seam::of_word(seam).ok_or("no such seam")?;
    let ground = Ground::new(Path::new(directory), builder.ids(), KernelFeatures::probe());
    let held = law::holds(&ground, seam);
    ground.clear()?;
    held
}

/// Returns an error with its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
