//! `careen version`: what this program is, in docker's words where it is started under its name.

use template::{Mode, Struct, Template, Value};

use crate::args::VersionArguments;
use crate::exit;
use crate::format::{self, FormatError};
use crate::options::host_platform;
use crate::report::Report;
use crate::run::Outcome;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Runs `version`.
pub(crate) fn run(arguments: &VersionArguments) -> Outcome {
    let text = match arguments.format.as_deref() {
        None => format!("careen {VERSION}\n"),
        Some(text) => by_template(text).map_err(Box::<Report>::from)?,
    };
    format::print(&text)?;
    Ok(exit::DONE)
}

/// Renders a template with docker's two parts: the client, and the server that is the same program.
fn by_template(text: &str) -> Result<String, FormatError> {
    let text = if text == "json" { "{{json .}}" } else { text };
    let template = Template::parse(text, Mode::default()).map_err(FormatError::Parse)?;
    let data = Struct::new("version")
        .field("Client", "Client", part())
        .field("Server", "Server", part());
    let shown = template.render(&data.into());
    Ok(shown.map_err(FormatError::Execute)? + "\n")
}

fn part() -> Value {
    let platform = host_platform();
    Struct::new("part")
        .field("Version", "Version", VERSION)
        .field("Os", "Os", platform.os)
        .field("Arch", "Arch", platform.architecture)
        .into()
}
