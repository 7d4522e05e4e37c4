//! What the table of shared cases does not say.

use super::*;

/// Returns the parts that a text has by the named rule of the grammar, for the table of shared cases:
/// nothing for an unknown rule, `Some(None)` where it does not fit.
#[expect(
    clippy::option_option,
    reason = "an unknown rule is not a text that does not fit"
)]
pub(crate) fn grammar_groups(rule: &str, text: &str) -> Option<Option<Vec<String>>> {
    let own = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect();
    match rule {
        "domain" => Some(grammar::is_domain(text).then(Vec::new)),
        "name" => Some(grammar::split_name(text).map(|(domain, path)| own(&[domain, path]))),
        "reference" => Some(grammar::split_reference(text).map(|parts| {
            own(&[
                parts.name,
                parts.tag.unwrap_or_default(),
                parts.digest.unwrap_or_default(),
            ])
        })),
        _ => None,
    }
}

pub(crate) fn is_identifier(text: &str) -> bool {
    grammar::is_identifier(text)
}

const DIGEST: &str = "sha256:86e0e091d0da6bde2456dbb48306f3956bbeb2eae1b5b9a43045843f69fe4aaa";

#[test]
fn a_reference_has_parts() {
    let reference = Reference::parse(&format!("localhost:5000/team/app:1.2@{DIGEST}")).unwrap();
    assert_eq!(reference.domain(), "localhost:5000");
    assert_eq!(reference.path(), "team/app");
    assert_eq!(reference.tag(), Some("1.2"));
    assert_eq!(reference.digest().map(Digest::as_str), Some(DIGEST));
    let pinned = reference.into_docker_ref();
    assert_eq!(
        pinned.to_string(),
        format!("localhost:5000/team/app@{DIGEST}")
    );
}

#[test]
fn short_names_are_those_of_docker_hub() {
    let table = [
        ("busybox", "docker.io/library/busybox", "busybox"),
        (
            "index.docker.io/busybox:1",
            "docker.io/library/busybox:1",
            "busybox:1",
        ),
        ("team/app", "docker.io/team/app", "team/app"),
        ("library/a/b", "docker.io/library/a/b", "library/a/b"),
        ("localhost/app", "localhost/app", "localhost/app"),
        ("TEAM/app", "TEAM/app", "TEAM/app"),
        ("host:5000/app", "host:5000/app", "host:5000/app"),
    ];
    for (text, normal, familiar) in table {
        let reference = Reference::parse(text).unwrap();
        assert_eq!(reference.to_string(), normal, "{text}");
        assert_eq!(reference.familiar(), familiar, "{text}");
        assert_eq!(Reference::parse(familiar).unwrap(), reference, "{familiar}");
    }
}

#[test]
fn tags_and_digests_are_replaced() {
    let reference = Reference::parse("app:1").unwrap();
    assert_eq!(reference.with_tag("2").unwrap().familiar(), "app:2");
    assert_eq!(
        reference.with_tag("a/b").unwrap_err().to_string(),
        "tag `a/b` is not 1 to 128 letters, digits, `_`, `.` and `-`"
    );
    let pinned = reference.with_digest(&Digest::parse(DIGEST).unwrap());
    assert_eq!(pinned.familiar(), format!("app:1@{DIGEST}"));
    assert_eq!(pinned.with_tag("3").unwrap().familiar(), "app:3");
}

#[test]
fn limits_are_exact() {
    let path = "a".repeat(REPOSITORY_PATH_MAX_BYTES);
    assert_eq!(
        Reference::parse(&format!("example.com/{path}"))
            .unwrap()
            .path(),
        path
    );
    assert!(matches!(
        Reference::parse(&format!("example.com/{path}a")),
        Err(ReferenceError::TooLong { .. })
    ));
    let tag = "t".repeat(TAG_MAX_BYTES);
    assert_eq!(
        Reference::parse(&format!("app:{tag}")).unwrap().tag(),
        Some(tag.as_str())
    );
    assert!(matches!(
        Reference::parse(&format!("app:{tag}t")),
        Err(ReferenceError::Format { .. })
    ));
}

#[test]
fn refusals_say_what_is_wrong_with_what_was_written() {
    let id = "a".repeat(64);
    let table = [
        (String::new(), "image reference is empty".to_owned()),
        (
            id.clone(),
            format!("image reference `{id}` is an image id, not a name"),
        ),
        (
            "team/App".to_owned(),
            "image reference `team/App` has upper-case letters in the repository's name".to_owned(),
        ),
        (
            "a b".to_owned(),
            "image reference `a b` is not of the form registry/repository:tag@digest".to_owned(),
        ),
        (
            "app:".to_owned(),
            "image reference `app:` is not of the form registry/repository:tag@digest".to_owned(),
        ),
        (
            format!("app@sha256:{}", "a".repeat(63)),
            format!(
                "image reference `app@sha256:{}` has an invalid digest",
                "a".repeat(63)
            ),
        ),
    ];
    for (text, expected) in table {
        assert_eq!(Reference::parse(&text).unwrap_err().to_string(), expected);
    }
}

#[test]
fn an_id_is_not_a_name() {
    let digits = DIGEST.strip_prefix("sha256:").unwrap();
    let id = AnyReference::Id(Digest::parse(DIGEST).unwrap());
    assert_eq!(AnyReference::parse(digits).unwrap(), id);
    assert_eq!(AnyReference::parse(DIGEST).unwrap(), id);
    let name = AnyReference::parse("sha256:abc").unwrap();
    assert_eq!(name.to_string(), "docker.io/library/sha256:abc");
}

#[test]
fn json_holds_the_normal_form() {
    let reference: Reference = serde_json::from_str("\"busybox:1\"").unwrap();
    assert_eq!(
        serde_json::to_string(&reference).unwrap(),
        "\"docker.io/library/busybox:1\""
    );
}

proptest::proptest! {
    #![proptest_config(crate::unrecorded())]

    #[test]
    fn the_normal_form_of_a_normal_form_is_itself(text in "[a-zA-Z0-9._:/@\\[\\]-]{0,40}") {
        if let Ok(reference) = Reference::parse(&text) {
            let normal = reference.to_string();
            proptest::prop_assert_eq!(Reference::parse_canonical(&normal).unwrap(), reference);
        }
    }

    #[test]
    fn a_literal_reference_prints_as_it_was_written(text in "[a-zA-Z0-9._:/\\[\\]-]{0,40}") {
        if let Ok(reference) = Reference::parse_literal(&text) {
            proptest::prop_assert_eq!(reference.to_string(), text);
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,60}") {
        drop(Reference::parse(&text));
        drop(AnyReference::parse(&text));
    }
}
