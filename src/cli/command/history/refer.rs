//! Which build is meant: by its name or how that begins, by how many came after it, or the newest.

use crate::history::{BuildId, Entry};
use crate::report::{Kind, Report};

/// Why no build is meant.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum ReferError {
    /// There is none at all.
    #[error("no build is recorded here")]
    Nothing,
    /// There is none of the name.
    #[error("no record found for `{text}`")]
    Unknown { text: String },
    /// There are several.
    #[error("`{text}` may be {}", ids.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(" or "))]
    Ambiguous { text: String, ids: Vec<BuildId> },
}

/// Finds a build among all, the newest first.
pub(super) fn find(entries: &[Entry], text: Option<&str>) -> Result<Entry, Box<Report>> {
    let found = match text {
        None | Some("") => entries.first().ok_or(ReferError::Nothing),
        Some(text) => meant(entries, text),
    };
    found.cloned().map_err(|error| {
        let mut report = Report::new(Kind::User, &error);
        report.help = Some("`careen history ls` lists the builds that there are".to_owned());
        Box::new(report)
    })
}

fn meant<'a>(entries: &'a [Entry], text: &str) -> Result<&'a Entry, ReferError> {
    let unknown = || ReferError::Unknown {
        text: text.to_owned(),
    };
    if let Some(number) = text.strip_prefix('^') {
        let number = match number {
            "" => Ok(1),
            number => number.parse::<usize>(),
        };
        let entry = number.ok().and_then(|number| entries.get(number));
        return entry.ok_or_else(unknown);
    }
    let meant: Vec<_> = entries
        .iter()
        .filter(|entry| entry.id.is_meant(text))
        .collect();
    match meant.as_slice() {
        [] => Err(unknown()),
        [entry] => Ok(entry),
        several => Err(ReferError::Ambiguous {
            text: text.to_owned(),
            ids: several.iter().map(|entry| entry.id.clone()).collect(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: &str = "00000000002000000000-0123456789abcdef-aaaa000000000000000000001";
    const MIDDLE: &str = "00000000001000000000-0123456789abcdef-aaaa000000000000000000002";
    const OLD: &str = "00000000000000000000-0123456789abcdef-bbbb000000000000000000003";

    #[test]
    fn a_build_is_meant_by_its_name_or_its_place() {
        let entries = [NEW, MIDDLE, OLD].map(|name| Entry::at(name.into()).unwrap());
        let id = |name: &str| name.rsplit('-').next().unwrap().to_owned();
        for (text, expected) in [
            ("^0", Ok(NEW)),
            ("^", Ok(MIDDLE)),
            ("^1", Ok(MIDDLE)),
            ("^2", Ok(OLD)),
            ("^3", Err("no record found for `^3`")),
            ("^x", Err("no record found for `^x`")),
            ("b", Ok(OLD)),
            (&format!("careen/local/{}", id(MIDDLE)), Ok(MIDDLE)),
            (&id(NEW), Ok(NEW)),
            ("c", Err("no record found for `c`")),
            (
                "aaaa",
                Err("`aaaa` may be `aaaa000000000000000000001` or `aaaa000000000000000000002`"),
            ),
        ] {
            let found = meant(&entries, text).map(|entry| entry.id.to_string());
            let found = found.map_err(|error| error.to_string());
            assert_eq!(found, expected.map(id).map_err(str::to_owned), "{text}");
        }
        assert_eq!(
            find(&[], None).unwrap_err().title,
            "no build is recorded here"
        );
    }
}
