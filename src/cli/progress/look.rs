//! How a live display looks: its colours, its characters, and how much of each step's output it shows.
//!
//! `BUILDKIT_COLORS` is BuildKit's: `run=green:error=255,0,0:cancel=yellow:warning=white`. `NO_COLOR` goes before it.

use crate::env::Screen;

/// How many of a running step's last lines are shown, as by BuildKit.
const TAIL_LINES: usize = 6;

/// More lines than any screen has.
const TAIL_LINES_MAX: usize = 1000;

/// What a line says of its step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paint {
    /// Nothing: it goes on.
    Plain,
    /// It is done.
    Run,
    /// It was cancelled.
    Cancel,
    /// The user should look.
    Warning,
    /// It failed.
    Error,
}

/// A part of `BUILDKIT_COLORS` that says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ColorError {
    /// It has another form.
    #[error("`{part}` in BUILDKIT_COLORS is not `run|cancel|error|warning=COLOR`")]
    Part {
        /// It.
        part: String,
    },
    /// There is no such colour.
    #[error(
        "`{color}` in BUILDKIT_COLORS is no colour: a name (`red`, `light-blue`) or `R,G,B` with numbers up to 255 is"
    )]
    Color {
        /// It.
        color: String,
    },
}

/// What makes a terminal show colours (ECMA-48, SGR), for each paint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Colors {
    run: String,
    cancel: String,
    warning: String,
    error: String,
}

impl Default for Colors {
    /// Those of BuildKit.
    fn default() -> Self {
        let color = str::to_owned;
        Self {
            run: color("34"),
            cancel: color("33"),
            warning: color("33"),
            error: color("31"),
        }
    }
}

impl Colors {
    fn of(&self, paint: Paint) -> Option<&str> {
        match paint {
            Paint::Plain => None,
            Paint::Run => Some(&self.run),
            Paint::Cancel => Some(&self.cancel),
            Paint::Warning => Some(&self.warning),
            Paint::Error => Some(&self.error),
        }
    }

    /// Takes in one `name=colour`.
    fn set(&mut self, part: &str) -> Result<(), ColorError> {
        let unknown = || ColorError::Part {
            part: part.to_owned(),
        };
        let (name, color) = part.split_once('=').ok_or_else(unknown)?;
        let place = match name {
            "run" => &mut self.run,
            "cancel" => &mut self.cancel,
            "warning" => &mut self.warning,
            "error" => &mut self.error,
            _ => return Err(unknown()),
        };
        *place = parse_color(color).ok_or_else(|| ColorError::Color {
            color: color.to_owned(),
        })?;
        Ok(())
    }
}

const NAMES: [&str; 8] = [
    "black", "red", "green", "yellow", "blue", "magenta", "cyan", "white",
];

fn parse_color(text: &str) -> Option<String> {
    if text == "default" {
        return Some("39".to_owned());
    }
    let (name, first) = match text.strip_prefix("light-") {
        Some(name) => (name, 90),
        None => (text, 30),
    };
    if let Some(place) = NAMES.iter().position(|known| *known == name) {
        return Some((first + place).to_string());
    }
    let parts: Result<Vec<u8>, _> = text.split(',').map(|part| part.trim().parse()).collect();
    match parts.ok()?.as_slice() {
        [red, green, blue] => Some(format!("38;2;{red};{green};{blue}")),
        _ => None,
    }
}

/// How a live display looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Look {
    colors: Option<Colors>,
    pub(super) is_ascii: bool,
    pub(super) tail_lines: usize,
}

impl Look {
    /// Makes it of what the environment says, and tells what of that says nothing.
    pub(crate) fn of(screen: &Screen) -> (Self, Vec<ColorError>) {
        let mut colors = Colors::default();
        let mut wrong = Vec::new();
        for part in screen.colors.iter().flat_map(|text| text.split(':')) {
            wrong.extend(colors.set(part).err());
        }
        let lines = screen
            .tail_lines
            .as_ref()
            .and_then(|text| text.parse().ok());
        let look = Self {
            colors: (!screen.no_color).then_some(colors),
            is_ascii: !screen.is_utf8(),
            tail_lines: lines.unwrap_or(TAIL_LINES).min(TAIL_LINES_MAX),
        };
        (look, wrong)
    }

    /// Returns a text with its colour.
    pub(super) fn painted(&self, text: &str, paint: Paint) -> String {
        match self.colors.as_ref().and_then(|colors| colors.of(paint)) {
            Some(color) => format!("\u{1b}[{color}m{text}\u{1b}[0m"),
            None => text.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(colors: &str, no_color: bool) -> (Look, Vec<ColorError>) {
        Look::of(&Screen {
            colors: Some(colors.to_owned()),
            no_color,
            ..Screen::default()
        })
    }

    #[test]
    fn colours_are_those_of_buildkit_unless_they_are_named() {
        for (colors, paint, expected) in [
            ("run=green", Paint::Run, "\u{1b}[32mx\u{1b}[0m"),
            ("run=green", Paint::Error, "\u{1b}[31mx\u{1b}[0m"),
            (
                "error=1,2,255",
                Paint::Error,
                "\u{1b}[38;2;1;2;255mx\u{1b}[0m",
            ),
            (
                "run=red:cancel=light-cyan",
                Paint::Cancel,
                "\u{1b}[96mx\u{1b}[0m",
            ),
            ("warning=default", Paint::Warning, "\u{1b}[39mx\u{1b}[0m"),
            ("run=red", Paint::Plain, "x"),
        ] {
            let (look, wrong) = look(colors, false);
            assert_eq!(
                (look.painted("x", paint), wrong),
                (expected.to_owned(), vec![])
            );
        }
        assert_eq!(look("run=red", true).0.painted("x", Paint::Run), "x");
    }

    #[test]
    fn what_is_no_colour_is_told_and_changes_nothing() {
        for (colors, expected) in [
            (
                "run",
                "`run` in BUILDKIT_COLORS is not `run|cancel|error|warning=COLOR`",
            ),
            (
                "tool=red",
                "`tool=red` in BUILDKIT_COLORS is not `run|cancel|error|warning=COLOR`",
            ),
            (
                "run=pink",
                "`pink` in BUILDKIT_COLORS is no colour: a name (`red`, `light-blue`) or `R,G,B` with numbers up to 255 is",
            ),
            (
                "run=1,2,256",
                "`1,2,256` in BUILDKIT_COLORS is no colour: a name (`red`, `light-blue`) or `R,G,B` with numbers up to 255 is",
            ),
        ] {
            let (look, wrong) = look(colors, false);
            let told: Vec<_> = wrong.iter().map(ToString::to_string).collect();
            assert_eq!(told, [expected]);
            assert_eq!(look.colors, Some(Colors::default()));
        }
    }
}
