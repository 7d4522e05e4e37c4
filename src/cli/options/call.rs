//! `--call` and `--check`: what is told about a Dockerfile instead of building it.

use crate::args::BuildArguments;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// `check`: what the build checks find.
    Check,
    /// `outline`: what can be given to a build of the target.
    Outline,
    /// `targets`: which stages there are.
    Targets,
    /// `subrequests.describe`: what can be asked.
    Describe,
}

impl Question {
    /// All of them, each with its names: the first is shown, `lint` is `BuildKit`'s own word for a check.
    const NAMES: [(&'static str, Self); 5] = [
        ("check", Self::Check),
        ("lint", Self::Check),
        ("outline", Self::Outline),
        ("targets", Self::Targets),
        ("subrequests.describe", Self::Describe),
    ];
}

/// How the answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AnswerFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON document.
    Json,
}

/// A question about a Dockerfile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// What is asked.
    pub question: Question,
    /// How the answer is written.
    pub format: AnswerFormat,
    /// Whether the exit code says nothing about what was found.
    pub ignore_status: bool,
}

/// Why a `--call` cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There is no such question.
    #[error(
        "`--call {text}`: `{name}` cannot be asked: `build`, `check`, `outline`, `targets` and `subrequests.describe` can"
    )]
    Unknown {
        /// The text.
        text: String,
        /// The question.
        name: String,
    },
    /// There is no such format.
    #[error("`--call {text}`: `{format}` is no format: `text` and `json` are")]
    Format {
        /// The text.
        text: String,
        /// The format.
        format: String,
    },
    /// There is no such option.
    #[error("`--call {text}`: `{option}` is no option: `format=` and `ignorestatus=` are")]
    Option {
        /// The text.
        text: String,
        /// The option.
        option: String,
    },
}

impl Call {
    /// Returns what is asked; nothing when something is to be built.
    ///
    /// # Errors
    ///
    /// Fails when a question, a format or an option is none of those there are.
    pub(super) fn read(arguments: &BuildArguments) -> Result<Option<Self>, CallError> {
        let check = arguments.check.then_some("check");
        arguments.call.as_deref().or(check).map_or(Ok(None), parse)
    }
}

/// Reads `QUESTION[,format=FORMAT][,ignorestatus=BOOL]`.
fn parse(text: &str) -> Result<Option<Call>, CallError> {
    let mut fields = text.split(',');
    let name = fields.next().unwrap_or_default();
    let mut format = AnswerFormat::Text;
    let mut ignore_status = false;
    for field in fields {
        match field.split_once('=') {
            Some(("format", "text")) => format = AnswerFormat::Text,
            Some(("format", "json")) => format = AnswerFormat::Json,
            Some(("format", other)) => return Err(no_format(text, other)),
            Some(("ignorestatus", "true" | "1")) => ignore_status = true,
            Some(("ignorestatus", "false" | "0")) => ignore_status = false,
            _ => return Err(no_option(text, field)),
        }
    }
    if matches!(name, "" | "build") {
        return Ok(None);
    }
    let known = Question::NAMES.iter().find(|(known, _)| *known == name);
    let Some((_, question)) = known else {
        return Err(CallError::Unknown {
            text: text.to_owned(),
            name: name.to_owned(),
        });
    };
    Ok(Some(Call {
        question: *question,
        format,
        ignore_status,
    }))
}

fn no_format(text: &str, format: &str) -> CallError {
    CallError::Format {
        text: text.to_owned(),
        format: format.to_owned(),
    }
}

fn no_option(text: &str, option: &str) -> CallError {
    CallError::Option {
        text: text.to_owned(),
        option: option.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_a_question_a_format_and_may_ignore_the_status() {
        use AnswerFormat::{Json, Text};
        let call = |question, format, ignore_status| {
            Some(Call {
                question,
                format,
                ignore_status,
            })
        };
        for (text, expected) in [
            ("check", call(Question::Check, Text, false)),
            ("lint,format=json", call(Question::Check, Json, false)),
            ("check,ignorestatus=true", call(Question::Check, Text, true)),
            ("outline,format=text", call(Question::Outline, Text, false)),
            ("targets", call(Question::Targets, Text, false)),
            (
                "subrequests.describe",
                call(Question::Describe, Text, false),
            ),
            ("build", None),
            ("", None),
        ] {
            assert_eq!(parse(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_asked_is_said() {
        for (text, message) in [
            (
                "chekc",
                "`--call chekc`: `chekc` cannot be asked: `build`, `check`, `outline`, `targets` and `subrequests.describe` can",
            ),
            (
                "check,format=yaml",
                "`--call check,format=yaml`: `yaml` is no format: `text` and `json` are",
            ),
            (
                "check,json",
                "`--call check,json`: `json` is no option: `format=` and `ignorestatus=` are",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), message);
        }
    }
}
