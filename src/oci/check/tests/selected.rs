//! Which entry of an index is taken.

use super::*;

/// Parses an index with an entry for each text: a platform, `-` for none, `?` for an attestation.
fn index_for(texts: &[&str]) -> ImageIndex {
    let entry = |(size, text): (usize, &&str)| {
        let mut entry =
            json!({ "mediaType": OCI_MANIFEST, "digest": Digest::of(b""), "size": size });
        match *text {
            "-" => {}
            "?" => entry["annotations"] = json!({ "vnd.docker.reference.type": "x" }),
            platform => {
                let host = Platform::new("linux", "amd64");
                entry["platform"] = json!(Platform::parse(platform, &host).unwrap());
            }
        }
        entry
    };
    let entries: Vec<Value> = texts.iter().enumerate().map(entry).collect();
    parse_index(index_of(&entries).to_string().as_bytes()).unwrap()
}

#[test]
fn t_e17_the_entry_that_suits_best_is_selected() {
    let table: [(&str, &[&str], Option<u64>); 9] = [
        ("linux/amd64", &["linux/arm64", "linux/amd64"], Some(1)),
        (
            "linux/amd64",
            &["linux/386", "linux/amd64", "linux/amd64"],
            Some(1),
        ),
        (
            "linux/amd64/v3",
            &["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"],
            Some(1),
        ),
        ("linux/arm64", &["linux/arm/v6", "linux/arm/v7"], Some(1)),
        ("linux/arm/v7", &["linux/arm64/v8"], None),
        ("linux/amd64", &["?", "unknown/unknown"], None),
        ("linux/amd64", &["-", "linux/386"], Some(1)),
        ("linux/amd64", &["linux/arm64", "-", "-"], Some(1)),
        ("linux/amd64", &[], None),
    ];
    for (wanted, entries, expected) in table {
        let index = index_for(entries);
        let wanted = Platform::parse(wanted, &Platform::new("linux", "amd64")).unwrap();
        let found = select_platform(&index, &wanted).map(Descriptor::size);
        assert_eq!(found, expected, "{wanted} of {entries:?}");
    }
}

#[test]
fn the_platforms_of_an_index_are_listed_once_and_without_attestations() {
    let index = index_for(&[
        "linux/arm64/v8",
        "linux/amd64",
        "?",
        "-",
        "unknown/unknown",
        "linux/amd64",
    ]);
    let texts: Vec<String> = platforms_of(&index)
        .iter()
        .map(Platform::to_string)
        .collect();
    assert_eq!(texts, ["linux/arm64/v8", "linux/amd64"]);
}
