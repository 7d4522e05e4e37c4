//! Who is killed, and what is left: nothing, within a second.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use runtime::ExitStatus;

use crate::harness::{
    Ground, Ids, Order, PROGRAM, Refusal, Report, RunTask, Task, code, hearing_program, shell,
    trial,
};

/// What may pass between a kill and the end of everything.
const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        trial("what_a_command_leaves_behind_is_killed", left_behind),
        trial("a_cancelled_command_ends_at_once", cancelled),
        trial("killing_the_first_process_ends_everything", kill_first),
        trial("killing_the_builder_ends_everything", kill_builder),
        trial(
            "killing_the_starter_harms_no_command_that_runs",
            kill_starter,
        ),
        trial("killing_init_ends_the_sandbox", kill_init),
        trial("killing_pid_one_ends_the_sandbox", kill_pid_one),
        trial(
            "killing_the_command_is_a_signal_of_the_command",
            kill_command,
        ),
        trial("killing_the_group_ends_everything", kill_group),
        trial("killing_at_any_moment_ends_everything", kill_at_any_moment),
        trial("an_interrupt_is_a_cancellation", interrupt_first),
        trial(
            "an_interrupt_of_the_whole_group_is_a_cancellation",
            interrupt_group,
        ),
        trial("two_interrupts_are_a_kill", interrupt_twice),
        trial(
            "signals_that_come_together_are_one_wish",
            interrupt_process_and_group,
        ),
    ]
}

/// A running build of a command that takes an hour.
struct Build {
    ground: Ground,
    first: Child,
    /// Read no further, but kept open for those that print to it.
    _stderr: BufReader<ChildStderr>,
    /// The processes of the build when its command ran, the first process included.
    tree: Tree,
}

/// The processes by their roles.
#[derive(Debug, Clone, Copy)]
struct Tree {
    first: Pid,
    builder: Pid,
    /// What makes every `init`, and has no child itself.
    starter: Pid,
    init: Pid,
    pid_one: Pid,
    command: Pid,
}

impl Build {
    fn start() -> Result<Self, Failed> {
        let ground = Ground::new(Ids::Planned)?;
        let mut first = start_first(&ground, "echo ready >&2; sleep 3600 & sleep 3600; exit 3")?;
        let mut line = String::new();
        let mut stderr = BufReader::new(first.stderr.take().ok_or("no stderr")?);
        stderr.read_line(&mut line)?;
        assert_eq!(line, "ready\n".to_owned());
        let tree = Tree::below(Pid::from_raw(i32::try_from(first.id())?))?;
        Ok(Self {
            ground,
            first,
            _stderr: stderr,
            tree,
        })
    }

    /// Waits for the first process, and makes sure that nothing is left a second after `since`.
    fn end(mut self, since: Instant) -> Result<(i32, String), Failed> {
        wait_until_gone(&self.tree.all(), since)?;
        let status = self.first.wait()?;
        let mut stdout = String::new();
        if let Some(mut stream) = self.first.stdout.take() {
            stream.read_to_string(&mut stdout)?;
        }
        no_mount_is_left(&self.ground)?;
        Ok((code(status), stdout))
    }
}

/// Starts a first process in a process group of its own, whose command is `script`; the command's
/// standard error comes out of its own.
fn start_first(ground: &Ground, script: &str) -> Result<Child, Failed> {
    let spec = shell(script);
    let (binds, emulate, cancel_at) = (Vec::new(), Vec::new(), None);
    let task = Task::Watched(Box::new(RunTask {
        spec,
        binds,
        emulate,
        cancel_at,
    }));
    let order = Order {
        directory: ground.path().to_owned(),
        task,
    };
    let mut command = hearing_program(&program(ground)?);
    command
        .args([
            crate::harness::FIRST,
            "planned",
            &serde_json::to_string(&order)?,
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    Ok(command.spawn()?)
}

/// Returns this program under a name that only one test has, so that its processes can be told
/// apart.
fn program(ground: &Ground) -> Result<PathBuf, Failed> {
    let path = ground.path().join(PROGRAM);
    if !path.try_exists()? {
        ground.order::<()>(Task::CopyProgram)?;
    }
    Ok(path)
}

/// Returns the processes, of any role, that were started as [`program`].
fn processes_of(ground: &Ground) -> Vec<Pid> {
    let path = ground.path().join(PROGRAM);
    let is_ours =
        |pid: &Pid| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == path);
    processes()
        .into_iter()
        .map(|(pid, ..)| pid)
        .filter(is_ours)
        .collect()
}

impl Tree {
    fn below(first: Pid) -> Result<Self, Failed> {
        let only_child = |pid: Pid| {
            let mut children = children(pid);
            children
                .pop()
                .filter(|_| children.is_empty())
                .ok_or("not one child")
        };
        let builder = only_child(first)?;
        let (mut starters, mut inits) = (Vec::new(), Vec::new());
        for child in children(builder) {
            let kind = if children(child).is_empty() {
                &mut starters
            } else {
                &mut inits
            };
            kind.push(child);
        }
        let ([starter], [init]) = (starters.as_slice(), inits.as_slice()) else {
            return Err("not one starter and one init".into());
        };
        let (starter, init) = (*starter, *init);
        let pid_one = only_child(init)?;
        let command = only_child(pid_one)?;
        Ok(Self {
            first,
            builder,
            starter,
            init,
            pid_one,
            command,
        })
    }

    fn all(&self) -> Vec<Pid> {
        let mut pids = vec![
            self.first,
            self.builder,
            self.starter,
            self.init,
            self.pid_one,
            self.command,
        ];
        pids.extend(children(self.command));
        pids
    }
}

/// Reads `/proc`: name, state and parent of each process.
fn processes() -> Vec<(Pid, char, Pid)> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let parse = |name: String| {
        let stat = fs::read_to_string(PathBuf::from("/proc").join(&name).join("stat")).ok()?;
        let (_, rest) = stat.rsplit_once(") ")?;
        let mut fields = rest.split(' ');
        let state = fields.next()?.chars().next()?;
        let parent = Pid::from_raw(fields.next()?.parse().ok()?);
        Some((Pid::from_raw(name.parse().ok()?), state, parent))
    };
    entries
        .flatten()
        .filter_map(|entry| parse(entry.file_name().to_string_lossy().into_owned()))
        .collect()
}

