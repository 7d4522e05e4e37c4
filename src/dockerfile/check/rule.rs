//! The names of the checks, and what is known of each.

/// A build check, by the name that `BuildKit` gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(
    missing_docs,
    reason = "the names are the documentation: they are those users know"
)]
pub enum Rule {
    StageNameCasing,
    FromAsCasing,
    NoEmptyContinuation,
    ConsistentInstructionCasing,
    DuplicateStageName,
    ReservedStageName,
    JsonArgsRecommended,
    MaintainerDeprecated,
    UndefinedArgInFrom,
    WorkdirRelativePath,
    UndefinedVar,
    MultipleInstructionsDisallowed,
    LegacyKeyValueFormat,
    InvalidBaseImagePlatform,
    RedundantTargetPlatform,
    SecretsUsedInArgOrEnv,
    InvalidDefaultArgInFrom,
    FromPlatformFlagConstDisallowed,
    CopyIgnoredFile,
    InvalidDefinitionDescription,
    ExposeProtoCasing,
    ExposeInvalidFormat,
}

/// Where the pages about the checks are.
const PAGES: &str = "https://docs.docker.com/go/dockerfile/rule/";

impl Rule {
    /// All checks.
    pub const ALL: [Self; 22] = [
        Self::StageNameCasing,
        Self::FromAsCasing,
        Self::NoEmptyContinuation,
        Self::ConsistentInstructionCasing,
        Self::DuplicateStageName,
        Self::ReservedStageName,
        Self::JsonArgsRecommended,
        Self::MaintainerDeprecated,
        Self::UndefinedArgInFrom,
        Self::WorkdirRelativePath,
        Self::UndefinedVar,
        Self::MultipleInstructionsDisallowed,
        Self::LegacyKeyValueFormat,
        Self::InvalidBaseImagePlatform,
        Self::RedundantTargetPlatform,
        Self::SecretsUsedInArgOrEnv,
        Self::InvalidDefaultArgInFrom,
        Self::FromPlatformFlagConstDisallowed,
        Self::CopyIgnoredFile,
        Self::InvalidDefinitionDescription,
        Self::ExposeProtoCasing,
        Self::ExposeInvalidFormat,
    ];

