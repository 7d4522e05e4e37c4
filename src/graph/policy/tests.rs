use super::*;

const BUSYBOX: &str = "docker-image://docker.io/library/busybox:latest";
const ALPINE: &str = "docker-image://docker.io/library/alpine:latest";

fn policy(rules: &str) -> SourcePolicy {
    SourcePolicy::parse(format!("{{\"rules\": [{rules}]}}").as_bytes()).unwrap()
}

fn rule(action: &str, identifier: &str, updates: &str) -> String {
    let selector = format!("{{\"identifier\": \"{identifier}\"}}");
    let updates = match updates {
        "" => String::new(),
        to => format!(", \"updates\": {{\"identifier\": \"{to}\"}}"),
    };
    format!("{{\"action\": \"{action}\", \"selector\": {selector}{updates}}}")
}

fn evaluated(policy: &SourcePolicy, identifier: &str) -> Result<String, PolicyRefusal> {
    let source = policy.evaluate(PolicySource::new(identifier));
    source.map(|source| source.identifier)
}

fn denied(identifier: &str, rule: usize) -> Result<String, PolicyRefusal> {
    let identifier = identifier.to_owned();
    Err(PolicyRefusal::Denied { identifier, rule })
}

#[test]
fn the_last_rule_that_fits_decides() {
    let (allow, deny) = (
        rule("ALLOW", BUSYBOX, ""),
        rule("DENY", "docker-image://*", ""),
    );
    for (rules, expected) in [
        (vec![], Ok(BUSYBOX.to_owned())),
        (vec![&allow, &deny], denied(BUSYBOX, 2)),
        (vec![&deny, &allow], Ok(BUSYBOX.to_owned())),
        (vec![&allow, &deny, &allow], Ok(BUSYBOX.to_owned())),
        (vec![&allow, &deny, &deny], denied(BUSYBOX, 3)),
    ] {
        let texts: Vec<_> = rules.into_iter().cloned().collect();
        assert_eq!(
            evaluated(&policy(&texts.join(",")), BUSYBOX),
            expected,
            "{texts:?}"
        );
    }
    let images_only = policy(&deny);
    assert_eq!(
        evaluated(&images_only, "https://example.org/x"),
        Ok("https://example.org/x".to_owned())
    );
}

#[test]
fn what_is_converted_goes_through_all_rules_again() {
    let to_alpine = rule("CONVERT", BUSYBOX, ALPINE);
    let no_alpine = rule("DENY", "docker-image://docker.io/library/alpine:*", "");
    let no_busybox = rule("DENY", BUSYBOX, "");
    assert_eq!(
        evaluated(&policy(&to_alpine), BUSYBOX),
        Ok(ALPINE.to_owned())
    );
    let both = policy(&format!("{no_alpine},{to_alpine}"));
    assert_eq!(evaluated(&both, BUSYBOX), denied(ALPINE, 1));
    // The rule behind a conversion is about what was converted.
    let both = policy(&format!("{to_alpine},{no_busybox}"));
    assert_eq!(evaluated(&both, BUSYBOX), Ok(ALPINE.to_owned()));
}

#[test]
fn a_conversion_says_again_what_the_wildcards_stand_for() {
    let mirror = rule(
        "CONVERT",
        "docker-image://docker.io/*:*",
        "docker-image://mirror.example/${1}:$2",
    );
    assert_eq!(
        evaluated(&policy(&mirror), BUSYBOX),
        Ok("docker-image://mirror.example/library/busybox:latest".to_owned())
    );
}

#[test]
fn what_is_refused_is_told_without_its_secret() {
    let denied = rule("DENY", "https://*", "");
    let circle = rule("CONVERT", "https://*", "https://m.${1}");
    for (rules, expected) in [
        (denied, "source `https://e.com/f` denied by policy (rule 1)"),
        (
            circle,
            "source `https://e.com/f` was converted more than 20 times by the policy",
        ),
    ] {
        let refused = evaluated(&policy(&rules), "https://token@e.com/f").unwrap_err();
        assert_eq!(refused.to_string(), expected);
    }
}

#[test]
fn conversions_in_a_circle_are_refused() {
    let circle = format!(
        "{},{}",
        rule("CONVERT", BUSYBOX, ALPINE),
        rule("CONVERT", ALPINE, BUSYBOX)
    );
    let expected = Err(PolicyRefusal::Endless {
        identifier: BUSYBOX.to_owned(),
    });
    assert_eq!(evaluated(&policy(&circle), BUSYBOX), expected);
    // One that changes nothing is no conversion.
    let itself = rule("CONVERT", BUSYBOX, BUSYBOX);
    assert_eq!(evaluated(&policy(&itself), BUSYBOX), Ok(BUSYBOX.to_owned()));
}

#[test]
fn attributes_are_asked_about_and_set() {
    let url = "https://example.org/x";
    let text = r#"{"version": 1, "rules": [
        {"action": "CONVERT", "selector": {"identifier": "https://example.org/*", "matchType": "WILDCARD"},
         "updates": {"attrs": {"http.checksum": "sha256:12"}}},
        {"action": 1, "selector": {"identifier": "https://example.org/x", "match_type": 1, "constraints": [
            {"key": "http.checksum", "value": "sha256:12", "condition": "NOTEQUAL"}]}}]}"#;
    let pinned = SourcePolicy::parse(text.as_bytes()).unwrap();
    let source = pinned.evaluate(PolicySource::new(url)).unwrap();
    let checksum = source.attributes.get("http.checksum").map(String::as_str);
    assert_eq!(
        (source.identifier.as_str(), checksum),
        (url, Some("sha256:12"))
    );
}

#[test]
fn documents_that_are_not_understood_are_refused_and_not_guessed_at() {
    let selector = r#""selector": {"identifier": "x"}"#;
    for (text, expected) in [
        ("{", "read the source policy"),
        (r#"{"rule": []}"#, "read the source policy"),
        (
            r#"{"version": 2}"#,
            "the source policy has version 2; 1 is supported",
        ),
        (
            &format!(
                r#"{{"rules": [{{"action": "ALLOW", {selector}}}, {{"action": "deny", {selector}}}]}}"#
            ),
            "rule 2 of the source policy: `deny` is no action: `ALLOW`, `DENY`, `CONVERT`",
        ),
        (
            &format!(r#"{{"rules": [{{"action": "CONVERT", {selector}}}]}}"#),
            "rule 1 of the source policy converts and has no `updates`",
        ),
        (
            r#"{"rules": [{"selector": {"identifier": "x.*", "matchType": "REGEX"}}]}"#,
            "rule 1 of the source policy has a regular expression, which is not supported: \
             `WILDCARD` and `EXACT` are",
        ),
        (
            r#"{"rules": [{"selector": {"identifier": "x", "constraints": [{"key": "a", "condition": 2}]}}]}"#,
            "rule 1 of the source policy has a regular expression, which is not supported: \
             `WILDCARD` and `EXACT` are",
        ),
        (
            r#"{"rules": [{"selector": {"identifier": "x**"}}]}"#,
            "rule 1 of the source policy: `**` in `x**` means nothing; `*` is any text",
        ),
    ] {
        let error = SourcePolicy::parse(text.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), expected, "{text}");
    }
}
