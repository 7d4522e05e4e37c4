//! The section "Beside its peers" of docs/performance.md, made from the record of one run of all of them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::checkout::Checkout;
use crate::finding::Finding;
use crate::markdown;

pub(crate) const PAGE: &str = "docs/performance.md";
const SECTION: &str = "Beside its peers";
/// What a run of the harness wrote with `--json`.
const RECORD: &str = "docs/performance/peers.json";
/// Seconds that the bare work of a workload takes, by the workload's name.
const FLOORS: &str = "docs/performance/floors.json";
const OURS: &str = "careen";
/// What careen may take of memory, over all its processes, in bytes.
const MEMORY_BYTES: f64 = 64_000_000.0;

/// What is asked of one workload.
struct Row {
    /// Its name in the record.
    workload: &'static str,
    /// Its name in the table.
    what: &'static str,
    /// What a time is divided by to be shown: the number of steps, where one step is meant.
    steps: f64,
    goals: &'static [Goal],
}

/// One thing that is asked of a workload.
enum Goal {
    /// At most so many seconds.
    Seconds(f64),
    /// At most so much of the best peer's time.
    OfBest(f64),
    /// At most so much of the bare work's time.
    OfFloor(f64),
    /// An output of at most so many bytes.
    Bytes(f64),
    /// Memory within its bound.
    Memory,
}

const ROWS: [Row; 24] = [
    row(
        "w1",
        "W1 20 cached `RUN` steps, no output",
        &[Goal::Seconds(0.015), Goal::OfBest(0.08), Goal::Memory],
    ),
    row(
        "w1x",
        "W1x the same, OCI layout, nothing new",
        &[Goal::Seconds(0.025), Goal::OfBest(0.1), Goal::Memory],
    ),
    Row {
        steps: 20.0,
        ..row(
            "w2e",
            "W2 20 × `RUN :`, each",
            &[Goal::Seconds(0.007), Goal::OfBest(0.12), Goal::Memory],
        )
    },
    row(
        "w2x",
        "W2x 20 × `RUN echo > f`, OCI layout",
        &[Goal::OfBest(0.15), Goal::Memory],
    ),
    row(
        "w3",
        "W3 `COPY` of 50,000 files, 200 MB, fresh store",
        &[Goal::OfBest(0.15), Goal::Memory],
    ),
    row(
        "w3r",
        "W3r the same, then a `RUN`",
        &[Goal::OfBest(0.75), Goal::Memory],
    ),
    row(
        "w3x",
        "W3x W3, OCI layout",
        &[Goal::OfBest(0.15), Goal::Memory],
    ),
    row(
        "w3n",
        "W3n W3 again, nothing changed",
        &[Goal::OfBest(0.15), Goal::Memory],
    ),
    row(
        "w3c",
        "W3c W3r again, one file of 50,000 changed",
        &[Goal::OfBest(0.1), Goal::Memory],
    ),
    row(
        "w4",
        "W4 `RUN` writes 1 GiB, OCI layout, gzip",
        &[Goal::OfBest(0.6), Goal::Bytes(555e6), Goal::Memory],
    ),
    row(
        "w4z",
        "W4z the same, zstd",
        &[Goal::OfBest(0.6), Goal::Memory],
    ),
    row(
        "w5d",
        "W5d Debian pulled and unpacked, and a `RUN`",
        &[Goal::OfBest(0.6)],
    ),
    row(
        "w5b",
        "W5b ten layers of 1.5 GB, 30,000 files, and a `RUN`",
        &[Goal::OfBest(0.6)],
    ),
    row(
        "w6",
        "W6 `apt-get install`, a gcc stage, `COPY`",
        &[Goal::OfFloor(1.1)],
    ),
    row(
        "w7a",
        "W7a 10 × `RUN echo`, amd64 and arm64 under QEMU",
        &[Goal::OfBest(0.2)],
    ),
    row(
        "w7b",
        "W7b a C program compiled for both",
        &[Goal::OfFloor(1.05)],
    ),
    row("w8", "W8 two platforms, first push", &[Goal::OfBest(0.5)]),
    row("w8r", "W8r pushed again, unchanged", &[Goal::OfBest(0.1)]),
    row(
        "w9",
        "W9 eight CPU-bound stages, `COPY --from` each",
        &[Goal::OfFloor(1.1)],
    ),
    row("w10a", "W10a 120 `RUN` layers", &[Goal::OfBest(0.12)]),
    row("w10aw", "W10aw the same, cached", &[Goal::OfBest(0.1)]),
    row("w10b", "W10b 300 chained stages", &[Goal::OfBest(0.1)]),
    row("w10bw", "W10bw the same, cached", &[Goal::OfBest(0.02)]),
    row(
        "w10c",
        "W10c a `RUN` makes 1,000,000 files, OCI layout",
        &[Goal::OfFloor(1.15)],
    ),
];

