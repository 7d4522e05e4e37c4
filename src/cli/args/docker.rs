//! What can be typed where careen is started under the name `docker`: docker's words for careen's commands.

use std::ffi::OsString;

use clap::{Args, Parser, Subcommand};

use super::{
    Arguments, BuildArguments, BuildxCommand, BuildxGroup, Command, CompletionArguments,
    DiskCommand, DoctorArguments, GlobalArguments, HistoryGroup, ImageCommand,
    ImageHistoryArguments, ImageInspectArguments, ImageLsArguments, ImageRmArguments,
    ImageTagArguments, ImageTransfer, LoginArguments, LogoutArguments, ManifestCommand,
    PruneArguments, RunArguments, SystemCommand, VersionArguments,
};

/// Builds container images on Linux without a daemon and without root, in docker's words.
#[derive(Debug, Parser)]
#[command(
    name = "docker",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub struct DockerArguments {
    /// What every command of careen takes.
    #[command(flatten)]
    pub global: GlobalArguments,
    /// What docker takes before a command.
    #[command(flatten)]
    pub client: ClientArguments,
    /// What is to be done.
    #[command(subcommand)]
    pub command: DockerCommand,
}

/// What docker's client takes before a command.
#[derive(Debug, Clone, Default, Args)]
pub struct ClientArguments {
    /// Directory of docker's configuration [env: `DOCKER_CONFIG`]
    #[arg(long, value_name = "DIR")]
    pub config: Option<std::path::PathBuf>,
    /// Taken for scripts: `default`, `desktop-linux` and `rootless` are this machine
    #[arg(short, long, value_name = "NAME")]
    pub context: Option<String>,
    /// Taken, without effect
    #[arg(short = 'D', long)]
    pub debug: bool,
    /// Taken, without effect
    #[arg(short, long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Not supported: there is no daemon to connect to
    #[arg(short = 'H', long, value_name = "HOST", hide = true)]
    pub host: Vec<String>,
}

