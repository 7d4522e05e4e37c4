//! The crates of the workspace, as cargo sees them.
#![expect(
    clippy::disallowed_methods,
    reason = "the checks are a tool of ours that asks cargo, not part of careen"
)]

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// One crate of ours.
#[derive(Debug, Clone, Default)]
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// What it is, in its manifest.
    pub(crate) description: String,
    /// Its directory from the top of the checkout; empty for the top itself.
    pub(crate) directory: String,
    /// The files that its library and its programs begin with, from the top of the checkout.
    pub(crate) roots: Vec<String>,
    /// The crates of ours that it depends on.
    pub(crate) dependencies: BTreeSet<String>,
    /// The crates of ours that its tests depend on besides.
    pub(crate) test_dependencies: BTreeSet<String>,
}

/// Asks cargo for the crates of the workspace at `root`.
///
/// # Errors
///
/// Fails when cargo cannot be started, or refuses the workspace.
pub(crate) fn packages(root: &Path) -> Result<Vec<Package>, Box<dyn Error>> {
    let mut cargo = Command::new("cargo");
    cargo
        .args(["metadata", "--format-version", "1", "--no-deps", "--locked"])
        .current_dir(root);
    let output = cargo.output()?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("cargo metadata failed: {words}").into());
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    Ok(list(&metadata, "packages")
        .iter()
        .map(|package| parse(package, root))
        .collect())
}

fn parse(package: &Value, root: &Path) -> Package {
    let targets = list(package, "targets").iter();
    let manifest = from_top(text(package, "manifest_path"), root);
    Package {
        name: text(package, "name").to_owned(),
        description: text(package, "description").to_owned(),
        directory: manifest
            .trim_end_matches("Cargo.toml")
            .trim_end_matches('/')
            .to_owned(),
        roots: targets
            .filter(|target| {
                list(target, "kind")
                    .iter()
                    .any(|kind| kind == "lib" || kind == "bin")
            })
            .map(|target| from_top(text(target, "src_path"), root))
            .collect(),
        dependencies: path_dependencies(package, |kind| kind != "dev"),
        test_dependencies: path_dependencies(package, |kind| kind == "dev"),
    }
}

/// Only our own crates are dependencies by path.
fn path_dependencies(package: &Value, wanted: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let dependencies = list(package, "dependencies").iter();
    let ours = dependencies.filter(|dependency| dependency.get("path").is_some());
    ours.filter(|dependency| wanted(text(dependency, "kind")))
        .map(|dependency| text(dependency, "name").to_owned())
        .collect()
}

fn from_top(path: &str, root: &Path) -> String {
    let path = Path::new(path);
    path.strip_prefix(root)
        .unwrap_or(path)
        .to_string_lossy()
        .into_owned()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_read_from_what_cargo_says() {
        let metadata = serde_json::json!({
            "name": "layer",
            "manifest_path": "/home/ana/careen/src/layer/Cargo.toml",
            "targets": [
                { "kind": ["lib"], "src_path": "/home/ana/careen/src/layer/lib.rs" },
                { "kind": ["test"], "src_path": "/home/ana/careen/src/layer/tests/a.rs" },
            ],
            "dependencies": [
                { "name": "oci", "path": "/home/ana/careen/src/oci", "kind": null },
                { "name": "graph", "path": "/home/ana/careen/src/graph", "kind": "dev" },
                { "name": "tar", "kind": null },
            ],
        });
        let package = parse(&metadata, Path::new("/home/ana/careen"));
        assert_eq!(package.directory, "src/layer");
        assert_eq!(package.roots, ["src/layer/lib.rs"]);
        assert_eq!(package.dependencies, BTreeSet::from(["oci".to_owned()]));
        assert_eq!(
            package.test_dependencies,
            BTreeSet::from(["graph".to_owned()])
        );
    }
}
