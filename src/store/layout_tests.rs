//! The drawing of the store against a store.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::time::Duration;

use oci::descriptor::descriptor;
use oci::media_type::OCI_MANIFEST;
use oci::{Digest, Reference};

use crate::testing::{Fixture, id, meta, tree};
use crate::{CacheId, CacheMeta, ClaimName, KeptId, ListError, Rule, Store};

const FIRST_LINE: &str = "$XDG_DATA_HOME/careen/";

/// Returns the lines of the drawing in a text, without what is before each.
fn drawing(text: &str) -> Vec<&str> {
    let lines = text
        .lines()
        .map(|line| line.strip_prefix("//! ").unwrap_or(line).trim_end());
    let drawn = lines.skip_while(|line| *line != FIRST_LINE).skip(1);
    drawn.take_while(|line| !line.starts_with("```")).collect()
}

/// Returns the paths that a drawing shows.
fn paths(drawing: &[&str]) -> BTreeSet<String> {
    let mut above: Vec<&str> = Vec::new();
    let mut paths = BTreeSet::new();
    for line in drawing {
        let (indent, rest) = line.split_once("── ").unwrap();
        let name = rest.split("  ").next().unwrap().trim();
        above.truncate(indent.chars().count() / 4);
        above.push(name);
        paths.insert(above.concat());
    }
    paths
}

fn is_drawn(path: &str, drawn: &str) -> bool {
    let (path, drawn): (Vec<_>, Vec<_>) = (path.split('/').collect(), drawn.split('/').collect());
    let same = |(name, drawn): (&&str, &&str)| {
        name == drawn || (drawn.starts_with('<') && !name.is_empty())
    };
    path.len() == drawn.len() && path.iter().zip(&drawn).all(same)
}

#[test]
fn the_drawing_in_the_documents_is_the_one_in_the_code() {
    let code = drawing(include_str!("layout.rs"));
    assert_eq!(drawing(include_str!("../../docs/store-layout.md")), code);
    assert!(code[0].starts_with("├── VERSION"), "no drawing was found");
}

/// Makes the contents of a cache mount, with all that stands beside them.
fn put_cache(store: &Store, digest: &Digest) {
    let cache = CacheId::new(digest.clone(), 0);
    let made = CacheMeta {
        namespace: String::new(),
        id: "a".to_owned(),
        seed: "nothing".to_owned(),
    };
    let caches = store.caches();
    caches.prepare().unwrap().commit(&cache, &made).unwrap();
    caches.put_note(&cache, "nothing").unwrap();
    caches.put_owners(&cache, "").unwrap();
}

#[test]
fn a_store_has_what_is_drawn_and_nothing_else() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let lease = store.lease().unwrap();
    let digest = store.content().put(&lease, b"blob").unwrap();
    store.hints().create(&id("hint")).unwrap().commit().unwrap();
    let image = descriptor(OCI_MANIFEST, &digest, 4);
    store
        .content()
        .tag(&Reference::parse("demo:1").unwrap(), &image)
        .unwrap();
    store
        .snapshots()
        .prepare(&lease)
        .unwrap()
        .commit(&id("a"), meta())
        .unwrap();
    store.records().put(&digest, &1).unwrap();
    drop(store.repository(&digest, &|| false).unwrap());
    let name = Reference::parse("demo:1").unwrap();
    let listed = store
        .lists()
        .change(&name, |_: Option<u32>| Ok::<_, ListError>(1));
    assert_eq!(listed.unwrap(), 1);
    let mut unfinished = store.content().ingest(&lease).unwrap();
    unfinished.write_all(b"half").unwrap();
    let active = store.snapshots().prepare(&lease).unwrap();
    put_cache(store, &digest);
    store.kept().put(&KeptId::random(), &1).unwrap();
    let claim = store.claims().shared(ClaimName::Key(&digest)).unwrap();
    let daily = Rule {
        unused_for: Duration::from_hours(1),
        ..Rule::default()
    };
    store.collect_after(&[daily]).unwrap();
    fs::write(
        fixture.path("trash/0000000000000000"),
        "left by a dead process",
    )
    .unwrap();

    let drawn = paths(&drawing(include_str!("layout.rs")));
    let found = tree(store.path());
    for path in &found {
        assert!(
            drawn.iter().any(|drawn| is_drawn(path, drawn)),
            "`{path}` is not drawn"
        );
    }
    for drawn in &drawn {
        assert!(
            found.iter().any(|path| is_drawn(path, drawn)),
            "`{drawn}` is not there"
        );
    }
    drop((unfinished, active, claim));
}
