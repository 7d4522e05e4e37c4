//! The scripts that the shells read, and what each shell does to words.

use clap::ValueEnum as _;

use crate::args::ShellArgument;

/// What stands in the scripts for the name of the program.
const NAME: &str = "NAME";

/// Returns what a shell is told, to complete a program of this name.
pub(crate) fn script(shell: ShellArgument, name: &str) -> String {
    let text = match shell {
        ShellArgument::Bash => include_str!("script.bash"),
        ShellArgument::Zsh => include_str!("script.zsh"),
        ShellArgument::Fish => include_str!("script.fish"),
    };
    text.replace(NAME, name)
}

/// Returns the shell of this name.
pub(super) fn named(text: &str) -> Option<ShellArgument> {
    ShellArgument::from_str(text, false).ok()
}

/// Returns the words as the program would get them: bash hands them on with their quotes.
pub(super) fn unquoted(shell: ShellArgument, words: Vec<String>) -> Vec<String> {
    match shell {
        ShellArgument::Bash => words.iter().map(|word| without_quotes(word)).collect(),
        ShellArgument::Zsh | ShellArgument::Fish => words,
    }
}

/// Takes quotes and backslashes away; a quote that is still open ends with the word.
fn without_quotes(word: &str) -> String {
    let mut plain = String::new();
    let mut quote = None;
    let mut letters = word.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\'' | '"', None) => quote = Some(letter),
            (_, Some(open)) if letter == open => quote = None,
            ('\\', None) => plain.extend(letters.next()),
            ('\\', Some('"')) => match letters.next_if(|next| "\"\\$`".contains(*next)) {
                Some(next) => plain.push(next),
                None => plain.push(letter),
            },
            _ => plain.push(letter),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_bash_lose_their_quotes() {
        let table = [
            ("plain", "plain"),
            ("my\\ dir", "my dir"),
            ("'my dir'/x", "my dir/x"),
            ("\"my dir", "my dir"),
            ("\"a\\\"b\\c\"", "a\"b\\c"),
            ("'a\\b'", "a\\b"),
            ("a\\", "a"),
        ];
        for (typed, expected) in table {
            let words = vec![typed.to_owned()];
            assert_eq!(unquoted(ShellArgument::Bash, words.clone()), [expected]);
            assert_eq!(unquoted(ShellArgument::Zsh, words), [typed]);
        }
    }
}
