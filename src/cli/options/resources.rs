//! `--memory`, `--cpus`, `--pids-limit`, `--resource` and the like: what the processes of a command may use together.

use dockerfile::number::parse_bytes;
use dockerfile::suggest;
use runtime::GroupLimits;

use crate::args::{LegacyArguments, SandboxArguments};

/// The names of `--resource`, those of buildx.
const RESOURCES: [&str; 7] = [
    "memory",
    "memory-swap",
    "cpu-shares",
    "cpu-period",
    "cpu-quota",
    "cpuset-cpus",
    "cpuset-mems",
];

/// The usual period of processor time, in microseconds.
const PERIOD: u64 = 100_000;

/// Why what a command may use cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum ResourceError {
    /// The value of a `--resource` is missing.
    #[error("`--resource {text}` is not `NAME=VALUE`")]
    Pair {
        /// What was typed.
        text: String,
    },
    /// There is no such resource.
    #[error("`--resource {text}`: there is no resource `{name}`{}", did_you_mean(near.as_ref()))]
    Unknown {
        /// What was typed.
        text: String,
        /// The name.
        name: String,
        /// What was perhaps meant.
        near: Option<String>,
    },
    /// A value is none.
    #[error("`{flag} {text}`: `{text}` is no {wanted}")]
    Value {
        /// The flag.
        flag: String,
        /// What was typed.
        text: String,
        /// What would be one.
        wanted: &'static str,
    },
    /// Swap is counted with memory, and there is no limit of that.
    #[error("`--memory-swap` is memory and swap together, and `--memory` is not given")]
    SwapAlone,
    /// There is less of both than of one.
    #[error("`--memory-swap` is memory and swap together, and less than `--memory`")]
    SwapBelowMemory,
    /// Two flags say the same.
    #[error("`--cpus` is `--cpu-quota` for the usual period: only one of them can be given")]
    Cpus,
}

fn did_you_mean(near: Option<&String>) -> String {
    near.map(|near| format!("; did you mean `{near}`?"))
        .unwrap_or_default()
}

/// What the processes of a command may use together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResourceOptions {
    /// The limits.
    pub limits: GroupLimits,
    /// The flags that asked for them, each with the controller that keeps it; none for what is no limit.
    pub flags: Vec<(String, &'static str)>,
    /// The control group that those of commands are in.
    pub parent: Option<String>,
}

/// How much swap there is beside memory.
#[derive(Debug, Default)]
enum Swap {
    /// As much as memory, as with docker.
    #[default]
    Usual,
    /// As much as there is.
    Unlimited,
    /// Both together are so many bytes.
    Together(u64),
}

/// What was typed, as numbers.
#[derive(Debug, Default)]
struct Asked {
    memory: Option<u64>,
    swap: Swap,
    shares: Option<u64>,
    period: Option<u64>,
    quota: Option<u64>,
    cpus: Option<u64>,
    processors: Option<String>,
    memory_nodes: Option<String>,
    processes: Option<u64>,
}

impl ResourceOptions {
    /// Reads the flags; a `--resource` goes before another flag for the same.
    pub(super) fn new(arguments: &SandboxArguments) -> Result<Self, ResourceError> {
        let LegacyArguments {
            memory,
            memory_swap,
            cpu_shares,
            cpu_period,
            cpu_quota,
            cpuset_cpus,
            cpuset_mems,
            ..
        } = &arguments.legacy;
        let mut asked = Asked::default();
        let mut flags = Vec::new();
        for (name, value) in [
            ("memory", memory),
            ("memory-swap", memory_swap),
            ("cpu-shares", cpu_shares),
            ("cpu-period", cpu_period),
            ("cpu-quota", cpu_quota),
            ("cpuset-cpus", cpuset_cpus),
            ("cpuset-mems", cpuset_mems),
            ("cpus", &arguments.cpus),
            ("pids-limit", &arguments.pids_limit),
        ] {
            if let Some(value) = value {
                asked.take(name, (&format!("--{name}"), value))?;
                flags.push((format!("--{name}"), controller(name)));
            }
        }
        for text in &arguments.resources {
            let (name, value) = pair(text)?;
            asked.take(name, (&format!("--resource {name}"), value))?;
            flags.push((format!("--resource {name}"), controller(name)));
        }
        let parent = arguments.cgroup_parent.clone();
        flags.extend(parent.iter().map(|_| ("--cgroup-parent".to_owned(), "")));
        Ok(Self {
            limits: asked.limits()?,
            flags,
            parent,
        })
    }
}

