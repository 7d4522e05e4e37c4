//! Build arguments: those that are always there, those before the first `FROM`, and the proxies.

use std::collections::{BTreeMap, BTreeSet};

use oci::Platform;

use crate::ast::{ArgDeclaration, Ast, Escape, Instruction, InstructionKind, StageAlias};
use crate::diagnostic::Diagnostic;
use crate::stage::environment::Environment;
use crate::stage::expand::expand;
use crate::stage::options::PlanOptions;

/// The value of `TARGETSTAGE` when the wanted stage has no name.
const UNNAMED_TARGET: &str = "default";

/// Returns the arguments that are visible in `FROM` lines, and that a stage may declare to have them
/// too: the automatic ones, then those declared before the first `FROM`.
///
/// # Errors
///
/// Fails with one diagnostic for each default that cannot be expanded.
pub(super) fn global(
    ast: &Ast,
    options: &PlanOptions,
    platform: &Platform,
) -> Result<Environment, Vec<Diagnostic>> {
    let mut arguments = declare(automatic(ast, options, platform), ast, &options.build_args)?;
    if let Some(epoch) = &options.epoch_default {
        arguments.set(super::epoch::NAME, epoch);
    }
    Ok(arguments)
}

/// Returns what `FROM` lines would see if nobody gave a build argument; nothing when that cannot be expanded.
pub(super) fn with_defaults(
    ast: &Ast,
    options: &PlanOptions,
    platform: &Platform,
) -> Option<Environment> {
    declare(automatic(ast, options, platform), ast, &BTreeMap::new()).ok()
}

/// Adds the arguments that are declared before the first `FROM`.
fn declare(
    mut arguments: Environment,
    ast: &Ast,
    build_args: &BTreeMap<String, String>,
) -> Result<Environment, Vec<Diagnostic>> {
    let mut faults = Vec::new();
    for (_, declaration) in declarations(ast) {
        match value(declaration, build_args, &arguments, ast.escape) {
            Ok(Some(value)) => arguments.set(&declaration.name.value, &value),
            Ok(None) => {}
            Err(found) => faults.extend(found),
        }
    }
    if faults.is_empty() {
        Ok(arguments)
    } else {
        Err(faults)
    }
}

/// Returns the names declared before the first `FROM`, those without a value included.
pub(super) fn declared(ast: &Ast) -> BTreeSet<&str> {
    declarations(ast)
        .map(|(_, declaration)| declaration.name.value.as_str())
        .collect()
}

/// Returns what is declared before the first `FROM`, each with its instruction.
pub(crate) fn declarations(ast: &Ast) -> impl Iterator<Item = (&Instruction, &ArgDeclaration)> {
    let is_from = |kind: &InstructionKind| matches!(kind, InstructionKind::From(_));
    let before = ast
        .instructions
        .iter()
        .take_while(move |instruction| !is_from(&instruction.kind));
    before.flat_map(|instruction| {
        let declarations = match &instruction.kind {
            InstructionKind::Arg(arg) => arg.declarations.as_slice(),
            _ => &[],
        };
        declarations.iter().map(move |one| (instruction, one))
    })
}

/// Returns what a declaration makes of an argument: the value from outside, else its expanded default.
/// The default is not even looked at when there is a value.
///
/// # Errors
///
/// Fails when the default cannot be expanded.
pub(super) fn value(
    declaration: &ArgDeclaration,
    build_args: &BTreeMap<String, String>,
    visible: &Environment,
    escape: Escape,
) -> Result<Option<String>, Vec<Diagnostic>> {
    if let Some(given) = build_args.get(&declaration.name.value) {
        return Ok(Some(given.clone()));
    }
    let default = declaration
        .default
        .as_ref()
        .map(|word| expand(word, visible, escape));
    Ok(default.transpose()?.map(|expanded| expanded.value))
}

/// Returns `BUILD…` and `TARGET…`, which `--build-arg` may override.
fn automatic(ast: &Ast, options: &PlanOptions, platform: &Platform) -> Environment {
    let mut arguments = Environment::default();
    describe("BUILD", &options.build_platform, &mut arguments);
    describe("TARGET", platform, &mut arguments);
    arguments.set("TARGETSTAGE", &target_name(ast, options));
    let names: Vec<String> = arguments.names().map(str::to_owned).collect();
    for name in names {
        if let Some(given) = options.build_args.get(&name) {
            arguments.set(&name, given);
        }
    }
    arguments
}

fn describe(prefix: &str, platform: &Platform, arguments: &mut Environment) {
    let parts = [
        ("PLATFORM", platform.format_all()),
        ("OS", platform.os.clone()),
        ("OSVERSION", platform.os_version.clone().unwrap_or_default()),
        ("ARCH", platform.architecture.clone()),
        ("VARIANT", platform.variant.clone().unwrap_or_default()),
    ];
    for (part, value) in parts {
        arguments.set(&format!("{prefix}{part}"), &value);
    }
}

fn target_name(ast: &Ast, options: &PlanOptions) -> String {
    if let Some(target) = &options.target {
        return target.clone();
    }
    let last = ast
        .instructions
        .iter()
        .rev()
        .find_map(|instruction| match &instruction.kind {
            InstructionKind::From(from) => Some(from),
            _ => None,
        });
    let alias = last.and_then(|from| from.alias.as_ref());
    alias.map_or_else(|| UNNAMED_TARGET.to_owned(), StageAlias::lower_name)
}

/// The arguments that every `RUN` sees without an `ARG`, and that leave no trace: neither in a key nor
/// in the history. Each exists in upper and in lower case.
const PROXIES: [&str; 5] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
];

/// Returns the proxy settings among the build arguments as `NAME=value`, each name in both cases.
pub(super) fn proxies(build_args: &BTreeMap<String, String>) -> Vec<String> {
    let mut entries = Vec::new();
    for proxy in PROXIES {
        let given = build_args
            .iter()
            .rfind(|(name, _)| name.eq_ignore_ascii_case(proxy));
        if let Some((_, value)) = given {
            entries.push(format!("{proxy}={value}"));
            entries.push(format!("{}={value}", proxy.to_ascii_lowercase()));
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_given_in_both_cases_whatever_the_case_it_was_written_in() {
        let given = [("http_proxy", "a"), ("No_Proxy", "b"), ("FOO", "c")];
        let given = given.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(
            proxies(&BTreeMap::from(given)),
            ["HTTP_PROXY=a", "http_proxy=a", "NO_PROXY=b", "no_proxy=b"]
        );
    }

    #[test]
    fn the_parts_of_a_platform_are_arguments() {
        let mut arguments = Environment::default();
        let platform = Platform::new("linux", "arm").with_variant("v7");
        describe("TARGET", &platform, &mut arguments);
        assert_eq!(
            arguments.to_entries(),
            [
                "TARGETPLATFORM=linux/arm/v7",
                "TARGETOS=linux",
                "TARGETOSVERSION=",
                "TARGETARCH=arm",
                "TARGETVARIANT=v7",
            ]
        );
    }
}
