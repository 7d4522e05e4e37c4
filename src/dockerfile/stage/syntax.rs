//! `# syntax=`: which frontend a Dockerfile asks for.

use crate::ast::{Ast, Word};
use crate::diagnostic::Diagnostic;
use crate::directive::DirectiveName;
use crate::source::Spanned;
use crate::stage::{PlanOptions, first_span};

/// The build argument that stands before the directive.
const ARGUMENT: &str = "BUILDKIT_SYNTAX";

/// What the frontends that are the Dockerfile language are called, after the registry. Their versions
/// are not told apart: careen has the language built in.
const OWN_FRONTENDS: &str = "docker/dockerfile";

/// `BuildKit`'s name for the frontend that is built into it.
const BUILT_IN: &str = "dockerfile.v0";

/// Refuses a file that is not meant for a frontend of the Dockerfile language.
///
/// # Errors
///
/// Fails at the directive when it names another frontend.
pub(super) fn check(ast: &Ast, options: &PlanOptions) -> Result<(), Vec<Diagnostic>> {
    let given = options
        .build_args
        .get(ARGUMENT)
        .filter(|value| !value.is_empty());
    let given = given.map(|value| Spanned::new(value.clone(), first_span(ast)));
    let written = || {
        let mut directives = ast.directives.iter();
        let syntax = directives.find(|directive| directive.name.value == DirectiveName::Syntax);
        syntax.map(|directive| directive.value.clone())
    };
    match given.or_else(written) {
        Some(frontend) if !is_own(&frontend.value) => Err(vec![foreign(&frontend)]),
        _ => Ok(()),
    }
}

/// Tells whether `value`, whose first word is an image, names the Dockerfile frontend.
fn is_own(value: &str) -> bool {
    let Some(image) = value.split_whitespace().next() else {
        return true;
    };
    let registries = ["docker.io/", "index.docker.io/", "registry-1.docker.io/"];
    let name = registries
        .iter()
        .find_map(|registry| image.strip_prefix(registry))
        .unwrap_or(image);
    image == BUILT_IN || name.starts_with(OWN_FRONTENDS)
}

fn foreign(frontend: &Word) -> Diagnostic {
    let title = format!("the frontend `{}` is not supported", frontend.value);
    let note = "careen has the Dockerfile language built in and runs no frontend images";
    Diagnostic::error(title, frontend.span).with_note(note.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_frontends_of_the_dockerfile_language_are_own() {
        for (frontend, expected) in [
            ("docker/dockerfile:1", true),
            ("docker/dockerfile:1.4-labs", true),
            ("docker.io/docker/dockerfile:1", true),
            ("docker/dockerfile-upstream:master", true),
            ("dockerfile.v0", true),
            ("", true),
            ("ghcr.io/someone/frontend:1", false),
            ("example/docker/dockerfile", false),
        ] {
            assert_eq!(is_own(frontend), expected, "{frontend}");
        }
    }
}
