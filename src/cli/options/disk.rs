//! What is to go from the build cache: `prune`'s arguments, and the configuration's table `[gc]`.
//!
//! Without a table the rules are BuildKit's:
//!
//! | Rule | Means | Unused for | Reserved | At most | Free |
//! | --- | --- | --- | --- | --- | --- |
//! | 0 | cache mounts, git checkouts | 48 h | | 512 MB | |
//! | 1 | everything | 60 days | 10 % of the disk, at most 10 GB | 80 % of the disk, at most 100 GB | 20 % of the disk |
//! | 2 | everything | | the same | the same | the same |
//! | 3 | what careen keeps for itself too | | the same | the same | the same |

use std::path::Path;
use std::time::Duration;

use dockerfile::number::parse_bytes;
use store::{Filter, FilterError, MediumError, Room, Rule, Space};

use crate::args::PruneArguments;
use crate::config::{Config, GcConfig, GcPolicy};
use crate::report::{Kind, Report};

const MB: u64 = 1_000_000;
const GB: u64 = 1_000 * MB;

/// What cache mounts and git checkouts may take that were not used lately, in bytes, and what lately is.
const EPHEMERAL_BYTES: u64 = 512 * MB;
const EPHEMERAL_UNUSED_FOR: Duration = Duration::from_hours(48);
/// What goes though there is room.
const OLD: Duration = Duration::from_hours(60 * 24);

/// Why it cannot be told what is to go.
#[derive(Debug, thiserror::Error)]
pub enum DiskUsageError {
    /// A filter is none.
    #[error("`{option}` cannot be used")]
    Filter {
        /// What was typed.
        option: String,
        /// Why.
        source: FilterError,
    },
    /// An age is none.
    #[error("`{option}`: an age is expected, as `24h` or `90m`")]
    Age {
        /// What was typed.
        option: String,
    },
    /// Two ages.
    #[error("`{option}`: an age was given before")]
    SecondAge {
        /// What was typed.
        option: String,
    },
    /// A size is none.
    #[error("`{option}`: a size is expected, as `10GB`")]
    Size {
        /// What was typed.
        option: String,
    },
    /// A size is neither a number nor a part of the disk.
    #[error("`{option}`: a size is expected, as `10GB`, or a part of the disk, as `10%`")]
    Amount {
        /// What was typed.
        option: String,
    },
    /// It cannot be found out how large the disk is.
    #[error(transparent)]
    Room(#[from] MediumError),
}

impl From<DiskUsageError> for Box<Report> {
    fn from(error: DiskUsageError) -> Self {
        let kind = match error {
            DiskUsageError::Room(_) => Kind::Host,
            _ => Kind::Usage,
        };
        Self::new(Report::new(kind, &error))
    }
}

/// Reads the arguments of `prune`.
///
/// # Errors
///
/// Fails when a filter, an age or a size is none.
pub fn prune_rule(arguments: &PruneArguments) -> Result<Rule, DiskUsageError> {
    let size = |name: &str, text: &Option<String>| {
        let read = |text: &String| {
            let option = || format!("--{name} {text}");
            let bytes = parse_bytes(text).ok_or_else(|| DiskUsageError::Size { option: option() });
            // As in BuildKit, nothing is no limit.
            bytes.map(|bytes| (bytes > 0).then_some(bytes))
        };
        text.as_ref().map_or(Ok(None), read)
    };
    let (filters, mut age) = filters(&arguments.filters)?;
    if let Some(text) = &arguments.keep_duration {
        let option = format!("--keep-duration {text}");
        let given = duration(text).ok_or(DiskUsageError::Age { option })?;
        age = Some(age.map_or(given, |age| age.max(given)));
    }
    Ok(Rule {
        is_all: arguments.all,
        filters,
        unused_for: age.unwrap_or_default(),
        space: Space {
            reserved_bytes: size("reserved-space", &arguments.reserved_space)?,
            max_used_bytes: size("max-used-space", &arguments.max_used_space)?,
            min_free_bytes: size("min-free-space", &arguments.min_free_space)?,
        },
    })
}

/// Reads `--filter`s, all of which have to fit; returns what they ask for, and for how long something was not used.
///
/// # Errors
///
/// Fails when one is no filter.
pub fn filters(texts: &[String]) -> Result<(Vec<Vec<Filter>>, Option<Duration>), DiskUsageError> {
    let mut all = Vec::new();
    let mut age = None;
    for text in texts {
        let option = || format!("--filter {text}");
        let is_age = |name: &&str| ["until", "unused-for"].contains(name);
        if let Some((_, value)) = text.split_once('=').filter(|(name, _)| is_age(name)) {
            if age.is_some() {
                return Err(DiskUsageError::SecondAge { option: option() });
            }
            age = Some(duration(value).ok_or_else(|| DiskUsageError::Age { option: option() })?);
            continue;
        }
        all.push(
            Filter::parse(text).map_err(|source| DiskUsageError::Filter {
                option: option(),
                source,
            })?,
        );
    }
    let alternatives = if all.is_empty() {
        Vec::new()
    } else {
        vec![all]
    };
    Ok((alternatives, age))
}

fn duration(text: &str) -> Option<Duration> {
    let age: jiff::SignedDuration = text.trim().parse().ok()?;
    Duration::try_from(age).ok()
}

/// Returns what goes after builds into the store at a path.
///
/// # Errors
///
/// Fails when the configuration has a filter, an age or a size that is none, or the disk cannot be asked for its size.
pub fn gc_rules(config: &Config, store: &Path) -> Result<Vec<Rule>, DiskUsageError> {
    rules_of(&config.gc.clone().unwrap_or_default(), Room::of(store)?)
}

fn rules_of(gc: &GcConfig, room: Room) -> Result<Vec<Rule>, DiskUsageError> {
    let given = Spaces {
        reserved: &gc.reserved_space,
        max_used: &gc.max_used_space,
        min_free: &gc.min_free_space,
    };
    let space = or(given.read("gc", room)?, usual_space(room));
    if gc.enabled == Some(false) {
        return Ok(Vec::new());
    }
    match &gc.policy {
        Some(policies) => policies
            .iter()
            .map(|policy| rule_of(policy, room))
            .collect(),
        None => Ok(usual_rules(space)),
    }
}

/// What is said of space, as it was typed.
struct Spaces<'a> {
    reserved: &'a Option<String>,
    max_used: &'a Option<String>,
    min_free: &'a Option<String>,
}

