//! One line of comma-separated values (RFC 4180), as `--mount`, `--secret` and git URL fragments use it.

/// One field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The text, without the quotes round it.
    pub value: String,
    /// Where it starts in the line, in bytes.
    pub start: usize,
    /// How many bytes of the line it takes, quotes included.
    pub raw_len: usize,
}

/// Says why a line is not one of comma-separated values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CsvError {
    /// There is nothing in it.
    #[error("nothing is given")]
    Empty,
    /// A quote stands in a field that does not start with one.
    #[error("a double quote stands in the middle of a field")]
    StrayQuote,
    /// Something follows the closing quote of a field.
    #[error("something follows the closing quote of a field")]
    TextAfterQuote,
    /// The closing quote is missing.
    #[error("a double quote is not closed")]
    OpenQuote,
}

/// Returns the fields of `line`.
///
/// # Errors
///
/// Fails when the line is empty, or a quote in it is where none may be or is not closed.
pub fn fields(line: &str) -> Result<Vec<Field>, CsvError> {
    if line.is_empty() {
        return Err(CsvError::Empty);
    }
    let mut fields = Vec::new();
    let mut start = 0;
    loop {
        let rest = line.get(start..).unwrap_or_default();
        let (value, raw_len) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted)?,
            None => plain_field(rest)?,
        };
        fields.push(Field {
            value,
            start,
            raw_len,
        });
        start += raw_len + 1;
        if start > line.len() {
            return Ok(fields);
        }
    }
}

fn plain_field(rest: &str) -> Result<(String, usize), CsvError> {
    let value = rest.split(',').next().unwrap_or_default();
    if value.contains('"') {
        return Err(CsvError::StrayQuote);
    }
    Ok((value.to_owned(), value.len()))
}

/// Reads a field whose opening quote is already taken; the length counts it.
fn quoted_field(quoted: &str) -> Result<(String, usize), CsvError> {
    let mut value = String::new();
    let mut characters = quoted.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        if character != '"' {
            value.push(character);
            continue;
        }
        match characters.peek() {
            Some((_, '"')) => {
                value.push('"');
                characters.next();
            }
            None | Some((_, ',')) => return Ok((value, at + 2)),
            Some(_) => return Err(CsvError::TextAfterQuote),
        }
    }
    Err(CsvError::OpenQuote)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(line: &str) -> Result<Vec<String>, CsvError> {
        fields(line).map(|fields| fields.into_iter().map(|field| field.value).collect())
    }

    #[test]
    fn fields_are_split_at_commas_outside_quotes() {
        for (line, expected) in [
            ("a", Ok(vec!["a"])),
            ("a=1,b=2", Ok(vec!["a=1", "b=2"])),
            ("a,", Ok(vec!["a", ""])),
            ("\"a,b\",c", Ok(vec!["a,b", "c"])),
            ("\"a\"\"b\"", Ok(vec!["a\"b"])),
            ("", Err(CsvError::Empty)),
            ("a\"b", Err(CsvError::StrayQuote)),
            ("\"a\"b", Err(CsvError::TextAfterQuote)),
            ("\"a", Err(CsvError::OpenQuote)),
        ] {
            let expected = expected.map(|all| all.into_iter().map(str::to_owned).collect());
            assert_eq!(values(line), expected, "{line}");
        }
    }

    #[test]
    fn fields_know_where_they_stand() {
        let found = fields("\"a\",bc").unwrap();
        assert_eq!((found[0].start, found[0].raw_len), (0, 3));
        assert_eq!((found[1].start, found[1].raw_len), (4, 2));
    }
}
