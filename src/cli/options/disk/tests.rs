//! Tests of what is to go.

use clap::Parser as _;

use super::*;
use crate::args::{Arguments, Command, DiskCommand};

const ROOM: Room = Room {
    free_bytes: 5 * GB,
    size_bytes: 50 * GB,
    used_bytes: 45 * GB,
};

fn pruned(words: &[&str]) -> Result<Rule, String> {
    let words = ["careen", "prune"].iter().chain(words);
    let parsed = Arguments::try_parse_from(words).unwrap();
    let Command::Disk(DiskCommand::Prune(prune)) = parsed.command else {
        panic!("it is `prune`");
    };
    prune_rule(&prune).map_err(|error| {
        let causes = Report::new(Kind::Usage, &error).causes;
        [&[error.to_string()], causes.as_slice()]
            .concat()
            .join(": ")
    })
}

fn filter(text: &str) -> Filter {
    Filter::parse(text).unwrap()
}

fn space(reserved: u64, max_used: u64, min_free: u64) -> Space {
    let some = |bytes| (bytes > 0).then_some(bytes);
    Space {
        reserved_bytes: some(reserved),
        max_used_bytes: some(max_used),
        min_free_bytes: some(min_free),
    }
}

#[test]
fn sizes_and_filters_of_prune_are_read() {
    assert_eq!(pruned(&[]), Ok(Rule::default()));
    let sizes = [
        "--max-used-space",
        "2g",
        "--min-free-space=1kb",
        "--keep-storage",
        "0",
    ];
    let expected = Rule {
        space: space(0, 2 << 30, 1024),
        ..Rule::default()
    };
    assert_eq!(pruned(&sizes), Ok(expected));
    let filters = [
        "-a",
        "--filter",
        "until=24h",
        "--filter",
        "type=regular",
        "--filter",
        "inuse!=true",
    ];
    let expected = Rule {
        is_all: true,
        filters: vec![vec![filter("type=regular"), filter("inuse!=true")]],
        unused_for: Duration::from_hours(24),
        space: Space::default(),
    };
    assert_eq!(pruned(&filters), Ok(expected));
    let older = pruned(&["--keep-duration", "90m", "--reserved-space", "1m"]).unwrap();
    assert_eq!(older.unused_for, Duration::from_mins(90));
    assert_eq!(older.space, space(1 << 20, 0, 0));
}

#[test]
fn what_is_no_size_age_or_filter_is_refused() {
    let table: [(&[&str], &str); 5] = [
        (
            &["--max-used-space", "much"],
            "`--max-used-space much`: a size is expected, as `10GB`",
        ),
        (
            &["--filter", "until=yesterday"],
            "`--filter until=yesterday`: an age is expected, as `24h` or `90m`",
        ),
        (
            &["--filter", "until=1h", "--filter", "unused-for=2h"],
            "`--filter unused-for=2h`: an age was given before",
        ),
        (
            &["--filter", "type=x"],
            "`--filter type=x` cannot be used: there is no type `x`; there are `regular`, `internal`, \
             `frontend`, `source.local`, `source.git.checkout`, `exec.cachemount`",
        ),
        (
            &["--keep-duration=-1h"],
            "`--keep-duration -1h`: an age is expected, as `24h` or `90m`",
        ),
    ];
    for (words, expected) in table {
        assert_eq!(pruned(words).unwrap_err(), expected);
    }
}

#[test]
fn without_a_table_the_rules_are_buildkits() {
    let rules = rules_of(&GcConfig::default(), ROOM).unwrap();
    let usual = space(5 * GB, 40 * GB, 10 * GB);
    let shown: Vec<_> = rules
        .iter()
        .map(|rule| (rule.is_all, rule.unused_for.as_secs() / 3600, rule.space))
        .collect();
    assert_eq!(
        shown,
        [
            (false, 48, space(0, 512 * MB, 0)),
            (false, 60 * 24, usual),
            (false, 0, usual),
            (true, 0, usual),
        ]
    );
    assert_eq!(rules[0].filters.len(), 3);
    let large = Room {
        size_bytes: 1000 * GB,
        ..ROOM
    };
    let rules = rules_of(&GcConfig::default(), large).unwrap();
    assert_eq!(rules[2].space, space(10 * GB, 100 * GB, 200 * GB));
}

#[test]
fn the_table_changes_sizes_or_all_rules() {
    let read = |text: &str| {
        let config = toml::from_str::<Config>(text).unwrap();
        rules_of(&config.gc.unwrap(), ROOM)
    };
    assert_eq!(read("[gc]\nenabled = false\n").unwrap(), []);
    let rules = read("[gc]\nmax-used-space = \"50%\"\nmin-free-space = \"0\"\n").unwrap();
    assert_eq!(rules[2].space, space(5 * GB, 25 * GB, 0));
    let text = "[gc]\n[[gc.policy]]\nall = true\nfilters = [\"type==regular,immutable\", \"id=x\"]\n\
                keep-duration = \"2h\"\nmax-used-space = \"1k\"\n";
    let expected = Rule {
        is_all: true,
        filters: vec![
            vec![filter("type=regular"), filter("immutable")],
            vec![filter("id=x")],
        ],
        unused_for: Duration::from_hours(2),
        space: space(0, 1024, 0),
    };
    assert_eq!(read(text).unwrap(), [expected]);
    let refused = |text: &str| read(text).unwrap_err().to_string();
    assert_eq!(
        refused("[gc]\nmax-used-space = \"101%\"\n"),
        "`gc.max-used-space = \"101%\"`: a size is expected, as `10GB`, or a part of the disk, as `10%`"
    );
    assert_eq!(
        refused("[[gc.policy]]\nkeep-duration = \"x\"\n"),
        "`gc.policy.keep-duration = \"x\"`: an age is expected, as `24h` or `90m`"
    );
    assert_eq!(
        refused("[[gc.policy]]\nfilters = [\"size=1\"]\n"),
        "`gc.policy.filters = [\"size=1\"]` cannot be used"
    );
}
