//! The builder's part of the tests: does what an order says and reports as JSON.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;

use runtime::binfmt::BinfmtInstance;
use runtime::{
    Access, Builder, BuilderRole, CancelReason, ExecError, Executor as _, KernelFeatures,
    Namespaces, OverlayOptions, Step, Stream, Submounts, Upper, bind, memory_directory,
    mount_overlay, populate_stubs, subtree,
};
use vendor_shim::emulation::{
    Architecture, Emulators as _, HandlerFlags, SystemEmulators, registration_line,
};

use crate::harness::{Order, PROGRAM, Refusal, Report, RunTask, Task, chain, shell};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Is the builder to its end.
pub(crate) fn main(role: BuilderRole, arguments: &[OsString]) -> u8 {
    match role
        .enter()
        .map_err(Into::into)
        .and_then(|builder| obey(&builder, arguments))
    {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("{}", chain(error.as_ref()));
            1
        }
    }
}

fn obey(builder: &Builder, arguments: &[OsString]) -> Result<()> {
    let order = arguments.first().ok_or("no order")?;
    let Order { directory, task } = serde_json::from_slice(order.as_bytes())?;
    let _watch = builder.watch()?;
    let features = KernelFeatures::probe();
    match task {
        Task::Prepare => {
            prepare(builder, &directory)?;
            print(&())
        }
        Task::CopyProgram => {
            fs::copy("/proc/self/exe", directory.join(PROGRAM))?;
            print(&())
        }
        Task::Run(task) => print(&run(builder, features, &directory, &task, |_| ())?),
        Task::Watched(task) => {
            let pass_on = |text: &[u8]| drop(io::stderr().write_all(text));
            print(&run(builder, features, &directory, &task, pass_on)?)
        }
        Task::SideBySide { script, count } => print(&side_by_side(
            builder, features, &directory, &script, count,
        )?),
        Task::Layers { count, by_string } => {
            let features = chosen(features, by_string);
            print(&layers(&directory, count, features)?)
        }
        Task::View { by_string } => {
            let features = chosen(features, by_string);
            let base = open(&directory.join("base"))?;
            let view = mount_overlay(&[base.as_fd()], None, OverlayOptions::default(), &features)?;
            print(&names(&view)?)
        }
        Task::Part { by_string } => print(&part(&directory, chosen(features, by_string))?),
        Task::Remove => {
            for entry in fs::read_dir(&directory)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    fs::remove_dir_all(entry.path())?;
                } else {
                    fs::remove_file(entry.path())?;
                }
            }
            print(&())
        }
    }
}

fn print<T: serde::Serialize>(report: &T) -> Result<()> {
    Ok(serde_json::to_writer(io::stdout(), report)?)
}

/// Takes a file out of a view of the base, and one out of memory; returns what is in them.
fn part(directory: &Path, features: KernelFeatures) -> Result<[String; 2]> {
    let base = open(&directory.join("base"))?;
    let view = mount_overlay(&[base.as_fd()], None, OverlayOptions::default(), &features)?;
    let memory = memory_directory()?;
    fs::write(below(&memory, "file"), "in memory")?;
    let read = |whole: &OwnedFd, name| -> Result<String> {
        let place = File::open(below(whole, name))?;
        let taken = subtree(whole.as_fd(), place.as_fd(), &features)?;
        // The mount is the file itself.
        Ok(fs::read_to_string(format!(
            "/proc/self/fd/{}",
            taken.as_raw_fd()
        ))?)
    };
    Ok([read(&view, "etc/secret")?, read(&memory, "file")?])
}

fn below(directory: &OwnedFd, name: &str) -> String {
    format!("/proc/self/fd/{}/{name}", directory.as_raw_fd())
}

/// As though the kernel were an old one.
fn chosen(features: KernelFeatures, by_string: bool) -> KernelFeatures {
    let overlay_layer_by_layer = features.overlay_layer_by_layer && !by_string;
    KernelFeatures {
        overlay_layer_by_layer,
        parts_of_detached_mounts: features.parts_of_detached_mounts && !by_string,
        ..features
    }
}

