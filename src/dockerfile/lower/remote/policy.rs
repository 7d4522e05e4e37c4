//! The source policy, asked about what servers have.
//!
//! The names of sources ([`graph::policy`]) have no user and no password. What a rule leaves as it is keeps its own.

use graph::policy::{GIT_CHECKSUM, GIT_URL, HTTP_CHECKSUM};
use graph::{GitSource, HttpSource, PolicySource, SourcePolicy};
use oci::Digest;

use crate::ast::Word;
use crate::diagnostic::Diagnostic;
use crate::lower::{Lowered, files};

/// Returns the file that is fetched in the place of one.
pub(crate) fn http(policy: &SourcePolicy, source: HttpSource, word: &Word) -> Lowered<HttpSource> {
    let asked = source.policy_source();
    let Some(allowed) = evaluate(policy, &asked, word)? else {
        return Ok(source);
    };
    if !files::is_http(&allowed.identifier) {
        return Err(no_source(&allowed, "URL", word));
    }
    let checksum = allowed.attributes.get(HTTP_CHECKSUM);
    let checksum = checksum.map(|text| Digest::parse(text)).transpose();
    Ok(HttpSource {
        checksum: checksum.map_err(|error| {
            let title = format!("the source policy sets a checksum: {error}");
            vec![Diagnostic::error(title, word.span)]
        })?,
        url: if allowed.identifier == asked.identifier {
            source.url
        } else {
            allowed.identifier
        },
    })
}

/// Returns the repository that is fetched in the place of one.
pub(crate) fn git(policy: &SourcePolicy, source: GitSource, word: &Word) -> Lowered<GitSource> {
    let asked = source.policy_source();
    let Some(allowed) = evaluate(policy, &asked, word)? else {
        return Ok(source);
    };
    if !allowed.identifier.starts_with("git://") {
        return Err(no_source(&allowed, "git repository", word));
    }
    let fragment = allowed.identifier.split_once('#');
    let fragment = fragment.map_or("", |(_, fragment)| fragment);
    let (reference, subdirectory) = fragment.split_once(':').unwrap_or((fragment, ""));
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let attribute = |name| allowed.attributes.get(name).cloned();
    let remote = attribute(GIT_URL).filter(|url| asked.attributes.get(GIT_URL) != Some(url));
    Ok(GitSource {
        remote: remote.unwrap_or(source.remote),
        reference: given(reference),
        subdirectory: given(subdirectory),
        checksum: attribute(GIT_CHECKSUM),
        ..source
    })
}

/// Returns what the policy puts in the place of a source, if it does.
fn evaluate(
    policy: &SourcePolicy,
    asked: &PolicySource,
    word: &Word,
) -> Lowered<Option<PolicySource>> {
    let allowed = policy.evaluate(asked.clone()).map_err(|refusal| {
        let error = Diagnostic::error(refusal.to_string(), word.span);
        vec![error.with_label("not allowed")]
    })?;
    Ok((allowed != *asked).then_some(allowed))
}

fn no_source(allowed: &PolicySource, kind: &str, word: &Word) -> Vec<Diagnostic> {
    let title = format!(
        "the source policy puts `{}` in the place of this, which is no {kind}",
        allowed.identifier
    );
    vec![Diagnostic::error(title, word.span)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::giturl::parse_git_url;
    use crate::source::{Span, Spanned};

    fn word() -> Word {
        Spanned::new(String::new(), Span { start: 0, end: 0 })
    }

    fn policy(rules: &str) -> SourcePolicy {
        SourcePolicy::parse(format!("{{\"rules\": [{rules}]}}").as_bytes()).unwrap()
    }

    fn repository(url: &str) -> GitSource {
        parse_git_url(url).unwrap().unwrap().source()
    }

    #[test]
    fn what_is_denied_is_refused_at_its_word() {
        let policy = policy(
            r#"{"action": "DENY", "selector": {"identifier": "https://e.com/*"}},
               {"action": "DENY", "selector": {"identifier": "git://e.com/*"}}"#,
        );
        let file = HttpSource {
            url: "https://e.com/f".to_owned(),
            checksum: None,
        };
        let refused = http(&policy, file, &word()).unwrap_err();
        assert_eq!(
            refused[0].title,
            "source `https://e.com/f` denied by policy (rule 1)"
        );
        let refused = git(&policy, repository("https://e.com/r.git"), &word()).unwrap_err();
        assert_eq!(
            refused[0].title,
            "source `git://e.com/r.git` denied by policy (rule 2)"
        );
    }

    #[test]
    fn what_is_converted_is_fetched_from_elsewhere() {
        let digest = Digest::of(b"x");
        let policy = policy(&format!(
            r#"{{"action": "CONVERT", "selector": {{"identifier": "https://e.com/*"}},
                 "updates": {{"identifier": "https://mirror/$1", "attrs": {{"http.checksum": "{digest}"}}}}}},
               {{"action": "CONVERT", "selector": {{"identifier": "git://e.com/r.git#v1"}},
                 "updates": {{"identifier": "git://mirror/r.git#v2:sub", "attrs": {{"git.fullurl": "https://mirror/r.git"}}}}}}"#,
        ));
        let file = HttpSource {
            url: "https://e.com/f".to_owned(),
            checksum: None,
        };
        let expected = HttpSource {
            url: "https://mirror/f".to_owned(),
            checksum: Some(digest),
        };
        assert_eq!(http(&policy, file, &word()), Ok(expected));
        let found = git(&policy, repository("https://e.com/r.git#v1"), &word()).unwrap();
        assert_eq!(found, repository("https://mirror/r.git#v2:sub"));
    }

    #[test]
    fn what_is_only_pinned_is_fetched_from_where_it_was_with_its_user() {
        let digest = Digest::of(b"x");
        let policy = policy(&format!(
            r#"{{"action": "CONVERT", "selector": {{"identifier": "https://e.com/*"}},
                 "updates": {{"attrs": {{"http.checksum": "{digest}"}}}}}},
               {{"action": "CONVERT", "selector": {{"identifier": "git://e.com/r.git#v1"}},
                 "updates": {{"attrs": {{"git.checksum": "12ab"}}}}}}"#,
        ));
        let url = "https://u:p@e.com/f".to_owned();
        let file = HttpSource {
            url,
            checksum: None,
        };
        let pinned = HttpSource {
            checksum: Some(digest),
            ..file.clone()
        };
        assert_eq!(http(&policy, file, &word()), Ok(pinned));
        let whole = repository("https://u:p@e.com/r.git#v1");
        let pinned = GitSource {
            checksum: Some("12ab".to_owned()),
            ..whole.clone()
        };
        assert_eq!(git(&policy, whole, &word()), Ok(pinned));
    }
}