    /// Returns the name used in `# check=skip=…`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StageNameCasing => "StageNameCasing",
            Self::FromAsCasing => "FromAsCasing",
            Self::NoEmptyContinuation => "NoEmptyContinuation",
            Self::ConsistentInstructionCasing => "ConsistentInstructionCasing",
            Self::DuplicateStageName => "DuplicateStageName",
            Self::ReservedStageName => "ReservedStageName",
            Self::JsonArgsRecommended => "JSONArgsRecommended",
            Self::MaintainerDeprecated => "MaintainerDeprecated",
            Self::UndefinedArgInFrom => "UndefinedArgInFrom",
            Self::WorkdirRelativePath => "WorkdirRelativePath",
            Self::UndefinedVar => "UndefinedVar",
            Self::MultipleInstructionsDisallowed => "MultipleInstructionsDisallowed",
            Self::LegacyKeyValueFormat => "LegacyKeyValueFormat",
            Self::InvalidBaseImagePlatform => "InvalidBaseImagePlatform",
            Self::RedundantTargetPlatform => "RedundantTargetPlatform",
            Self::SecretsUsedInArgOrEnv => "SecretsUsedInArgOrEnv",
            Self::InvalidDefaultArgInFrom => "InvalidDefaultArgInFrom",
            Self::FromPlatformFlagConstDisallowed => "FromPlatformFlagConstDisallowed",
            Self::CopyIgnoredFile => "CopyIgnoredFile",
            Self::InvalidDefinitionDescription => "InvalidDefinitionDescription",
            Self::ExposeProtoCasing => "ExposeProtoCasing",
            Self::ExposeInvalidFormat => "ExposeInvalidFormat",
        }
    }

    /// Returns what the check is about, in one sentence.
    pub const fn description(self) -> &'static str {
        match self {
            Self::StageNameCasing => "Names of stages are written in lower case",
            Self::FromAsCasing => "`AS` is written in the case of its `FROM`",
            Self::NoEmptyContinuation => "A continued instruction has no empty lines in it",
            Self::ConsistentInstructionCasing => {
                "All instructions of a Dockerfile are written in one case, upper or lower"
            }
            Self::DuplicateStageName => "Each stage has a name of its own",
            Self::ReservedStageName => "No stage has a name that means something else",
            Self::JsonArgsRecommended => {
                "CMD and ENTRYPOINT in JSON form get signals themselves; a shell keeps them back"
            }
            Self::MaintainerDeprecated => "The author of an image is a label",
            Self::UndefinedArgInFrom => "FROM uses arguments that are declared before it",
            Self::WorkdirRelativePath => {
                "The first WORKDIR is absolute, so that it does not depend on the base image"
            }
            Self::UndefinedVar => "Variables are set before they are used",
            Self::MultipleInstructionsDisallowed => {
                "An instruction of which the last one counts is there once in a stage"
            }
            Self::LegacyKeyValueFormat => "ENV and LABEL are written with `=`",
            Self::InvalidBaseImagePlatform => "The base image is for the platform that is built",
            Self::RedundantTargetPlatform => "The target platform is what FROM takes by itself",
            Self::SecretsUsedInArgOrEnv => "Secrets are mounted: ARG and ENV stay in the image",
            Self::InvalidDefaultArgInFrom => {
                "The defaults of the arguments make valid names of base images"
            }
            Self::FromPlatformFlagConstDisallowed => "`--platform` of FROM is no constant",
            Self::CopyIgnoredFile => "What is copied is not left out by the ignore file",
            Self::InvalidDefinitionDescription => {
                "A comment directly above a stage or an argument begins with its name, or is set off by an empty line"
            }
            Self::ExposeProtoCasing => "Protocols of EXPOSE are written in lower case",
            Self::ExposeInvalidFormat => "EXPOSE names ports, and no addresses or host ports",
        }
    }

    /// Returns the address of the page about the check. There is none about `InvalidBaseImagePlatform`.
    pub fn url(self) -> Option<String> {
        match self {
            Self::InvalidBaseImagePlatform => None,
            rule => Some(format!("{PAGES}{}/", in_kebab_case(rule.name()))),
        }
    }

    /// Tells whether the check speaks only when `experimental=` names it.
    pub const fn is_experimental(self) -> bool {
        matches!(self, Self::InvalidDefinitionDescription)
    }

    /// Returns the check of that name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.name() == name)
    }
}

/// Returns a name as its page has it: `JSONArgsRecommended` is `json-args-recommended`.
fn in_kebab_case(name: &str) -> String {
    let mut text = String::new();
    let mut letters = name.chars().peekable();
    let mut before = None;
    while let Some(letter) = letters.next() {
        let after_small = before.is_some_and(char::is_lowercase);
        let before_small = letters.peek().is_some_and(|next| next.is_lowercase());
        let in_capitals = before.is_some_and(char::is_uppercase);
        if letter.is_uppercase() && (after_small || (in_capitals && before_small)) {
            text.push('-');
        }
        text.push(letter.to_ascii_lowercase());
        before = Some(letter);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_has_a_page_named_after_it() {
        let url = |rule: Rule| rule.url().unwrap_or_default();
        assert_eq!(
            url(Rule::StageNameCasing),
            "https://docs.docker.com/go/dockerfile/rule/stage-name-casing/"
        );
        for (rule, page) in [
            (Rule::JsonArgsRecommended, "json-args-recommended"),
            (Rule::SecretsUsedInArgOrEnv, "secrets-used-in-arg-or-env"),
            (
                Rule::FromPlatformFlagConstDisallowed,
                "from-platform-flag-const-disallowed",
            ),
            (Rule::CopyIgnoredFile, "copy-ignored-file"),
        ] {
            assert_eq!(url(rule), format!("{PAGES}{page}/"));
        }
        assert_eq!(Rule::InvalidBaseImagePlatform.url(), None);
    }

    #[test]
    fn a_check_is_found_by_its_name() {
        for rule in Rule::ALL {
            assert_eq!(Rule::from_name(rule.name()), Some(rule));
        }
        assert_eq!(Rule::from_name("stagenamecasing"), None);
    }
}
