//! What goes after builds, as `inspect` shows it: BuildKit's names of the parts of a rule.

use std::fmt::Write as _;
use std::time::Duration;

use store::Rule;

use crate::human;

/// How wide the column of names is.
const NAMES: usize = 17;

/// Returns the rules in their order; none says that nothing goes.
pub(super) fn show(rules: &[Rule]) -> String {
    if rules.is_empty() {
        return "GC Policy: none, nothing goes after builds\n".to_owned();
    }
    rules.iter().enumerate().map(rule).collect()
}

fn rule((number, rule): (usize, &Rule)) -> String {
    let mut text = format!("GC Policy rule#{number}:\n");
    let mut line = |name: &str, value: &str| {
        let name = format!("{name}:");
        writeln!(text, " {name:<NAMES$}{value}").expect("a String takes what is written");
    };
    line("All", &rule.is_all.to_string());
    if !rule.filters.is_empty() {
        line("Filters", &filters(rule));
    }
    if rule.unused_for > Duration::ZERO {
        line("Keep Duration", &duration(rule.unused_for));
    }
    let spaces = [
        ("Reserved Space", rule.space.reserved_bytes),
        ("Max Used Space", rule.space.max_used_bytes),
        ("Min Free Space", rule.space.min_free_bytes),
    ];
    for (name, bytes) in spaces {
        if let Some(bytes) = bytes {
            line(name, &human::size(bytes, 4));
        }
    }
    text
}

/// Returns the alternatives, each with all that it asks for.
fn filters(rule: &Rule) -> String {
    let alternatives = rule.filters.iter().map(|filters| {
        let filters: Vec<_> = filters.iter().map(ToString::to_string).collect();
        filters.join("+")
    });
    alternatives.collect::<Vec<_>>().join(",")
}

/// Returns a duration as Go prints it.
fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    format!("{}h{}m{}s", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use store::{Filter, Space};

    use super::*;

    #[test]
    fn a_rule_is_shown_with_what_it_says() {
        let filter = |text| vec![Filter::parse(text).unwrap()];
        let ephemeral = Rule {
            filters: vec![filter("type=source.local"), filter("type=exec.cachemount")],
            unused_for: Duration::from_hours(48),
            space: Space {
                max_used_bytes: Some(512_000_000),
                ..Space::default()
            },
            ..Rule::default()
        };
        let all = Rule {
            is_all: true,
            space: Space {
                reserved_bytes: Some(10_000_000_000),
                max_used_bytes: None,
                min_free_bytes: Some(1_500_000_000),
            },
            ..Rule::default()
        };
        let expected = "GC Policy rule#0:\n All:             false\n \
             Filters:         type==source.local,type==exec.cachemount\n \
             Keep Duration:   48h0m0s\n Max Used Space:  512MB\n\
             GC Policy rule#1:\n All:             true\n Reserved Space:  10GB\n Min Free Space:  1.5GB\n";
        assert_eq!(show(&[ephemeral, all]), expected);
        assert_eq!(show(&[]), "GC Policy: none, nothing goes after builds\n");
    }
}