/// Returns the controller that keeps a limit.
fn controller(name: &str) -> &'static str {
    match name {
        "memory" | "memory-swap" => "memory",
        "pids-limit" => "pids",
        "cpuset-cpus" | "cpuset-mems" => "cpuset",
        _ => "cpu",
    }
}

/// Returns the name and the value of a `--resource`.
fn pair(text: &str) -> Result<(&str, &str), ResourceError> {
    let (name, value) = text
        .split_once('=')
        .filter(|(_, value)| !value.is_empty())
        .ok_or_else(|| ResourceError::Pair {
            text: text.to_owned(),
        })?;
    if RESOURCES.contains(&name) {
        return Ok((name, value));
    }
    Err(ResourceError::Unknown {
        text: text.to_owned(),
        name: name.to_owned(),
        near: suggest::nearest(name, RESOURCES).map(str::to_owned),
    })
}

impl Asked {
    fn take(&mut self, name: &str, typed: (&str, &str)) -> Result<(), ResourceError> {
        match name {
            "memory" => self.memory = size(typed)?,
            "memory-swap" => {
                self.swap = match typed.1 {
                    "-1" => Swap::Unlimited,
                    // 0 is as if it were not given, as with docker.
                    _ => size(typed)?.map_or(Swap::Usual, Swap::Together),
                }
            }
            "cpu-shares" => self.shares = number(typed)?,
            "cpu-period" => self.period = number(typed)?,
            "cpu-quota" => self.quota = number(typed)?,
            "cpuset-cpus" => self.processors = Some(list(typed)?),
            "cpuset-mems" => self.memory_nodes = Some(list(typed)?),
            "cpus" => self.cpus = processors(typed)?,
            _ => self.processes = number(typed)?,
        }
        Ok(())
    }

    fn limits(self) -> Result<GroupLimits, ResourceError> {
        let swap_bytes = match (self.memory, self.swap) {
            (None, Swap::Together(_)) => return Err(ResourceError::SwapAlone),
            (memory, Swap::Usual) => memory,
            (_, Swap::Unlimited) => None,
            (Some(memory), Swap::Together(both)) => {
                let swap = both.checked_sub(memory);
                Some(swap.ok_or(ResourceError::SwapBelowMemory)?)
            }
        };
        let processor_time = match (self.cpus, self.quota) {
            (Some(_), Some(_)) => return Err(ResourceError::Cpus),
            (Some(time), None) => Some((time, PERIOD)),
            (None, quota) => quota.map(|quota| (quota, self.period.unwrap_or(PERIOD))),
        };
        Ok(GroupLimits {
            memory_bytes: self.memory,
            swap_bytes,
            processes: self.processes,
            processor_weight: self.shares.map(weight),
            processor_time,
            processors: self.processors,
            memory_nodes: self.memory_nodes,
        })
    }
}

/// Returns the weight for shares of the first version of control groups, as other runtimes convert them: 2 to 262144 onto 1
/// to 10000.
fn weight(shares: u64) -> u64 {
    let shares = shares.clamp(2, 262_144);
    1 + (shares - 2) * 9999 / 262_142
}

fn wrong((flag, text): (&str, &str), wanted: &'static str) -> ResourceError {
    ResourceError::Value {
        flag: flag.to_owned(),
        text: text.to_owned(),
        wanted,
    }
}

/// Reads a size; none for 0, which is without limit.
fn size(typed: (&str, &str)) -> Result<Option<u64>, ResourceError> {
    let bytes = parse_bytes(typed.1);
    let bytes = bytes.ok_or_else(|| wrong(typed, "size: `64m`, `1g`, `1048576` are"))?;
    Ok((bytes > 0).then_some(bytes))
}

/// Reads a number; none for 0 and -1, which are without limit.
fn number(typed: (&str, &str)) -> Result<Option<u64>, ResourceError> {
    if typed.1 == "-1" {
        return Ok(None);
    }
    let number = typed.1.parse::<u64>();
    let number = number.map_err(|_not| wrong(typed, "number"))?;
    Ok((number > 0).then_some(number))
}

