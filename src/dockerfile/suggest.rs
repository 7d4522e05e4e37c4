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

/// Longer words are not compared to their end: no candidate is that long.
const MAX_CHARS: usize = 64;

/// Returns how many characters have to be added, taken away, replaced or swapped with their neighbour.
fn distance(wanted: &[char], candidate: &str) -> usize {
    let candidate: Vec<char> = candidate.to_lowercase().chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=candidate.len()).collect();
    for (row, a) in wanted.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, b) in candidate.iter().enumerate() {
            let replaced = last[column] + usize::from(a != b);
            let mut best = replaced.min(last[column + 1] + 1).min(current[column] + 1);
            let swapped = row > 0 && column > 0;
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
