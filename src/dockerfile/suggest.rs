//! The word that was perhaps meant.

/// Returns the candidate closest to `word`, if one is close enough to be worth a guess.
///
/// Case does not count. A candidate is close when at most a third of the word has to change.
pub fn nearest<'a, I: IntoIterator<Item = &'a str>>(word: &str, candidates: I) -> Option<&'a str> {
    let wanted: Vec<char> = word.to_lowercase().chars().take(MAX_CHARS).collect();
    candidates
        .into_iter()
        .map(|candidate| (distance(&wanted, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(3) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Returns the sentence that offers the closest candidate.
pub(crate) fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    nearest(word, candidates).map(|candidate| format!("did you mean `{candidate}`?"))
}

/// Returns the candidate that `BuildKit` would name: the first of those with the fewest characters to add, take away or
/// replace, if that are at most two. A candidate that is the word itself ends the search: something else is wrong.
///
/// It is used where the guess is part of a sentence that is `BuildKit`'s.
pub(crate) fn within_two<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let wanted: Vec<char> = word.chars().take(MAX_CHARS).collect();
    let mut best = None;
    for candidate in candidates {
        let letters: Vec<char> = candidate.chars().collect();
        let changes = changes(&wanted, &letters, Swaps::CountTwice);
        match best {
            _ if changes == 0 => return None,
            Some((least, _)) if changes >= least => {}
            _ if changes <= 2 => best = Some((changes, candidate)),
            _ => {}
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// What it costs to swap two neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Swaps {
    CountOnce,
    CountTwice,
}

/// Longer words are not compared to their end: no candidate is that long.
const MAX_CHARS: usize = 64;

/// Returns how many characters have to be added, taken away, replaced or swapped with their neighbour, in any case.
fn distance(wanted: &[char], candidate: &str) -> usize {
    let candidate: Vec<char> = candidate.to_lowercase().chars().collect();
    changes(wanted, &candidate, Swaps::CountOnce)
}

/// Returns how many changes make one word the other.
fn changes(wanted: &[char], candidate: &[char], swaps: Swaps) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=candidate.len()).collect();
    for (row, a) in wanted.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, b) in candidate.iter().enumerate() {
            let replaced = last[column] + usize::from(a != b);
            let mut best = replaced.min(last[column + 1] + 1).min(current[column] + 1);
            let swapped = swaps == Swaps::CountOnce && row > 0 && column > 0;
            if swapped && wanted[row - 1] == *b && candidate[column - 1] == *a {
                best = best.min(before_last[column - 1] + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last[candidate.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_closest_within_two_changes_is_named() {
        for (word, names, expected) in [
            ("PAHT", vec!["PATH"], Some("PATH")),
            (
                "DIR_ASSET",
                vec!["DIR_BINARIES", "DIR_ASSETS"],
                Some("DIR_ASSETS"),
            ),
            ("MYARCH", vec!["MY_OS", "MY_ARCH"], Some("MY_ARCH")),
            ("foo", vec!["PATH"], None),
            ("foo", vec!["FOO"], None),
            ("ab", vec!["cd", "ef"], Some("cd")),
            ("ab", vec!["ac", "ab"], None),
            ("x", vec![], None),
        ] {
            assert_eq!(within_two(word, names), expected, "{word}");
        }
    }

    #[test]
    fn only_close_words_are_offered() {
        let names = ["FROM", "RUN", "COPY", "ENTRYPOINT", "ENV", "ADD"];
        for (word, expected) in [
            ("FORM", Some("FROM")),
            ("form", Some("FROM")),
            ("ENTRYPONT", Some("ENTRYPOINT")),
            ("COPPY", Some("COPY")),
            ("RUNN", Some("RUN")),
            ("apt-get", None),
            ("x", None),
        ] {
            assert_eq!(nearest(word, names), expected, "{word}");
        }
    }
}
