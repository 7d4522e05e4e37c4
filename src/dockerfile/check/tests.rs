//! What the checks find in whole files.

use std::collections::BTreeMap;

use graph::{DefinitionBuilder, ImageOrigin, ImageSource};
use oci::{DiffId, Digest, ImageConfig, Platform};

use crate::diagnostic::Diagnostic;
use crate::parse::parse;
use crate::source::SourceFile;
use crate::stage::{BaseRequest, PlanOptions, ResolvedBase, StagePlan, StageScope};

fn options() -> PlanOptions {
    let platform = Platform::new("linux", "amd64");
    PlanOptions {
        stages: StageScope::All,
        ..PlanOptions::new(platform.clone(), vec![platform])
    }
}

/// Returns everything that is said about a file.
fn said(text: &str, options: PlanOptions) -> Vec<Diagnostic> {
    let source = SourceFile::new("Dockerfile", text);
    let platforms = options.target_platforms.clone();
    let mut plan = match StagePlan::new(&parse(&source), options) {
        Ok(plan) => plan,
        Err(said) => return said,
    };
    for request in plan.unresolved() {
        let base = base(&request);
        plan.resolve(&request, base).unwrap();
    }
    let mut said = plan.warnings().to_vec();
    let mut graph = DefinitionBuilder::new();
    for platform in platforms {
        match plan.lower(&platform, &mut graph) {
            Ok(target) => said.extend(target.warnings),
            Err(found) => said.extend(found),
        }
    }
    said
}

/// Returns a base image: `shell` has a shell of its own, `arm` is for another processor.
fn base(request: &BaseRequest) -> ResolvedBase {
    let mut config = ImageConfig::new(&request.platform);
    match request.name.as_str() {
        "shell" => config.config.shell = vec!["/bin/bash".to_owned()],
        "arm" => "arm64".clone_into(&mut config.architecture),
        _ => {}
    }
    let layer = Digest::of(request.name.as_bytes());
    config.rootfs.diff_ids.push(DiffId::new(layer));
    ResolvedBase {
        config,
        source: ImageSource {
            name: request.name.clone(),
            manifest: Digest::of(request.name.as_bytes()),
            platform: request.platform.clone(),
            origin: ImageOrigin::Store,
            pinned: None,
        },
    }
}

/// Returns what is found as `Rule: sentence (line N)`, in the order of lines; errors as they are.
fn found_with(text: &str, options: PlanOptions) -> Vec<String> {
    let source = SourceFile::new("Dockerfile", text);
    let mut said = said(text, options);
    said.sort_by_key(|one| (one.is_error(), one.lines_in(&source)));
    said.iter().map(|one| one.headline(&source)).collect()
}

fn found(text: &str) -> Vec<String> {
    found_with(text, options())
}

/// Returns what is found as `Rule line`.
fn rules(text: &str) -> String {
    let source = SourceFile::new("Dockerfile", text);
    let mut said = said(text, options());
    said.sort_by_key(|one| one.lines_in(&source));
    let rules = said.iter().map(|one| {
        let rule = one.rule.map_or("?", crate::check::Rule::name);
        format!("{rule} {}", one.lines_in(&source).first)
    });
    rules.collect::<Vec<_>>().join(", ")
}

#[test]
fn names_and_keywords_are_compared_in_their_case() {
    for (text, expected) in [
        ("FROM scratch AS Base\n", "StageNameCasing 1"),
        ("FROM scratch AS base\n", ""),
        ("FROM scratch as base\n", "FromAsCasing 1"),
        ("from scratch AS base\n", "FromAsCasing 1"),
        ("from scratch as base\n", ""),
        // The keyword itself is wrong; one sentence is enough.
        ("From scratch as base\n", "ConsistentInstructionCasing 1"),
        ("FROM scratch\nUser a\n", "ConsistentInstructionCasing 2"),
        ("FROM scratch\nuser a\n", "ConsistentInstructionCasing 2"),
        (
            "from scratch\nuser a\nUSER b\n",
            "ConsistentInstructionCasing 3",
        ),
        // What stands before the first FROM does not count.
        ("arg a\narg b\nFROM scratch\n", ""),
        (
            "FROM scratch AS a\nFROM scratch AS A\n",
            "DuplicateStageName 2, StageNameCasing 2",
        ),
        ("FROM scratch AS context\n", "ReservedStageName 1"),
        (
            "FROM scratch AS Scratch\n",
            "ReservedStageName 1, StageNameCasing 1",
        ),
    ] {
        let mut found: Vec<_> = rules(text).split(", ").map(str::to_owned).collect();
        found.sort();
        assert_eq!(found.join(", "), expected, "{text}");
    }
}

