//! `history logs`: what a build said, as its progress would be shown.

use std::io::{self, BufWriter};

use oci::Timestamp;

use super::{refer, unreadable};
use crate::args::{HistoryLogsArguments, LogsProgress};
use crate::env::Environment;
use crate::exit;
use crate::history::{Record, Shelf, Wanted};
use crate::options::progress::token;
use crate::progress::{Folding, Replay, Way};
use crate::report::{self, Kind, Report};
use crate::run::Outcome;

/// What a build said cannot be printed.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
struct PrintError(#[source] io::Error);

/// Runs `history logs`.
pub(super) fn run(arguments: &HistoryLogsArguments, shelf: &Shelf, env: &Environment) -> Outcome {
    let entries = shelf.entries().map_err(|error| unreadable(&error))?;
    let entry = refer::find(&entries, arguments.build.as_deref())?;
    let way = match arguments.progress {
        LogsProgress::Plain => Way::Plain(env.job.runner.map(|runner| (runner, Folding::Nothing))),
        LogsProgress::Rawjson => Way::Rawjson,
    };
    let token = token(env).map_err(|error| Report::new(Kind::Host, &error))?;
    let record = entry.record().map_err(|error| unreadable(&error))?;
    let start = record.as_ref().and_then(Record::created);
    let mut out = BufWriter::new(io::stdout().lock());
    let start = start.unwrap_or(Timestamp::UNIX_EPOCH);
    let mut replay = Replay::new((&way, &token), start, &mut out);
    let replayed = entry.replay(Wanted::All, &mut |timed| replay.take(timed));
    replayed.map_err(|error| unreadable(&error))?;
    match replay.finish() {
        // Whoever closes our output has read what they wanted.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(exit::DONE),
        finished => finished.map_err(|error| Report::new(Kind::User, &PrintError(error)))?,
    }
    if record.is_some_and(|record| record.is_clipped) {
        report::print_text(
            "warning: more was printed than is kept; `build --log-dir DIR` keeps all\n",
        );
    }
    Ok(exit::DONE)
}