fn children(pid: Pid) -> Vec<Pid> {
    processes()
        .into_iter()
        .filter(|(_, _, parent)| *parent == pid)
        .map(|(child, ..)| child)
        .collect()
}

fn alive(pids: &[Pid]) -> BTreeSet<Pid> {
    let living = processes()
        .into_iter()
        .filter(|(_, state, _)| *state != 'Z' && *state != 'X');
    living
        .map(|(pid, ..)| pid)
        .filter(|pid| pids.contains(pid))
        .collect()
}

/// Waits until all are gone; fails if that takes more than a second.
fn wait_until_gone(pids: &[Pid], since: Instant) -> Result<(), Failed> {
    loop {
        let left = alive(pids);
        if left.is_empty() {
            return Ok(());
        }
        if since.elapsed() > SECOND {
            return Err(format!("{left:?} of {pids:?} are left after a second").into());
        }
        pause(Duration::from_millis(5));
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "there is no event to wait for in another's /proc"
)]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

fn no_mount_is_left(ground: &Ground) -> Result<(), Failed> {
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    let directory = ground.path().to_string_lossy().into_owned();
    assert_eq!(
        table
            .lines()
            .filter(|line| line.contains(&directory))
            .count(),
        0,
    );
    Ok(())
}

fn left_behind() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    let started = Instant::now();
    let script =
        "setsid sleep 3600 & sleep 3600 & (sleep 3600 &) ; echo $! > /dev/shm/x; echo done";
    let report = ground.shell(script)?;
    assert_eq!(
        (report.outcome, report.stdout),
        (Ok(ExitStatus::Code(0)), "done\n".to_owned()),
    );
    assert!(started.elapsed() < Duration::from_secs(20));
    Ok(())
}

fn cancelled() -> Result<(), Failed> {
    let ground = Ground::new(Ids::Planned)?;
    let report: Report = ground.run_task(RunTask {
        spec: shell("trap '' TERM INT; echo ready; sleep 3600"),
        binds: Vec::new(),
        emulate: Vec::new(),
        cancel_at: Some("ready".to_owned()),
    })?;
    let text = "run a command: cancelled".to_owned();
    assert_eq!(
        report.outcome,
        Err(Refusal {
            text,
            exit_code: None,
        }),
    );
    assert!(report.milliseconds < 1000);
    Ok(())
}

fn kill_one(choose: fn(&Tree) -> Pid) -> Result<(i32, String), Failed> {
    let build = Build::start()?;
    let since = Instant::now();
    kill(choose(&build.tree), Signal::SIGKILL)?;
    build.end(since)
}

fn kill_first() -> Result<(), Failed> {
    let (status, _) = kill_one(|tree| tree.first)?;
    assert_eq!(status, 128 + 9);
    Ok(())
}

fn kill_builder() -> Result<(), Failed> {
    let (status, stdout) = kill_one(|tree| tree.builder)?;
    assert_eq!((status, stdout), (128 + 9, String::new()));
    Ok(())
}

fn lost(result: Result<(i32, String), Failed>) -> Result<(), Failed> {
    let (status, stdout) = result?;
    assert_eq!(status, 0);
    let report: Report = serde_json::from_str(&stdout)?;
    let text = "run a command: the sandbox was ended from outside".to_owned();
    assert_eq!(
        report.outcome,
        Err(Refusal {
            text,
            exit_code: None,
        }),
    );
    Ok(())
}

