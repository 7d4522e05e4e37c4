//! [`Template`]: parsed once, carried out for each value.

use crate::ast::Node;
use crate::execute::{self, ExecuteError, Pass};
use crate::parse::{self, ParseError};
use crate::value::Value;

/// A template.
#[derive(Clone, Debug)]
pub struct Template {
    source: String,
    nodes: Vec<Node>,
    mode: Mode,
}

/// What templates of one command have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Mode {
    /// What `.key` is of a map that does not have it.
    pub missing: MissingKey,
    /// How `json` writes.
    pub json: JsonStyle,
}

/// What `.key` is of a map that does not have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum MissingKey {
    /// `<no value>`
    #[default]
    NoValue,
    /// An error; so `docker inspect` has it.
    Error,
}

/// How `json` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum JsonStyle {
    /// On one line.
    #[default]
    Compact,
    /// On lines that are indented by two spaces; so `buildx imagetools` has it.
    Indented,
}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    ///
    /// Fails on what is no template, on functions and variables that there are not, and on what is not supported.
    pub fn parse(source: &str, mode: Mode) -> Result<Self, ParseError> {
        Ok(Self {
            source: source.to_owned(),
            nodes: parse::parse(source)?,
            mode,
        })
    }

    /// Carries the template out.
    ///
    /// # Errors
    ///
    /// Fails on fields that a struct does not have, on functions whose arguments do not suit them, and on more work
    /// or output than the limits allow.
    pub fn render(&self, data: &Value) -> Result<String, ExecuteError> {
        execute::render(&self.source, &self.nodes, self.mode, data, Pass::Row)
    }

    /// Carries the template out for the line above a table: the functions that change how a value looks leave the
    /// title as it is.
    ///
    /// # Errors
    ///
    /// Fails as [`Template::render`] does.
    pub fn render_header(&self, titles: &Value) -> Result<String, ExecuteError> {
        execute::render(&self.source, &self.nodes, self.mode, titles, Pass::Titles)
    }
}
