//! What a build adds to the history of its base.

use oci::{Clock, History};
use solver::PlatformResult;

use super::part::{self, Part};

/// Returns what a build adds to the history. Of layers that became one, each step is told, and the one
/// layer after them.
pub(super) fn of(platform: &PlatformResult, parts: &[Part], clock: Clock) -> Vec<History> {
    let mut entries = of_steps(platform, clock);
    let Some(Part::Squashed { stack, kept }) = parts.last() else {
        return entries;
    };
    for entry in &mut entries {
        entry.empty_layer = true;
    }
    let count = stack.layers().len() - kept;
    entries.push(History {
        created: entries.last().and_then(|entry| entry.created),
        created_by: None,
        author: None,
        comment: Some(format!("{count} layers squashed into one")),
        empty_layer: false,
    });
    entries
}

/// Returns what each step adds. What has no layer has the time of the layer before it, or of the first one:
/// that is no reason for another digest when nothing else changed.
fn of_steps(platform: &PlatformResult, clock: Clock) -> Vec<History> {
    let times: Vec<_> = platform
        .stack
        .layers()
        .iter()
        .filter(|layer| !part::is_base(layer))
        .map(|layer| layer.created)
        .collect();
    let fixed = match clock {
        Clock::Fixed(time) => Some(time),
        Clock::System => None,
    };
    let mut current = times.iter().flatten().next().copied();
    let mut of_layers = times.into_iter();
    let entries = platform.history.iter().map(|step| {
        if !step.empty_layer {
            current = of_layers.next().flatten().or(current);
        }
        History {
            created: fixed.or(current),
            created_by: Some(step.created_by.clone()),
            author: None,
            comment: Some(step.comment.clone()),
            empty_layer: step.empty_layer,
        }
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use graph::ImageOrigin;
    use oci::{DiffId, Digest, ImageConfig, Platform, Timestamp};
    use solver::result::{BaseLayer, Held, StackLayer};
    use solver::{HistoryStep, Stack};
    use store::SnapshotId;

    use crate::output::Squash;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds).unwrap()
    }

    fn layer(name: &str, held: Held, created: Option<i64>) -> Arc<StackLayer> {
        Arc::new(StackLayer {
            id: SnapshotId::new(name).unwrap(),
            held,
            created: created.map(at),
        })
    }

    fn base() -> Held {
        let digest = Digest::of(b"layer");
        Held::Base(BaseLayer {
            image: Arc::new(graph::ImageSource {
                name: "base".to_owned(),
                manifest: digest.clone(),
                platform: Platform::new("linux", "amd64"),
                origin: ImageOrigin::Store,
                pinned: None,
            }),
            digest: digest.clone(),
            size_bytes: 5,
            media_type: oci::media_type::OCI_LAYER_GZIP.to_owned(),
            diff_id: DiffId::new(digest),
            step: None,
        })
    }

    fn step(created_by: &str, empty_layer: bool) -> HistoryStep {
        HistoryStep {
            created_by: created_by.to_owned(),
            comment: String::new(),
            empty_layer,
        }
    }

    fn result(layers: Vec<Arc<StackLayer>>, history: Vec<HistoryStep>) -> PlatformResult {
        PlatformResult {
            platform: Platform::new("linux", "amd64"),
            stack: Stack::from_iter(layers),
            config: ImageConfig::new(&Platform::new("linux", "amd64")),
            history,
        }
    }

    fn times(result: &PlatformResult, clock: Clock) -> Vec<Option<i64>> {
        let entries = of_steps(result, clock).into_iter();
        let seconds = entries.map(|entry| entry.created.map(Timestamp::seconds));
        seconds.collect()
    }

    #[test]
    fn an_entry_without_a_layer_has_the_time_of_the_layer_before_it_or_the_first() {
        let layers = vec![
            layer("base", base(), None),
            layer("one", Held::Stored, Some(10)),
            layer("two", Held::Stored, Some(20)),
        ];
        let steps = vec![
            step("ENV", true),
            step("RUN", false),
            step("ENV", true),
            step("COPY", false),
            step("CMD", true),
        ];
        let result = result(layers, steps);
        let expected = [10, 10, 10, 20, 20].map(Some);
        assert_eq!(times(&result, Clock::System), expected);
        assert_eq!(times(&result, Clock::Fixed(at(1))), [Some(1); 5]);
    }

    #[test]
    fn a_result_that_adds_no_layer_has_no_times_of_its_own() {
        let result = result(vec![layer("base", base(), None)], vec![step("ENV", true)]);
        assert_eq!(times(&result, Clock::System), [None]);
    }

    #[test]
    fn of_layers_that_became_one_every_step_is_told() {
        let layers = vec![
            layer("base", base(), None),
            layer("one", Held::Stored, Some(10)),
            layer("two", Held::Stored, Some(20)),
        ];
        let steps = vec![step("RUN", false), step("COPY", false), step("CMD", true)];
        let result = result(layers, steps);
        let told = |squash| {
            let parts = part::parts(&result, squash);
            let entries = of(&result, &parts, Clock::System).into_iter();
            let entries = entries.map(|entry| {
                let by = entry.created_by.or(entry.comment).unwrap_or_default();
                format!("{}{by}", if entry.empty_layer { "(empty) " } else { "" })
            });
            entries.collect::<Vec<_>>()
        };
        assert_eq!(told(Squash::None), ["RUN", "COPY", "(empty) CMD"]);
        let steps = ["(empty) RUN", "(empty) COPY", "(empty) CMD"];
        let squashed = |last: &'static str| [&steps[..], &[last]].concat();
        assert_eq!(told(Squash::New), squashed("2 layers squashed into one"));
        assert_eq!(told(Squash::All), squashed("3 layers squashed into one"));
    }
}
