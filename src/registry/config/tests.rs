use vendor_shim::fake::FakeCredentialHelpers;

use super::*;
use crate::host::HostTls;

/// A home and an `/etc` of a test's own.
struct Machine {
    directory: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    fn put(&self, path: &str, text: &str) -> PathBuf {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    fn config(&self) -> RegistryConfig {
        self.with(Overrides::default())
    }

    fn with(&self, overrides: Overrides) -> RegistryConfig {
        let places = ConfigPlaces {
            home: Some(self.path("home")),
            config_home: Some(self.path("home/.config")),
            system: self.path("etc"),
            ..ConfigPlaces::default()
        };
        let helpers: Arc<FakeCredentialHelpers> = Arc::default();
        RegistryConfig::new(places, overrides, helpers)
    }
}

fn reference(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

/// Returns who is asked, as `BASE REPOSITORY`, with a mark for mirrors.
fn asked(config: &RegistryConfig, name: &str, access: Access) -> Vec<String> {
    let hosts = config.hosts(&reference(name), access).unwrap();
    let shown = |host: &Host| {
        let mark = if host.is_mirror { " (mirror)" } else { "" };
        format!("{} {}{mark}", host.base, host.repository)
    };
    hosts.iter().map(shown).collect()
}

fn tls(config: &RegistryConfig, name: &str) -> HostTls {
    let mut hosts = config.hosts(&reference(name), Access::Pull).unwrap();
    hosts.pop().unwrap().tls
}

#[test]
fn without_files_the_name_says_whom_to_ask() {
    let machine = Machine::new();
    let config = machine.config();
    let cases = [
        ("busybox", "https://registry-1.docker.io/v2 library/busybox"),
        ("r.example:5000/a/b:1", "https://r.example:5000/v2 a/b"),
        ("localhost/a", "https://localhost/v2 a"),
    ];
    for (name, expected) in cases {
        for access in [Access::Resolve, Access::Pull, Access::Push] {
            assert_eq!(asked(&config, name, access), [expected]);
        }
    }
}

#[test]
fn the_first_family_that_names_a_server_decides_who_is_asked() {
    let machine = Machine::new();
    let own = "https://registry-1.docker.io/v2 library/a";
    let read = |access| asked(&machine.config(), "docker.io/library/a", access);
    machine.put(
        "etc/docker/daemon.json",
        r#"{"registry-mirrors": ["https://d.example"]}"#,
    );
    assert_eq!(
        read(Access::Pull),
        ["https://d.example/v2 library/a (mirror)", own]
    );
    machine.put(
        "etc/buildkit/buildkitd.toml",
        "[registry.\"docker.io\"]\nmirrors = [\"b.example/hub\"]",
    );
    assert_eq!(
        read(Access::Resolve),
        ["https://b.example/v2/hub library/a (mirror)", own]
    );
    assert_eq!(read(Access::Push), [own]);
    machine.put(
        "etc/containerd/certs.d/docker.io/hosts.toml",
        "[host.\"https://c.example\"]\ncapabilities = [\"pull\", \"push\"]",
    );
    let mirror = "https://c.example/v2 library/a (mirror)";
    assert_eq!(read(Access::Pull), [mirror, own]);
    assert_eq!(read(Access::Resolve), [own]);
    assert_eq!(read(Access::Push), [mirror, own]);
    machine.put(
        "etc/containers/registries.conf",
        "[[registry]]\nprefix = \"docker.io\"\nlocation = \"r.example/hub\"",
    );
    let moved = "https://r.example/v2 hub/library/a";
    assert_eq!(read(Access::Pull), [moved]);
    assert_eq!(read(Access::Push), [mirror, own]);
}

#[test]
fn a_table_that_names_no_other_place_leaves_it_to_the_others() {
    let machine = Machine::new();
    machine.put(
        "etc/containers/registries.conf",
        "[[registry]]\nlocation = \"r.example\"\ninsecure = true",
    );
    machine.put(
        "etc/containerd/certs.d/r.example/hosts.toml",
        "[host.\"https://c.example\"]\n",
    );
    let hosts = machine
        .config()
        .hosts(&reference("r.example/a"), Access::Pull)
        .unwrap();
    let seen: Vec<_> = hosts
        .iter()
        .map(|host| (host.base.host(), host.tls.plain_fallback))
        .collect();
    assert_eq!(seen, [("c.example", false), ("r.example", true)]);
}

#[test]
fn what_is_blocked_is_neither_read_nor_written() {
    let machine = Machine::new();
    let path = machine.put(
        "home/.config/containers/registries.conf",
        "[[registry]]\nlocation = \"docker.io/library\"\nblocked = true",
    );
    for access in [Access::Resolve, Access::Pull, Access::Push] {
        let hosts = machine.config().hosts(&reference("busybox:1"), access);
        assert_eq!(
            hosts.unwrap_err().to_string(),
            format!(
                "`docker.io/library/busybox:1` is blocked: `{}` has `blocked = true` for `docker.io/library`",
                path.display()
            )
        );
    }
    let other = machine.config();
    assert_eq!(asked(&other, "docker.io/team/app", Access::Pull).len(), 1);
}

#[test]
fn plain_http_is_tried_on_the_machine_itself_and_where_the_user_says_so() {
    let machine = Machine::new();
    machine.put(
        "home/.config/docker/daemon.json",
        r#"{"insecure-registries": ["old.example:5000", "10.0.0.0/8"]}"#,
    );
    machine.put(
        "home/.config/buildkit/buildkitd.toml",
        "[registry.\"kit.example\"]\ninsecure = true\n[registry.\"plain.example:80\"]\nhttp = true",
    );
    let config = machine.config();
    let cases = [
        ("localhost:5000/a", false, true),
        ("127.0.0.9/a", false, true),
        ("[::1]:5000/a", false, true),
        ("r.example/a", false, false),
        ("old.example:5000/a", true, true),
        ("old.example/a", false, false),
        ("10.1.1.1:443/a", true, true),
        ("kit.example/a", true, true),
    ];
    for (name, unverified, plain_fallback) in cases {
        let tls = tls(&config, name);
        assert_eq!(tls.unverified, unverified, "{name}");
        assert_eq!(tls.plain_fallback, plain_fallback, "{name}");
    }
    assert_eq!(
        asked(&config, "plain.example:80/a", Access::Pull),
        ["http://plain.example:80/v2 a"]
    );
}

#[test]
fn the_command_line_has_the_last_word_on_certificates() {
    let machine = Machine::new();
    machine.put(
        "etc/containers/registries.conf",
        "[[registry]]\nlocation = \"r.example\"\ninsecure = true",
    );
    let verified = |verify| {
        let overrides = Overrides {
            verify: Some(verify),
            ..Overrides::default()
        };
        let config = machine.with(overrides);
        ["r.example/a", "localhost/a", "o.example/a"].map(|name| {
            let tls = tls(&config, name);
            (tls.unverified, tls.plain_fallback)
        })
    };
    assert_eq!(verified(Verify::Always), [(false, false); 3]);
    assert_eq!(verified(Verify::Never), [(true, true); 3]);
}

#[test]
fn certificates_are_those_of_the_first_directory_that_there_is() {
    let machine = Machine::new();
    let authorities = || tls(&machine.config(), "r.example:5000/a").authorities;
    assert_eq!(authorities(), Vec::<PathBuf>::new());
    let directories = [
        "etc/containerd/certs.d/r.example_5000_",
        "etc/docker/certs.d/r.example:5000",
        "etc/containers/certs.d/r.example:5000",
        "home/.config/containerd/certs.d/r.example:5000",
        "home/.config/docker/certs.d/r.example:5000",
        "home/.config/containers/certs.d/r.example:5000",
    ];
    for directory in directories {
        let path = machine.put(&format!("{directory}/ca.crt"), "");
        assert_eq!(authorities(), [path]);
    }
    let config = machine.config();
    assert_eq!(tls(&config, "r.example/a"), HostTls::default());
}

#[test]
fn hub_has_its_certificates_under_its_own_name() {
    let machine = Machine::new();
    let path = machine.put("etc/docker/certs.d/docker.io/ca.crt", "");
    assert_eq!(tls(&machine.config(), "busybox").authorities, [path]);
}

#[test]
fn a_directory_of_certificates_that_is_given_is_the_only_one_and_its_pair_is_for_the_named() {
    let machine = Machine::new();
    machine.put("etc/docker/certs.d/r.example/ca.crt", "");
    let authority = machine.put("given/my.crt", "");
    let pair = ["given/me.cert", "given/me.key"].map(|name| machine.put(name, ""));
    let overrides = |directory: &str| Overrides {
        certificates: Some(machine.path(directory)),
        named: vec!["r.example".to_owned()],
        ..Overrides::default()
    };
    let config = machine.with(overrides("given"));
    let named = tls(&config, "r.example/a");
    assert_eq!(named.authorities, std::slice::from_ref(&authority));
    assert_eq!(named.identity, Some(pair.into()));
    let other = tls(&config, "o.example/a");
    assert_eq!(other.authorities, [authority]);
    assert_eq!(other.identity, None);
    let absent = machine.with(overrides("absent"));
    let error = absent.hosts(&reference("r.example/a"), Access::Pull);
    let path = machine.path("absent");
    assert_eq!(
        error.unwrap_err().to_string(),
        format!("cannot read `{}`", path.display())
    );
}

#[test]
fn a_login_that_is_given_goes_to_the_registries_that_are_named_alone() {
    let machine = Machine::new();
    machine.put(
        "etc/containerd/certs.d/r.example/hosts.toml",
        "[host.\"https://m.example\"]\n[host.\"https://r.example:444\"]\n",
    );
    let stored = r#"{"auths": {"o.example": {"username": "stored", "password": "p"}}}"#;
    machine.put("home/.docker/config.json", stored);
    let given = Login::Basic {
        user: "given".to_owned(),
        password: "p".to_owned(),
    };
    let config = machine.with(Overrides {
        login: Some(given.clone()),
        named: vec!["r.example".to_owned(), "m.example".to_owned()],
        ..Overrides::default()
    });
    let logins = |name: &str| -> Vec<Login> {
        let reference = reference(name);
        let hosts = config.hosts(&reference, Access::Pull).unwrap();
        let login = |host| config.login(&reference, host).unwrap();
        hosts.iter().map(login).collect()
    };
    assert_eq!(
        logins("r.example/a"),
        [Login::Anonymous, Login::Anonymous, given]
    );
    let stored = Login::Basic {
        user: "stored".to_owned(),
        password: "p".to_owned(),
    };
    assert_eq!(logins("o.example/a"), [stored]);
    assert_eq!(logins("n.example/a"), [Login::Anonymous]);
}

#[test]
fn a_login_is_shown_to_the_registry_itself() {
    let machine = Machine::new();
    let own = |text: &str| {
        let server = LoginServer::parse(text).unwrap();
        machine.config().own_host(&server).unwrap().base.to_string()
    };
    machine.put(
        "etc/containers/registries.conf",
        "[[registry]]\nprefix = \"m.example\"\nlocation = \"o.example\"",
    );
    let hosts = "server = \"https://other.example\"\n[host.\"https://x.example\"]\n";
    machine.put("etc/containerd/certs.d/s.example/hosts.toml", hosts);
    let hosts = "server = \"http://h.example/v2\"\n";
    machine.put("etc/containerd/certs.d/h.example/hosts.toml", hosts);
    assert_eq!(own("docker.io"), "https://registry-1.docker.io/v2");
    assert_eq!(own("m.example/team"), "https://m.example/v2");
    assert_eq!(own("s.example"), "https://s.example/v2");
    assert_eq!(own("h.example"), "http://h.example/v2");
    let hosts = "[host.\"https://x.example\"]\ncapabilities = [\"pull\"]\n\
        [host.\"http://127.0.0.1:5000\"]\ncapabilities = [\"push\", \"pull\"]\n";
    machine.put("etc/containerd/certs.d/p.example/hosts.toml", hosts);
    assert_eq!(own("p.example"), "http://127.0.0.1:5000/v2");
}

#[test]
fn the_login_of_a_registry_is_that_of_the_host_here_that_takes_its_pushes_and_of_no_other() {
    let machine = Machine::new();
    let push = "capabilities = [\"push\", \"pull\"]";
    machine.put(
        "etc/containerd/certs.d/r.example/hosts.toml",
        &format!(
            "[host.\"https://mirror.example\"]\n[host.\"https://staging.example\"]\n{push}\n\
            [host.\"https://own.example\"]\n{push}\n[host.\"http://127.0.0.1:5000\"]\n{push}\n\
            [host.\"http://overheard.example\"]\n{push}\n"
        ),
    );
    let stored = r#"{"auths": {"r.example": {"username": "u", "password": "p"},
        "own.example": {"username": "own", "password": "p"}}}"#;
    machine.put("home/.docker/config.json", stored);
    let config = machine.config();
    let reference = reference("r.example/a");
    let user = |host: &Host| match config.login(&reference, host).unwrap() {
        Login::Basic { user, .. } => user,
        other => format!("{other:?}"),
    };
    let hosts = config.hosts(&reference, Access::Pull).unwrap();
    let users: Vec<_> = hosts.iter().map(user).collect();
    let nobody = format!("{:?}", Login::Anonymous);
    assert_eq!(
        users,
        [&nobody, &nobody, "own", "u", &nobody, "u"],
        "{hosts:#?}"
    );
}

