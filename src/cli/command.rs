//! The commands, one file each.

pub(crate) mod binfmt;
pub(crate) mod build;
mod builder;
pub(crate) mod builders;
mod bundle;
mod call;
pub(crate) mod check_base;
pub(crate) mod debug;
pub(crate) mod diff;
pub(crate) mod disk;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod failure;
mod files;
pub(crate) mod fsck;
pub(crate) mod history;
mod ids;
pub(crate) mod image;
pub(crate) mod index;
mod located;
pub(crate) mod login;
pub(crate) mod other;
pub(crate) mod pages;
pub(crate) mod registry;
pub(crate) mod repack;
mod resources;
pub(crate) mod run;
mod said;
pub(crate) mod transfer;
pub(crate) mod unpack;
pub(crate) mod version;
mod workspace;

pub(crate) use builder::builder_ended;
pub(crate) use ids::{give_way, users_beyond};

use std::collections::BTreeSet;

use runtime::SignalsAre;
use runtime::probe::Choice;

use crate::args::{Arguments, Command, ImageCommand, ProgressArgument};
use crate::config::Config;
use crate::env::{ACTIONS_TOKEN, Environment};
use crate::host::Host;
use crate::options::disk::gc_rules;
use crate::options::registry::AUTH_VARIABLE;
use crate::options::run::RunOptions;
use crate::options::{BuildOptions, Places, RegistryOptions, secret, transfer as transfer_options};
use crate::report::{self, Kind, Report};

/// Returns the variables that the command line says to be secrets.
pub(crate) fn secret_variables(parsed: &Arguments, env: &Environment) -> BTreeSet<String> {
    let mut variables = match &parsed.command {
        Command::Build(build) => secret::variables(&build.secrets, env),
        _ => BTreeSet::new(),
    };
    variables.extend([AUTH_VARIABLE, ACTIONS_TOKEN].map(str::to_owned));
    variables
}

/// Checks what can be checked before a process is started; returns what a build is to do.
pub(crate) fn check(
    parsed: &Arguments,
    env: &Environment,
    config: &Config,
) -> Result<Option<BuildOptions>, Box<Report>> {
    let places = Places::find(&parsed.global, env, config)
        .map_err(|error| Report::new(Kind::Usage, &error))?;
    let mut options = None;
    if let Command::Build(build) = &parsed.command {
        let of_build = BuildOptions::new(build, env, config);
        options = Some(of_build.map_err(|error| Report::new(Kind::Usage, &error))?);
        gc_rules(config, &places.store)?;
        RegistryOptions::new(&build.registry, env, Vec::new())
            .map_err(|error| Report::new(Kind::Usage, &error))?;
    }
    let transfer = match &parsed.command {
        Command::Transfer(command)
        | Command::Image {
            command: ImageCommand::Transfer(command),
        } => transfer_options::check_images(command, env),
        Command::Places(command) => transfer_options::check_places(command, env),
        _ => Ok(()),
    };
    transfer.map_err(|error| Report::new(Kind::Usage, &error))?;
    if let Command::Disk(command) = &parsed.command {
        disk::check(command)?;
    }
    let index = match &parsed.command {
        Command::Imagetools { command } => index::check_imagetools(command, env),
        Command::Manifest { command } => index::check_manifest(command, env),
        Command::Merge(merge) => index::check_merge(merge, env),
        _ => Ok(()),
    };
    index.map_err(|error| Report::new(Kind::Usage, &error))?;
    debug::check(parsed)?;
    if let Command::Run(run) = &parsed.command {
        RunOptions::new(run, env).map_err(|error| Report::new(Kind::Usage, &error))?;
    }
    Ok(options)
}

/// Warns where commands are not run with what the machine seems to have, if the command runs any.
pub(crate) fn tell_choice(parsed: &Arguments, host: &Host, choice: &Choice) {
    let is_told = match &parsed.command {
        Command::Build(build) => build.progress.progress != Some(ProgressArgument::None),
        Command::Run(_) => true,
        Command::Debug(debug) => debug.command.is_none(),
        _ => false,
    };
    if is_told && let Some(text) = host.notice(choice) {
        report::print_text(&text);
    }
}

/// Returns what signals to the first process mean.
pub(crate) fn signals(parsed: &Arguments) -> SignalsAre {
    match &parsed.command {
        Command::Run(run) if run.sig_proxy => SignalsAre::Messages,
        Command::Debug(debug) => debug::signals(debug),
        _ => SignalsAre::Wishes,
    }
}
