use super::*;

fn platform(architecture: &str) -> Platform {
    Platform::new("linux", architecture)
}

/// An entry that one program wrote and no other.
fn entry(architecture: &str, program: &str) -> CacheEntry {
    let platform = platform(architecture);
    let config = CacheConfig {
        program: program.to_owned(),
        ..CacheConfig::new(&platform)
    };
    CacheEntry { platform, config }
}

fn document(entries: &[CacheEntry]) -> Vec<u8> {
    let entries = entries.iter().map(Entry::of).collect();
    Entries { entries }.to_bytes()
}

/// Returns platforms and programs.
fn listed(bytes: &[u8]) -> Vec<(String, String)> {
    let entries = Entries::parse(bytes).unwrap().entries;
    let pair = |entry: Entry| (entry.platform.clone(), entry.config().unwrap().program);
    entries.into_iter().map(pair).collect()
}

fn pair(platform: &str, program: &str) -> (String, String) {
    (platform.to_owned(), program.to_owned())
}

fn new_state(change: Change) -> Vec<u8> {
    match change {
        Change::To(bytes) => bytes,
        Change::Nothing => panic!("something is to be changed"),
    }
}

#[test]
fn an_entry_takes_the_place_of_its_platforms_and_no_other() {
    let ours = [entry("amd64", "new")];
    let mut writing = Writing::new(&ours);
    let first = new_state(writing.change(None));
    assert_eq!(listed(&first), [pair("linux/amd64", "new")]);
    assert_eq!(writing.change(Some(&first)), Change::Nothing);
    let earlier = document(&[entry("amd64", "old"), entry("arm64", "other")]);
    let second = new_state(Writing::new(&ours).change(Some(&earlier)));
    let expected = [pair("linux/amd64", "new"), pair("linux/arm64", "other")];
    assert_eq!(listed(&second), expected);
}

#[test]
fn who_writes_the_same_platform_later_counts() {
    let ours = [entry("amd64", "ours")];
    let mut writing = Writing::new(&ours);
    let before = document(&[entry("amd64", "before")]);
    new_state(writing.change(Some(&before)));
    let later = document(&[entry("amd64", "later"), entry("arm64", "x")]);
    assert_eq!(writing.change(Some(&later)), Change::Nothing);
    // Whoever did not see ours wrote what was there before it.
    let unaware = document(&[entry("amd64", "before"), entry("arm64", "x")]);
    let again = new_state(writing.change(Some(&unaware)));
    let expected = [pair("linux/amd64", "ours"), pair("linux/arm64", "x")];
    assert_eq!(listed(&again), expected);
}

#[test]
fn what_is_damaged_is_written_over_and_another_format_is_kept() {
    let ours = [entry("amd64", "ours")];
    for damaged in [b"".as_slice(), b"[]", b"{\"entries\":[{}]}"] {
        let state = new_state(Writing::new(&ours).change(Some(damaged)));
        assert_eq!(listed(&state), [pair("linux/amd64", "ours")]);
    }
    let newer = br#"{"entries":[{"platform":"linux/arm64","config":{"format":99}}]}"#;
    let state = new_state(Writing::new(&ours).change(Some(newer)));
    let text = String::from_utf8(state).unwrap();
    assert!(text.contains(r#"{"platform":"linux/arm64","config":{"format":99}}"#));
}

#[test]
fn branches_are_read_in_their_order_and_damage_hides_nothing() {
    let of = |bytes: Vec<u8>| Document {
        branch: String::new(),
        bytes,
    };
    let platforms = [platform("amd64")];
    assert!(read_all(&[], &platforms).unwrap().is_none());
    let own = of(document(&[entry("arm64", "x"), entry("amd64", "own")]));
    let base = of(document(&[entry("amd64", "base")]));
    let damaged = of(b"{".to_vec());
    let programs = |documents: &[Document]| {
        let configs = read_all(documents, &platforms).map(Option::unwrap_or_default);
        configs.map(|configs| {
            let programs = configs.into_iter().map(|config| config.program);
            programs.collect::<Vec<_>>()
        })
    };
    let all = programs(&[own.clone(), damaged.clone(), base]).unwrap();
    assert_eq!(all, ["own", "base"]);
    let none = programs(&[damaged]).unwrap_err();
    assert_eq!(none.to_string(), "it is damaged");
}

#[test]
fn a_platform_is_found_under_all_its_names() {
    let state = new_state(Writing::new(&[entry("aarch64", "x")]).change(None));
    let entries = Entries::parse(&state).unwrap();
    assert!(entries.get(&platform("arm64")).is_some());
    assert!(entries.get(&platform("arm64").with_variant("v8")).is_some());
    assert!(entries.get(&platform("amd64")).is_none());
}
