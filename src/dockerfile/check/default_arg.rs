//! `InvalidDefaultArgInFrom`: a base image that has a name only if a build argument is given.

use oci::Reference;

use crate::ast::{Escape, FromInstruction};
use crate::check::{Rule, Site};
use crate::stage::{Environment, expand};

/// Finds a base whose name is empty or invalid when every argument has its default. A word that cannot be expanded is
/// an error elsewhere.
pub(crate) fn default_arg(
    from: &FromInstruction,
    defaults: &Environment,
    escape: Escape,
    at: &mut Site<'_>,
) {
    let Ok(image) = expand(&from.image, defaults, escape) else {
        return;
    };
    // `FROM Base` may name a stage, which an image cannot be called.
    if Reference::parse(&image.value.to_lowercase()).is_err() {
        let name = &from.image.value;
        let detail =
            format!("Default value for ARG {name} results in empty or invalid base image name");
        at.find(Rule::InvalidDefaultArgInFrom, detail, from.image.span);
    }
}
