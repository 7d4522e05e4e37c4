//! The flags between an instruction's keyword and its arguments.

use crate::ast::Flag;
use crate::lines::Slice;

/// Takes the words that start with `--` off the front of a line; `--` alone ends them.
///
/// Quotes group and go away, and the backslash escapes, whatever `# escape=` says: BuildKit does the same.
pub(super) fn split_flags(line: Slice<'_>) -> (Vec<Flag>, Slice<'_>) {
    let mut flags = Vec::new();
    let mut rest = line.trim_start();
    while rest.as_str().starts_with("--") {
        let word = read_word(rest.as_str());
        let (raw, behind) = (rest.part(0, word.raw_len), rest.from(word.raw_len));
        if word.text == "--" {
            // At the very end it is no flag and there are no arguments.
            return (flags, behind);
        }
        flags.push(flag(&word.text, raw));
        rest = behind.trim_start();
    }
    (flags, rest)
}

/// A word without its quotes and escapes, and how much of the line it takes.
struct FlagWord {
    text: String,
    raw_len: usize,
}

fn read_word(line: &str) -> FlagWord {
    let mut text = String::new();
    let mut quote = None;
    let mut characters = line.char_indices();
    while let Some((at, character)) = characters.next() {
        match (character, quote) {
            (blank, None) if blank.is_whitespace() => return FlagWord { text, raw_len: at },
            ('\'' | '"', None) => quote = Some(character),
            (closing, Some(open)) if closing == open => quote = None,
            ('\\', _) => text.extend(characters.next().map(|(_, escaped)| escaped)),
            (plain, _) => text.push(plain),
        }
    }
    FlagWord {
        text,
        raw_len: line.len(),
    }
}

fn flag(text: &str, raw: Slice<'_>) -> Flag {
    // With quotes or escapes in it, the parts of the flag have no simple places.
    let exact = raw.as_str() == text;
    let part = |start, end| if exact { raw.part(start, end) } else { raw };
    let name = text.strip_prefix("--").unwrap_or(text);
    let (name, value) = match name.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (name, None),
    };
    let name_end = 2 + name.len();
    Flag {
        name: part(0, name_end).word_as(name.to_owned()),
        value: value.map(|value| part(name_end + 1, text.len()).word_as(value.to_owned())),
        span: raw.span(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::LogicalLine;

    #[test]
    fn flags_end_at_the_first_other_word() {
        for (text, expected) in [
            ("--a --b=c d --e", "a|b=c|#d --e"),
            ("  --a", "a|#"),
            ("--a -- --b", "a|# --b"),
            ("--a=\"b c\" d", "a=b c|#d"),
            ("--a=b\\ c d", "a=b c|#d"),
            ("--a= d", "a=|#d"),
            ("-a", "#-a"),
            ("--", "#"),
            ("", "#"),
        ] {
            let line = LogicalLine::from_text(text);
            let (flags, rest) = split_flags(line.slice());
            let flags = flags.into_iter().map(|flag| match flag.value {
                Some(value) => format!("{}={}|", flag.name.value, value.value),
                None => format!("{}|", flag.name.value),
            });
            let found = flags.collect::<String>() + "#" + rest.as_str();
            assert_eq!(found, expected, "{text}");
        }
    }
}
