//! What `git ls-remote --symref` prints.

use super::ObjectFormat;

/// One name that a remote has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteRef {
    /// The whole name: `HEAD`, `refs/heads/main`, `refs/tags/v1`.
    pub name: String,
    /// The object that it names: a commit, or an annotated tag.
    pub object: String,
    /// The commit that an annotated tag is of.
    pub peeled: Option<String>,
}

impl RemoteRef {
    /// Returns the commit.
    pub fn commit(&self) -> &str {
        self.peeled.as_deref().unwrap_or(&self.object)
    }
}

/// The names that a remote has, of those that were asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoteRefs {
    refs: Vec<RemoteRef>,
    /// The branch that `HEAD` stands for.
    head: Option<String>,
}

impl RemoteRefs {
    /// Reads the output; the error is the line that is none.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut found = Self::default();
        for line in text.lines() {
            let malformed = || line.to_owned();
            let (object, name) = line.split_once('\t').ok_or_else(malformed)?;
            if let Some(target) = object.strip_prefix("ref: ") {
                if name == "HEAD" {
                    found.head = Some(target.to_owned());
                }
                continue;
            }
            if ObjectFormat::of(object).is_none() {
                return Err(malformed());
            }
            match (name.strip_suffix("^{}"), found.refs.last_mut()) {
                (Some(tag), Some(last)) if last.name == tag => {
                    last.peeled = Some(object.to_owned());
                }
                (Some(_), _) => return Err(malformed()),
                (None, _) => found.refs.push(RemoteRef {
                    name: name.to_owned(),
                    object: object.to_owned(),
                    peeled: None,
                }),
            }
        }
        Ok(found)
    }

    /// Returns what a name of a user's stands for: a whole name, a branch, or a tag, in this order.
    pub fn find(&self, name: &str) -> Option<&RemoteRef> {
        let within = |part: &str| {
            let rest = name.strip_prefix(part).unwrap_or(name);
            self.named(&format!("{part}{rest}"))
        };
        within("refs/")
            .or_else(|| within("refs/heads/"))
            .or_else(|| within("refs/tags/"))
    }

    /// Returns what the remote's `HEAD` stands for, under the name of its branch if it has one.
    pub fn head(&self) -> Option<RemoteRef> {
        let head = self.named("HEAD")?;
        let name = self.head.clone().unwrap_or_else(|| head.name.clone());
        Some(RemoteRef {
            name,
            ..head.clone()
        })
    }

    fn named(&self, name: &str) -> Option<&RemoteRef> {
        self.refs.iter().find(|found| found.name == name)
    }
}
