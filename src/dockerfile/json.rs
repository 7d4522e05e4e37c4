//! The exec form: a JSON array of strings, with the place of each string.

use crate::ast::Word;
use crate::lines::Slice;

/// Why a text is no JSON array of strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotWords {
    /// It is no JSON array at all, so it is text for the shell.
    NotJson,
    /// It is one, but holds something else than strings, which is refused.
    NotStrings,
}

/// Reads all of `text` as a JSON array of strings.
pub(crate) fn string_array(text: Slice<'_>) -> Result<Vec<Word>, NotWords> {
    let text = text.trim_start();
    if !text.as_str().starts_with('[') {
        return Err(NotWords::NotJson);
    }
    match (Reader { text, at: 0 }).array() {
        Some(words) => Ok(words),
        // Another valid array gets a message, everything else is a shell's business.
        None => match serde_json::from_str::<Vec<serde_json::Value>>(text.as_str()) {
            Ok(_) => Err(NotWords::NotStrings),
            Err(_) => Err(NotWords::NotJson),
        },
    }
}

struct Reader<'a> {
    text: Slice<'a>,
    at: usize,
}

impl Reader<'_> {
    fn array(mut self) -> Option<Vec<Word>> {
        let mut words = Vec::new();
        self.take('[')?;
        if self.take(']').is_none() {
            loop {
                words.push(self.string()?);
                if self.take(',').is_none() {
                    self.take(']')?;
                    break;
                }
            }
        }
        self.skip_blanks();
        self.rest().is_empty().then_some(words)
    }

    fn rest(&self) -> &str {
        self.text.as_str().get(self.at..).unwrap_or_default()
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    /// Takes a punctuation character behind blanks, if it is there.
    fn take(&mut self, wanted: char) -> Option<()> {
        self.skip_blanks();
        self.rest()
            .starts_with(wanted)
            .then(|| self.at += wanted.len_utf8())
    }

    fn string(&mut self) -> Option<Word> {
        self.take('"')?;
        let start = self.at;
        let mut value = String::new();
        loop {
            let character = self.rest().chars().next()?;
            self.at += character.len_utf8();
            match character {
                '"' => break,
                '\\' => value.push(self.escaped()?),
                control if control < ' ' => return None,
                plain => value.push(plain),
            }
        }
        Some(self.text.part(start - 1, self.at).word_as(value))
    }

    fn escaped(&mut self) -> Option<char> {
        let character = self.rest().chars().next()?;
        self.at += character.len_utf8();
        match character {
            '"' | '\\' | '/' => Some(character),
            'b' => Some('\u{8}'),
            'f' => Some('\u{c}'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'u' => self.unicode(),
            _ => None,
        }
    }

    /// Reads the digits behind `\u`. Half a surrogate pair becomes U+FFFD, as in Go.
    fn unicode(&mut self) -> Option<char> {
        let high = self.four_digits()?;
        if let Some(character) = char::from_u32(high) {
            return Some(character);
        }
        let before_low = self.at;
        if self.rest().starts_with("\\u") {
            self.at += 2;
            let low = self.four_digits()?;
            if (0xD800..0xDC00).contains(&high) && (0xDC00..0xE000).contains(&low) {
                return char::from_u32(0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00));
            }
            self.at = before_low;
        }
        Some(char::REPLACEMENT_CHARACTER)
    }

    fn four_digits(&mut self) -> Option<u32> {
        let digits = self.rest().get(..4)?;
        if !digits.chars().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let value = u32::from_str_radix(digits, 16).ok();
        self.at += 4;
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::LogicalLine;

    fn read(text: &str) -> Result<Vec<String>, NotWords> {
        let line = LogicalLine::from_text(text);
        let words = string_array(line.slice())?;
        Ok(words.into_iter().map(|word| word.value).collect())
    }

    #[test]
    fn arrays_of_strings_are_read_and_all_else_is_refused() {
        for (text, expected) in [
            ("[]", Ok(vec![])),
            (" [ \"a\" , \"b\" ] ", Ok(vec!["a", "b"])),
            (r#"["\" \\ \/ \b\f\n\r\t \u00e9 \ud83d\ude00 \ud83d"]"#, {
                Ok(vec!["\" \\ / \u{8}\u{c}\n\r\t é 😀 \u{fffd}"])
            }),
            ("[\"a\", 1]", Err(NotWords::NotStrings)),
            ("[[]]", Err(NotWords::NotStrings)),
            ("[\"a\",]", Err(NotWords::NotJson)),
            ("['a']", Err(NotWords::NotJson)),
            ("[\"a\"] b", Err(NotWords::NotJson)),
            ("[\"a\tb\"]", Err(NotWords::NotJson)),
            ("[\"\\x\"]", Err(NotWords::NotJson)),
            ("\"a\"", Err(NotWords::NotJson)),
            ("", Err(NotWords::NotJson)),
        ] {
            let expected = expected.map(|words| words.into_iter().map(str::to_owned).collect());
            assert_eq!(read(text), expected, "{text}");
        }
    }
}
