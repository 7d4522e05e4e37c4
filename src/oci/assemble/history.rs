//! Making a history fit the layers.

use crate::config::History;
use crate::time::Timestamp;

/// What BuildKit writes beside an entry that it had to invent.
const INVENTED_COMMENT: &str = "buildkit.exporter.image.v0";

/// Returns the history with exactly `layers` entries that have a layer: those that are too many are
/// marked as empty, the first ones keep theirs; those that are missing are added at the end. Entries
/// without a time get `created`.
pub(super) fn fit(
    mut history: Vec<History>,
    layers: usize,
    created: Option<Timestamp>,
) -> Vec<History> {
    let mut with_layer = 0;
    for entry in &mut history {
        entry.empty_layer = entry.empty_layer || with_layer == layers;
        if !entry.empty_layer {
            with_layer += 1;
        }
    }
    for _ in with_layer..layers {
        let comment = Some(INVENTED_COMMENT.to_owned());
        history.push(History {
            comment,
            ..History::default()
        });
    }
    for entry in &mut history {
        entry.created = entry.created.or(created);
    }
    history
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `L` is an entry with a layer, `-` one without.
    fn history(pattern: &str) -> Vec<History> {
        let entry = |kind| History {
            empty_layer: kind == '-',
            ..History::default()
        };
        pattern.chars().map(entry).collect()
    }

    #[test]
    fn entries_with_a_layer_become_as_many_as_the_layers() {
        let table = [
            ("", 0, ""),
            ("", 2, "LL"),
            ("L-L", 2, "L-L"),
            ("L-", 2, "L-L"),
            ("LL-L", 1, "L---"),
            ("L", 0, "-"),
        ];
        for (before, layers, after) in table {
            let fitted = fit(history(before), layers, None);
            let pattern: String = fitted
                .iter()
                .map(|entry| if entry.empty_layer { '-' } else { 'L' })
                .collect();
            assert_eq!(pattern, after, "{before} over {layers} layers");
        }
    }

    #[test]
    fn entries_without_a_time_get_the_given_one() {
        let own = Timestamp::from_unix_seconds(1).unwrap();
        let given = Timestamp::from_unix_seconds(2).unwrap();
        let first = History {
            created: Some(own),
            ..History::default()
        };
        let fitted = fit(vec![first, History::default()], 3, Some(given));
        let times: Vec<_> = fitted.iter().map(|entry| entry.created).collect();
        assert_eq!(times, [Some(own), Some(given), Some(given)]);
        assert_eq!(
            fitted[2].comment.as_deref(),
            Some("buildkit.exporter.image.v0")
        );
    }
}
