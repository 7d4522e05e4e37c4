//! What is asked for of a result: where it goes, what the image is like, and who is told.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use export::output::{
    ImageOptions, IndexForm, LocalMode, PlatformSplit, Publication, Push, Rewrite, Squash,
};
use export::{Annotation, AnnotationError, OutputError, OutputSpec};
use oci::assemble::HistoryDetail;
use oci::time::TimestampError;
use oci::{Platform, Reference, Timestamp};
use rootfs::{Root, RootPath};

use crate::args::{ProgressArgument, ResultArguments, SquashArgument};
use crate::env::Environment;

/// The build argument that asks for an index, and for directories of platforms, with one platform too.
const MULTI_PLATFORM: &str = "BUILDKIT_MULTI_PLATFORM";

/// The right to remove what is outside the working directory.
const LOCAL_DELETE: &str = "buildx.local.delete";

/// Why what is asked for of a result cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum ResultError {
    /// An `--output` is not understood.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// An `--output` has an attribute that is nearly one that there is.
    #[error("{error}: did you mean `{near}`?")]
    Near {
        /// What is not understood.
        error: OutputError,
        /// What was perhaps meant.
        near: &'static str,
    },
    /// An `--annotation` is not understood.
    #[error(transparent)]
    Annotation(#[from] AnnotationError),
    /// Two outputs would replace each other.
    #[error("two outputs go to `{}`", path.display())]
    SamePath {
        /// The path.
        path: PathBuf,
    },
    /// Two results on standard output.
    #[error("standard output has room for one result: {what}")]
    SeveralOnStdout {
        /// What is to go there.
        what: String,
    },
    /// An archive in a terminal.
    #[error(
        "`--output type={kind}` would write an archive to the terminal: `dest=FILE` names a file"
    )]
    Terminal {
        /// The kind of output.
        kind: &'static str,
    },
    /// A directory outside the working directory is to be emptied.
    #[error(
        "`mode=delete` removes what is in `{}`, which is not below the working directory: \
         `--allow {LOCAL_DELETE}` allows it",
        path.display()
    )]
    DeleteOutside {
        /// The directory.
        path: PathBuf,
    },
    /// `--timestamp` is no time.
    #[error("`--timestamp {text}` is no time")]
    Timestamp {
        /// The text.
        text: String,
        /// Why.
        source: TimestampError,
    },
    /// `BUILDKIT_MULTI_PLATFORM` is no boolean.
    #[error("`{MULTI_PLATFORM}={value}`: the value must be `true` or `false`")]
    MultiPlatform {
        /// The value.
        value: String,
    },
    /// There is no image whose id could be told.
    #[error(
        "`--iidfile` needs an image: `--load`, `--push`, `--output type=oci` and `type=docker` write one"
    )]
    NoImage,
    /// There is no image that could be added to an index.
    #[error(
        "`--append` needs an image that is added: `--push`, `--load` and `--output type=oci,tar=false` write one"
    )]
    NothingAppended,
    /// Progress is asked for and forbidden.
    #[error("`--quiet` and `--progress {progress}` contradict each other")]
    QuietProgress {
        /// The progress.
        progress: &'static str,
    },
}

/// What is asked for of a result.
#[derive(Debug, Clone, Default)]
pub struct ResultOptions {
    /// Where it goes.
    pub outputs: Vec<OutputSpec>,
    /// Whether the stages that the target is made from are kept as images of the store.
    pub save_stages: bool,
    /// Whether each image says which stage it is.
    pub stage_labels: bool,
    /// The file for the image's id.
    pub iidfile: Option<PathBuf>,
    /// The file for what is known of the result.
    pub metadata_file: Option<PathBuf>,
    /// Whether the image's id is printed.
    pub quiet: bool,
    /// The time that the command line gives the image.
    pub time: Option<Timestamp>,
    /// The flags that say something of an image, where none is written.
    pub idle: Vec<&'static str>,
}

/// What the result depends on beside its own arguments.
pub(super) struct Surroundings<'a> {
    /// The environment.
    pub(super) env: &'a Environment,
    /// The platforms that are built.
    pub(super) platforms: &'a [Platform],
    /// The build arguments.
    pub(super) build_args: &'a BTreeMap<String, String>,
    /// The names of the image.
    pub(super) tags: &'a [Reference],
    /// This machine's platform.
    pub(super) host: &'a Platform,
    /// What was agreed to with `--allow`.
    pub(super) allowed: &'a [String],
}

