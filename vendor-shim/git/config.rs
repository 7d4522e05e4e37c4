//! The configuration of `git` for one session, and how it reaches the remote.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

/// How the remote is reached.
#[derive(Clone, Default)]
pub struct RemoteAccess {
    /// Its URL as `git` takes it, without a password.
    pub remote: String,
    /// The proxies of the user: names of variables with their values.
    pub proxies: Vec<(&'static str, String)>,
    /// The socket of the agent that has the keys for `ssh`.
    pub ssh_agent: Option<PathBuf>,
    /// The file of host keys that are trusted.
    pub known_hosts: Option<PathBuf>,
}

impl fmt::Debug for RemoteAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the proxies: they may have passwords.
        f.debug_struct("RemoteAccess")
            .field("remote", &self.remote)
            .field("ssh_agent", &self.ssh_agent)
            .finish_non_exhaustive()
    }
}

impl RemoteAccess {
    /// Returns the variables that programs see which `git` starts.
    pub(super) fn environment(&self) -> Vec<(&'static str, OsString)> {
        let mut environment: Vec<(&'static str, OsString)> =
            vec![("GIT_SSH_COMMAND", self.ssh_command().into())];
        environment.extend(
            self.proxies
                .iter()
                .map(|(name, value)| (*name, OsString::from(value))),
        );
        if let Some(socket) = &self.ssh_agent {
            environment.push(("SSH_AUTH_SOCK", socket.into()));
        }
        environment
    }

    /// Nobody is asked, nothing of the user's configuration is read, and keys come from the agent alone. A host that is
    /// not known is taken for what it says, as there is nobody to ask; one that is known and has another key is not.
    fn ssh_command(&self) -> String {
        let known_hosts = self
            .known_hosts
            .as_deref()
            .and_then(|path| path.to_str())
            // It is read by a shell.
            .filter(|path| !path.contains('\''))
            .unwrap_or("/dev/null");
        [
            "ssh -F /dev/null -o BatchMode=yes -o IdentityFile=none -o StrictHostKeyChecking=accept-new",
            " -o UserKnownHostsFile=/dev/null -o GlobalKnownHostsFile='",
            known_hosts,
            "'",
        ]
        .concat()
    }
}

/// What a session of `git` is made of.
#[derive(Debug, Clone, Default)]
pub struct SessionSettings {
    /// How the remote is reached.
    pub access: RemoteAccess,
    /// A header for one server: the beginning of its URLs, and the whole header. Secret.
    pub header: Option<SecretHeader>,
    /// The file of certificates that are trusted, in place of the machine's.
    pub certificates: Option<PathBuf>,
}

/// A header that only one server sees.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretHeader {
    /// The scheme and host that it is for, as `https://example.com/`.
    pub url: String,
    /// The header: `Authorization: Basic …`.
    pub header: String,
}

impl fmt::Debug for SecretHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretHeader(for {})", self.url)
    }
}

/// What holds in every session.
const ALWAYS: [(&str, &str); 17] = [
    ("safe.directory", "*"),
    ("protocol.allow", "never"),
    ("protocol.https.allow", "always"),
    ("protocol.http.allow", "always"),
    ("protocol.ssh.allow", "always"),
    ("protocol.git.allow", "always"),
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.symlinks", "true"),
    ("core.autocrlf", "false"),
    ("core.logAllRefUpdates", "false"),
    ("advice.detachedHead", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("submodule.recurse", "false"),
    ("init.defaultBranch", "master"),
    // For the copy of a commit from one directory of ours to another.
    ("uploadpack.allowAnySHA1InWant", "true"),
];

impl SessionSettings {
    /// Returns the text of the configuration file (git-config(1), "Syntax").
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for (name, value) in ALWAYS {
            push(&mut text, name, value);
        }
        if let Some(path) = &self.certificates {
            push(&mut text, "http.sslCAInfo", &path.to_string_lossy());
        }
        if let Some(SecretHeader { url, header }) = &self.header {
            push(&mut text, &format!("http.{url}.extraHeader"), header);
        }
        text
    }
}

/// Adds `section.key` or `section.SUBSECTION.key`.
fn push(text: &mut String, name: &str, value: &str) {
    let (section, rest) = name.split_once('.').unwrap_or((name, ""));
    let (section, key) = match rest.rsplit_once('.') {
        Some((subsection, key)) => (format!("{section} {}", quoted(subsection)), key),
        None => (section.to_owned(), rest),
    };
    for part in ["[", &section, "]\n\t", key, " = ", &quoted(value), "\n"] {
        text.push_str(part);
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_written_as_git_reads_it() {
        let settings = SessionSettings {
            header: Some(SecretHeader {
                url: "https://e.com/".to_owned(),
                header: "Authorization: a\"b\\c".to_owned(),
            }),
            certificates: Some("/etc/my certs.pem".into()),
            ..SessionSettings::default()
        };
        let text = settings.text();
        assert!(text.starts_with("[safe]\n\tdirectory = \"*\"\n[protocol]\n\tallow = \"never\"\n"));
        assert!(text.contains("[protocol \"https\"]\n\tallow = \"always\"\n"));
        assert!(text.ends_with(concat!(
            "[http]\n\tsslCAInfo = \"/etc/my certs.pem\"\n",
            "[http \"https://e.com/\"]\n\textraHeader = \"Authorization: a\\\"b\\\\c\"\n"
        )));
    }

    #[test]
    fn what_is_secret_is_not_shown() {
        let settings = SessionSettings {
            access: RemoteAccess {
                proxies: vec![("https_proxy", "http://u:secret@p".to_owned())],
                ..RemoteAccess::default()
            },
            header: Some(SecretHeader {
                url: "https://e.com/".to_owned(),
                header: "secret".to_owned(),
            }),
            certificates: None,
        };
        assert!(!format!("{settings:?}").contains("secret"));
    }
}
