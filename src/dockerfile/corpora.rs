//! The shared tables of cases, each run against the function it is about.
//!
//! They live outside of the repository, below the directory that `CAREEN_CORPORA` names. A row is
//! `{"id", "op", "in"}` with `out`, or with `error: true`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

mod dump;
mod ignore;
mod parser;
mod words;

/// Runs one operation: what it returns, or that it failed with this text.
type Operation = fn(&str, &Value) -> Option<Result<Value, String>>;

const CORPORA: [(&str, Operation); 3] = [
    ("dockerfile-parser", parser::run),
    ("shell-lexer", words::run),
    ("dockerignore", ignore::run),
];

#[test]
fn corpora() {
    let root = directory();
    if !is_directory(&root) {
        println!("corpora: skipped, {} is no directory", root.display());
        assert!(!in_ci(), "the corpora are missing");
        return;
    }
    let mut failures = Vec::new();
    for (name, operation) in CORPORA {
        let files = case_files(&root.join(name));
        if files.is_empty() && is_directory(&root.join(name)) {
            failures.push(format!("{name}: no cases.jsonl"));
        }
        let mut passed = 0;
        let before = failures.len();
        for file in files {
            passed += run_file(&file, operation, &mut failures);
        }
        println!(
            "{name}: {passed} passed, {} failed",
            failures.len() - before
        );
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test is told where its data is"
)]
fn directory() -> PathBuf {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpora");
    std::env::var_os("CAREEN_CORPORA").map_or_else(|| PathBuf::from(default), PathBuf::from)
}

#[expect(
    clippy::disallowed_methods,
    reason = "missing data is a fault only where it is known to be"
)]
fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty())
}

fn is_directory(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// Returns every `cases.jsonl` below a directory, sorted.
fn case_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        let Ok(entries) = fs::read_dir(&directory) else {
            continue;
        };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if is_directory(&path) {
                directories.push(path);
            } else if path.file_name().is_some_and(|name| name == "cases.jsonl") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// Runs the rows of a file, adds a line for each failure and returns how many passed.
fn run_file(file: &Path, operation: Operation, failures: &mut Vec<String>) -> usize {
    let text = fs::read_to_string(file).unwrap();
    if text.trim().is_empty() {
        failures.push(format!("{}: empty", file.display()));
    }
    let rows = text.lines().filter(|line| !line.trim().is_empty());
    let results = rows
        .map(|line| run_row(line, operation))
        .collect::<Vec<_>>();
    let before = failures.len();
    let count = results.len();
    failures.extend(results.into_iter().filter_map(Result::err));
    count.saturating_sub(failures.len() - before)
}

fn run_row(line: &str, operation: Operation) -> Result<(), String> {
    let row: Value = serde_json::from_str(line).map_err(|error| format!("{line}: {error}"))?;
    let text = |key: &str| row[key].as_str().unwrap_or_default();
    let (id, op) = (text("id"), text("op"));
    let got = operation(op, &row["in"]).ok_or_else(|| format!("{id}: unknown op {op}"))?;
    compare(&row, op, &got).map_err(|fault| format!("{id}: {fault}"))
}

fn compare(row: &Value, op: &str, got: &Result<Value, String>) -> Result<(), String> {
    let wants_error = row["error"].as_bool().unwrap_or(false);
    match got {
        Err(message) if wants_error => {
            let part = row["error_contains"].as_str().unwrap_or_default();
            let found = message.to_lowercase().contains(&part.to_lowercase());
            if found {
                Ok(())
            } else {
                Err(format!("{message:?} does not say {part:?}"))
            }
        }
        Err(message) => Err(format!("failed: {message}")),
        Ok(value) if wants_error => Err(format!("no error but {value}")),
        Ok(value) if op == "warnings" => compare_warnings(&row["out"], value),
        Ok(value) if covers(&row["out"], value) => Ok(()),
        Ok(value) => Err(format!("want {}\n  got {value}", row["out"])),
    }
}

fn compare_warnings(expected: &Value, got: &Value) -> Result<(), String> {
    let texts: Vec<&str> = got
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let parts = expected["each_contains"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let counted = expected["count"].as_u64() == Some(texts.len() as u64);
    let all = parts
        .iter()
        .zip(&texts)
        .all(|(part, text)| text.contains(part.as_str().unwrap()));
    if counted && all {
        Ok(())
    } else {
        Err(format!("got {texts:?}"))
    }
}

/// Tells whether `got` has all that is expected. Absent, null, false, 0 and empty text are the same.
fn covers(expected: &Value, got: &Value) -> bool {
    let is_nothing = |value: &Value| match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_f64() == Some(0.0),
        _ => false,
    };
    match (expected, got) {
        (Value::Object(expected), got) if got.is_object() => {
            expected.iter().all(|(key, value)| covers(value, &got[key]))
        }
        (Value::Array(expected), Value::Array(got)) => {
            expected.len() == got.len() && expected.iter().zip(got).all(|(e, g)| covers(e, g))
        }
        (expected, got) => expected == got || (is_nothing(expected) && is_nothing(got)),
    }
}

/// Returns a text of the input.
fn text<'a>(input: &'a Value, key: &str) -> &'a str {
    input[key].as_str().unwrap_or_default()
}

/// Returns a list of texts of the input.
fn texts<'a>(input: &'a Value, key: &str) -> Vec<&'a str> {
    input[key]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}