const fn row(workload: &'static str, what: &'static str, goals: &'static [Goal]) -> Row {
    Row {
        workload,
        what,
        steps: 1.0,
        goals,
    }
}

/// Finds out whether the page is as it would be made.
pub(crate) fn findings(checkout: &Checkout) -> Vec<Finding> {
    let found = markdown::section(checkout.text(PAGE), SECTION);
    match section(checkout) {
        Err(error) => vec![Finding::error(RECORD, error)],
        Ok(made) if found == Some(made.as_str()) => Vec::new(),
        Ok(_) => {
            let message =
                format!("\"{SECTION}\" is not what {RECORD} says; run `cargo xtask performance`");
            vec![Finding::error(PAGE, message)]
        }
    }
}

/// Returns the page with the section made anew.
pub(crate) fn renewed_page(checkout: &Checkout) -> Result<String, String> {
    let page = checkout.text(PAGE);
    let heading = format!("## {SECTION}");
    let parts = page.split_once(&heading).and_then(|(before, rest)| {
        let after = rest.strip_prefix(markdown::section(page, SECTION)?)?;
        Some((before, after))
    });
    let (before, after) = parts.ok_or_else(|| format!("{PAGE} has no section \"{SECTION}\""))?;
    Ok([before, &heading, &section(checkout)?, after].concat())
}

/// One workload as one builder did it.
#[derive(Debug, Default)]
struct Measured {
    wall_seconds: f64,
    peak_bytes: f64,
    out_bytes: f64,
    runs: u64,
}

/// What each builder did, by workload.
type Record = BTreeMap<String, BTreeMap<String, Measured>>;

fn section(checkout: &Checkout) -> Result<String, String> {
    let record = parse_record(checkout.text(RECORD))?;
    let floors = parse_floors(checkout.text(FLOORS))?;
    let rows = ROWS.iter().filter_map(|row| {
        let builders = record.get(row.workload)?;
        line(row, builders, floors.get(row.workload).copied())
    });
    let opening = format!(
        "\n\nMade by `cargo xtask performance` from [{RECORD}]({}), what the harness recorded; all of a row are from one run. A time is a median of as many \
         builds as the last column says, interleaved with those of the others; *best* is the quickest of them. *Floor* is \
         the bare work with no builder. Memory is the peak of all processes of careen together.\n\n",
        RECORD.trim_start_matches("docs/")
    );
    let head = "| What | careen | best | of best | floor | memory | output | to reach | | n |\n\
                | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";
    Ok([opening, head.to_owned()]
        .into_iter()
        .chain(rows)
        .chain(["\n".to_owned()])
        .collect())
}

fn parse_record(text: &str) -> Result<Record, String> {
    let entries: Vec<Value> =
        serde_json::from_str(text).map_err(|error| format!("is no list of results: {error}"))?;
    let mut record = Record::new();
    for entry in &entries {
        let (Some(workload), Some(peer)) = (entry["w"].as_str(), entry["peer"].as_str()) else {
            return Err("has an entry without a workload or a builder".to_owned());
        };
        // One that failed has an error in the place of its times.
        let Some(wall_seconds) = entry["wall"].as_f64() else {
            continue;
        };
        let measured = Measured {
            wall_seconds,
            peak_bytes: entry["peak"].as_f64().unwrap_or_default(),
            out_bytes: entry["out"].as_f64().unwrap_or_default(),
            runs: entry["n"].as_u64().unwrap_or_default(),
        };
        let builders = record.entry(workload.to_owned()).or_default();
        builders.insert(peer.to_owned(), measured);
    }
    Ok(record)
}

fn parse_floors(text: &str) -> Result<BTreeMap<String, f64>, String> {
    if text.is_empty() {
        return Ok(BTreeMap::new());
    }
    serde_json::from_str(text).map_err(|error| format!("{FLOORS} has no seconds: {error}"))
}

/// Writes the line of a workload; none if careen did not do it.
fn line(row: &Row, builders: &BTreeMap<String, Measured>, floor: Option<f64>) -> Option<String> {
    let ours = builders.get(OURS)?;
    let peers = builders.iter().filter(|(name, _)| *name != OURS);
    let best = peers.min_by(|(_, one), (_, other)| one.wall_seconds.total_cmp(&other.wall_seconds));
    let best_seconds = best.map(|(_, best)| best.wall_seconds);
    let told: Vec<_> = row.goals.iter().map(Goal::told).collect();
    let reached: Vec<_> = row
        .goals
        .iter()
        .map(|goal| goal.is_reached(ours, row.steps, best_seconds, floor))
        .collect();
    let verdict = if reached.contains(&Some(false)) {
        "no"
    } else if reached.contains(&None) {
        "–"
    } else {
        "yes"
    };
    let cells = [
        row.what.to_owned(),
        seconds(ours.wall_seconds / row.steps),
        best.map_or_else(dash, |(name, best)| {
            format!("{} {name}", seconds(best.wall_seconds / row.steps))
        }),
        best_seconds.map_or_else(dash, |best| ratio(ours.wall_seconds / best)),
        floor.map_or_else(dash, seconds),
        megabytes(ours.peak_bytes),
        if ours.out_bytes > 0.0 {
            megabytes(ours.out_bytes)
        } else {
            dash()
        },
        told.join(", "),
        verdict.to_owned(),
        ours.runs.to_string(),
    ];
    Some(format!("| {} |\n", cells.join(" | ")))
}