fn kill_init() -> Result<(), Failed> {
    lost(kill_one(|tree| tree.init))
}

/// It has done what it is for: the command goes on, to be killed like any other.
fn kill_starter() -> Result<(), Failed> {
    let build = Build::start()?;
    kill(build.tree.starter, Signal::SIGKILL)?;
    let others = [build.tree.pid_one, build.tree.command];
    assert_eq!(alive(&others), BTreeSet::from(others));
    let since = Instant::now();
    kill(build.tree.command, Signal::SIGKILL)?;
    let (status, stdout) = build.end(since)?;
    let report: Report = serde_json::from_str(&stdout)?;
    assert_eq!((status, report.outcome), (0, Ok(ExitStatus::Signal(9))));
    Ok(())
}

fn kill_pid_one() -> Result<(), Failed> {
    lost(kill_one(|tree| tree.pid_one))
}

fn kill_command() -> Result<(), Failed> {
    let (status, stdout) = kill_one(|tree| tree.command)?;
    let report: Report = serde_json::from_str(&stdout)?;
    assert_eq!((status, report.outcome), (0, Ok(ExitStatus::Signal(9))));
    Ok(())
}

fn kill_group() -> Result<(), Failed> {
    let build = Build::start()?;
    let since = Instant::now();
    killpg(build.tree.first, Signal::SIGKILL)?;
    let (status, _) = build.end(since)?;
    assert_eq!(status, 128 + 9);
    Ok(())
}

/// Ten moments of each, from the start of the first process to well after the command's.
fn kill_at_any_moment() -> Result<(), Failed> {
    let targets: [fn(&Child) -> Option<Pid>; 3] = [
        |first| Some(Pid::from_raw(first.id().cast_signed())),
        |first| children(Pid::from_raw(first.id().cast_signed())).pop(),
        |first| Some(Pid::from_raw(-first.id().cast_signed())),
    ];
    let ground = Ground::new(Ids::Planned)?;
    for target in targets {
        for moment in 0..10 {
            let mut first = start_first(&ground, "sleep 3600")?;
            pause(Duration::from_millis(moment * 6));
            let since = Instant::now();
            if let Some(pid) = target(&first) {
                kill(pid, Signal::SIGKILL)?;
            } else {
                first.kill()?;
            }
            let status = first.wait()?;
            assert!(!status.success());
            while !processes_of(&ground).is_empty() {
                if since.elapsed() > SECOND {
                    return Err(format!("after {moment}: {:?}", processes_of(&ground)).into());
                }
                pause(Duration::from_millis(5));
            }
            no_mount_is_left(&ground)?;
            // Nothing is left that would be in the way of the next.
            assert_eq!(ground.output("echo fine")?, "fine\n");
        }
    }
    Ok(())
}

/// What the builder reports of a command that was cancelled.
fn is_cancelled((status, stdout): (i32, String)) -> Result<(), Failed> {
    let report: Report = serde_json::from_str(&stdout)?;
    let text = "run a command: cancelled".to_owned();
    assert_eq!(
        (status, report.outcome),
        (
            0,
            Err(Refusal {
                text,
                exit_code: None,
            }),
        ),
    );
    Ok(())
}

fn interrupt_first() -> Result<(), Failed> {
    for signal in [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGQUIT,
    ] {
        let build = Build::start()?;
        let since = Instant::now();
        kill(build.tree.first, signal)?;
        is_cancelled(build.end(since)?)?;
    }
    Ok(())
}

/// As a terminal does it.
fn interrupt_group() -> Result<(), Failed> {
    let build = Build::start()?;
    let since = Instant::now();
    killpg(build.tree.first, Signal::SIGINT)?;
    is_cancelled(build.end(since)?)
}

/// As `timeout` does it.
fn interrupt_process_and_group() -> Result<(), Failed> {
    let build = Build::start()?;
    let since = Instant::now();
    kill(build.tree.first, Signal::SIGINT)?;
    killpg(build.tree.first, Signal::SIGINT)?;
    is_cancelled(build.end(since)?)
}

fn interrupt_twice() -> Result<(), Failed> {
    let build = Build::start()?;
    // It does not hear the first one, nor anything else.
    kill(build.tree.builder, Signal::SIGSTOP)?;
    kill(build.tree.first, Signal::SIGINT)?;
    // Long enough to be a second wish.
    pause(Duration::from_millis(150));
    let since = Instant::now();
    kill(build.tree.first, Signal::SIGINT)?;
    let (status, stdout) = build.end(since)?;
    assert_eq!((status, stdout), (128 + 9, String::new()));
    Ok(())
}
