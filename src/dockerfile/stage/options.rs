//! What a plan is told from outside.

use std::collections::{BTreeMap, BTreeSet};

use graph::{NetworkMode, SandboxSettings, SourcePolicy};
use oci::Platform;

use super::entitlement::Entitlement;

/// Which stages of a Dockerfile are planned and lowered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StageScope {
    /// Those that the target needs.
    #[default]
    Needed,
    /// All of them, unless a target is named: a check without a target is of the whole file.
    All,
}

/// What the caller wants of a Dockerfile.
#[derive(Debug, Clone)]
pub struct PlanOptions {
    /// `--build-arg`: the arguments that have a value.
    pub build_args: BTreeMap<String, String>,
    /// `--target`: the stage that is wanted; the last one when absent.
    pub target: Option<String>,
    /// Which stages are looked at.
    pub stages: StageScope,
    /// The platform of the machine that builds (`BUILDPLATFORM`).
    pub build_platform: Platform,
    /// The platforms that an image is wanted for, at least one.
    pub target_platforms: Vec<Platform>,
    /// Whether nobody asked for the one platform: a base that is for another is taken as it is.
    pub implicit_platform: bool,
    /// `--from`: the image that the first stage is built on, whatever its `FROM` says.
    pub first_base: Option<String>,
    /// `--no-cache-filter`: the stages whose steps are carried out again, by name in lower case or number.
    pub renewed_stages: BTreeSet<String>,
    /// The names given with `--build-context`, also as `name::platform`.
    pub contexts: BTreeSet<String>,
    /// Those of the named contexts that are directories, with the patterns of their ignore files.
    pub directories: BTreeMap<String, Vec<String>>,
    /// Those of the named contexts that are the empty file system (`docker-image://scratch`).
    pub empty_contexts: BTreeSet<String>,
    /// What the `SOURCE_DATE_EPOCH` that the Dockerfile itself gives a value comes to, once that is known.
    pub epoch_default: Option<String>,
    /// `--label`: what is added to the labels of the result.
    pub labels: BTreeMap<String, String>,
    /// `--stage-labels`: whether each image says which stage it is.
    pub stage_labels: bool,
    /// `--network`: the network of a `RUN` that does not name one.
    pub network: NetworkMode,
    /// What else is asked for of the sandbox of every `RUN`.
    pub sandbox: SandboxSettings,
    /// `--allow`: what a `RUN` may ask for that it gets only where the user agrees.
    pub entitlements: BTreeSet<Entitlement>,
    /// `--hostname`: the host name that commands see.
    pub hostname: Option<String>,
    /// The `.dockerignore` patterns of the build context, in the order of the file.
    pub ignore: Vec<String>,
    /// What may be fetched from servers, and what in its place. Base images are the caller's to ask about.
    pub policy: SourcePolicy,
}

impl PlanOptions {
    /// Returns options that ask for nothing but an image for each of the platforms.
    pub fn new(build_platform: Platform, target_platforms: Vec<Platform>) -> Self {
        Self {
            build_args: BTreeMap::new(),
            target: None,
            stages: StageScope::Needed,
            build_platform,
            target_platforms,
            implicit_platform: false,
            first_base: None,
            renewed_stages: BTreeSet::new(),
            contexts: BTreeSet::new(),
            directories: BTreeMap::new(),
            empty_contexts: BTreeSet::new(),
            epoch_default: None,
            labels: BTreeMap::new(),
            stage_labels: false,
            network: NetworkMode::Default,
            sandbox: SandboxSettings::default(),
            entitlements: BTreeSet::new(),
            hostname: None,
            ignore: Vec::new(),
            policy: SourcePolicy::default(),
        }
    }

    /// Tells whether steps have to say which platform they are of.
    pub(crate) fn is_multi_platform(&self) -> bool {
        self.target_platforms.len() > 1
    }

    /// Returns the host name that commands see.
    pub(crate) fn sandbox_hostname(&self) -> &str {
        let argument = self.build_args.get("BUILDKIT_SANDBOX_HOSTNAME");
        self.hostname
            .as_ref()
            .or(argument)
            .map_or(DEFAULT_HOSTNAME, String::as_str)
    }
}

/// The host name of a `RUN`, that of every `BuildKit` build.
const DEFAULT_HOSTNAME: &str = "buildkitsandbox";
