//! What other runtimes could be left by, one test for each way. `t_dNN` are the numbers by which they are known in
//! `docs/sandbox.md`; some stand in `isolation.rs`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use libtest_mimic::{Failed, Trial};
use runtime::{Confinement, SandboxSpec};

use crate::harness::{Ground, Ids, PROGRAM, Report, RunTask, Task, expect_success, shell, trial};
use crate::programs;

/// The loader that a program for this machine names, as far as we have programs to put into its place.
const LOADER: &str = "lib64/ld-linux-x86-64.so.2";

pub(crate) fn tests() -> Vec<Trial> {
    let mut tests = vec![trial(
        "the_keys_of_the_callers_session_are_left_behind",
        session_keys,
    )];
    if cfg!(all(target_arch = "x86_64", target_env = "gnu")) {
        tests.push(trial(
            "t_d01_an_image_cannot_change_the_program_that_runs_it",
            own_program,
        ));
    }
    tests
}

fn unconfined(script: &str) -> SandboxSpec {
    SandboxSpec {
        confinement: Confinement::Namespace,
        ..shell(script)
    }
}

/// CVE-2019-5736: a script whose interpreter is whatever executes it, and a loader that the image brings.
fn own_program() -> Result<(), Failed> {
    let script = "test -e /proc/self/fd/3 && echo held; (echo x >> /proc/self/fd/3) 2>/dev/null && \
                  echo written; chmod 777 /proc/self/fd/3 2>/dev/null; touch -d @1 /proc/self/fd/3 \
                  2>/dev/null; true";
    for (ids, confinement) in [
        (Ids::Planned, Confinement::Container),
        (Ids::Planned, Confinement::Namespace),
        (Ids::Single, Confinement::Container),
        (Ids::Single, Confinement::Namespace),
    ] {
        let ground = Ground::new(ids)?;
        ground.order::<()>(Task::CopyProgram)?;
        let program = ground.path().join(PROGRAM);
        let extra = ground.path().join("extra");
        fs::create_dir(extra.join("lib64"))?;
        let loader = programs::amd64_loader_that_keeps_the_program(script);
        add_program(&extra.join(LOADER), &loader)?;
        add_program(&extra.join("again"), b"#!/proc/self/exe\n")?;
        let state = |path: &Path| -> Result<_, Failed> {
            let metadata = fs::metadata(path)?;
            Ok((
                metadata.permissions().mode(),
                metadata.modified()?,
                metadata.len(),
            ))
        };
        let before = state(&program)?;
        let task = RunTask {
            spec: SandboxSpec {
                confinement,
                ..SandboxSpec::new(vec![b"/again".to_vec()])
            },
            binds: Vec::new(),
            emulate: Vec::new(),
            cancel_at: None,
        };
        let report: Report = ground.order_of(&program, Task::Run(Box::new(task)))?;
        let case = format!("{ids:?}, {confinement:?}");
        assert_eq!(expect_success(report)?, "held\n", "{case}");
        assert_eq!(state(&program)?, before, "{case}");
    }
    Ok(())
}

fn add_program(path: &Path, content: &[u8]) -> Result<(), Failed> {
    fs::write(path, content)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// A command without a filter has a keyring of its own, with nothing in it: the list is of what it may see.
fn session_keys() -> Result<(), Failed> {
    if fs::metadata("/proc/keys").is_err() {
        return Ok(());
    }
    let ground = Ground::new(Ids::Planned)?;
    let script = "while read id flags uses left perms uid gid kind name; do \
                  case $name in _ses*|_uid_ses*) echo $name;; esac; done < /proc/keys";
    // With one id, all that is the caller's may be looked at.
    if ground.output("grep -c ' 1$' /proc/self/uid_map; true")? == "1\n" {
        return Ok(());
    }
    let shown = expect_success(ground.run(unconfined(script))?)?;
    // Those of other commands that run now look the same.
    let seen: BTreeSet<&str> = shown.lines().collect();
    assert_eq!(seen, BTreeSet::from(["_ses: empty"]));
    Ok(())
}
