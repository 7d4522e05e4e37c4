//! The tables of cases that are shared with other tools, as far as they are about this crate.
//!
//! A table is a file `NAME/cases/cases.jsonl`, one JSON object a line: `id`, `op`, `in`, and `out` or
//! `error: true`. Each table has a submodule with the operations that it knows.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

mod image_reference;
mod oci_schema;
mod platform;

/// What an operation answers: a value, or why there is none.
type Answer = Result<Value, String>;

/// Carries out an operation and says what is wrong with the result, if anything.
type Check = fn(&Case) -> Result<(), String>;

const CORPORA: [(&str, Check); 3] = [
    ("image-reference", image_reference::check),
    ("oci-schema", oci_schema::check),
    ("platform", platform::check),
];

struct Case {
    value: Value,
}

impl Case {
    fn id(&self) -> &str {
        self.value["id"].as_str().unwrap_or("?")
    }

    fn op(&self) -> &str {
        self.value["op"].as_str().unwrap_or_default()
    }

    fn input(&self, key: &str) -> &Value {
        &self.value["in"][key]
    }

    fn text(&self, key: &str) -> &str {
        self.input(key).as_str().unwrap_or_default()
    }

    /// Returns the expected result; nothing where an error is expected.
    fn expected(&self) -> Option<&Value> {
        (self.value["error"] != Value::Bool(true)).then(|| &self.value["out"])
    }

    /// Compares an answer with what is expected: only the keys that the case names.
    fn compare(&self, answer: Answer) -> Result<(), String> {
        match (self.expected(), answer) {
            (None, Err(_)) => Ok(()),
            (None, Ok(found)) => Err(format!("no error but {found}")),
            (Some(expected), Err(error)) => Err(format!("expected {expected}, got error {error}")),
            (Some(expected), Ok(found)) if agrees(expected, &found) => Ok(()),
            (Some(expected), Ok(found)) => Err(format!("expected {expected}, got {found}")),
        }
    }

    fn unknown(&self) -> Result<(), String> {
        Err(format!("unknown operation `{}`", self.op()))
    }
}

/// `null` accepts everything, an object the objects that have its fields; an empty value is an absent
/// one.
fn agrees(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Null, _) => true,
        (Value::Object(fields), Value::Object(_)) => fields
            .iter()
            .all(|(key, value)| agrees(value, &found[key]) || value == &found[key]),
        _ => expected == found || (is_empty(expected) && is_empty(found)),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    }
}

fn environment(name: &str) -> Option<std::ffi::OsString> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test's own setting, not the builder's"
    )]
    std::env::var_os(name)
}

fn directory() -> PathBuf {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpora");
    environment("CAREEN_CORPORA").map_or_else(|| PathBuf::from(default), PathBuf::from)
}

/// Runs one table and returns the number of cases that failed.
fn run(directory: &Path, name: &str, check: Check) -> usize {
    let path = directory.join("cases").join("cases.jsonl");
    let text = fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{name}: cannot read {}: {error}", path.display()));
    let (mut passed, mut failed) = (0, 0);
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let value = serde_json::from_str(line)
            .unwrap_or_else(|error| panic!("{name}: a case is not JSON: {error}: {line}"));
        let case = Case { value };
        match check(&case) {
            Ok(()) => passed += 1,
            Err(message) => {
                failed += 1;
                println!("{name} {}: {message}", case.id());
            }
        }
    }
    assert!(
        passed + failed > 0,
        "{name}: {} has no cases",
        path.display()
    );
    println!("{name}: {passed} passed, {failed} failed");
    failed
}

#[test]
fn corpora() {
    let directory = directory();
    if !directory
        .try_exists()
        .expect("the corpora's directory can be looked at")
    {
        println!("corpora: skipped, there is no {}", directory.display());
        assert!(environment("CI").is_none(), "CI has to have the corpora");
        return;
    }
    let mut failed = 0;
    for (name, check) in CORPORA {
        let corpus = directory.join(name);
        if corpus.try_exists().expect("a corpus can be looked at") {
            failed += run(&corpus, name, check);
        } else {
            println!("{name}: skipped, there is no {}", corpus.display());
        }
    }
    assert_eq!(failed, 0, "failed cases, see above");
}
