//! What a token allows: `repository:team/app:pull,push` (distribution, "Token Scope").

use std::collections::{BTreeMap, BTreeSet};

use crate::host::Access;

/// What a token is to allow, in one order: each resource with what is done to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Scopes(BTreeMap<String, BTreeSet<String>>);

impl Scopes {
    /// Returns what an access to a repository needs.
    pub(crate) fn of(repository: &str, access: Access) -> Self {
        let mut scopes = Self::default();
        scopes.add(repository, access);
        scopes
    }

    /// Adds what an access to another repository needs.
    pub(crate) fn add(&mut self, repository: &str, access: Access) {
        let actions: &[&str] = match access {
            Access::Resolve | Access::Pull => &["pull"],
            Access::Push => &["pull", "push"],
        };
        let known = self
            .0
            .entry(format!("repository:{repository}"))
            .or_default();
        known.extend(actions.iter().map(|&action| action.to_owned()));
    }

    /// Adds what a challenge says is needed: scopes with spaces between them.
    pub(crate) fn add_text(&mut self, text: &str) {
        for scope in text.split_ascii_whitespace() {
            // The name may have a colon of its own, before a port.
            let Some((resource, actions)) = scope.rsplit_once(':') else {
                continue;
            };
            let known = self.0.entry(resource.to_owned()).or_default();
            let actions = actions.split(',').filter(|action| !action.is_empty());
            known.extend(actions.map(str::to_owned));
        }
    }

    /// Returns the scopes as a token server is asked for them.
    pub(crate) fn texts(&self) -> Vec<String> {
        let text = |(resource, actions): (&String, &BTreeSet<String>)| {
            let actions: Vec<_> = actions.iter().map(String::as_str).collect();
            format!("{resource}:{}", actions.join(","))
        };
        self.0.iter().map(text).collect()
    }
}

impl Scopes {
    /// Returns the scopes as users see them: `team/app:pull,push`.
    pub(crate) fn shown(&self) -> String {
        let texts = self.texts();
        let texts: Vec<_> = texts
            .iter()
            .map(|text| text.strip_prefix("repository:").unwrap_or(text))
            .collect();
        texts.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_merged_and_in_one_order() {
        let mut scopes = Scopes::of("b", Access::Push);
        scopes.add("a", Access::Pull);
        scopes.add_text(
            "repository:b:delete,pull registry:catalog:* broken repository(plugin):h:1/x:pull",
        );
        assert_eq!(
            scopes.texts(),
            [
                "registry:catalog:*",
                "repository(plugin):h:1/x:pull",
                "repository:a:pull",
                "repository:b:delete,pull,push",
            ]
        );
        assert_eq!(
            scopes.shown(),
            "registry:catalog:* repository(plugin):h:1/x:pull a:pull b:delete,pull,push"
        );
    }
}
