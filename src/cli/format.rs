//! `--format`: rows as a table, as JSON, or by a Go template.

use std::io::{self, Write as _};

use template::columns::Columns;
use template::{ExecuteError, Mode, ParseError, Template, Value};

use crate::report::{Kind, Report};

/// What `--format` says.
#[derive(Debug, Clone)]
pub(crate) struct RowFormat {
    template: Template,
    is_table: bool,
}

/// Why rows cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FormatError {
    /// The template is none.
    #[error("`--format` is no template")]
    Parse(#[source] ParseError),
    /// The template does not suit the rows.
    #[error("`--format` does not suit what is shown")]
    Execute(#[source] ExecuteError),
}

impl From<FormatError> for Box<Report> {
    fn from(error: FormatError) -> Self {
        Self::new(Report::new(Kind::Usage, &error))
    }
}

impl RowFormat {
    /// Reads `--format`; `default` is the template of the table that is shown without it.
    pub(crate) fn new(text: Option<&str>, default: &str) -> Result<Self, FormatError> {
        let text = text.unwrap_or("table");
        let (text, is_table) = match text.strip_prefix("table") {
            Some("") => (default, true),
            Some(rest) if rest.starts_with([' ', '\t', '\\']) => (rest, true),
            _ if text == "json" => ("{{json .}}", false),
            _ => (text, false),
        };
        // A shell does not make a tab of `\t`.
        let text = text
            .trim_matches(' ')
            .replace("\\t", "\t")
            .replace("\\n", "\n");
        let template = Template::parse(&text, Mode::default()).map_err(FormatError::Parse)?;
        Ok(Self { template, is_table })
    }

    /// Returns the rows, each on a line of its own, below the titles where it is a table.
    pub(crate) fn show(&self, titles: &Value, rows: &[Value]) -> Result<String, FormatError> {
        let mut text = String::new();
        if self.is_table {
            text += &self
                .template
                .render_header(titles)
                .map_err(FormatError::Execute)?;
            text.push('\n');
        }
        for row in rows {
            text += &self.template.render(row).map_err(FormatError::Execute)?;
            text.push('\n');
        }
        Ok(if self.is_table {
            Columns::DOCKER.lay_out(&text)
        } else {
            text
        })
    }
}

/// Returns the titles of columns by the names of their fields.
pub(crate) fn titles(names: &[(&str, &str)]) -> Value {
    let titles = names
        .iter()
        .map(|(name, title)| ((*name).to_owned(), (*title).to_owned()));
    template::Map::of_texts(&titles.collect()).into()
}

/// A result cannot be written to standard output.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
struct PrintError(#[source] io::Error);

/// Writes a result to standard output.
///
/// # Errors
///
/// As [`print_bytes`].
pub(crate) fn print(text: &str) -> Result<(), Box<Report>> {
    print_bytes(text.as_bytes())
}

/// Writes a result that need not be text to standard output.
///
/// # Errors
///
/// Fails when it cannot be written, and somebody would have read it: on a full disk.
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<(), Box<Report>> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        // Whoever closes our output has read what they wanted.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written.map_err(|error| Report::new(Kind::User, &PrintError(error)))?),
    }
}

#[cfg(test)]
mod tests {
    use template::Struct;

    use super::*;

    fn show(format: Option<&str>) -> Result<String, String> {
        let row = |name: &str| {
            let row = Struct::new("row")
                .field("Name", "Name", name)
                .field("Size", "Size", "1B");
            Value::from(row)
        };
        let titles = titles(&[("Name", "NAME"), ("Size", "SIZE")]);
        let format =
            RowFormat::new(format, "{{.Name}}\t{{.Size}}").map_err(|error| error.to_string())?;
        let shown = format.show(&titles, &[row("a"), row("a long one")]);
        shown.map_err(|error| error.to_string())
    }

    #[test]
    fn rows_are_shown_as_docker_shows_them() {
        let table = [
            (
                None,
                "NAME         SIZE\na            1B\na long one   1B\n",
            ),
            (
                Some("table"),
                "NAME         SIZE\na            1B\na long one   1B\n",
            ),
            (Some("table {{.Size}}"), "SIZE\n1B\n1B\n"),
            (
                Some("table {{.Size}}\\t{{upper .Name}}"),
                "SIZE      NAME\n1B        A\n1B        A LONG ONE\n",
            ),
            (Some("{{.Name}}"), "a\na long one\n"),
            (Some("{{.Name}}\\t{{.Size}}"), "a\t1B\na long one\t1B\n"),
            (
                Some("json"),
                "{\"Name\":\"a\",\"Size\":\"1B\"}\n{\"Name\":\"a long one\",\"Size\":\"1B\"}\n",
            ),
            (Some("tables"), "tables\ntables\n"),
        ];
        for (format, expected) in table {
            assert_eq!(show(format).as_deref(), Ok(expected), "{format:?}");
        }
        assert_eq!(
            show(Some("{{.Nam}}")),
            Err("`--format` does not suit what is shown".to_owned())
        );
        assert_eq!(
            show(Some("{{")),
            Err("`--format` is no template".to_owned())
        );
    }
}
