//! What a plan asks for from outside: the configuration and the place of base images.

use std::sync::Arc;

use graph::ImageSource;
use oci::{ImageConfig, Platform};

use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::suggest;

/// A base image that the caller has to resolve before a plan can be lowered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseRequest {
    /// The name as written, after expansion: `debian:12`.
    pub name: String,
    /// The entry of `--build-context` that stands for the name, if there is one.
    pub context: Option<String>,
    /// The platform that is wanted.
    pub platform: Platform,
    /// The first place that names it.
    pub span: Span,
    /// The stages that could have been meant, should there be no such image.
    pub(crate) above: StagesAbove,
}

/// The names of the stages above a place of the file.
///
/// All requests of a plan share one list: which name was perhaps meant is of interest only when an image is not
/// there, and a file of a thousand stages would otherwise compare each name with all above it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StagesAbove {
    /// The names of all stages of the file, by their numbers.
    pub(crate) names: Arc<[Option<String>]>,
    /// How many of them stand above.
    pub(crate) count: usize,
}

/// What makes two requests the same.
pub(crate) type RequestKey = (String, Option<String>, Platform);

impl BaseRequest {
    /// Returns the error that there is no such image, with a guess at what was meant.
    pub fn not_found(&self) -> Diagnostic {
        let help = self
            .similar_stage()
            .map(|name| format!("did you mean the stage `{name}`?"));
        Diagnostic::error(
            format!("the base image `{}` was not found", self.name),
            self.span,
        )
        .with_help(help)
    }

    /// Returns the stage that was perhaps meant, should there be no such image.
    pub fn similar_stage(&self) -> Option<&str> {
        let names = self.above.names.iter().take(self.above.count);
        suggest::nearest(&self.name, names.filter_map(Option::as_deref))
    }

    pub(crate) fn key(&self) -> RequestKey {
        (
            self.name.clone(),
            self.context.clone(),
            self.platform.clone(),
        )
    }
}

/// The answer to a [`BaseRequest`].
#[derive(Debug, Clone)]
pub struct ResolvedBase {
    /// The image's configuration for the platform that was asked for.
    pub config: ImageConfig,
    /// Where its files come from.
    pub source: ImageSource,
}
