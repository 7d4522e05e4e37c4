//! How an OCI runtime runs an image: `config.json` of a bundle (runtime-spec, config.md).
//!
//! It is for a user without rights: a user namespace in which the user is root and nobody else is there, the machine's
//! network, no limits.

use oci::ImageConfig;
use serde_json::{Value, json};

/// The version of the specification.
const SPEC_VERSION: &str = "1.0.2";

/// Where commands are looked for when an image does not say.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The capabilities that a container has.
const CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// Files of the kernel that are hidden, and those that are read-only.
const MASKED: [&str; 9] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/sys/firmware",
];
const READ_ONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// What a runtime is told.
#[derive(Debug)]
pub(super) struct RuntimeConfig {
    value: Value,
    /// Whether the image has another user than root.
    pub(super) is_root_instead: bool,
}

impl RuntimeConfig {
    /// Returns it as a file.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let text = serde_json::to_string_pretty(&self.value);
        (text.expect("texts and numbers are valid JSON") + "\n").into_bytes()
    }
}

/// Returns how an image is run.
pub(super) fn of(config: &ImageConfig) -> RuntimeConfig {
    let image = &config.config;
    let is_root = |user: &str| ["", "0", "root"].contains(&user.split(':').next().unwrap_or(""));
    RuntimeConfig {
        value: json!({
            "ociVersion": SPEC_VERSION,
            "process": process(config),
            "root": {"path": super::ROOTFS, "readonly": false},
            "hostname": "careen",
            "mounts": mounts(),
            "annotations": image.labels,
            "linux": linux(own_id("uid"), own_id("gid")),
        }),
        is_root_instead: !is_root(image.user.as_deref().unwrap_or("")),
    }
}

fn process(config: &ImageConfig) -> Value {
    let image = &config.config;
    let mut args = [image.entrypoint.clone(), image.cmd.clone()].concat();
    if args.is_empty() {
        // As other unpackers have it: the file is there to be changed.
        args.push("sh".to_owned());
    }
    let has_path = image.env.iter().any(|entry| entry.starts_with("PATH="));
    let path = (!has_path).then(|| PATH.to_owned());
    let env: Vec<_> = path
        .into_iter()
        .chain(image.env.iter().cloned())
        .chain(["TERM=xterm".to_owned(), "HOME=/root".to_owned()])
        .collect();
    json!({
        "terminal": true,
        "user": {"uid": 0, "gid": 0},
        "args": args,
        "env": env,
        "cwd": image.working_dir.as_deref().unwrap_or("/"),
        "capabilities": {
            "bounding": CAPABILITIES,
            "effective": CAPABILITIES,
            "permitted": CAPABILITIES,
        },
        "noNewPrivileges": true,
    })
}

fn mounts() -> Value {
    let mount = |destination: &str, kind: &str, options: &[&str]| json!({"destination": destination, "type": kind, "source": kind, "options": options});
    let strict = ["nosuid", "noexec", "nodev"];
    json!([
        mount("/proc", "proc", &strict),
        mount(
            "/dev",
            "tmpfs",
            &["nosuid", "strictatime", "mode=755", "size=65536k"]
        ),
        mount(
            "/dev/pts",
            "devpts",
            &[
                "nosuid",
                "noexec",
                "newinstance",
                "ptmxmode=0666",
                "mode=0620"
            ]
        ),
        mount(
            "/dev/shm",
            "tmpfs",
            &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]
        ),
        mount("/dev/mqueue", "mqueue", &strict),
        json!({
            "destination": "/sys",
            "type": "none",
            "source": "/sys",
            "options": ["rbind", "nosuid", "noexec", "nodev", "ro"],
        }),
        json!({
            "destination": "/etc/resolv.conf",
            "type": "none",
            "source": "/etc/resolv.conf",
            "options": ["bind", "ro"],
        }),
    ])
}

fn linux(uid: u32, gid: u32) -> Value {
    let namespaces = ["pid", "ipc", "uts", "mount", "user"];
    let namespaces: Vec<_> = namespaces
        .iter()
        .map(|kind| json!({"type": kind}))
        .collect();
    json!({
        "uidMappings": [{"containerID": 0, "hostID": uid, "size": 1}],
        "gidMappings": [{"containerID": 0, "hostID": gid, "size": 1}],
        "namespaces": namespaces,
        "maskedPaths": MASKED,
        "readonlyPaths": READ_ONLY,
    })
}

/// Returns the user's own id outside: what the first line of the map says of the root of this namespace
/// (`user_namespaces(7)`).
fn own_id(kind: &str) -> u32 {
    let map = std::fs::read_to_string(format!("/proc/self/{kind}_map")).unwrap_or_default();
    let outside = map.split_whitespace().nth(1);
    outside.and_then(|id| id.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci::Platform;

    #[test]
    fn what_is_run_is_what_the_image_says() {
        let mut config = ImageConfig::new(&Platform::new("linux", "amd64"));
        config.config.entrypoint = vec!["/entry".to_owned()];
        config.config.cmd = vec!["a".to_owned()];
        config.config.env = vec!["PATH=/bin".to_owned()];
        config.config.working_dir = Some("/srv".to_owned());
        config.config.user = Some("app".to_owned());
        let made = of(&config);
        assert!(made.is_root_instead);
        let process = &made.value["process"];
        assert_eq!(process["args"], json!(["/entry", "a"]));
        assert_eq!(process["cwd"], "/srv");
        assert_eq!(
            process["env"],
            json!(["PATH=/bin", "TERM=xterm", "HOME=/root"])
        );
    }

    #[test]
    fn an_image_that_says_nothing_is_a_shell_of_roots() {
        let made = of(&ImageConfig::new(&Platform::new("linux", "amd64")));
        assert!(!made.is_root_instead);
        let process = &made.value["process"];
        assert_eq!(process["args"], json!(["sh"]));
        assert_eq!(process["env"], json!([PATH, "TERM=xterm", "HOME=/root"]));
    }
}
