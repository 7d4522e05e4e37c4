//! `create`: makes a builder, adds a node to one, or takes one out.

use oci::Platform;
use oci::platform::PlatformError;

use super::{refused, tell_bootstrap};
use crate::args::BuilderCreateArguments;
use crate::builders::{
    Builder, BuilderName, Builders, ChosenError, Driver, DriverError, NameError, Node, Place,
    PlaceError, StateError, made_up,
};
use crate::env::Environment;
use crate::exit;
use crate::format;
use crate::options::host_platform;
use crate::report::{self, Kind, Report};
use crate::run::Outcome;

/// Why a builder is not made.
#[derive(Debug, thiserror::Error)]
enum CreateError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    Driver(#[from] DriverError),
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error("`--platform {text}` is no platform")]
    Platform { text: String, source: PlatformError },
    #[error("`{name}` is this machine and always there: another name is free")]
    Reserved { name: BuilderName },
    #[error("there is a builder `{name}`: `--append` adds a node to it, `rm {name}` removes it")]
    Exists { name: BuilderName },
    #[error("the builder `{builder}` has the driver `{found}`, and `{asked}` was asked for")]
    OtherDriver {
        builder: BuilderName,
        found: Driver,
        asked: Driver,
    },
    #[error("`--append` needs `--name`: the builder that gets the node")]
    AppendToNone,
    #[error("the builder `{builder}` has no node `{node}`")]
    NoNode {
        builder: BuilderName,
        node: BuilderName,
    },
}

/// Runs `create`.
pub(super) fn run(arguments: &BuilderCreateArguments, env: &Environment) -> Outcome {
    let name = create(arguments, env).map_err(|error| match error {
        CreateError::State(error) => refused(&ChosenError::State(error)),
        error => Box::new(Report::new(Kind::Usage, &error)),
    })?;
    if arguments.bootstrap {
        tell_bootstrap(&name);
    }
    format::print(&format!("{name}\n"))?;
    Ok(exit::DONE)
}

fn create(
    arguments: &BuilderCreateArguments,
    env: &Environment,
) -> Result<BuilderName, CreateError> {
    let builders = Builders::find(env)?;
    let driver = arguments.driver.as_deref().map(str::parse).transpose()?;
    let change = builders.change()?;
    let name = match arguments.name.as_deref() {
        Some(text) => BuilderName::parse(text)?,
        None if arguments.append => return Err(CreateError::AppendToNone),
        None => made_up(&builders.names()?),
    };
    if name.is_local_engine() {
        return Err(CreateError::Reserved { name });
    }
    let found = builders.get(&name)?;
    let builder = changed(found, &name, (driver, arguments))?;
    if builder.nodes.is_empty() {
        change.remove(&name)?;
        return Ok(name);
    }
    change.put(&builder)?;
    if arguments.take {
        change.take(&name)?;
    }
    Ok(name)
}

/// Returns the builder as it is to be.
fn changed(
    found: Option<Builder>,
    name: &BuilderName,
    (driver, arguments): (Option<Driver>, &BuilderCreateArguments),
) -> Result<Builder, CreateError> {
    let mut builder = match found {
        Some(builder) if arguments.append || arguments.leave => builder,
        Some(_) => return Err(CreateError::Exists { name: name.clone() }),
        None => {
            if arguments.append {
                let text = format!("there is no builder `{name}` yet: it is made\n");
                report::print_text(&text);
            }
            Builder {
                name: name.clone(),
                driver: driver.unwrap_or(Driver::DockerContainer),
                nodes: Vec::new(),
            }
        }
    };
    if let Some(asked) = driver.filter(|asked| *asked != builder.driver) {
        let found = builder.driver;
        return Err(CreateError::OtherDriver {
            builder: name.clone(),
            found,
            asked,
        });
    }
    if arguments.leave {
        leave(&mut builder, arguments)?;
    } else {
        let node = node(arguments, &builder)?;
        builder.put(node);
    }
    Ok(builder)
}

fn leave(builder: &mut Builder, arguments: &BuilderCreateArguments) -> Result<(), CreateError> {
    let node = BuilderName::parse(arguments.node.as_deref().unwrap_or_default())?;
    let count = builder.nodes.len();
    builder.nodes.retain(|known| known.name != node);
    if builder.nodes.len() == count {
        let builder = builder.name.clone();
        return Err(CreateError::NoNode { builder, node });
    }
    Ok(())
}

fn node(arguments: &BuilderCreateArguments, builder: &Builder) -> Result<Node, CreateError> {
    let name = match arguments.node.as_deref() {
        Some(text) => BuilderName::parse(text)?,
        None => free_name(builder)?,
    };
    let endpoint = arguments.endpoint.as_deref();
    let platforms = arguments.platforms.iter();
    let options = arguments.driver_options.iter();
    Ok(Node {
        name,
        endpoint: endpoint.map_or(Ok(Place::Here), str::parse)?,
        platforms: platforms
            .map(|text| platform(text))
            .collect::<Result<_, _>>()?,
        driver_options: options.filter(|text| !text.is_empty()).cloned().collect(),
        flags: arguments.buildkitd_flags.clone(),
        config: arguments.buildkitd_config.clone(),
    })
}

/// Returns the first of the names `NAME0`, `NAME1`, … that no node has.
fn free_name(builder: &Builder) -> Result<BuilderName, NameError> {
    let is_free = |name: &Result<BuilderName, NameError>| {
        let has = |name: &BuilderName| builder.nodes.iter().any(|node| node.name == *name);
        !name.as_ref().is_ok_and(has)
    };
    (0..=builder.nodes.len())
        .map(|number| BuilderName::parse(&format!("{}{number}", builder.name)))
        .find(is_free)
        .unwrap_or(Err(NameError::TooLong))
}

fn platform(text: &str) -> Result<String, CreateError> {
    let parsed = Platform::parse(text.trim(), &host_platform());
    let platform = parsed.map_err(|source| CreateError::Platform {
        text: text.to_owned(),
        source,
    })?;
    Ok(platform.normalized().format_all())
}
