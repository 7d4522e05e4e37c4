use tempfile::TempDir;

use super::super::{Driver, Node, Place};
use super::*;

fn name(text: &str) -> BuilderName {
    BuilderName::parse(text).unwrap()
}

fn place() -> (TempDir, Builders) {
    let directory = tempfile::tempdir().unwrap();
    let builders = Builders {
        directory: directory.path().join("builders"),
    };
    (directory, builders)
}

fn builder(text: &str) -> Builder {
    Builder {
        driver: Driver::DockerContainer,
        nodes: vec![Node {
            name: name("n0"),
            endpoint: Place::Ssh("host".to_owned()),
            platforms: vec!["linux/arm64".to_owned()],
            driver_options: vec!["network=host".to_owned()],
            flags: Some("--debug".to_owned()),
            config: None,
        }],
        name: name(text),
    }
}

#[test]
fn what_is_kept_is_found_again_until_it_is_removed() {
    let (_directory, builders) = place();
    assert_eq!(builders.names().unwrap(), []);
    assert_eq!(builders.current().unwrap(), None);
    let change = builders.change().unwrap();
    for one in ["b", "a"] {
        change.put(&builder(one)).unwrap();
    }
    change.take(&name("a")).unwrap();
    builders.note_use(&name("a"));
    assert_eq!(builders.names().unwrap(), [name("a"), name("b")]);
    assert_eq!(builders.get(&name("a")).unwrap(), Some(builder("a")));
    assert_eq!(builders.current().unwrap(), Some(name("a")));
    assert!(builders.last_use(&name("a")).is_some());
    assert_eq!(builders.last_use(&name("b")), None);
    change.remove(&name("a")).unwrap();
    assert_eq!(builders.names().unwrap(), [name("b")]);
    assert_eq!(builders.current().unwrap(), Some(name("default")));
    assert_eq!(builders.last_use(&name("a")), None);
}

#[test]
fn what_is_no_builder_is_an_error_that_names_the_file() {
    let (_directory, builders) = place();
    builders.change().unwrap().put(&builder("a")).unwrap();
    let large = format!("\"{}\"", "x".repeat(300 << 10));
    let table = [
        ("{", "`$/a.json` is no builder"),
        (
            r#"{"version":1,"builder":{"name":"a"}}"#,
            "`$/a.json` is no builder",
        ),
        (
            r#"{"version":1,"builder":{"name":"../a"}}"#,
            "`$/a.json` is no builder",
        ),
        (
            r#"{"version":2,"builder":{"new":"a"}}"#,
            "`$/a.json` is of version 2, and this program reads version 1",
        ),
        (&large, "`$/a.json` is larger than 262144 bytes"),
    ];
    for (text, expected) in table {
        fs::write(builders.file(&name("a")), text).unwrap();
        let error = builders.get(&name("a")).unwrap_err().to_string();
        let shown = error.replace(&builders.directory.display().to_string(), "$");
        assert_eq!(shown, expected);
    }
}
