//! The directory of one test, and careen in it.
#![expect(
    clippy::disallowed_methods,
    reason = "the bench removes files that have other ids"
)]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::archive::{Archive, Image};
use crate::layout::{self, BaseImage};
use crate::program::{Finished, Invocation};

/// Where careen finds its helpers.
/// The configuration that careen finds: commands reach what a test listens at.
const CONFIG: &str = "home/.config/careen/config.toml";
/// Where programs are looked for.
const SEARCH_PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";
/// The time that every build has: two builds differ by nothing but what differs in them.
const EPOCH: &str = "1700000000";

/// The directory of one test:
///
/// ```text
/// context/     the build context, with the Dockerfile
/// home/        the home directory; the store is where it is by default, below it
/// base/        an OCI image layout, the named context `base`, where the test has one
/// out.tar      what was built last
/// ```
#[derive(Debug)]
pub struct Bench {
    directory: TempDir,
    program: PathBuf,
}

/// A build that succeeded.
#[derive(Debug)]
pub struct Built {
    /// What careen said.
    pub log: Finished,
    /// What it wrote.
    pub archive: Archive,
}

impl Built {
    /// Returns the one image.
    pub fn image(&self) -> &Image {
        self.archive.image()
    }
}

impl Bench {
    /// Makes a bench with an empty context, for the careen at this path.
    pub fn new(program: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let bench = Self {
            directory,
            program: PathBuf::from(program),
        };
        for name in ["context", "home"] {
            fs::create_dir(bench.path(name)).expect("a directory can be made");
        }
        let config = bench.path(CONFIG);
        let directory = config.parent().expect("it is below the home");
        fs::create_dir_all(directory).expect("a directory can be made");
        fs::write(&config, "network = \"host\"\n").expect("a file can be written");
        bench
    }

    /// Adds the busybox image as the named context `base`.
    #[must_use]
    pub fn with_busybox(self) -> Self {
        self.with_base(&[BaseImage::busybox()])
    }

    /// Adds these images as the named context `base`.
    #[must_use]
    pub fn with_base(self, images: &[BaseImage]) -> Self {
        layout::write(&self.path("base"), images);
        self
    }

    /// Returns a path of the bench.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes the Dockerfile.
    pub fn dockerfile(&self, text: &str) {
        self.file("Dockerfile", text);
    }

    /// Writes a file of the context, with mode 0644, and makes the directories that it needs.
    pub fn file<C: AsRef<[u8]>>(&self, path: &str, content: C) {
        let path = self.make_room(path);
        fs::write(&path, content).expect("a file can be written");
        set_mode(&path, 0o644);
    }

    /// Makes a symbolic link in the context.
    pub fn link(&self, path: &str, target: &str) {
        symlink(target, self.make_room(path)).expect("a link can be made");
    }

    /// Gives a path of the context a mode.
    pub fn mode(&self, path: &str, mode: u32) {
        set_mode(&self.path("context").join(path), mode);
    }

    /// Returns where a path of the context is, with directories of mode 0755 on the way.
    fn make_room(&self, path: &str) -> PathBuf {
        let mut directory = self.path("context");
        let mut names: Vec<_> = path.split('/').collect();
        let name = names.pop().unwrap_or_default();
        for parent in names {
            directory.push(parent);
            if !fs::exists(&directory).expect("the context can be looked into") {
                fs::create_dir(&directory).expect("a directory can be made");
                set_mode(&directory, 0o755);
            }
        }
        directory.join(name)
    }

    /// Returns a run of careen with these arguments, in the directory of the bench.
    pub fn careen(&self, arguments: &[&str]) -> Invocation {
        self.run(&self.program).args(arguments)
    }

    /// Returns a run of `careen build` with these arguments; what the bench has is given with them.
    pub fn careen_build(&self, arguments: &[&str]) -> Invocation {
        self.careen_build_under(&[], arguments)
    }

    /// Returns a run of `careen build` by another program, which finds it at the end of its arguments.
    pub fn careen_build_under(&self, wrapper: &[&str], arguments: &[&str]) -> Invocation {
        let run = match wrapper {
            [] => self.run(&self.program),
            [first, rest @ ..] => self.run(Path::new(first)).args(rest).arg(&self.program),
        };
        let run = run.args(&["build", "--progress", "plain"]).args(arguments);
        self.based(run).arg("context")
    }

    /// Returns a run of `careen build` that shows nothing but its error, in careen's own form.
    pub fn careen_build_quietly(&self, arguments: &[&str]) -> Invocation {
        let run = self
            .run(&self.program)
            .args(&["build", "--progress", "none"]);
        self.based(run.args(arguments)).arg("context")
    }

    fn based(&self, run: Invocation) -> Invocation {
        let base = self.path("base");
        if !fs::exists(&base).expect("the bench can be looked into") {
            return run;
        }
        run.arg("--build-context")
            .arg(format!("base=oci-layout://{}", base.display()))
    }

    /// Returns a run of careen under another name.
    pub fn program(&self, program: &Path) -> Invocation {
        self.run(program)
    }

    /// Returns a run of a program in a user's environment.
    fn run(&self, program: &Path) -> Invocation {
        Invocation::new(program, self.directory.path())
            .env("HOME", self.path("home"))
            .env("PATH", SEARCH_PATH)
            .env("SOURCE_DATE_EPOCH", EPOCH)
    }

    /// Builds, reads what was built and checks it. An `--output` that goes to `out.tar` is added.
    pub fn build(&self, arguments: &[&str]) -> Built {
        self.build_as(arguments, "type=oci,dest=out.tar")
    }

    /// Builds with an `--output` that goes to `out.tar`.
    pub fn build_as(&self, arguments: &[&str], output: &str) -> Built {
        let log = self
            .careen_build(arguments)
            .args(&["--output", output])
            .run()
            .success();
        let archive = fs::read(self.path("out.tar")).expect("the build has written it");
        Built {
            log,
            archive: Archive::read(&archive),
        }
    }

    /// Builds what cannot be built, and returns what careen says about that.
    pub fn refusal(&self, arguments: &[&str]) -> String {
        self.failure(arguments, 1)
    }

    /// Builds what ends with this exit code, and returns what careen says about that.
    pub fn failure(&self, arguments: &[&str], code: i32) -> String {
        let run = self.careen_build_quietly(arguments).run();
        run.error(code).to_owned()
    }

    /// Removes the store, as if careen had never run.
    pub fn forget(&self) {
        remove(&self.path("home/.local"));
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // The rest of the directory is removed by its own type.
        self.forget();
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode can be set");
}

/// Removes a directory whose files may have subordinate ids: they can be removed where these are mapped.
fn remove(path: &Path) {
    if fs::remove_dir_all(path).is_ok() {
        return;
    }
    let status = Command::new("unshare")
        .args(["--user", "--map-root-user", "--map-auto", "rm", "-rf", "--"])
        .arg(path)
        .stderr(Stdio::null())
        .status();
    // What is left is left in the directory for temporary files.
    drop(status);
}
