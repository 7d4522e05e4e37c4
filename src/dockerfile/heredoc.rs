//! Here-documents: recognising `<<NAME` in a line.

use crate::words::{ExpandError, Options, Quotes, RawWord, raw_words};

/// What `<<NAME` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeredocWord {
    /// The name without quotes; the line that ends the body.
    pub name: String,
    /// Whether variables in the body are expanded: the name was not quoted.
    pub expand: bool,
    /// Whether leading tabs are taken off: `<<-`.
    pub chomp: bool,
    /// The number before `<<`, 0 when there is none.
    pub file_descriptor: u32,
}

/// A here-document that a line announces, with its place in the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Announced {
    pub(crate) word: HeredocWord,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Reads a word as the start of a here-document; nothing when it is none.
///
/// # Errors
///
/// Fails when a quote in the name is not closed.
pub fn parse_word(text: &str) -> Result<Option<HeredocWord>, ExpandError> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, rest) = text.split_at_checked(digits).unwrap_or_default();
    let Some(rest) = rest.strip_prefix("<<") else {
        return Ok(None);
    };
    let (chomp, rest) = rest
        .strip_prefix('-')
        .map_or((false, rest), |rest| (true, rest));
    let rest = rest.trim_start();
    if rest.is_empty() || rest.contains('<') {
        return Ok(None);
    }
    let Some(name) = single_word(rest, Quotes::Remove)? else {
        return Ok(None);
    };
    // A quote that groups is in one result only; an escaped one is in both.
    let with_quotes = single_word(rest, Quotes::Keep)?.unwrap_or_default();
    let expand = count_quotes(&name) == count_quotes(&with_quotes);
    let file_descriptor = if number.is_empty() {
        0
    } else {
        number.parse().unwrap_or(u32::MAX)
    };
    Ok(Some(HeredocWord {
        name,
        expand,
        chomp,
        file_descriptor,
    }))
}

/// Returns the here-documents that a line announces.
///
/// # Errors
///
/// Fails when a quote in a name is not closed. In the rest of the line that is no fault.
pub(crate) fn announced(line: &str) -> Result<Vec<Announced>, ExpandError> {
    if !line.contains("<<") {
        return Ok(Vec::new());
    }
    let options = Options {
        quotes: Quotes::Keep,
        keep_escapes: true,
        keep_unset: true,
        ..Options::default()
    };
    // A line that cannot be split, as with a lone apostrophe, is the shell's business.
    let Ok(words) = raw_words(line, options) else {
        return Ok(Vec::new());
    };
    words.into_iter().filter_map(announced_by).collect()
}

fn announced_by(word: RawWord) -> Option<Result<Announced, ExpandError>> {
    let RawWord { text, start, end } = word;
    match parse_word(&text) {
        Ok(Some(word)) => Some(Ok(Announced { word, start, end })),
        Ok(None) => None,
        Err(error) => Some(Err(error)),
    }
}

fn single_word(text: &str, quotes: Quotes) -> Result<Option<String>, ExpandError> {
    let words = raw_words(
        text,
        Options {
            quotes,
            keep_unset: true,
            ..Options::default()
        },
    )?;
    let mut words = words.into_iter();
    match (words.next(), words.next()) {
        (Some(word), None) => Ok(Some(word.text)),
        _ => Ok(None),
    }
}

fn count_quotes(text: &str) -> usize {
    text.chars()
        .filter(|character| matches!(character, '\'' | '"'))
        .count()
}

/// Returns `content` with the tabs at the start of each line taken off.
pub(crate) fn without_leading_tabs(content: &str) -> String {
    content
        .split_inclusive('\n')
        .map(|line| line.trim_start_matches('\t'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_start_a_here_document_are_told_from_others() {
        for (text, expected) in [
            ("<<EOF", Some("EOF true false 0")),
            ("3<<-EOF", Some("EOF true true 3")),
            ("<<- EOF", Some("EOF true true 0")),
            ("<<'E F'", Some("E F false false 0")),
            ("<<E\"O\"F", Some("EOF false false 0")),
            ("<<E\\'F", Some("E'F true false 0")),
            ("<<$EOF", Some("$EOF true false 0")),
            ("<<${X:-y}", Some("${X:-y} true false 0")),
            ("<<", None),
            ("<<-", None),
            ("<<<EOF", None),
            ("a<<EOF", None),
            ("<<A B", None),
        ] {
            let word = parse_word(text).unwrap();
            let word = word.map(|word| {
                let HeredocWord {
                    name,
                    expand,
                    chomp,
                    file_descriptor,
                } = word;
                format!("{name} {expand} {chomp} {file_descriptor}")
            });
            assert_eq!(word.as_deref(), expected, "{text}");
        }
        let open_quote = ExpandError::OpenQuote {
            quote: '\'',
            offset: 0,
        };
        assert_eq!(parse_word("<<'EOF"), Err(open_quote));
    }

    #[test]
    fn a_line_announces_its_here_documents_in_order() {
        for (line, expected) in [
            ("RUN cat <<A <<-B 3<< C", &["A", "B", "C"][..]),
            ("RUN \"<<A\" '<<B' \\<<C", &[]),
            ("RUN it's <<A", &[]),
            ("RUN a<b <<A", &["A"]),
        ] {
            let found = announced(line).unwrap();
            let names: Vec<_> = found.iter().map(|one| one.word.name.as_str()).collect();
            assert_eq!(names, expected, "{line}");
        }
    }
}