impl ResultOptions {
    /// Works out what is asked for.
    pub(super) fn new(
        arguments: &ResultArguments,
        around: &Surroundings<'_>,
    ) -> Result<Self, ResultError> {
        let absolute = |path: &PathBuf| around.env.current_directory.join(path);
        let mut options = Self {
            outputs: outputs(arguments, around)?,
            save_stages: arguments.save_stages,
            stage_labels: arguments.stage_labels,
            iidfile: arguments.iidfile.as_ref().map(absolute),
            metadata_file: arguments.metadata_file.as_ref().map(absolute),
            quiet: arguments.quiet,
            time: timestamp(arguments)?,
            idle: Vec::new(),
        };
        options.check_places(around)?;
        if let Some(time) = options.time {
            options.set_time(time);
        }
        let has_image = options
            .outputs
            .iter()
            .any(|output| output.image().is_some());
        if options.iidfile.is_some() && !has_image {
            return Err(ResultError::NoImage);
        }
        if arguments.append && !has_image {
            return Err(ResultError::NothingAppended);
        }
        let idle = if has_image {
            Vec::new()
        } else {
            idle(arguments)
        };
        Ok(Self { idle, ..options })
    }

    /// Gives all outputs the time of the build, unless they have one of their own.
    pub fn set_time(&mut self, time: Timestamp) {
        for output in &mut self.outputs {
            output.set_time(time);
        }
    }

    /// Checks that no two results go to one place, and that each place can be written to.
    fn check_places(&self, around: &Surroundings<'_>) -> Result<(), ResultError> {
        let mut paths: Vec<&Path> = Vec::new();
        let mut on_stdout: Vec<String> = Vec::new();
        for output in &self.outputs {
            let kind = output.kind();
            if let Some(path) = output.path() {
                if paths.contains(&path) {
                    let path = path.to_owned();
                    return Err(ResultError::SamePath { path });
                }
                paths.push(path);
            }
            if output.is_stdout() {
                if around.env.stdout_is_terminal {
                    return Err(ResultError::Terminal { kind });
                }
                on_stdout.push(format!("`--output type={kind}`"));
            }
            check_removal(output, around)?;
        }
        if self.quiet {
            on_stdout.push("`--quiet`".to_owned());
        }
        if on_stdout.len() > 1 && self.outputs.iter().any(OutputSpec::is_stdout) {
            let what = on_stdout.join(" and ");
            return Err(ResultError::SeveralOnStdout { what });
        }
        Ok(())
    }
}

/// Returns the time that the command line gives the image.
fn timestamp(arguments: &ResultArguments) -> Result<Option<Timestamp>, ResultError> {
    let Some(text) = &arguments.timestamp else {
        return Ok(None);
    };
    let time = Timestamp::parse_source_date_epoch(text);
    time.map(Some).map_err(|source| ResultError::Timestamp {
        text: text.clone(),
        source,
    })
}

/// Returns how progress is shown where `--quiet` says it.
pub(super) fn quiet_progress(
    arguments: &ResultArguments,
    progress: Option<ProgressArgument>,
) -> Result<Option<ProgressArgument>, ResultError> {
    if !arguments.quiet {
        return Ok(None);
    }
    match progress {
        Some(
            shown @ (ProgressArgument::Plain | ProgressArgument::Tty | ProgressArgument::Rawjson),
        ) => Err(ResultError::QuietProgress {
            progress: shown.name(),
        }),
        Some(ProgressArgument::None) => Ok(Some(ProgressArgument::None)),
        Some(ProgressArgument::Auto | ProgressArgument::Quiet) | None => {
            Ok(Some(ProgressArgument::Quiet))
        }
    }
}

/// Returns the flags that were given and say something of an image.
fn idle(arguments: &ResultArguments) -> Vec<&'static str> {
    let flags = [
        (!arguments.annotations.is_empty(), "--annotation"),
        (arguments.squash.is_some(), "--squash"),
        (arguments.omit_history, "--omit-history"),
    ];
    let given = flags.into_iter().filter(|(given, _)| *given);
    given.map(|(_, flag)| flag).collect()
}

