//! What a plan asks for from outside: the configuration and the place of base images.

use graph::ImageSource;
use oci::{ImageConfig, Platform};

use crate::diagnostic::Diagnostic;
use crate::source::Span;

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
    /// The stage that was perhaps meant, should there be no such image.
    pub similar_stage: Option<String>,
}

/// What makes two requests the same.
pub(crate) type RequestKey = (String, Option<String>, Platform);

impl BaseRequest {
    /// Returns the error that there is no such image, with a guess at what was meant.
    pub fn not_found(&self) -> Diagnostic {
        let help = self
            .similar_stage
            .as_ref()
            .map(|name| format!("did you mean the stage `{name}`?"));
        Diagnostic::error(
            format!("the base image `{}` was not found", self.name),
            self.span,
        )
        .with_help(help)
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
