//! Lists in pages: tags and repositories (distribution-spec, "Listing Tags"; distribution, "Catalog").

use std::collections::BTreeSet;

use fetch::{Method, Request, Response, Url};
use oci::limits::REPOSITORY_PATH_MAX_BYTES;
use serde::Deserialize;

use crate::answer::refused;
use crate::error::{Failure, RegistryError};
use crate::limits::{NAMES_MAX, PAGE_MAX_BYTES, PAGES_MAX};
use crate::repository::Repository;
use crate::scope::Scopes;
use crate::session::Session;

/// How many names are asked for at once.
const PAGE: &str = "1000";

/// The pages of a list, as the header `Link` leads from one to the next (RFC 8288).
pub(crate) struct Pages<'a> {
    session: &'a Session,
    next: Option<Url>,
    seen: BTreeSet<String>,
}

#[derive(Deserialize)]
struct TagsDocument {
    tags: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct CatalogDocument {
    repositories: Option<Vec<String>>,
}

impl Repository {
    /// Lists the tags, in the registry's order.
    ///
    /// # Errors
    ///
    /// Fails when the registry cannot be asked, or its list leads nowhere or is too long.
    pub fn tags(&self) -> Result<Vec<String>, RegistryError> {
        self.reading("list the tags", |_, session| {
            let pages = Pages::new(session, &format!("tags/list?n={PAGE}"))?;
            let names = |bytes: &[u8]| {
                let document: Result<TagsDocument, _> = serde_json::from_slice(bytes);
                document.map(|document| document.tags.unwrap_or_default())
            };
            all_names(pages, &self.scopes(session), names)
        })
    }

    /// Lists the repositories of the registry that this one is in, in the registry's order. Many registries do not
    /// say.
    ///
    /// # Errors
    ///
    /// Fails when the registry cannot be asked or does not say, or its list leads nowhere or is too long.
    pub fn catalog(&self) -> Result<Vec<String>, RegistryError> {
        self.reading("list the repositories", |_, session| {
            let pages = Pages::below(session, &format!("_catalog?n={PAGE}"))?;
            let mut scopes = Scopes::default();
            scopes.add_text("registry:catalog:*");
            let names = |bytes: &[u8]| {
                let document: Result<CatalogDocument, _> = serde_json::from_slice(bytes);
                document.map(|document| document.repositories.unwrap_or_default())
            };
            all_names(pages, &scopes, names)
        })
    }
}

fn all_names(
    mut pages: Pages<'_>,
    scopes: &Scopes,
    names: impl Fn(&[u8]) -> Result<Vec<String>, serde_json::Error>,
) -> Result<Vec<String>, Failure> {
    let mut all: Vec<String> = Vec::new();
    while let Some(request) = pages.next_request()? {
        let session = pages.session;
        let (response, bytes) = session.read(&request, scopes, "a list", PAGE_MAX_BYTES)?;
        if response.status() != 200 {
            return Err(refused(response));
        }
        let page =
            names(&bytes).map_err(|error| Failure::malformed("a list that is none", error))?;
        if !page.iter().all(|name| is_name(name)) {
            return Err(Failure::Malformed {
                what: "a list with a name that is none",
                source: None,
            });
        }
        all.extend(page);
        if all.len() > NAMES_MAX {
            return Err(Failure::Page {
                what: "one too many",
            });
        }
        pages.turn(&response)?;
    }
    Ok(all)
}

/// Tells whether a text can be the name of a tag or a repository. What follows is left to those who use it; here it is
/// kept from terminals, and from filling the memory.
fn is_name(text: &str) -> bool {
    (1..=REPOSITORY_PATH_MAX_BYTES).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic())
}

impl<'a> Pages<'a> {
    /// Begins with the first page of a list of the repository.
    pub(crate) fn new(session: &'a Session, rest: &str) -> Result<Self, Failure> {
        let first = session.request(Method::Get, rest)?.url().clone();
        Ok(Self::from(session, first))
    }

    /// Begins with the first page of a list of the registry.
    pub(crate) fn below(session: &'a Session, rest: &str) -> Result<Self, Failure> {
        let first = session.request_below(Method::Get, rest)?.url().clone();
        Ok(Self::from(session, first))
    }

    fn from(session: &'a Session, first: Url) -> Self {
        Self {
            session,
            next: Some(first),
            seen: BTreeSet::new(),
        }
    }

    /// Returns the request for the next page; none after the last one.
    pub(crate) fn next_request(&mut self) -> Result<Option<Request>, Failure> {
        let Some(url) = self.next.take() else {
            return Ok(None);
        };
        if !self.seen.insert(url.without_userinfo()) {
            return Err(Failure::Page {
                what: "one that was there before",
            });
        }
        if self.seen.len() > PAGES_MAX {
            return Err(Failure::Page {
                what: "one too many",
            });
        }
        self.session.request_at(Method::Get, &url).map(Some)
    }

    /// Goes on to the page that an answer leads to.
    pub(crate) fn turn(&mut self, response: &Response) -> Result<(), Failure> {
        let Some(link) = response.headers("link").into_iter().find_map(next_link) else {
            return Ok(());
        };
        let base = self.session.base()?;
        let next = response
            .url()
            .join(link)
            .map_err(|error| Failure::malformed("a link that is no URL", error))?;
        if next.origin() != base.origin() {
            return Err(Failure::Page {
                what: "at another host",
            });
        }
        self.next = Some(next);
        Ok(())
    }
}

/// Returns where a header `Link` leads that says `<URL>; rel="next"`.
pub fn next_link(header: &str) -> Option<&str> {
    let mut rest = header;
    loop {
        let (url, after) = rest.split_once('<')?.1.split_once('>')?;
        let end = after.find('<').unwrap_or(after.len());
        let (parameters, following) = after.split_at(end);
        let is_next = parameters.split([';', ',']).any(|parameter| {
            let mut parts = parameter.splitn(2, '=').map(str::trim);
            let is_relation = parts
                .next()
                .is_some_and(|name| name.eq_ignore_ascii_case("rel"));
            is_relation
                && parts
                    .next()
                    .is_some_and(|value| value.trim_matches('"') == "next")
        });
        if is_next {
            return Some(url);
        }
        rest = following;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_what_the_header_calls_so() {
        for (header, expected) in [
            (
                r#"</v2/x/tags/list?n=1&last=a>; rel="next""#,
                Some("/v2/x/tags/list?n=1&last=a"),
            ),
            (r#"<a>; rel="prev", <b>; rel=next"#, Some("b")),
            (r#"<a>; title="x"; REL="next""#, Some("a")),
            (r#"<a>; rel="last""#, None),
            ("a; rel=next", None),
            ("", None),
        ] {
            assert_eq!(next_link(header), expected, "{header}");
        }
    }
}
