//! What can be typed after `binfmt`, as after the image `tonistiigi/binfmt`.

use clap::{ArgGroup, Args, Parser};

use super::{Arguments, Command, RegistryArguments, RunArguments};

/// The arguments of `binfmt`.
#[derive(Debug, Clone, Default, Args)]
#[command(group = ArgGroup::new("change").args(["install", "uninstall"]).multiple(true))]
pub struct BinfmtArguments {
    /// Let builds use the emulators of these processors: `all`, or names like `arm64` and `linux/arm64`
    #[arg(long, value_name = "PROCESSOR", value_delimiter = ',')]
    pub install: Vec<String>,
    /// Let builds of this user use them no more: `arm64`, `qemu-aarch64`, or a pattern like `qemu-*`
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub uninstall: Vec<String>,
    /// Where the emulators are taken from: a `.deb`, a directory, or an image that has them [default: what is installed
    /// on this machine]
    #[arg(long, value_name = "DEB | DIR | LOCATION", requires = "install")]
    pub from: Option<String>,
    /// Register them on the machine too, or take them away there; root only
    #[arg(long, requires = "change")]
    pub host: bool,
    /// How registries are reached.
    #[command(flatten)]
    pub registry: RegistryArguments,
    /// Print the version of each emulator
    #[arg(long)]
    pub version: bool,
}

/// The command of the image `tonistiigi/binfmt`.
#[derive(Debug, Parser)]
#[command(name = "binfmt")]
struct BinfmtImage {
    #[command(flatten)]
    arguments: BinfmtArguments,
}

/// What posts and scripts install emulators with.
const IMAGE: &str = "tonistiigi/binfmt";

impl BinfmtArguments {
    /// Returns what `run --privileged tonistiigi/binfmt …` asks for, which careen does by itself; `None` for another run.
    ///
    /// # Errors
    ///
    /// Fails where the image's command would not understand its arguments.
    pub fn of_run(run: &RunArguments) -> Result<Option<Self>, clap::Error> {
        let Some((image, words)) = run.image_and_command.split_first() else {
            return Ok(None);
        };
        let name = image.strip_prefix("docker.io/").unwrap_or(image);
        let is_meant = name
            .strip_prefix(IMAGE)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '@']));
        if !is_meant || !run.refused.privileged {
            return Ok(None);
        }
        let words = ["binfmt"]
            .into_iter()
            .chain(words.iter().map(String::as_str));
        BinfmtImage::try_parse_from(words).map(|image| Some(image.arguments))
    }
}

impl Arguments {
    /// Returns them with [`BinfmtArguments::of_run`] in the place of the run.
    ///
    /// # Errors
    ///
    /// Fails as that does.
    pub fn with_binfmt(mut self) -> Result<Self, clap::Error> {
        if let Command::Run(run) = &self.command
            && let Some(binfmt) = BinfmtArguments::of_run(run)?
        {
            self.command = Command::Binfmt(binfmt);
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_of_the_posts_is_known() {
        let table = [
            (
                "run --privileged --rm tonistiigi/binfmt --install all",
                true,
            ),
            (
                "run --privileged docker.io/tonistiigi/binfmt:latest --install all",
                true,
            ),
            ("run --rm tonistiigi/binfmt --install all", false),
            (
                "run --privileged --rm tonistiigi/binfmts --install all",
                false,
            ),
        ];
        for (words, expected) in table {
            let words = ["careen"].into_iter().chain(words.split(' '));
            let parsed = Arguments::try_parse_from(words).unwrap();
            let Command::Run(run) = parsed.command else {
                panic!("{expected}");
            };
            let found = BinfmtArguments::of_run(&run).unwrap();
            let all = found.map(|found| found.install == ["all"]);
            assert_eq!(all, expected.then_some(true));
        }
    }
}
