//! Names without a registry: aliases, and the registries that such names may be of.

use oci::Reference;
use oci::reference::ReferenceError;

use super::registries_conf::RegistriesConf;

/// Why a name does not say which image is meant.
#[derive(Debug, thiserror::Error)]
pub enum NameError {
    /// It is no name.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// It names no registry, and several are configured to be searched.
    #[error(
        "`{text}` names no registry, and `unqualified-search-registries` has several: {}", listed(.candidates)
    )]
    Ambiguous {
        /// The name.
        text: String,
        /// What may be meant.
        candidates: Vec<String>,
    },
}

fn listed(candidates: &[String]) -> String {
    let quoted: Vec<_> = candidates.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

impl RegistriesConf {
    /// Returns the normal form of a name as people write it.
    pub(crate) fn named(&self, text: &str) -> Result<Reference, NameError> {
        let normal = Reference::parse(text)?;
        let Some(short) = short(text, &normal) else {
            return Ok(normal);
        };
        if let Some(Some(target)) = self.aliases.get(short.name) {
            return Ok(Reference::parse(&format!("{target}{}", short.suffix))?);
        }
        match self.search.as_deref() {
            None | Some([]) => Ok(normal),
            Some([only]) => Ok(Reference::parse(&format!("{only}/{text}"))?),
            Some(several) => Err(NameError::Ambiguous {
                text: text.to_owned(),
                candidates: several
                    .iter()
                    .map(|host| format!("{host}/{text}"))
                    .collect(),
            }),
        }
    }
}

/// A name without a registry.
struct Short<'a> {
    name: &'a str,
    /// The tag and the digest.
    suffix: &'a str,
}

/// Splits a name that has no registry; one that has is none.
fn short<'a>(text: &'a str, normal: &Reference) -> Option<Short<'a>> {
    let literal = Reference::parse_literal(text).ok()?;
    let has_registry = text
        .strip_prefix(normal.domain())
        .is_some_and(|rest| rest.starts_with('/'))
        || text.starts_with("index.docker.io/");
    if has_registry {
        return None;
    }
    let name = literal.name();
    let suffix = text.strip_prefix(&name)?;
    Some(Short {
        name: text.strip_suffix(suffix)?,
        suffix,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conf(search: Option<&[&str]>) -> RegistriesConf {
        let alias =
            |name: &str, target: &str| (name.to_owned(), Some(Reference::parse(target).unwrap()));
        let mut conf = RegistriesConf::default();
        conf.search = search.map(|list| list.iter().map(|&s| s.to_owned()).collect());
        conf.aliases = [
            alias("fedora", "registry.fedoraproject.org/fedora"),
            alias("team/tool", "r.example/team/tool"),
            ("back".to_owned(), None),
        ]
        .into();
        conf
    }

    #[test]
    fn aliases_go_before_the_registries_that_are_searched_and_those_before_docker_hub() {
        let cases = [
            (None, "busybox", "docker.io/library/busybox"),
            (None, "team/app:1", "docker.io/team/app:1"),
            (None, "fedora:41", "registry.fedoraproject.org/fedora:41"),
            (None, "team/tool", "r.example/team/tool"),
            (None, "back", "docker.io/library/back"),
            (None, "docker.io/fedora", "docker.io/library/fedora"),
            (None, "index.docker.io/fedora", "docker.io/library/fedora"),
            (None, "localhost/fedora", "localhost/fedora"),
            (Some(&["q.example"][..]), "busybox", "q.example/busybox"),
            (Some(&["q.example"]), "team/app:1", "q.example/team/app:1"),
            (Some(&["docker.io"]), "busybox", "docker.io/library/busybox"),
            (
                Some(&["q.example"]),
                "fedora",
                "registry.fedoraproject.org/fedora",
            ),
            (Some(&["q.example"]), "r.example/x", "r.example/x"),
            (
                Some(&["a.example", "b.example"]),
                "r.example/x",
                "r.example/x",
            ),
            (
                Some(&["a.example", "b.example"]),
                "fedora",
                "registry.fedoraproject.org/fedora",
            ),
            (Some(&[]), "busybox", "docker.io/library/busybox"),
        ];
        for (search, text, expected) in cases {
            let named = conf(search).named(text).unwrap();
            assert_eq!(named.to_string(), expected, "{text}");
        }
    }

    #[test]
    fn a_name_that_may_be_of_several_registries_is_refused_with_what_may_be_meant() {
        let error = conf(Some(&["a.example", "docker.io"]))
            .named("team/app:1")
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "`team/app:1` names no registry, and `unqualified-search-registries` has several: \
             `a.example/team/app:1`, `docker.io/team/app:1`"
        );
    }
}
