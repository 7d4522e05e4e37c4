//! Which entries there are, asked of GitHub's API once in place of the cache service for each of them
//! ("REST API endpoints for GitHub Actions cache", "List GitHub Actions caches for a repository").

use std::collections::BTreeSet;

use fetch::{Credentials, Method, Request};
use serde::Deserialize;

use crate::answer::{json, refused};
use crate::error::Failure;
use crate::key;
use crate::limits::PAGES_MAX;
use crate::session::{Session, unsound};
use crate::settings::Listing;

/// How many entries are on a page: the most that can be asked for.
const PAGE_ENTRIES: usize = 100;

#[derive(Deserialize)]
struct Page {
    actions_caches: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    key: String,
    #[serde(rename = "ref", default)]
    branch: String,
    #[serde(default)]
    version: String,
}

/// Returns the keys of all blobs that the job can read.
pub(crate) fn blobs(session: &Session, listing: &Listing) -> Result<BTreeSet<String>, Failure> {
    let branches = session.settings.token.read();
    let version = key::version();
    let is_ours = |entry: &Entry| {
        let is_readable = branches == [""] || branches.contains(&entry.branch.as_str());
        is_readable && entry.version == version && entry.key.starts_with(key::BLOBS)
    };
    let mut keys = BTreeSet::new();
    for number in 1..=PAGES_MAX {
        let page = page(session, listing, number)?;
        let count = page.actions_caches.len();
        let ours = page.actions_caches.into_iter().filter(is_ours);
        keys.extend(ours.map(|entry| entry.key));
        if count < PAGE_ENTRIES {
            break;
        }
    }
    Ok(keys)
}

fn page(session: &Session, listing: &Listing, number: u32) -> Result<Page, Failure> {
    let rest = format!("repos/{}/actions/caches", listing.repository);
    let url = listing.api.below(&rest).map_err(unsound)?;
    let url = url
        .with_field("key", key::BLOBS)
        .with_field("per_page", &PAGE_ENTRIES.to_string())
        .with_field("page", &number.to_string());
    let credentials = Credentials::bearer(listing.api.origin(), &listing.token);
    let request = Request::new(Method::Get, url)
        .credentials(credentials)
        .header("accept", "application/vnd.github+json")
        .header("x-github-api-version", "2022-11-28");
    let mut response = session.ask(&request, None)?;
    match response.status() {
        200 => json(&mut response, "a list of entries that is malformed"),
        _ => Err(refused(response, "")),
    }
}
