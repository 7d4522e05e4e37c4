//! `--progress rawjson` beside that of Docker's: the same steps, in the same fields.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;
use support::{Feature, needs};

use super::{Hub, RUN_WITH, cases, of_buildkit_alone, run};
use crate::bench;

/// What a log has: the steps with their errors, and which fields each kind of thing has.
#[derive(Debug, Default)]
struct Status {
    steps: BTreeMap<String, String>,
    fields: BTreeSet<String>,
}

impl Status {
    fn of(text: &str) -> Self {
        let mut status = Self::default();
        for line in text.lines().filter(|line| line.starts_with('{')) {
            let line: Value = serde_json::from_str(line).unwrap();
            for (kind, things) in line.as_object().unwrap() {
                for thing in things.as_array().unwrap() {
                    status.take(kind, thing);
                }
            }
        }
        status
    }

    fn take(&mut self, kind: &str, thing: &Value) {
        let fields = thing.as_object().unwrap().keys();
        self.fields
            .extend(fields.map(|field| format!("{kind}.{field}")));
        if kind != "vertexes" {
            return;
        }
        let name = thing["name"].as_str().unwrap();
        // A digest is another one in each build.
        let name = name.split_once("@sha256:").map_or(name, |(name, _)| name);
        let error = thing["error"].as_str().unwrap_or_default();
        self.steps.insert(name.to_owned(), error.to_owned());
    }
}

#[test]
fn rawjson_has_the_steps_and_the_fields_of_buildkits() {
    needs!(Feature::Busybox);
    for name in ["simple", "failing"] {
        let bench = bench();
        let hub = Hub::open(&bench);
        let said = run(&bench, &hub, name, "rawjson").stderr;
        let recorded = fs::read_to_string(cases().join(name).join("buildkit.jsonl")).unwrap();
        let (mut careen, mut buildkit) = (Status::of(&said), Status::of(&recorded));
        careen.steps.retain(|step, _| !step.starts_with(RUN_WITH));
        buildkit
            .steps
            .retain(|step, _| !of_buildkit_alone(step, "", true));
        assert_eq!(careen.steps, buildkit.steps, "{name}: {said}");
        // What a step begins with has no name of its own there.
        let lacking: Vec<_> = buildkit.fields.difference(&careen.fields).collect();
        assert!(lacking.is_empty(), "{name}: {lacking:?}\n{said}");
    }
}
