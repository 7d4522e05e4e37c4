//! `--network`, and the key `network` of the configuration.

use clap::ValueEnum as _;
use runtime::NetworkMode;
use solver::UsualNetwork;

use super::hosts;
use crate::args::{BuildArguments, NetworkArgument};
use crate::config::Config;

/// Why a network cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum NetworkUsageError {
    /// The configuration names one that there is not.
    #[error(
        "the configuration's `network = \"{text}\"`: `default`, `sandbox`, `host` and `none` are known"
    )]
    Unknown {
        /// What it says.
        text: String,
    },
    /// This machine is to be found in a network in which it is not.
    #[error(
        "`--add-host {text}` names this machine, which `--network={network}` keeps commands from"
    )]
    Gateway {
        /// The host.
        text: String,
        /// The network.
        network: &'static str,
    },
}

/// Returns the network of a build's commands. A flag goes before the configuration.
///
/// Where a command is to know this machine by a name, it has this machine's network, unless something else is asked for.
pub(super) fn of_build(
    arguments: &BuildArguments,
    config: &Config,
) -> Result<UsualNetwork, NetworkUsageError> {
    let asked = match arguments.network {
        Some(asked) => asked,
        None => configured(config)?,
    };
    let mut added = arguments.sandbox.add_hosts.iter();
    let gateway = added.find(|text| hosts::is_gateway(text));
    match (asked, gateway) {
        (NetworkArgument::Sandbox, Some(text)) => Err(NetworkUsageError::Gateway {
            text: text.clone(),
            network: "sandbox",
        }),
        (NetworkArgument::Default, Some(_)) => Ok(UsualNetwork::Only(NetworkMode::Host)),
        (NetworkArgument::Default, None) => Ok(UsualNetwork::SandboxOrHost),
        (asked, _) => Ok(only(asked)),
    }
}

/// Returns the network of `run`: this machine's by itself, since there is no other way to reach a server that is tried.
pub(super) fn of_run(asked: Option<NetworkArgument>) -> UsualNetwork {
    only(asked.unwrap_or(NetworkArgument::Default))
}

fn only(asked: NetworkArgument) -> UsualNetwork {
    UsualNetwork::Only(match asked {
        NetworkArgument::Sandbox => NetworkMode::Sandbox,
        NetworkArgument::Host | NetworkArgument::Default => NetworkMode::Host,
        NetworkArgument::None => NetworkMode::None,
    })
}

fn configured(config: &Config) -> Result<NetworkArgument, NetworkUsageError> {
    let Some(text) = &config.network else {
        return Ok(NetworkArgument::Default);
    };
    NetworkArgument::from_str(text, false)
        .map_err(|_unknown| NetworkUsageError::Unknown { text: text.clone() })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Arguments, Command};

    fn of(words: &[&str], configured: Option<&str>) -> Result<UsualNetwork, String> {
        let words = ["careen", "build"].iter().chain(words).chain(&["."]);
        let Command::Build(build) = Arguments::try_parse_from(words).unwrap().command else {
            panic!("it is no build");
        };
        let config = Config {
            network: configured.map(str::to_owned),
            ..Config::default()
        };
        of_build(&build, &config).map_err(|error| error.to_string())
    }

    #[test]
    fn a_flag_goes_before_the_configuration() {
        let only = UsualNetwork::Only;
        for (words, configured, expected) in [
            (&[][..], None, UsualNetwork::SandboxOrHost),
            (&[], Some("host"), only(NetworkMode::Host)),
            (&[], Some("sandbox"), only(NetworkMode::Sandbox)),
            (
                &["--network=default"],
                Some("none"),
                UsualNetwork::SandboxOrHost,
            ),
            (&["--network=none"], Some("host"), only(NetworkMode::None)),
            (&["--network=sandbox"], None, only(NetworkMode::Sandbox)),
        ] {
            assert_eq!(
                of(words, configured),
                Ok(expected),
                "{words:?} {configured:?}"
            );
        }
    }

    #[test]
    fn a_command_that_is_to_find_this_machine_has_its_network() {
        let host = "--add-host=me:host-gateway";
        assert_eq!(of(&[host], None), Ok(UsualNetwork::Only(NetworkMode::Host)));
        assert_eq!(
            of(&[host, "--network=sandbox"], None),
            Err(
                "`--add-host me:host-gateway` names this machine, which `--network=sandbox` keeps commands from"
                    .to_owned()
            )
        );
    }

    #[test]
    fn a_network_that_there_is_not_is_refused() {
        assert_eq!(
            of(&[], Some("bridge")),
            Err(
                "the configuration's `network = \"bridge\"`: `default`, `sandbox`, `host` and `none` are known"
                    .to_owned()
            )
        );
    }

    #[test]
    fn run_takes_the_machines_by_itself() {
        let found = [
            None,
            Some(NetworkArgument::Default),
            Some(NetworkArgument::Sandbox),
        ];
        let found = found.map(of_run);
        let [host, sandbox] = [NetworkMode::Host, NetworkMode::Sandbox].map(UsualNetwork::Only);
        assert_eq!(found, [host, host, sandbox]);
    }
}