fn outputs(
    arguments: &ResultArguments,
    around: &Surroundings<'_>,
) -> Result<Vec<OutputSpec>, ResultError> {
    let host = around.host;
    let annotations = arguments.annotations.iter();
    let annotations: Vec<_> = annotations
        .map(|text| Annotation::parse_flag(text, host))
        .collect::<Result<_, _>>()?;
    let annotations = annotations.concat();
    let is_multi = is_multi_platform(around.build_args)?;
    let texts = arguments.outputs.iter().filter(|text| !text.is_empty());
    let given = texts.map(|text| OutputSpec::parse(text, host).map_err(with_near_word));
    let mut given = given.collect::<Result<Vec<_>, _>>()?;
    add_published(&mut given, arguments);
    let mut outputs = Vec::new();
    for mut output in given {
        output.set_base(&around.env.current_directory);
        if let Some(image) = output.image_mut() {
            complete_image(image, arguments, around.tags);
            image.annotations.extend(annotations.iter().cloned());
        }
        if is_multi {
            force_several(&mut output);
        }
        output.check(around.platforms)?;
        outputs.push(output);
    }
    Ok(outputs)
}

/// Adds what `--push` and `--load` ask for: to the images that are published anyway, or as one more. What is
/// loaded and pushed is one image, of which the push comes last: so what is told of it is what the registry has.
fn add_published(outputs: &mut Vec<OutputSpec>, arguments: &ResultArguments) {
    let wanted = [
        (arguments.load, Publication::stored()),
        (arguments.push, Publication::pushed()),
    ];
    for (_, wanted) in wanted.into_iter().filter(|(is_asked, _)| *is_asked) {
        let mut published = outputs.iter_mut().filter_map(OutputSpec::publication_mut);
        if wanted.push == Push::No {
            let is_stored = published.any(|one| one.store);
            if !is_stored {
                outputs.push(OutputSpec::image_of(wanted));
            }
            continue;
        }
        let mut found = false;
        for one in published {
            found = true;
            one.push_named();
        }
        if !found {
            outputs.push(OutputSpec::image_of(wanted));
        }
    }
}

/// Adds what flags say of every image.
fn complete_image(image: &mut ImageOptions, arguments: &ResultArguments, tags: &[Reference]) {
    let own = std::mem::take(&mut image.names);
    for name in tags.iter().cloned().chain(own) {
        if !image.names.contains(&name) {
            image.names.push(name);
        }
    }
    image.squash = match arguments.squash {
        Some(SquashArgument::New) => Squash::New,
        Some(SquashArgument::All) => Squash::All,
        None => Squash::None,
    };
    if arguments.omit_history {
        image.history = HistoryDetail::Omitted;
    }
    if arguments.append {
        image.append();
    }
    if arguments.timestamp.is_some() {
        image.rewrite = Rewrite::All;
    }
}

/// Makes one platform look as several do.
fn force_several(output: &mut OutputSpec) {
    if let Some(image) = output.image_mut() {
        image.index = IndexForm::Always;
    }
    if let Some(tree) = output.tree_mut()
        && tree.split == PlatformSplit::IfSeveral
    {
        tree.split = PlatformSplit::Always;
    }
}

fn is_multi_platform(build_args: &BTreeMap<String, String>) -> Result<bool, ResultError> {
    // What Go's strconv.ParseBool takes.
    match build_args.get(MULTI_PLATFORM).map(String::as_str) {
        None | Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
        Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
        Some(value) => Err(ResultError::MultiPlatform {
            value: value.to_owned(),
        }),
    }
}

/// Adds the attribute that was perhaps meant.
fn with_near_word(error: OutputError) -> ResultError {
    let near = match &error {
        OutputError::UnknownKey { key, known, .. } => {
            dockerfile::suggest::nearest(key, known.iter().copied())
        }
        _ => None,
    };
    match near {
        Some(near) => ResultError::Near { error, near },
        None => error.into(),
    }
}

/// Checks that nothing is removed where the user does not work.
fn check_removal(output: &OutputSpec, around: &Surroundings<'_>) -> Result<(), ResultError> {
    let OutputSpec::Local {
        directory,
        mode: LocalMode::Delete,
        ..
    } = output
    else {
        return Ok(());
    };
    let is_allowed = around.allowed.iter().any(|allowed| allowed == LOCAL_DELETE);
    if is_allowed || is_below(directory, &around.env.current_directory) {
        return Ok(());
    }
    Err(ResultError::DeleteOutside {
        path: directory.clone(),
    })
}

/// Tells whether a path leads to something below a directory, wherever links on the way lead.
fn is_below(path: &Path, directory: &Path) -> bool {
    let resolve = |path: &Path| {
        let root = Root::open(Path::new("/")).ok()?;
        let path = RootPath::lexical(path.as_os_str().as_encoded_bytes()).ok()?;
        root.resolve(&path).ok()
    };
    match (resolve(path), resolve(directory)) {
        (Some(path), Some(directory)) => path != directory && path.starts_with(&directory),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
