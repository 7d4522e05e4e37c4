//! What was found in a store, for people and as JSON.

use std::path::Path;

use serde::Serialize;
use store::{Checked, Damage, Part};
use template::columns::Columns;

use crate::human;

/// What was found, as JSON.
#[derive(Debug, Serialize)]
pub(super) struct Found {
    store: String,
    whole: bool,
    checked: Vec<Looked>,
    compared_snapshots: u64,
    damage: Vec<Told>,
}

/// How much of one part was looked at.
#[derive(Debug, Serialize)]
struct Looked {
    part: &'static str,
    count: u64,
    bytes: u64,
}

/// One thing that is wrong.
#[derive(Debug, Serialize)]
struct Told {
    part: &'static str,
    place: String,
    wrong: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mended: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why_not: Option<String>,
}

impl Found {
    pub(super) fn new(checked: &Checked, store: &Path) -> Self {
        let looked = checked.extents.iter().map(|(part, extent)| Looked {
            part: part.as_str(),
            count: extent.count,
            bytes: extent.bytes,
        });
        Self {
            store: store.display().to_string(),
            whole: checked.is_whole(),
            checked: looked.collect(),
            compared_snapshots: checked.compared,
            damage: checked.damage.iter().map(Told::new).collect(),
        }
    }
}

impl Told {
    fn new(damage: &Damage) -> Self {
        Self {
            part: damage.part.as_str(),
            place: damage.place.clone(),
            wrong: damage.wrong.to_string(),
            mended: damage.mended.map(|mended| mended.to_string()),
            why_not: damage.why_not.clone(),
        }
    }
}

/// Returns a table of what is wrong, and a line that says what was looked at.
pub(super) fn table(checked: &Checked, store: &Path, is_repair: bool) -> String {
    let mut text = String::new();
    if !checked.damage.is_empty() {
        let mut rows = String::from("PART\tWHAT IS DONE\tPLACE\tWHAT IS WRONG\n");
        for damage in &checked.damage {
            rows += &row(damage);
        }
        text += &Columns::DOCKER.lay_out(&rows);
        text.push('\n');
    }
    text += &summary(checked, store, is_repair);
    text
}

fn row(damage: &Damage) -> String {
    let done = match (damage.mended, &damage.why_not) {
        (Some(mended), _) => mended.to_string(),
        (None, Some(_)) => "cannot be mended".to_owned(),
        (None, None) => "nothing".to_owned(),
    };
    let why_not = damage.why_not.as_ref();
    let why_not = why_not.map_or_else(String::new, |why| format!(" ({why})"));
    let wrong = format!("{}{why_not}", damage.wrong);
    // Whoever can write here can put what drives a terminal into a name.
    let place = damage.place.escape_debug();
    format!("{}\t{done}\t{place}\t{}\n", damage.part, plain(&wrong))
}

/// Returns a text without what is not shown as it is.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn summary(checked: &Checked, store: &Path, is_repair: bool) -> String {
    let mut parts: Vec<String> = Vec::new();
    for (part, extent) in &checked.extents {
        let plural = if extent.count == 1 { "" } else { "s" };
        let size = match part {
            Part::Blob => format!(" ({})", human::size(extent.bytes, 4)),
            Part::Snapshot if checked.compared > 0 => {
                format!(" ({} compared with their layers)", checked.compared)
            }
            _ => String::new(),
        };
        parts.push(format!("{} {part}{plural}{size}", extent.count));
    }
    let looked = match parts.as_slice() {
        [] => "nothing is in it".to_owned(),
        parts => format!("{} looked at", parts.join(", ")),
    };
    let mended = checked.damage.iter().filter(|one| one.mended.is_some());
    let verdict = match (checked.damage.len(), mended.count()) {
        (0, _) => "everything is whole".to_owned(),
        (count, 0) => format!("{count} damaged"),
        (count, mended) => format!("{count} damaged, {mended} of them mended"),
    };
    let mut text = format!("{}: {looked}; {verdict}.\n", store.display());
    if !checked.damage.is_empty() && !is_repair {
        text += "`careen fsck --repair` mends what can be mended.\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use store::{Extent, Mended, Wrong};

    use super::*;

    fn found() -> Checked {
        let mut checked = Checked::default();
        let extent = |count, bytes| Extent { count, bytes };
        checked.extents.insert(Part::Blob, extent(2, 7_800_000));
        checked.extents.insert(Part::Image, extent(1, 0));
        checked
    }

    #[test]
    fn it_is_said_how_many_snapshots_were_compared() {
        let mut checked = found();
        let extent = Extent { count: 3, bytes: 0 };
        checked.extents.insert(Part::Snapshot, extent);
        checked.compared = 2;
        let expected = "3 snapshots (2 compared with their layers)";
        let text = table(&checked, Path::new("/s"), false);
        assert!(text.contains(expected), "{text}");
        checked.compared = 0;
        let text = table(&checked, Path::new("/s"), false);
        assert!(text.contains("3 snapshots, 1 image"), "{text}");
    }

    fn damage(part: Part, place: &str, wrong: Wrong) -> Damage {
        Damage {
            part,
            place: place.to_owned(),
            wrong,
            mended: None,
            why_not: None,
        }
    }

    #[test]
    fn a_store_that_is_whole_is_one_line() {
        assert_eq!(
            table(&found(), Path::new("/s"), false),
            "/s: 2 blobs (7.8MB), 1 image looked at; everything is whole.\n"
        );
        assert_eq!(
            table(&Checked::default(), Path::new("/s"), true),
            "/s: nothing is in it; everything is whole.\n"
        );
    }

    #[test]
    fn damage_is_a_table_and_names_drive_no_terminal() {
        let mut checked = found();
        checked.damage = vec![
            damage(Part::Record, "records/\u{1b}[2J", Wrong::Damaged),
            Damage {
                mended: Some(Mended::ModeSet),
                ..damage(Part::Blob, "b", Wrong::Mode(0o644))
            },
            Damage {
                why_not: Some("a build uses it".to_owned()),
                ..damage(Part::Snapshot, "s", Wrong::NoMark)
            },
        ];
        assert_eq!(
            table(&checked, Path::new("/s"), false),
            concat!(
                "PART       WHAT IS DONE       PLACE               WHAT IS WRONG\n",
                "record     nothing            records/\\u{1b}[2J   it was changed or cut off\n",
                "blob       mode set           b                   its mode is 0644\n",
                "snapshot   cannot be mended   s                   it has no intact mark that it is complete ",
                "(a build uses it)\n\n",
                "/s: 2 blobs (7.8MB), 1 image looked at; 3 damaged, 1 of them mended.\n",
                "`careen fsck --repair` mends what can be mended.\n",
            )
        );
        assert!(table(&checked, Path::new("/s"), true).ends_with(" 1 of them mended.\n"));
    }

    #[test]
    fn the_same_is_said_as_json() {
        let mut checked = found();
        checked.damage = vec![Damage {
            mended: Some(Mended::Removed),
            ..damage(Part::Hint, "hints/a", Wrong::Damaged)
        }];
        let text = serde_json::to_string(&Found::new(&checked, Path::new("/s"))).unwrap();
        assert_eq!(
            text,
            concat!(
                r#"{"store":"/s","whole":true,"checked":[{"part":"blob","count":2,"bytes":7800000},"#,
                r#"{"part":"image","count":1,"bytes":0}],"compared_snapshots":0,"damage":[{"part":"hint","place":"hints/a","#,
                r#""wrong":"it was changed or cut off","mended":"removed"}]}"#
            )
        );
    }
}