#[test]
fn headers_of_dockers_file_go_to_registries_and_not_to_mirrors() {
    let machine = Machine::new();
    let file = r#"{"HttpHeaders": {"X-Meta-A": "1"}}"#;
    machine.put("home/.docker/config.json", file);
    machine.put(
        "home/.config/containerd/certs.d/r.example/hosts.toml",
        "[host.\"https://m.example\"]\n",
    );
    let hosts = machine
        .config()
        .hosts(&reference("r.example/a"), Access::Pull)
        .unwrap();
    let headers: Vec<_> = hosts.iter().map(|host| host.headers.len()).collect();
    assert_eq!(headers, [0, 1]);
}

#[test]
fn short_names_are_those_of_the_file() {
    let machine = Machine::new();
    let shown = || machine.config().reference("fedora:41").unwrap().to_string();
    assert_eq!(shown(), "docker.io/library/fedora:41");
    machine.put(
        "etc/containers/registries.conf.d/shortnames.conf",
        "[aliases]\nfedora = \"registry.fedoraproject.org/fedora\"",
    );
    assert_eq!(shown(), "registry.fedoraproject.org/fedora:41");
}

#[test]
fn a_malformed_file_is_an_error_with_its_place_each_time() {
    let machine = Machine::new();
    let path = machine.put(
        "home/.config/containers/registries.conf",
        "\n[[registry]]\nlocation = 5\n",
    );
    let config = machine.config();
    let expected = format!(
        "`{}`, line 3: invalid type: integer `5`, expected a string",
        path.display()
    );
    for _ in 0..2 {
        let error = config.hosts(&reference("busybox"), Access::Pull);
        assert_eq!(error.unwrap_err().to_string(), expected);
        let error = config.reference("busybox").unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn files_that_are_too_large_are_refused() {
    let machine = Machine::new();
    let text = " ".repeat(usize::try_from(file::FILE_LIMIT_BYTES).unwrap() + 1);
    let path = machine.put("home/.config/containers/registries.conf", &text);
    let error = machine.config().reference("busybox").unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("`{}` is larger than 1048576 bytes", path.display())
    );
    let endless = machine.path("home/.docker/config.json");
    std::fs::create_dir(endless.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &endless).unwrap();
    let error = machine.config().docker_settings().unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("`{}` is larger than 1048576 bytes", endless.display())
    );
}
