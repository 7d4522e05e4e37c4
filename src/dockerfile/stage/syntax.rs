//! `# syntax=`: which frontend a Dockerfile asks for.

use crate::ast::{Ast, Word};
use crate::diagnostic::{Diagnostic, quoted};
use crate::source::Spanned;
use crate::stage::{PlanOptions, first_span};

/// The build argument that stands before the directive.
const ARGUMENT: &str = "BUILDKIT_SYNTAX";

/// The frontends that are the Dockerfile language, after the registry. Their versions are not told apart: careen
/// has the language built in.
const OWN_FRONTENDS: [&str; 2] = ["docker/dockerfile", "docker/dockerfile-upstream"];

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
    let fault = match (given, &ast.syntax) {
        (Some(value), _) if !is_own(value) => {
            let frontend = Spanned::new(value.clone(), first_span(ast));
            foreign(&frontend).with_note(format!("the build argument `{ARGUMENT}` asks for it"))
        }
        (None, Some(frontend)) if !is_own(&frontend.value) => foreign(frontend),
        _ => return Ok(()),
    };
    Err(vec![fault])
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
    let repository = name.split(['@', ':']).next().unwrap_or(name);
    image == BUILT_IN || OWN_FRONTENDS.contains(&repository)
}

fn foreign(frontend: &Word) -> Diagnostic {
    let title = format!("the frontend {} is not supported", quoted(&frontend.value));
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
            ("docker/dockerfile", true),
            ("docker/dockerfile:1 --option", true),
            ("index.docker.io/docker/dockerfile@sha256:00", true),
            ("example/docker/dockerfile", false),
            ("docker/dockerfiles:1", false),
            ("docker/dockerfile-other:1", false),
        ] {
            assert_eq!(is_own(frontend), expected, "{frontend}");
        }
    }
}