impl Goal {
    fn told(&self) -> String {
        match self {
            Self::Seconds(limit) => format!("≤ {}", seconds(*limit)),
            Self::OfBest(limit) => format!("≤ {limit} × best"),
            Self::OfFloor(limit) => format!("≤ {limit} × floor"),
            Self::Bytes(limit) => format!("≤ {}", megabytes(*limit)),
            Self::Memory => format!("memory < {}", megabytes(MEMORY_BYTES)),
        }
    }

    /// Tells whether it is reached; nothing where what it is compared with was not measured.
    fn is_reached(
        &self,
        ours: &Measured,
        steps: f64,
        best: Option<f64>,
        floor: Option<f64>,
    ) -> Option<bool> {
        match self {
            Self::Seconds(limit) => Some(ours.wall_seconds / steps <= *limit),
            Self::OfBest(limit) => best.map(|best| ours.wall_seconds <= limit * best),
            Self::OfFloor(limit) => floor.map(|floor| ours.wall_seconds <= limit * floor),
            Self::Bytes(limit) => Some(ours.out_bytes <= *limit),
            Self::Memory => Some(ours.peak_bytes < MEMORY_BYTES),
        }
    }
}

fn dash() -> String {
    "–".to_owned()
}

fn seconds(value: f64) -> String {
    if value < 0.1 {
        format!("{:.1} ms", value * 1000.0)
    } else if value < 1.0 {
        format!("{:.0} ms", value * 1000.0)
    } else {
        format!("{value:.2} s")
    }
}

fn ratio(value: f64) -> String {
    if value < 0.1 {
        format!("{value:.3}")
    } else {
        format!("{value:.2}")
    }
}

fn megabytes(bytes: f64) -> String {
    format!("{:.0} MB", bytes / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE_TEXT: &str = "# Performance\n\n## Beside its peers\n\nold\n\n## Else\n\nrest\n";

    fn checkout(record: &str) -> Checkout {
        Checkout::of(&[
            (PAGE, PAGE_TEXT),
            (RECORD, record),
            (FLOORS, r#"{"w9": 3.0}"#),
        ])
    }

    #[test]
    fn a_workload_is_a_line_with_the_best_peer_and_whether_it_is_reached() {
        let record = r#"[
            {"w": "w2e", "peer": "careen", "wall": 0.1, "peak": 5e6, "out": null, "n": 5},
            {"w": "w2e", "peer": "docker", "wall": 1.0, "peak": 5e8, "out": null, "n": 5},
            {"w": "w2e", "peer": "buildah-rootless", "wall": 5.0, "peak": 5e7, "out": null, "n": 5},
            {"w": "w4", "peer": "careen", "wall": 7.0, "peak": 7e7, "out": 547.6e6, "n": 3},
            {"w": "w4", "peer": "docker", "error": "no OCI export"},
            {"w": "w9", "peer": "careen", "wall": 3.2, "peak": 5e6, "out": null, "n": 3}
        ]"#;
        let page = renewed_page(&checkout(record)).unwrap();
        let lines: Vec<_> = page
            .lines()
            .filter(|line| line.starts_with("| W") && !line.starts_with("| What"))
            .collect();
        assert_eq!(
            lines,
            [
                "| W2 20 × `RUN :`, each | 5.0 ms | 50.0 ms docker | 0.10 | – | 5 MB | – | ≤ 7.0 ms, ≤ 0.12 × best, memory < 64 MB | yes | 5 |",
                "| W4 `RUN` writes 1 GiB, OCI layout, gzip | 7.00 s | – | – | – | 70 MB | 548 MB | ≤ 0.6 × best, ≤ 555 MB, memory < 64 MB | no | 3 |",
                "| W9 eight CPU-bound stages, `COPY --from` each | 3.20 s | – | – | 3.00 s | 5 MB | – | ≤ 1.1 × floor | yes | 3 |",
            ]
        );
        assert!(page.ends_with("\n## Else\n\nrest\n"), "{page}");
    }

    #[test]
    fn a_page_that_is_not_what_the_record_says_is_found() {
        let stale = checkout("[]");
        assert_eq!(findings(&stale).len(), 1);
        let page = renewed_page(&stale).unwrap();
        let renewed = Checkout::of(&[(PAGE, &page), (RECORD, "[]")]);
        assert_eq!(findings(&renewed), []);
    }

    #[test]
    fn a_record_that_is_none_is_told() {
        let found = findings(&checkout("{"));
        assert!(
            found[0].message.contains("is no list of results"),
            "{found:?}"
        );
    }
}
