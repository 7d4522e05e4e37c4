//! Limits above those of whoever builds: refused before anything runs.

use graph::Limit;
use runtime::{CallError, LimitedResource};

use crate::report::{Kind, Report};

/// A limit that cannot be given to commands.
#[derive(Debug, thiserror::Error)]
enum LimitFailure {
    /// It is above what the builder itself has.
    #[error("cannot raise the limit `{resource}` to {}", shown(*asked))]
    Above {
        resource: String,
        asked: Option<u64>,
    },
    /// The kernel does not tell.
    #[error("cannot find out the limit `{resource}` of this process")]
    Unknown { resource: String, source: CallError },
}

fn shown(limit: Option<u64>) -> String {
    limit.map_or_else(|| "no limit".to_owned(), |limit| limit.to_string())
}

/// Refuses limits that nobody but the machine's root could give.
pub(super) fn check(limits: &[Limit]) -> Result<(), Box<Report>> {
    limits.iter().try_for_each(check_one)
}

fn check_one(limit: &Limit) -> Result<(), Box<Report>> {
    let Some(resource) = LimitedResource::from_name(&limit.resource) else {
        return Ok(());
    };
    let name = limit.resource.clone();
    let most = resource.most().map_err(|source| {
        let resource = name.clone();
        Report::new(Kind::Host, &LimitFailure::Unknown { resource, source })
    })?;
    let Some(most) = most else { return Ok(()) };
    if limit.hard.is_some_and(|hard| hard <= most) {
        return Ok(());
    }
    let (resource, asked) = (name, limit.hard);
    let mut report = Report::new(Kind::Host, &LimitFailure::Above { resource, asked });
    let own = format!("your own hard limit is {most}, and only the machine's root may raise it");
    report.notes.push(own);
    Err(Box::new(report))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(hard: Option<u64>) -> Limit {
        Limit {
            resource: "nofile".to_owned(),
            soft: Some(1),
            hard,
        }
    }

    #[test]
    fn a_limit_may_be_lowered_and_not_raised() {
        let most = LimitedResource::OpenFiles.most().unwrap();
        let most = most.expect("the kernel limits open files");
        check(&[limit(Some(1)), limit(Some(most))]).unwrap();
        let report = check(&[limit(Some(most + 1))]).unwrap_err();
        assert_eq!(
            report.to_text(),
            format!(
                "error: cannot raise the limit `nofile` to {}\n  \
                 = note: your own hard limit is {most}, and only the machine's root may raise it\n",
                most + 1
            )
        );
        let report = check(&[limit(None)]).unwrap_err();
        assert_eq!(report.title, "cannot raise the limit `nofile` to no limit");
    }
}