#[test]
fn a_stage_is_told_what_only_its_last_instruction_does() {
    for (text, expected) in [
        (
            "FROM scratch\nCMD [\"a\"]\nCMD [\"b\"]\n",
            "MultipleInstructionsDisallowed 2",
        ),
        (
            "FROM scratch\nCMD [\"a\"]\nCMD [\"b\"]\ncmd [\"c\"]\n",
            "MultipleInstructionsDisallowed 2, MultipleInstructionsDisallowed 3, ConsistentInstructionCasing 4",
        ),
        ("FROM scratch AS a\nCMD [\"a\"]\nFROM a\nCMD [\"b\"]\n", ""),
        (
            "FROM scratch\nHEALTHCHECK NONE\nHEALTHCHECK CMD a\n",
            "MultipleInstructionsDisallowed 2",
        ),
        ("FROM scratch\nONBUILD CMD [\"a\"]\nCMD [\"b\"]\n", ""),
    ] {
        assert_eq!(rules(text), expected, "{text}");
    }
}

#[test]
fn a_shell_between_the_program_and_its_signals_is_found_unless_it_was_chosen() {
    for (text, expected) in [
        ("FROM scratch\nCMD a\n", "JSONArgsRecommended 2"),
        ("FROM scratch\nENTRYPOINT a\n", "JSONArgsRecommended 2"),
        ("FROM scratch\nCMD [\"a\"]\n", ""),
        ("FROM scratch\nSHELL [\"/x\"]\nCMD a\n", ""),
        (
            "FROM scratch\nCMD a\nSHELL [\"/x\"]\n",
            "JSONArgsRecommended 2",
        ),
        ("FROM scratch AS a\nSHELL [\"/x\"]\nFROM a\nCMD a\n", ""),
        ("FROM shell\nCMD a\n", ""),
        (
            "FROM scratch\nHEALTHCHECK CMD a\nRUN a\nONBUILD CMD a\n",
            "",
        ),
    ] {
        assert_eq!(rules(text), expected, "{text}");
    }
}

#[test]
fn the_first_working_directory_is_absolute() {
    for (text, expected) in [
        (
            "FROM scratch\nWORKDIR a\nWORKDIR b\n",
            "WorkdirRelativePath 2",
        ),
        ("FROM scratch\nWORKDIR /a\nWORKDIR b\n", ""),
        ("FROM scratch\nARG d=/a\nWORKDIR $d\n", ""),
        ("FROM scratch AS a\nWORKDIR /a\nFROM a\nWORKDIR b\n", ""),
        (
            "FROM scratch AS a\nFROM a\nWORKDIR b\n",
            "WorkdirRelativePath 3",
        ),
    ] {
        assert_eq!(rules(text), expected, "{text}");
    }
}

#[test]
fn variables_are_set_before_they_are_used() {
    for (text, expected) in [
        ("FROM scratch\nUSER $a\n", "UndefinedVar 2"),
        ("FROM scratch\nARG a\nUSER $a\n", ""),
        ("ARG a=1\nFROM scratch\nUSER $a\n", "UndefinedVar 3"),
        ("FROM scratch AS a\nARG a=1\nFROM a\nUSER $a\n", ""),
        // A default does not make it a variable that is set.
        ("FROM scratch\nUSER ${a:-b}\n", "UndefinedVar 2"),
        ("FROM scratch\nENV a=1 b=$a\n", "UndefinedVar 2"),
        ("FROM scratch\nARG a=1 b=$a\n", ""),
        ("FROM scratch\nARG a=$b\n", "UndefinedVar 2"),
        (
            "FROM scratch\nUSER a\nENV x=$y \\\n  z=$w\n",
            "UndefinedVar 3, UndefinedVar 3",
        ),
        ("FROM scratch\nRUN echo $a\n", ""),
        ("FROM scratch\nUSER $BUILDKIT_SBOM_SCAN_STAGE\n", ""),
        ("FROM busybox:$a\n", "UndefinedArgInFrom 1"),
        ("ARG a\nFROM busybox:1$a\n", ""),
        ("ARG TARGETOSS\nFROM busybox-$TARGETOS\n", ""),
    ] {
        let expected = expected.replace(
            "UndefinedArgInFrom 1",
            "InvalidDefaultArgInFrom 1, UndefinedArgInFrom 1, ? 1",
        );
        assert_eq!(rules(text), expected, "{text}");
    }
}

