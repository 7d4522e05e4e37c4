//! `--allow`: what a Dockerfile may ask for that it gets only where the user agrees.

use std::collections::BTreeSet;

use dockerfile::stage::Entitlement;
use dockerfile::suggest;

use crate::args::NetworkArgument;

/// Entitlements that other builders have, for what nothing here asks for them. `device` may have a
/// value.
const OTHERS: [&str; 2] = ["device", "buildx.local.delete"];

/// Why an `--allow` cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum AllowError {
    /// There is no such entitlement.
    #[error("`--allow {text}`: there is no entitlement `{text}`{}", did_you_mean(near.as_ref()))]
    Unknown {
        /// What was typed.
        text: String,
        /// What was perhaps meant.
        near: Option<String>,
    },
    /// An entitlement of `buildx bake`, which builds have no use for.
    #[error("`--allow {text}`: `{name}` is for bake files; a build reaches what its flags name")]
    Bake {
        /// What was typed.
        text: String,
        /// The entitlement.
        name: &'static str,
    },
}

fn did_you_mean(near: Option<&String>) -> String {
    near.map(|near| format!("; did you mean `{near}`?"))
        .unwrap_or_default()
}

/// Returns what is allowed. `--network host` allows the same to the Dockerfile, as with buildx.
pub(super) fn entitlements(
    texts: &[String],
    network: Option<NetworkArgument>,
) -> Result<BTreeSet<Entitlement>, AllowError> {
    let mut allowed = BTreeSet::new();
    if network == Some(NetworkArgument::Host) {
        allowed.insert(Entitlement::NetworkHost);
    }
    for text in texts {
        allowed.extend(parse(text)?);
    }
    Ok(allowed)
}

fn parse(text: &str) -> Result<Option<Entitlement>, AllowError> {
    let mut known = Entitlement::ALL.into_iter();
    if let Some(found) = known.find(|entitlement| entitlement.name() == text) {
        return Ok(Some(found));
    }
    let name = text.split('=').next().unwrap_or_default();
    if OTHERS.contains(&text) || name == "device" {
        return Ok(None);
    }
    for name_of_bake in ["fs", "fs.read", "fs.write", "ssh"] {
        if name == name_of_bake {
            let (text, name) = (text.to_owned(), name_of_bake);
            return Err(AllowError::Bake { text, name });
        }
    }
    let names = Entitlement::ALL
        .iter()
        .map(|entitlement| entitlement.name());
    let near = suggest::nearest(name, names.chain(OTHERS)).map(str::to_owned);
    let text = text.to_owned();
    Err(AllowError::Unknown { text, near })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(texts: &[&str]) -> Result<Vec<Entitlement>, String> {
        let texts: Vec<String> = texts.iter().copied().map(str::to_owned).collect();
        entitlements(&texts, None)
            .map(|allowed| allowed.into_iter().collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn entitlements_have_the_names_of_buildkit() {
        let all = vec![Entitlement::NetworkHost, Entitlement::SecurityInsecure];
        assert_eq!(parsed(&["security.insecure", "network.host"]), Ok(all));
        assert_eq!(parsed(&[]), Ok(Vec::new()));
    }

    #[test]
    fn the_hosts_network_for_all_allows_it_to_each() {
        let allowed = entitlements(&[], Some(NetworkArgument::Host)).unwrap();
        assert_eq!(allowed, BTreeSet::from([Entitlement::NetworkHost]));
        assert!(
            entitlements(&[], Some(NetworkArgument::None))
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn what_nothing_here_asks_for_is_taken() {
        let texts = [
            "device",
            "device=vendor.com/gpu=all,alias=x",
            "buildx.local.delete",
        ];
        assert_eq!(parsed(&texts), Ok(Vec::new()));
    }

    #[test]
    fn what_is_no_entitlement_is_refused_with_the_near_one() {
        for (text, expected) in [
            (
                "network.hots",
                "`--allow network.hots`: there is no entitlement `network.hots`; did you mean \
                 `network.host`?",
            ),
            (
                "insecure",
                "`--allow insecure`: there is no entitlement `insecure`",
            ),
            ("", "`--allow `: there is no entitlement ``"),
            (
                "fs.read=/etc",
                "`--allow fs.read=/etc`: `fs.read` is for bake files; a build reaches what its \
                 flags name",
            ),
        ] {
            assert_eq!(parsed(&[text]), Err(expected.to_owned()));
        }
    }
}
