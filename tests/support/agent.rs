//! OpenSSH's client and agent: what commands of builds talk to agents with.
#![expect(
    clippy::disallowed_methods,
    reason = "the tests run the machine's OpenSSH"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::Bench;

/// The client, and all that it needs, in Debian's package `openssh-client`.
pub(crate) const SSH_ADD: &str = "/usr/bin/ssh-add";

/// An agent of the user's. It ends with the value.
#[derive(Debug)]
pub struct UserAgent {
    agent: Child,
    /// Where it listens.
    pub socket: PathBuf,
}

impl UserAgent {
    /// Starts one that listens at `agent` in the bench, and gives it a key.
    pub fn start(bench: &Bench, key: &Path) -> Self {
        let socket = bench.path("agent");
        let agent = Command::new("/usr/bin/ssh-agent")
            .arg("-D")
            .arg("-a")
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .expect("ssh-agent can be started");
        let agent = Self { agent, socket };
        // Until it listens there is nothing at its socket: the client is asked again.
        while !agent.client(&["-q".as_ref(), key.as_os_str()]).1 {
            std::thread::yield_now();
        }
        agent
    }

    /// Returns what the agent has, as `ssh-add -L` tells.
    pub fn keys(&self) -> String {
        self.client(&["-L".as_ref()]).0
    }

    fn client(&self, arguments: &[&std::ffi::OsStr]) -> (String, bool) {
        let output = Command::new(SSH_ADD)
            .args(arguments)
            .env("SSH_AUTH_SOCK", &self.socket)
            .stdin(Stdio::null())
            .output()
            .expect("ssh-add can be run");
        let text = String::from_utf8(output.stdout).expect("keys are text");
        (text, output.status.success())
    }
}

impl Drop for UserAgent {
    fn drop(&mut self) {
        // One that has ended already needs no end.
        drop(self.agent.kill());
        drop(self.agent.wait());
    }
}

/// Puts the client and its libraries into the directory `client` of the context, at the paths that they have here.
pub fn put_client(bench: &Bench) {
    let listed = Command::new("/usr/bin/ldd")
        .arg(SSH_ADD)
        .output()
        .expect("ldd can be run");
    let listed = String::from_utf8(listed.stdout).expect("libraries have plain names");
    let libraries = listed
        .split_whitespace()
        .filter(|word| word.starts_with('/'));
    for path in libraries.chain([SSH_ADD]) {
        let inside = ["client", path].concat();
        bench.file(&inside, fs::read(path).expect("a library can be read"));
        bench.mode(&inside, 0o755);
    }
}

/// Writes a key to the bench, for its owner's eyes only, as OpenSSH wants it.
pub fn put_key(bench: &Bench, name: &str, text: &str) -> PathBuf {
    let path = bench.path(name);
    fs::write(&path, text).expect("a key can be written");
    let private = fs::Permissions::from_mode(0o600);
    fs::set_permissions(&path, private).expect("it is ours");
    path
}
