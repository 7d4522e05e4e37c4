//! A registry of careen's own beside what a test runs, and what it was asked.

use support::{BaseImage, Bench, Entry, Invocation, Running};

/// A registry that goes on until the test wants to know what it was asked.
pub(crate) struct Served {
    running: Option<Running>,
    address: String,
}

impl Served {
    /// Starts a registry over the directory `registry` of a bench, on a port of its own.
    pub(crate) fn start(bench: &Bench) -> Self {
        Self::with(bench, "127.0.0.1:0", &[])
    }

    /// Starts one on an address, with these flags.
    pub(crate) fn with(bench: &Bench, address: &str, flags: &[&str]) -> Self {
        let mut running = serve(bench, "registry", address).args(flags).start();
        let line = running.wait_for_line_with("Serving");
        let (_, address) = line.rsplit_once("http://").expect("it says where it is");
        Self {
            address: address.to_owned(),
            running: Some(running),
        }
    }

    /// Returns a name in the registry.
    pub(crate) fn name(&self, rest: &str) -> String {
        format!("{}/{rest}", self.address)
    }

    /// Returns the address.
    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }

    /// Ends it, starts it again at the same address, and returns what it was asked until then.
    pub(crate) fn again(&mut self, bench: &Bench) -> Vec<String> {
        let old = self.running.take();
        let asked = old.map(asked_of).unwrap_or_default();
        *self = Self::with(bench, &self.address, &[]);
        asked
    }

    /// Ends it, and returns what it was asked: `METHOD TARGET STATUS`.
    pub(crate) fn end(mut self) -> Vec<String> {
        self.running.take().map(asked_of).unwrap_or_default()
    }
}

/// Returns how careen serves a directory of a bench.
pub(crate) fn serve(bench: &Bench, directory: &str, address: &str) -> Invocation {
    let serve = ["registry", "serve", "--dir", directory];
    bench.careen(&serve).args(&["--listen", address])
}

fn asked_of(running: Running) -> Vec<String> {
    let log = running.kill();
    let lines = log.stderr.lines().filter_map(|line| {
        let words: Vec<_> = line.split(' ').collect();
        match words.as_slice() {
            [_, method, target, status, _] if target.starts_with('/') => {
                Some(format!("{method} {target} {status}"))
            }
            _ => None,
        }
    });
    lines.collect()
}

/// Returns how many of the lines begin so and contain that.
pub(crate) fn count(asked: &[String], method: &str, part: &str) -> usize {
    let method = format!("{method} ");
    let lines = asked.iter();
    lines
        .filter(|line| line.starts_with(&method) && line.contains(part))
        .count()
}

/// Returns how many blobs were sent in full: each begins with a `POST` that is no mount and ends with a `PUT`.
pub(crate) fn uploads(asked: &[String]) -> usize {
    let puts = asked.iter().filter(|line| {
        line.starts_with("PUT ") && line.contains("/blobs/uploads/") && line.ends_with(" 201")
    });
    puts.count()
}

/// Pushes an image of one file a platform, as `lib/base:1`, and forgets it.
pub(crate) fn push_base(bench: &Bench, served: &Served, platforms: &[&str]) {
    let image = |platform: &&str| {
        let files = vec![Entry::file("base", *platform)];
        BaseImage::new(platform, files)
    };
    let images: Vec<_> = platforms.iter().map(image).collect();
    support::layout::write(&bench.path("pushed"), &images);
    bench.dockerfile("FROM pushed\n");
    let pushed = format!("pushed=oci-layout://{}", bench.path("pushed").display());
    let name = served.name("lib/base:1");
    let platforms = platforms.join(",");
    let flags = ["--push", "-t", &name, "--platform", &platforms];
    let run = bench.careen_build(&flags);
    run.args(&["--build-context", &pushed]).run().success();
    bench.forget();
}