/// Docker's words for careen's commands.
#[derive(Debug, Subcommand)]
pub enum DockerCommand {
    /// Build an image from a Dockerfile
    Build(Box<BuildArguments>),
    /// Build, and work with builders
    #[command(arg_required_else_help = true)]
    Buildx(BuildxGroup),
    /// Build
    Builder {
        /// What is to be done.
        #[command(subcommand)]
        command: DockerBuilderCommand,
    },
    /// Work with the images of the store
    Image {
        /// What is to be done with them.
        #[command(subcommand)]
        command: DockerImageCommand,
    },
    /// Put an index together step by step
    Manifest {
        /// What is to be done with the list.
        #[command(subcommand)]
        command: ManifestCommand,
    },
    /// Run a command on an image, to try it
    Run(Box<RunArguments>),
    /// List the images of the store
    Images(ImageLsArguments),
    /// Take names away, and remove the images that have none left
    Rmi(ImageRmArguments),
    /// Give an image another name
    Tag(ImageTagArguments),
    /// Show how an image was made
    History(ImageHistoryArguments),
    /// Show what is known of images, as JSON
    Inspect(DockerInspectArguments),
    /// What brings images into the store and out of it.
    #[command(flatten)]
    Transfer(Box<ImageTransfer>),
    /// Show and free what images and the build cache take on the disk
    System {
        /// What is to be done.
        #[command(subcommand)]
        command: SystemCommand,
    },
    /// Log in to a registry
    Login(LoginArguments),
    /// Log out of a registry
    Logout(LogoutArguments),
    /// Tell what this machine allows, and what commands are run with
    Info(DoctorArguments),
    /// Print what a shell completes the command line with
    Completion(CompletionArguments),
    /// Print the version
    Version(VersionArguments),
    /// What there is not.
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

/// What can be typed after `docker builder`.
#[derive(Debug, Subcommand)]
pub enum DockerBuilderCommand {
    /// Build an image from a Dockerfile
    Build(Box<BuildArguments>),
    /// Remove what no build uses from the build cache
    Prune(Box<PruneArguments>),
    /// What there is not.
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

/// What can be typed after `docker image`.
#[derive(Debug, Subcommand)]
pub enum DockerImageCommand {
    /// Build an image from a Dockerfile
    Build(Box<BuildArguments>),
    /// The commands of careen.
    #[command(flatten)]
    Image(ImageCommand),
}

/// The arguments of `docker inspect`.
#[derive(Debug, Clone, Args)]
pub struct DockerInspectArguments {
    /// What `image inspect` takes.
    #[command(flatten)]
    pub image: ImageInspectArguments,
    /// What is looked at; there are images alone
    #[arg(long = "type", value_name = "KIND", value_parser = ["image"])]
    pub kind: Option<String>,
}

impl From<DockerArguments> for Arguments {
    fn from(docker: DockerArguments) -> Self {
        Self {
            global: docker.global,
            command: docker.command.into(),
            client: docker.client,
        }
    }
}

impl From<DockerCommand> for Command {
    fn from(command: DockerCommand) -> Self {
        match command {
            DockerCommand::Build(build) => built_by_default(build),
            DockerCommand::Buildx(group) => Self::Buildx(group),
            DockerCommand::Builder { command } => match command {
                DockerBuilderCommand::Build(build) => built_by_default(build),
                DockerBuilderCommand::Prune(prune) => {
                    Self::Disk(DiskCommand::Prune(*prune).by_default())
                }
                DockerBuilderCommand::Other(words) => Self::Other(after("builder", words)),
            },
            DockerCommand::Image { command } => match command {
                DockerImageCommand::Build(build) => built_by_default(build),
                DockerImageCommand::Image(command) => Self::Image { command },
            },
            DockerCommand::Manifest { command } => Self::Manifest { command },
            DockerCommand::Run(run) => Self::Run(run),
            DockerCommand::Images(ls) => Self::Images(ls),
            DockerCommand::Rmi(rm) => Self::Rmi(rm),
            DockerCommand::Tag(tag) => Self::Tag(tag),
            DockerCommand::History(history) => Self::Image {
                command: ImageCommand::History(history),
            },
            DockerCommand::Inspect(inspect) => Self::Image {
                command: ImageCommand::Inspect(inspect.image),
            },
            DockerCommand::Transfer(transfer) => Self::Transfer(transfer),
            DockerCommand::System {
                command: SystemCommand::Other(words),
            } => Self::Other(after("system", words)),
            DockerCommand::System { command } => Self::Disk(DiskCommand::System { command }),
            DockerCommand::Login(login) => Self::Login(login),
            DockerCommand::Logout(logout) => Self::Logout(logout),
            DockerCommand::Info(info) => Self::Doctor(info),
            DockerCommand::Completion(completion) => Self::Completion(CompletionArguments {
                program: "docker",
                ..completion
            }),
            DockerCommand::Version(version) => Self::Version(version),
            DockerCommand::Other(words) => Self::Other(words),
        }
    }
}

/// `docker build` takes the builder of docker's context and not the one of `docker buildx use`, unless it is told.
fn built_by_default(mut build: Box<BuildArguments>) -> Command {
    build.policy.buildx.passes_over_current = true;
    Command::Build(build)
}

/// Fills in the builder that stood before the command.
fn built_with(mut build: Box<BuildArguments>, builder: Option<String>) -> Box<BuildArguments> {
    let given = &mut build.policy.buildx.builder;
    *given = given.take().or(builder);
    build
}

/// Puts the word before a command that it stood after.
fn after(word: &str, mut words: Vec<OsString>) -> Vec<OsString> {
    words.insert(0, word.into());
    words
}

impl Command {
    /// Returns the command that `buildx` only is another spelling of.
    #[must_use]
    pub fn unspelled(self) -> Self {
        let Self::Buildx(BuildxGroup {
            builder, command, ..
        }) = self
        else {
            return self;
        };
        match command {
            BuildxCommand::Build(build) => Self::Build(built_with(build, builder)),
            BuildxCommand::Builders(command) => Self::Builders(command.of(builder)),
            BuildxCommand::Du(du) => Self::Disk(DiskCommand::Du(du).of_builder(builder)),
            BuildxCommand::Prune(prune) => {
                Self::Disk(DiskCommand::Prune(prune).of_builder(builder))
            }
            BuildxCommand::Imagetools { command } => Self::Imagetools { command },
            BuildxCommand::Debug(debug) => match debug.unspelled() {
                Ok(build) => Self::Build(built_with(build, builder)),
                Err(words) => Self::Other(after("buildx", after("debug", words))),
            },
            BuildxCommand::History { command } => Self::History(HistoryGroup { builder, command }),
            BuildxCommand::Version => Self::Version(VersionArguments::default()),
            BuildxCommand::Other(words) => Self::Other(after("buildx", words)),
        }
    }
}

impl super::BuilderCommand {
    /// Fills in the builder that stood before the command.
    fn of(mut self, builder: Option<String>) -> Self {
        match &mut self {
            Self::Inspect(inspect) => inspect.name = inspect.name.take().or(builder),
            Self::Stop(stop) => stop.name = stop.name.take().or(builder),
            Self::Rm(rm) if rm.names.is_empty() && !rm.all_inactive => rm.names.extend(builder),
            Self::Create(_) | Self::Use(_) | Self::Ls(_) | Self::Rm(_) => {}
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        let words = ["docker"].into_iter().chain(line.split(' '));
        let docker = DockerArguments::try_parse_from(words).map_err(|error| error.to_string())?;
        Ok(Command::from(docker.command).unspelled())
    }

    #[test]
    fn docker_clap_definitions_hold() {
        use clap::CommandFactory as _;
        DockerArguments::command().debug_assert();
        Arguments::command().debug_assert();
    }

    #[test]
    fn what_buildx_takes_without_effect_is_taken() {
        let lines = [
            "build --rm --force-rm=false --compress --isolation default --security-opt x -m 1g -c 2 .",
            "build --rm=true --provenance=false --sbom=false --attest type=sbom,disabled=true .",
            "buildx build --print outline .",
            "buildx --builder x b -t y .",
            "builder build . -t y --no-cache --progress=plain",
            "image build -f - .",
        ];
        for line in lines {
            let command = parsed(line);
            assert!(
                matches!(command, Ok(Command::Build(_))),
                "{line}: {command:?}"
            );
        }
    }

    #[test]
    fn a_builder_may_stand_before_and_behind_a_command() {
        let lines = [
            "buildx --builder x build .",
            "buildx build --builder x .",
            "buildx build . --builder=x",
        ];
        for line in lines {
            let Ok(Command::Build(build)) = parsed(line) else {
                panic!("{line}");
            };
            let buildx = &build.policy.buildx;
            assert_eq!(buildx.builder.as_deref(), Some("x"), "{line}");
            assert!(!buildx.passes_over_current, "{line}");
        }
        let Ok(Command::Builders(crate::args::BuilderCommand::Inspect(inspect))) =
            parsed("buildx --builder x inspect --bootstrap")
        else {
            panic!("it is `inspect`");
        };
        assert_eq!(inspect.name.as_deref(), Some("x"));
        let Ok(Command::Build(build)) = parsed("build .") else {
            panic!("it is `build`");
        };
        assert!(build.policy.buildx.passes_over_current);
    }
}