#[test]
fn the_platform_of_a_stage_is_neither_redundant_nor_a_constant() {
    for (text, expected) in [
        (
            "FROM --platform=$TARGETPLATFORM scratch\n",
            "RedundantTargetPlatform 1",
        ),
        ("FROM --platform=$BUILDPLATFORM scratch\n", ""),
        ("FROM --platform=$TARGETOS/$TARGETARCH scratch\n", ""),
        (
            "FROM --platform=linux/amd64 scratch\n",
            "FromPlatformFlagConstDisallowed 1",
        ),
        ("FROM --platform=linux/amd64 scratch AS for-amd64\n", ""),
        ("FROM --platform=linux/amd64 scratch AS linux\n", ""),
        ("ARG P=linux/amd64\nFROM --platform=$P scratch\n", ""),
        ("FROM arm\n", "InvalidBaseImagePlatform 1"),
        (
            "FROM scratch\nCOPY --from=arm a /\n",
            "InvalidBaseImagePlatform 2",
        ),
    ] {
        assert_eq!(rules(text), expected, "{text}");
    }
}

#[test]
fn what_is_tolerated_is_named() {
    assert_eq!(
        found(
            "FROM scratch\nEXPOSE 80/TCP 1:2 :3 4\nENV A b\nLABEL c d\nMAINTAINER me\nRUN a \\\n\n  b\n"
        ),
        [
            "ExposeInvalidFormat: EXPOSE instruction should not define an IP address or host-port mapping, found '1:2' (line 2)",
            "ExposeProtoCasing: Defined protocol '80/TCP' in EXPOSE instruction should be lowercase (line 2)",
            "LegacyKeyValueFormat: \"ENV key=value\" should be used instead of legacy \"ENV key value\" format (line 3)",
            "LegacyKeyValueFormat: \"LABEL key=value\" should be used instead of legacy \"LABEL key value\" format (line 4)",
            "MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label (line 5)",
            "NoEmptyContinuation: Empty continuation line (line 8)",
        ]
    );
}

#[test]
fn t_g04_secrets_are_found_where_they_would_stay() {
    assert_eq!(
        found(
            "ARG GLOBAL_TOKEN\nFROM scratch\nARG API_KEY NAME\nENV A=1 DB_PASSWORD=x PUBLIC_KEY=y\n"
        ),
        [
            "SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ARG \"API_KEY\") (line 3)",
            "SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ENV \"DB_PASSWORD\") (line 4)",
        ]
    );
}

#[test]
fn ignored_sources_of_the_context_are_found() {
    let options = PlanOptions {
        ignore: vec![
            "secret".to_owned(),
            "dir".to_owned(),
            "!dir/keep".to_owned(),
        ],
        ..options()
    };
    let text = "FROM scratch AS a\nCOPY ./secret /secret/key other /\nADD secret https://example.org/secret /\n\
                COPY dir dir/x /\nCOPY <<secret /\nsecret\nFROM scratch\nCOPY --from=a secret /\n";
    let found = found_with(text, options);
    let found: Vec<_> = found
        .iter()
        .filter(|text| text.starts_with("Copy"))
        .collect();
    assert_eq!(
        found,
        [
            "CopyIgnoredFile: Attempting to Copy file \"secret\" that is excluded by .dockerignore (line 2)",
            "CopyIgnoredFile: Attempting to Copy file \"secret/key\" that is excluded by .dockerignore (line 2)",
            "CopyIgnoredFile: Attempting to Add file \"secret\" that is excluded by .dockerignore (line 3)",
            "CopyIgnoredFile: Attempting to Copy file \"dir/x\" that is excluded by .dockerignore (line 4)",
        ]
    );
}

#[test]
fn descriptions_are_looked_at_only_when_that_is_asked_for() {
    let text = "# note\nFROM scratch AS a\n# b is it\nARG b\n# c\n\nARG c\n# x\nARG d e\n# e is it\nARG d e\n";
    assert_eq!(rules(text), "");
    let asked = format!("# check=experimental=InvalidDefinitionDescription\n{text}");
    assert_eq!(
        found(&asked),
        [
            "InvalidDefinitionDescription: Comment for FROM should follow the format: `# a <description>` (line 3)",
            "InvalidDefinitionDescription: Comment for ARG should follow the format: `# <arg_key> <description>` (line 10)",
        ]
    );
}