/// Reads a number of processors, perhaps with a fraction, as their time in a period.
fn processors(typed: (&str, &str)) -> Result<Option<u64>, ResourceError> {
    let not = || wrong(typed, "number of processors: `2`, `0.5` are");
    let (whole, fraction) = typed.1.split_once('.').unwrap_or((typed.1, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) || fraction.len() > 9 {
        return Err(not());
    }
    let whole: u64 = whole.parse().map_err(|_not| not())?;
    // As many digits as the period has.
    let digits: String = fraction.chars().chain("00000".chars()).take(5).collect();
    let fraction: u64 = digits.parse().map_err(|_not| not())?;
    let time = whole.checked_mul(PERIOD).ok_or_else(not)? + fraction;
    Ok((time > 0).then_some(time))
}

/// Reads a list of processors or memory nodes; the kernel says whether there are such.
fn list(typed: (&str, &str)) -> Result<String, ResourceError> {
    let is_part = |byte: u8| byte.is_ascii_digit() || b",-".contains(&byte);
    if typed.1.starts_with(|c: char| c.is_ascii_digit()) && typed.1.bytes().all(is_part) {
        return Ok(typed.1.to_owned());
    }
    Err(wrong(typed, "list: `0-3,5` is"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(resources: &[&str]) -> Result<GroupLimits, String> {
        let arguments = SandboxArguments {
            resources: resources.iter().copied().map(str::to_owned).collect(),
            ..SandboxArguments::default()
        };
        let read = ResourceOptions::new(&arguments).map(|options| options.limits);
        read.map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_asked_for_is_what_the_files_of_a_group_take() {
        let none = GroupLimits::default();
        for (resources, expected) in [
            (&[][..], none.clone()),
            (
                &["memory=64m"],
                GroupLimits {
                    memory_bytes: Some(64 << 20),
                    swap_bytes: Some(64 << 20),
                    ..none.clone()
                },
            ),
            (
                &["memory=64m", "memory-swap=64m"],
                GroupLimits {
                    memory_bytes: Some(64 << 20),
                    swap_bytes: Some(0),
                    ..none.clone()
                },
            ),
            (
                &[
                    "memory=1k",
                    "memory-swap=-1",
                    "cpuset-cpus=0-1",
                    "cpuset-mems=0",
                ],
                GroupLimits {
                    memory_bytes: Some(1024),
                    processors: Some("0-1".to_owned()),
                    memory_nodes: Some("0".to_owned()),
                    ..none.clone()
                },
            ),
            (
                &["cpu-shares=1024", "cpu-quota=50000"],
                GroupLimits {
                    processor_weight: Some(39),
                    processor_time: Some((50_000, 100_000)),
                    ..none.clone()
                },
            ),
            (
                &["cpu-quota=500", "cpu-period=1000"],
                GroupLimits {
                    processor_time: Some((500, 1000)),
                    ..none.clone()
                },
            ),
            (&["cpu-quota=-1", "memory=0", "cpu-shares=0"], none.clone()),
        ] {
            assert_eq!(of(resources), Ok(expected), "{resources:?}");
        }
    }

    #[test]
    fn processors_and_processes_have_flags_of_their_own() {
        for (cpus, expected) in [
            ("2", Some((200_000, 100_000))),
            ("0.5", Some((50_000, 100_000))),
            ("1.25", Some((125_000, 100_000))),
            ("0", None),
        ] {
            let arguments = SandboxArguments {
                cpus: Some(cpus.to_owned()),
                pids_limit: Some("9".to_owned()),
                ..SandboxArguments::default()
            };
            let options = ResourceOptions::new(&arguments).unwrap();
            assert_eq!(options.limits.processor_time, expected, "{cpus}");
            assert_eq!(options.limits.processes, Some(9));
            let flags = [
                ("--cpus".to_owned(), "cpu"),
                ("--pids-limit".to_owned(), "pids"),
            ];
            assert_eq!(options.flags, flags);
        }
    }

    #[test]
    fn what_no_group_could_keep_is_refused() {
        for (resources, expected) in [
            (&["memory"][..], "`--resource memory` is not `NAME=VALUE`"),
            (
                &["cpu-quotas=1"],
                "`--resource cpu-quotas=1`: there is no resource `cpu-quotas`; did you mean `cpu-quota`?",
            ),
            (
                &["memory=much"],
                "`--resource memory much`: `much` is no size: `64m`, `1g`, `1048576` are",
            ),
            (
                &["cpuset-cpus=all"],
                "`--resource cpuset-cpus all`: `all` is no list: `0-3,5` is",
            ),
            (
                &["memory-swap=1g"],
                "`--memory-swap` is memory and swap together, and `--memory` is not given",
            ),
            (
                &["memory=2g", "memory-swap=1g"],
                "`--memory-swap` is memory and swap together, and less than `--memory`",
            ),
            (
                &["cpu-shares=half"],
                "`--resource cpu-shares half`: `half` is no number",
            ),
        ] {
            assert_eq!(of(resources), Err(expected.to_owned()));
        }
    }
}