/// Fills the base with busybox under all its names, and what it needs to be a system.
fn prepare(builder: &Builder, directory: &Path) -> Result<()> {
    let base = directory.join("base");
    let root = builder.ids().container_root();
    for name in ["bin", "etc", "tmp", "home", "home/user"] {
        fs::create_dir(base.join(name))?;
    }
    fs::copy("/bin/busybox", base.join("bin/busybox"))?;
    for name in [
        "sh", "cat", "ls", "id", "chown", "touch", "rm", "sleep", "stat", "mount", "unshare",
        "mknod", "hostname", "ps", "head", "kill", "grep", "env", "mkdir", "ln", "ip", "nc",
        "test", "true", "wc", "readlink", "setsid", "dd", "tty", "umount", "su", "ulimit",
    ] {
        symlink("busybox", base.join("bin").join(name))?;
    }
    fs::write(
        base.join("etc/passwd"),
        "root:x:0:0::/:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n",
    )?;
    fs::write(base.join("etc/group"), "root:x:0:\nuser:x:1000:\n")?;
    fs::write(base.join("etc/secret"), "secret")?;
    own(&base, root.0)?;
    fs::set_permissions(base.join("tmp"), fs::Permissions::from_mode(0o1777))?;
    fs::set_permissions(base.join("etc/secret"), fs::Permissions::from_mode(0o600))?;
    if builder.ids().count() > 1000 {
        let user = root.0 + 1000;
        chown(base.join("home/user"), Some(user), Some(user))?;
    }
    for name in ["upper", "work"] {
        chown(directory.join(name), Some(root.0), Some(root.0))?;
    }
    populate_stubs(open(&directory.join("stubs"))?.as_fd(), root)?;
    Ok(())
}

fn own(path: &Path, id: u32) -> Result<()> {
    std::os::unix::fs::lchown(path, Some(id), Some(id))?;
    if fs::symlink_metadata(path)?.is_dir() {
        for entry in fs::read_dir(path)? {
            own(&entry?.path(), id)?;
        }
    }
    Ok(())
}

fn open(path: &Path) -> io::Result<OwnedFd> {
    Ok(File::open(path)?.into())
}

fn run(
    builder: &Builder,
    features: KernelFeatures,
    directory: &Path,
    task: &RunTask,
    pass_on: impl Fn(&[u8]),
) -> Result<Report> {
    forget_work(directory)?;
    let part = |name: &str| open(&directory.join(name));
    let (upper, work) = (part("upper")?, part("work")?);
    let lowers = [part("extra")?, part("base")?, part("stubs")?];
    let upper = Upper {
        upper: upper.as_fd(),
        work: work.as_fd(),
    };
    let lowers = lowers.each_ref().map(|lower| lower.as_fd());
    let options = OverlayOptions { volatile: true };
    let root = mount_overlay(&lowers, Some(upper), options, &features)?;
    let mounts: Result<Vec<OwnedFd>> = task
        .binds
        .iter()
        .map(|path| {
            let source = open(&directory.join(path))?;
            Ok(bind(source.as_fd(), Submounts::Without, Access::ReadWrite)?)
        })
        .collect();
    let emulation = emulate(&task.emulate)?;
    let executor = Namespaces::new(builder, &features);
    let report = execute(builder, &executor, (task, root.as_fd(), mounts?), pass_on);
    drop(emulation);
    Ok(report)
}

/// Runs a script in many sandboxes of one executor, and returns what each printed.
fn side_by_side(
    builder: &Builder,
    features: KernelFeatures,
    directory: &Path,
    script: &str,
    count: usize,
) -> Result<Vec<String>> {
    let lowers = ["base", "stubs"].map(|name| open(&directory.join(name)));
    let [base, stubs] = lowers;
    let (base, stubs) = (base?, stubs?);
    let executor = Namespaces::new(builder, &features);
    let one = || -> Result<String> {
        let lowers = [base.as_fd(), stubs.as_fd()];
        let root = mount_overlay(&lowers, None, OverlayOptions::default(), &features)?;
        let mut printed = Vec::new();
        let mut output = |_: Stream, chunk: &[u8]| printed.extend_from_slice(chunk);
        let step = Step {
            spec: &shell(script),
            root: root.as_fd(),
            mounts: Vec::new(),
            output: &mut output,
            talk: None,
            cancel: builder.cancel(),
            recorded: Vec::new(),
        };
        executor.run(step)?;
        Ok(String::from_utf8(printed)?)
    };
    let printed: Vec<std::result::Result<String, String>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|_| scope.spawn(|| one().map_err(|error| chain(error.as_ref()))))
            .collect();
        let joined = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        joined
            .map(|printed| printed.unwrap_or_else(|_| Err("panic".to_owned())))
            .collect()
    });
    printed
        .into_iter()
        .map(|printed| printed.map_err(Into::into))
        .collect()
}

