//! `careen registry serve`: an image layout as a registry, until a signal ends it.
//!
//! It needs neither the store nor a sandbox, so it runs in the first process. A signal ends it as it ends any program:
//! what is not complete is not visible in the layout, and there is nothing to tidy up.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;

use serve::{Access, Answered, OpenError, Registry, Server, ServerError};

use crate::args::{RegistryCommand, ServeArguments};
use crate::exit;
use crate::report::{Kind, Report};
use crate::run::Outcome;

/// Why a layout cannot be served.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error("cannot serve `{}`", arguments.dir.display())]
    Open {
        arguments: ServeArguments,
        source: OpenError,
    },
    #[error("cannot serve `{}`", arguments.dir.display())]
    Listen {
        arguments: ServeArguments,
        source: ServerError,
    },
    #[error("cannot say where the registry is")]
    Output(#[source] io::Error),
}

/// Runs `registry` in the first process.
pub(crate) fn run(command: &RegistryCommand) -> Outcome {
    let RegistryCommand::Serve(arguments) = command;
    serve(arguments).map_err(|error| report(&error))?;
    Ok(exit::DONE)
}

fn serve(arguments: &ServeArguments) -> Result<(), ServeError> {
    let access = if arguments.read_only {
        Access::ReadOnly
    } else {
        Access::ReadWrite
    };
    let opened = Registry::open(&arguments.dir, access).map_err(|source| ServeError::Open {
        arguments: arguments.clone(),
        source,
    })?;
    let (registry, notes) = opened;
    let failed = |source| ServeError::Listen {
        arguments: arguments.clone(),
        source,
    };
    let server = Server::open(arguments.listen, registry).map_err(failed)?;
    let address = server.address();
    for note in notes {
        say(&format!("warning: {note}"));
    }
    if access == Access::ReadWrite && !address.ip().is_loopback() {
        say("warning: whoever reaches this address may push to it; `--read-only` forbids that");
    }
    tell(address).map_err(ServeError::Output)?;
    if !arguments.quiet {
        say(&format!(
            "Serving `{}` on http://{address}",
            arguments.dir.display()
        ));
    }
    let quiet = arguments.quiet;
    let log = move |answered: &Answered| log(answered, quiet);
    server.run(&(Arc::new(log) as serve::Log)).map_err(failed)
}

/// Prints the address, for scripts that let it be chosen.
fn tell(address: SocketAddr) -> io::Result<()> {
    let mut stdout = io::stdout();
    match writeln!(stdout, "{address}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        told => told,
    }
}

/// Writes the line of one request, and what is wrong with the registry itself.
fn log(answered: &Answered, quiet: bool) {
    let Answered {
        peer,
        method,
        target,
        status,
        sent_bytes,
        problem,
    } = answered;
    if !quiet {
        // A head that is none has neither.
        let (method, target) = match method.as_str() {
            "" => ("-", "-"),
            method => (method, target.as_str()),
        };
        say(&format!("{peer} {method} {target} {status} {sent_bytes}"));
    }
    if let Some(problem) = problem {
        say(&format!("error: {problem}"));
    }
}

fn say(line: &str) {
    // Standard error is gone; there is nobody to tell.
    drop(writeln!(io::stderr().lock(), "{line}"));
}

fn report(error: &ServeError) -> Box<Report> {
    let mut report = Report::new(Kind::Host, error);
    if let ServeError::Open {
        source: OpenError::InUse { .. },
        ..
    } = error
    {
        let help = "`--read-only` serves a directory that another process writes, as it is now";
        report.help = Some(help.to_owned());
    }
    Box::new(report)
}