impl Spaces<'_> {
    /// Reads it; nought stands for itself.
    fn read(&self, place: &str, room: Room) -> Result<Space, DiskUsageError> {
        let read = |name: &str, text: &Option<String>| {
            let read = |text: &String| {
                let option = || format!("{place}.{name} = \"{text}\"");
                amount(text, room).ok_or_else(|| DiskUsageError::Amount { option: option() })
            };
            text.as_ref().map(read).transpose()
        };
        Ok(Space {
            reserved_bytes: read("reserved-space", self.reserved)?,
            max_used_bytes: read("max-used-space", self.max_used)?,
            min_free_bytes: read("min-free-space", self.min_free)?,
        })
    }
}

/// Takes what was not given from what is usual; nought is no limit.
fn or(given: Space, usual: Space) -> Space {
    let limit = |given: Option<u64>, usual: Option<u64>| given.or(usual).filter(|bytes| *bytes > 0);
    Space {
        reserved_bytes: limit(given.reserved_bytes, usual.reserved_bytes),
        max_used_bytes: limit(given.max_used_bytes, usual.max_used_bytes),
        min_free_bytes: limit(given.min_free_bytes, usual.min_free_bytes),
    }
}

/// Reads a size, or a part of the disk.
fn amount(text: &str, room: Room) -> Option<u64> {
    let Some(percent) = text.trim().strip_suffix('%') else {
        return parse_bytes(text.trim());
    };
    let percent: u64 = percent.parse().ok().filter(|percent| *percent <= 100)?;
    Some(part(room, percent))
}

fn part(room: Room, percent: u64) -> u64 {
    room.size_bytes / 100 * percent
}

fn usual_space(room: Room) -> Space {
    Space {
        reserved_bytes: Some(part(room, 10).min(10 * GB)),
        max_used_bytes: Some(part(room, 80).min(100 * GB)),
        min_free_bytes: Some(part(room, 20)),
    }
}

fn usual_rules(space: Space) -> Vec<Rule> {
    let types = ["source.local", "exec.cachemount", "source.git.checkout"];
    let filter = |kind: &&str| {
        Filter::parse(&format!("type={kind}"))
            .ok()
            .map(|filter| vec![filter])
    };
    let ephemeral = Rule {
        filters: types.iter().filter_map(filter).collect(),
        unused_for: EPHEMERAL_UNUSED_FOR,
        space: Space {
            max_used_bytes: Some(EPHEMERAL_BYTES),
            ..Space::default()
        },
        ..Rule::default()
    };
    let usual = Rule {
        space,
        ..Rule::default()
    };
    let old = Rule {
        unused_for: OLD,
        ..usual.clone()
    };
    let all = Rule {
        is_all: true,
        ..usual.clone()
    };
    vec![ephemeral, old, usual, all]
}

fn rule_of(policy: &GcPolicy, room: Room) -> Result<Rule, DiskUsageError> {
    let spaces = Spaces {
        reserved: &policy.reserved_space,
        max_used: &policy.max_used_space,
        min_free: &policy.min_free_space,
    };
    let alternative = |text: &String| {
        let all: Result<Vec<_>, _> = text.split(',').map(Filter::parse).collect();
        all.map_err(|source| DiskUsageError::Filter {
            option: format!("gc.policy.filters = [\"{text}\"]"),
            source,
        })
    };
    let age = |text: &String| {
        let option = format!("gc.policy.keep-duration = \"{text}\"");
        duration(text).ok_or(DiskUsageError::Age { option })
    };
    Ok(Rule {
        is_all: policy.all,
        filters: policy
            .filters
            .iter()
            .map(alternative)
            .collect::<Result<_, _>>()?,
        unused_for: policy
            .keep_duration
            .as_ref()
            .map_or(Ok(Duration::ZERO), age)?,
        space: or(spaces.read("gc.policy", room)?, Space::default()),
    })
}

#[cfg(test)]
#[path = "disk/tests.rs"]
mod tests;
