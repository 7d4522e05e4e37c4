//! What the environment says of the terminal that progress is shown on.

use std::io::IsTerminal as _;

/// What there is to know of standard error.
#[derive(Debug, Clone, Default)]
pub struct Screen {
    /// Whether standard error is a terminal.
    pub is_terminal: bool,
    /// `TERM`.
    pub kind: Option<String>,
    /// Whether `NO_COLOR` is set, to whatever (<https://no-color.org>).
    pub no_color: bool,
    /// `BUILDKIT_COLORS`.
    pub colors: Option<String>,
    /// `BUILDKIT_TTY_LOG_LINES`.
    pub tail_lines: Option<String>,
    /// The first of `LC_ALL`, `LC_CTYPE` and `LANG` that is set (locale(7)).
    pub locale: Option<String>,
}

impl Screen {
    /// Asks for each variable; one that is empty is none.
    pub(super) fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let locales = ["LC_ALL", "LC_CTYPE", "LANG"];
        Self {
            is_terminal: std::io::stderr().is_terminal(),
            kind: variable("TERM"),
            no_color: variable("NO_COLOR").is_some(),
            colors: variable("BUILDKIT_COLORS"),
            tail_lines: variable("BUILDKIT_TTY_LOG_LINES"),
            locale: locales.into_iter().find_map(variable),
        }
    }

    /// Tells whether lines can be overwritten.
    pub(crate) fn can_move(&self) -> bool {
        self.is_terminal && self.kind.as_deref().is_some_and(|kind| kind != "dumb")
    }

    /// Tells whether the terminal shows more than ASCII.
    pub(crate) fn is_utf8(&self) -> bool {
        let locale = self.locale.as_deref().unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    }
}