#[test]
fn checks_are_skipped_by_the_file_by_an_instruction_and_by_the_command_line() {
    let body = "FROM scratch AS A\nMAINTAINER me\nCMD a\n";
    for (text, expected) in [
        (
            body.to_owned(),
            "StageNameCasing 1, MaintainerDeprecated 2, JSONArgsRecommended 3",
        ),
        (
            format!("# check=skip=StageNameCasing, JSONArgsRecommended\n{body}"),
            "MaintainerDeprecated 3",
        ),
        (format!("#CHECK = skip=all\n{body}"), ""),
        (
            format!("# check=skip=all;experimental=all;error=true\n{body}"),
            "",
        ),
        (
            body.replace(
                "MAINTAINER",
                "# Check=skip=MaintainerDeprecated\nMAINTAINER",
            ),
            "StageNameCasing 1, JSONArgsRecommended 4",
        ),
        (
            body.replace(
                "MAINTAINER",
                "# check=skip=MaintainerDeprecated\n\nMAINTAINER",
            ),
            "StageNameCasing 1, MaintainerDeprecated 4, JSONArgsRecommended 5",
        ),
        (
            body.replace("CMD", "# check=skip=all\nCMD"),
            "StageNameCasing 1, MaintainerDeprecated 2",
        ),
        (
            "FROM scratch\nCMD [\"a\"]\n# check=skip=MultipleInstructionsDisallowed\nCMD [\"b\"]\n"
                .to_owned(),
            "",
        ),
        (
            "FROM scratch\n# check=skip=NoEmptyContinuation\nUSER a\\\n\n b\n".to_owned(),
            "",
        ),
    ] {
        assert_eq!(rules(&text), expected, "{text}");
    }
}

#[test]
fn the_command_line_stands_in_the_place_of_the_directive() {
    let with = |value: &str| PlanOptions {
        build_args: BTreeMap::from([("BUILDKIT_DOCKERFILE_CHECK".to_owned(), value.to_owned())]),
        ..options()
    };
    let text = "# check=skip=all;error=true\nFROM scratch AS A\n";
    let finding = "StageNameCasing: Stage name 'A' should be lowercase (line 2)";
    assert_eq!(found_with(text, with("")), [finding]);
    assert_eq!(
        found_with(text, with("error=true")),
        [finding, "lint violation found for rules: StageNameCasing"]
    );
    assert_eq!(found_with(text, with("skip=StageNameCasing")), [""; 0]);
}

#[test]
fn what_is_found_is_an_error_when_that_is_asked_for() {
    let text = "# check=error=true\nFROM scratch as A\nFROM scratch\nWORKDIR a\n";
    assert_eq!(
        found(text).last().unwrap(),
        "lint violation found for rules: StageNameCasing, FromAsCasing, WorkdirRelativePath"
    );
    assert_eq!(found("# check=error=true\nFROM scratch AS a\n"), [""; 0]);
}

#[test]
fn stages_that_are_not_needed_are_looked_at_only_when_the_whole_file_is() {
    let text = "FROM scratch AS a\nCMD a\nFROM scratch AS B\nCMD b\n";
    let needed = PlanOptions {
        stages: StageScope::Needed,
        ..options()
    };
    let target = PlanOptions {
        target: Some("a".to_owned()),
        ..options()
    };
    let lines = |options| {
        let found = found_with(text, options);
        let lines = found.iter().filter_map(|text| text.rsplit_once("(line "));
        lines.map(|(_, line)| line.to_owned()).collect::<String>()
    };
    assert_eq!(lines(options()), "2)3)4)");
    assert_eq!(lines(needed), "3)4)");
    assert_eq!(lines(target), "2)3)");
}

#[test]
fn what_was_found_before_an_error_is_told_with_it() {
    assert_eq!(
        found("FROM scratch AS A\nMAINTAINER me\nBADCMD\n"),
        [
            "StageNameCasing: Stage name 'A' should be lowercase (line 1)",
            "MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label (line 2)",
            "unknown instruction: `BADCMD`",
        ]
    );
}
