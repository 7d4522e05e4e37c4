//! `--volume`: files and directories of this machine that commands see.
//!
//! ```text
//! PATH:TARGET[:OPTION[,OPTION…]]
//! ```
//!
//! | Option | Meaning |
//! | --- | --- |
//! | `rw` | commands may write; so it is without an option |
//! | `ro` | commands may not write |
//! | `O` | what commands write is discarded |
//! | `z`, `Z` | nothing: careen's sandboxes have no labels that a file would need |
//! | `nosuid`, `nodev`, `rbind`, `bind`, `private`, `rprivate` | nothing: so it is anyway |
//!
//! The grammar is that of `buildah build`, which has more options. Those are refused.

use std::path::{Component, Path, PathBuf};

use solver::ops::exec::{Volume, VolumeAccess};

use crate::env::Environment;

/// Why a `--volume` cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum VolumeUsageError {
    /// It has not two paths.
    #[error("`--volume {text}` is no `PATH:TARGET[:OPTIONS]`")]
    Form {
        /// The text.
        text: String,
    },
    /// The target is no path in an image.
    #[error("`--volume {text}`: the target `{target}` is not an absolute path below `/`")]
    Target {
        /// The text.
        text: String,
        /// The target.
        target: String,
    },
    /// There is no such option here.
    #[error("`--volume {text}`: the option `{option}` is not supported: `ro`, `rw` and `O` are")]
    Option {
        /// The text.
        text: String,
        /// The option.
        option: String,
    },
    /// Two options say the opposite.
    #[error("`--volume {text}`: `{option}` contradicts an option before it")]
    Contradiction {
        /// The text.
        text: String,
        /// The later option.
        option: String,
    },
}

/// Understands all `--volume`s.
///
/// # Errors
///
/// Fails on the first that cannot be understood.
pub(super) fn parse_all(
    texts: &[String],
    env: &Environment,
) -> Result<Vec<Volume>, VolumeUsageError> {
    texts.iter().map(|text| parse(text, env)).collect()
}

fn parse(text: &str, env: &Environment) -> Result<Volume, VolumeUsageError> {
    let form = || VolumeUsageError::Form {
        text: text.to_owned(),
    };
    let parts: Vec<&str> = text.split(':').collect();
    let (host, target, options) = match parts.as_slice() {
        [host, target] => (host, target, ""),
        [host, target, options] => (host, target, *options),
        _ => return Err(form()),
    };
    if host.is_empty() || target.is_empty() {
        return Err(form());
    }
    Ok(Volume {
        host: env.current_directory.join(host),
        target: clean_target(text, target)?,
        access: access(text, options)?,
    })
}

/// Returns the target without `.` and `..`, which are meant in the image.
fn clean_target(text: &str, target: &str) -> Result<String, VolumeUsageError> {
    let mut clean = PathBuf::from("/");
    for component in Path::new(target).components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => drop(clean.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    if !target.starts_with('/') || clean == Path::new("/") {
        return Err(VolumeUsageError::Target {
            text: text.to_owned(),
            target: target.to_owned(),
        });
    }
    Ok(clean.to_string_lossy().into_owned())
}

fn access(text: &str, options: &str) -> Result<VolumeAccess, VolumeUsageError> {
    let mut chosen = None;
    for option in options.split(',').filter(|option| !option.is_empty()) {
        let access = match option {
            "rw" => VolumeAccess::ReadWrite,
            "ro" => VolumeAccess::ReadOnly,
            "O" => VolumeAccess::Discard,
            "z" | "Z" | "nosuid" | "nodev" | "bind" | "rbind" | "private" | "rprivate" => continue,
            _ => {
                return Err(VolumeUsageError::Option {
                    text: text.to_owned(),
                    option: option.to_owned(),
                });
            }
        };
        if chosen.is_some_and(|before| before != access) {
            return Err(VolumeUsageError::Contradiction {
                text: text.to_owned(),
                option: option.to_owned(),
            });
        }
        chosen = Some(access);
    }
    Ok(chosen.unwrap_or(VolumeAccess::ReadWrite))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env() -> Environment {
        Environment {
            current_directory: PathBuf::from("/here"),
            ..Environment::default()
        }
    }

    #[test]
    fn a_volume_has_two_paths_and_options() {
        use VolumeAccess::{Discard, ReadOnly, ReadWrite};
        for (text, host, target, access) in [
            ("/a:/b", "/a", "/b", ReadWrite),
            ("a:/b/", "/here/a", "/b", ReadWrite),
            ("/a:/b/../c:ro", "/a", "/c", ReadOnly),
            ("/a:/b:rw,z", "/a", "/b", ReadWrite),
            ("/a:/b:Z,ro,rbind", "/a", "/b", ReadOnly),
            ("/a:/b:O", "/a", "/b", Discard),
            ("/a:/b:", "/a", "/b", ReadWrite),
        ] {
            let expected = Volume {
                host: PathBuf::from(host),
                target: target.to_owned(),
                access,
            };
            assert_eq!(parse(text, &env()).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_understood_is_named() {
        for (text, expected) in [
            ("/a", "`--volume /a` is no `PATH:TARGET[:OPTIONS]`"),
            (":/a", "`--volume :/a` is no `PATH:TARGET[:OPTIONS]`"),
            (
                "a:b:c:d",
                "`--volume a:b:c:d` is no `PATH:TARGET[:OPTIONS]`",
            ),
            (
                "/a:b",
                "`--volume /a:b`: the target `b` is not an absolute path below `/`",
            ),
            (
                "/a:/b/..",
                "`--volume /a:/b/..`: the target `/b/..` is not an absolute path below `/`",
            ),
            (
                "/a:/b:shared",
                "`--volume /a:/b:shared`: the option `shared` is not supported: `ro`, `rw` and `O` are",
            ),
            (
                "/a:/b:U",
                "`--volume /a:/b:U`: the option `U` is not supported: `ro`, `rw` and `O` are",
            ),
            (
                "/a:/b:ro,rw",
                "`--volume /a:/b:ro,rw`: `rw` contradicts an option before it",
            ),
        ] {
            assert_eq!(parse(text, &env()).unwrap_err().to_string(), expected);
        }
    }
}