/// A volatile overlay refuses to be mounted again, since it may be incomplete after a crash; the
/// tests want to.
fn forget_work(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory.join("work/work")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn execute(
    builder: &Builder,
    executor: &Namespaces,
    (task, root, mounts): (&RunTask, BorrowedFd<'_>, Vec<OwnedFd>),
    pass_on: impl Fn(&[u8]),
) -> Report {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let started = std::time::Instant::now();
    let mut output = |stream: Stream, chunk: &[u8]| {
        match stream {
            Stream::Stdout => stdout.extend_from_slice(chunk),
            Stream::Stderr => {
                stderr.extend_from_slice(chunk);
                pass_on(chunk);
            }
        }
        let text = String::from_utf8_lossy(&stdout);
        if task
            .cancel_at
            .as_ref()
            .is_some_and(|word| text.contains(word))
        {
            builder.cancel().cancel(CancelReason::Abandoned);
        }
    };
    let step = Step {
        spec: &task.spec,
        root,
        mounts,
        output: &mut output,
        talk: None,
        cancel: builder.cancel(),
        recorded: Vec::new(),
    };
    let outcome = executor.run(step);
    Report {
        outcome: outcome
            .map(|outcome| outcome.status)
            .map_err(|error| refusal(&error)),
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
        milliseconds: started.elapsed().as_millis(),
    }
}

fn refusal(error: &ExecError) -> Refusal {
    Refusal {
        text: chain(error),
        exit_code: error.exit_code(),
    }
}

fn emulate(names: &[String]) -> Result<Option<BinfmtInstance>> {
    if names.is_empty() {
        return Ok(None);
    }
    let emulators = SystemEmulators::new(vec!["/usr/bin".into()]);
    let instance = BinfmtInstance::mount()?;
    for name in names {
        let architecture = Architecture::from_name(name).ok_or("no such architecture")?;
        let interpreter = emulators.find(architecture)?;
        instance.register(&registration_line(
            architecture,
            &interpreter,
            HandlerFlags::ALL,
        )?)?;
    }
    Ok(Some(instance))
}

/// Merges layers with one file each, and returns the files' names.
fn layers(directory: &Path, count: usize, features: KernelFeatures) -> Result<Vec<String>> {
    let place = directory.join("layers");
    let mut lowers = Vec::new();
    for index in 0..count {
        let layer = place.join(index.to_string());
        fs::create_dir_all(&layer)?;
        fs::write(layer.join(format!("{index:03}")), "")?;
        lowers.push(open(&layer)?);
    }
    let lowers: Vec<BorrowedFd<'_>> = lowers.iter().map(|lower| lower.as_fd()).collect();
    let (upper, work) = (
        open(&directory.join("upper"))?,
        open(&directory.join("work"))?,
    );
    let upper = Upper {
        upper: upper.as_fd(),
        work: work.as_fd(),
    };
    let merged = mount_overlay(&lowers, Some(upper), OverlayOptions::default(), &features)?;
    names(&merged)
}

fn names(directory: &OwnedFd) -> Result<Vec<String>> {
    use std::os::fd::AsRawFd as _;
    let path = format!("/proc/self/fd/{}", directory.as_raw_fd());
    let entries: io::Result<Vec<_>> = fs::read_dir(path)?.collect();
    let mut names: Vec<String> = entries?
        .iter()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    Ok(names)
}
