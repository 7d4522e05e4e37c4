//! Repositories, tags, referrers (distribution-spec, "Content Discovery").

use oci::Digest;
use oci::descriptor::{new_index, to_canonical_json};
use oci::media_type::OCI_INDEX;
use serde_json::json;

use super::{Registry, unknown_repository};
use crate::http::{Content, Head, Response, number};
use crate::refusal::{Code, Refusal};

/// A part of a list, and whether it goes on.
#[derive(Debug, PartialEq, Eq)]
struct Page {
    names: Vec<String>,
    /// The number and the name with which the next part is asked for.
    next: Option<(usize, String)>,
}

impl Registry {
    pub(super) fn list_repositories(&self, head: &Head) -> Result<Response, Refusal> {
        let page = Page::asked_for(head, self.storage.repositories())?;
        let response = Response::new(200).json(&json!({ "repositories": page.names }));
        Ok(page.link("/v2/_catalog", response))
    }

    pub(super) fn list_tags(&self, head: &Head, name: &str) -> Result<Response, Refusal> {
        let tags = self
            .storage
            .tags(name)
            .ok_or_else(|| unknown_repository(name))?;
        let page = Page::asked_for(head, tags)?;
        let response = Response::new(200).json(&json!({ "name": name, "tags": page.names }));
        Ok(page.link(&format!("/v2/{name}/tags/list"), response))
    }

    /// A repository that is not there has no referrers: the specification wants no 404 here, which would say
    /// that this registry cannot list any.
    pub(super) fn list_referrers(&self, head: &Head, name: &str, subject: &Digest) -> Response {
        let wanted = head
            .query
            .get("artifactType")
            .filter(|text| !text.is_empty());
        let mut index = new_index(self.storage.referrers(name, subject, wanted));
        index.set_media_type(Some(OCI_INDEX.into()));
        let response = Response::new(200)
            .header("Content-Type", OCI_INDEX)
            .content(Content::Bytes(to_canonical_json(&index)));
        match wanted {
            Some(_) => response.header("OCI-Filters-Applied", "artifactType"),
            None => response,
        }
    }
}

impl Page {
    /// Takes the part of a sorted list that a client asks for.
    fn asked_for(head: &Head, all: Vec<String>) -> Result<Self, Refusal> {
        let limit = match head.query.get("n") {
            None => None,
            Some(text) => {
                let message = || format!("`{text}` is no number of names");
                let count = number(text).and_then(|count| usize::try_from(count).ok());
                Some(count.ok_or_else(|| Refusal::new(400, Code::Unsupported, message()))?)
            }
        };
        let last = head.query.get("last").unwrap_or_default();
        Ok(Self::after(all, last, limit))
    }

    fn after(all: Vec<String>, last: &str, limit: Option<usize>) -> Self {
        let rest = all.into_iter().filter(|name| name.as_str() > last);
        let Some(limit) = limit else {
            return Self {
                names: rest.collect(),
                next: None,
            };
        };
        let mut names: Vec<_> = rest.take(limit.saturating_add(1)).collect();
        let goes_on = names.len() > limit;
        names.truncate(limit);
        // Nothing was asked for, and so is there nothing to go on with.
        let next = names
            .last()
            .filter(|_| goes_on)
            .map(|name| (limit, name.clone()));
        Self { names, next }
    }

    /// Adds where the list goes on (RFC 8288). The characters of names and tags mean nothing in a URL but the
    /// slash, which may stand in a query (RFC 3986, section 3.4).
    fn link(&self, path: &str, response: Response) -> Response {
        match &self.next {
            Some((limit, last)) => {
                let link = format!("<{path}?n={limit}&last={last}>; rel=\"next\"");
                response.header("Link", link)
            }
            None => response,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_what_follows_and_says_whether_there_is_more() {
        let all = || ["a", "b", "c"].map(str::to_owned).to_vec();
        for (last, limit, names, next) in [
            ("", None, "abc", None),
            ("a", None, "bc", None),
            ("", Some(2), "ab", Some((2, "b"))),
            ("b", Some(2), "c", None),
            ("", Some(3), "abc", None),
            ("", Some(0), "", None),
            ("aa", Some(1), "b", Some((1, "b"))),
            ("z", Some(1), "", None),
        ] {
            let page = Page::after(all(), last, limit);
            assert_eq!(page.names.concat(), names, "{last} {limit:?}");
            let next = next.map(|(limit, name)| (limit, name.to_owned()));
            assert_eq!(page.next, next, "{last} {limit:?}");
        }
    }
}
