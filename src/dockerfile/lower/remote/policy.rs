//! The source policy, asked about what servers have.
//!
//! The names of sources and attributes are BuildKit's (`solver/pb/attr.go`, `client/llb/source.go`): a file is its URL,
//! a repository is `git://HOST/PATH#REFERENCE:SUBDIRECTORY` with its whole URL as an attribute.

use graph::userinfo::without_secret;
use graph::{GitSource, HttpSource, PolicySource, SourcePolicy};
use oci::Digest;

use crate::ast::Word;
use crate::diagnostic::Diagnostic;
use crate::lower::Lowered;

const HTTP_CHECKSUM: &str = "http.checksum";
const GIT_URL: &str = "git.fullurl";
const GIT_CHECKSUM: &str = "git.checksum";

/// Returns the file that is fetched in the place of one.
pub(crate) fn http(policy: &SourcePolicy, source: HttpSource, word: &Word) -> Lowered<HttpSource> {
    let mut asked = PolicySource::new(source.url.clone());
    if let Some(checksum) = &source.checksum {
        let attributes = &mut asked.attributes;
        attributes.insert(HTTP_CHECKSUM.to_owned(), checksum.to_string());
    }
    let Some(allowed) = evaluate(policy, &asked, word)? else {
        return Ok(source);
    };
    if !super::files::is_http(&allowed.identifier) {
        return Err(no_source(&allowed, "URL", word));
    }
    let checksum = allowed.attributes.get(HTTP_CHECKSUM);
    let checksum = checksum.map(|text| Digest::parse(text)).transpose();
    Ok(HttpSource {
        checksum: checksum.map_err(|error| {
            let title = format!("the source policy sets a checksum: {error}");
            vec![Diagnostic::error(title, word.span)]
        })?,
        url: allowed.identifier,
    })
}

/// Returns the repository that is fetched in the place of one.
pub(crate) fn git(policy: &SourcePolicy, source: GitSource, word: &Word) -> Lowered<GitSource> {
    let mut asked = PolicySource::new(identifier(&source));
    let attributes = &mut asked.attributes;
    attributes.insert(GIT_URL.to_owned(), source.remote.clone());
    if let Some(checksum) = &source.checksum {
        attributes.insert(GIT_CHECKSUM.to_owned(), checksum.clone());
    }
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
    Ok(GitSource {
        remote: attribute(GIT_URL).unwrap_or(source.remote),
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
        without_secret(&allowed.identifier)
    );
    vec![Diagnostic::error(title, word.span)]
}

/// Returns what policies call a repository: `git://HOST/PATH#REFERENCE:SUBDIRECTORY`.
pub fn identifier(source: &GitSource) -> String {
    let remote = &source.remote;
    let place = match remote.split_once("://") {
        Some((_, rest)) => rest.to_owned(),
        // `git@host:path`, where no number is behind the colon.
        None => remote.replacen(':', "/", 1),
    };
    let end = place.find('/').unwrap_or(place.len());
    let (authority, path) = place.split_at(end);
    let host = authority.rsplit('@').next().unwrap_or_default();
    let reference = source.reference.as_deref().unwrap_or_default();
    let fragment = match source.subdirectory.as_deref() {
        Some(subdirectory) => format!("{reference}:{subdirectory}"),
        None => reference.to_owned(),
    };
    let mark = if fragment.is_empty() { "" } else { "#" };
    format!("git://{host}{path}{mark}{fragment}")
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
    fn a_repository_has_one_name_for_policies() {
        for (url, expected) in [
            ("https://u:p@e.com/o/r.git", "git://e.com/o/r.git"),
            ("ssh://git@e.com:22/r#v1:sub", "git://e.com:22/r#v1:sub"),
            (
                "git@e.com:o/r.git?tag=v1",
                "git://e.com/o/r.git#refs/tags/v1",
            ),
            ("https://e.com/r.git#:sub", "git://e.com/r.git#:sub"),
        ] {
            assert_eq!(identifier(&repository(url)), expected, "{url}");
        }
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
}
