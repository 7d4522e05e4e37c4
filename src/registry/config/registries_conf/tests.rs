use super::*;
use crate::host::Host;

fn reference(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

fn read(text: &str) -> Result<RegistriesConf, ConfigError> {
    let mut conf = RegistriesConf::default();
    let text = toml::from_str(text).unwrap();
    conf.add(Path::new("registries.conf"), text)?;
    Ok(conf)
}

fn example() -> RegistriesConf {
    read(include_str!("../examples/registries.conf")).unwrap()
}

const DIGEST: &str = "@sha256:0000000000000000000000000000000000000000000000000000000000000000";

#[test]
fn names_are_matched_by_the_longest_prefix_that_ends_where_a_part_of_them_does() {
    let conf = example();
    let cases = [
        ("busybox", Some("docker.io")),
        ("docker.io/library/secret", Some("docker.io/library/secret")),
        (
            "docker.io/library/secret:1",
            Some("docker.io/library/secret"),
        ),
        (
            "docker.io/library/secret/more",
            Some("docker.io/library/secret"),
        ),
        ("docker.io/library/secrets", Some("docker.io")),
        ("a.corp.example/x", Some("*.corp.example")),
        ("a.b.corp.example/x", Some("*.corp.example")),
        ("corp.example/x", None),
        ("a.corp.example:5000/x", None),
        ("a.moved.example/old/x", Some("*.moved.example/old")),
        ("a.moved.example/other/x", None),
        ("r.example/x", Some("r.example")),
        ("r.example:5000/x", None),
        ("r.example.org/x", None),
    ];
    for (name, expected) in cases {
        let rule = conf.rule_of(&reference(name));
        assert_eq!(rule.map(|rule| &*rule.prefix), expected, "{name}");
    }
}

#[test]
fn mirrors_are_asked_before_the_location_for_what_they_are_there_for() {
    let conf = example();
    let all = |name: String| {
        let reference = reference(&name);
        let hosts = conf.rule_of(&reference).unwrap().hosts(&reference);
        hosts.map(|hosts| {
            let shown = |host: &Host| format!("{} {}", host.base, host.repository);
            hosts.iter().map(shown).collect::<Vec<_>>()
        })
    };
    assert_eq!(
        all("busybox:1".to_owned()).unwrap(),
        [
            "https://cache.example/v2 hub/library/busybox",
            "https://tags.example/v2 library/busybox",
            "https://internal.example:5000/v2 hub/library/busybox",
        ]
    );
    assert_eq!(
        all(format!("busybox{DIGEST}")).unwrap(),
        [
            "https://cache.example/v2 hub/library/busybox",
            "https://digests.example/v2 library/busybox",
            "https://internal.example:5000/v2 hub/library/busybox",
        ]
    );
    assert_eq!(
        all("r.example/a:1".to_owned()).unwrap(),
        ["https://r.example/v2 a"]
    );
    assert_eq!(
        all(format!("r.example/a{DIGEST}")).unwrap(),
        ["https://mirror.r.example/v2 r/a", "https://r.example/v2 a"]
    );
    assert_eq!(
        all("a.moved.example/old/x".to_owned()).unwrap(),
        ["https://new.example/v2 archive/x"]
    );
    assert_eq!(all("a.corp.example/x".to_owned()), None);
}

#[test]
fn what_need_not_be_protected_is_told_for_each_place() {
    let conf = example();
    let reference = reference("busybox");
    let hosts = conf.rule_of(&reference).unwrap().hosts(&reference).unwrap();
    let relaxed: Vec<_> = hosts
        .iter()
        .map(|host| (host.is_mirror, host.tls.unverified, host.tls.plain_fallback))
        .collect();
    assert_eq!(
        relaxed,
        [
            (true, true, true),
            (true, false, false),
            (false, false, false)
        ]
    );
}

#[test]
fn lists_and_aliases_are_read() {
    let conf = example();
    assert_eq!(conf.search, Some(vec!["docker.io".to_owned()]));
    assert_eq!(
        conf.helpers,
        [vec!["first".to_owned()], vec!["last".to_owned()]]
    );
    assert_eq!(
        conf.aliases.get("fedora"),
        Some(&Some(reference("registry.fedoraproject.org/fedora")))
    );
}

#[test]
fn files_count_in_their_order_and_later_ones_replace() {
    let directory = tempfile::tempdir().unwrap();
    let put = |path: &str, text: &str| {
        let path = directory.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let search = |name: &str| format!("unqualified-search-registries = [\"{name}\"]\n");
    let places = RegistriesConfPlaces {
        given: None,
        user: Some(directory.path().join("user")),
        system: directory.path().join("system"),
    };
    let read = || RegistriesConf::read(&places).unwrap();
    let found = || read().search.unwrap_or_default().join(",");
    assert_eq!(read(), RegistriesConf::default());
    put(
        "system/registries.conf",
        &format!(
            "{}[[registry]]\nlocation = \"a.example\"\nblocked = true\n",
            search("main")
        ),
    );
    assert_eq!(found(), "main");
    put("system/registries.conf.d/10-a.conf", &search("a"));
    put("system/registries.conf.d/05-b.conf", &search("b"));
    put("system/registries.conf.d/99-no.txt", &search("no"));
    assert_eq!(found(), "a");
    let replaced = "[[registry]]\nlocation = \"a.example\"\n";
    put("user/registries.conf.d/x.conf", replaced);
    let rule = read().rule_of(&reference("a.example/x")).cloned().unwrap();
    assert!(!rule.blocked);
    put("user/registries.conf", &search("own"));
    assert_eq!(found(), "own");
    let given = RegistriesConfPlaces {
        given: Some(directory.path().join("system/registries.conf.d/05-b.conf")),
        ..places.clone()
    };
    let read = RegistriesConf::read(&given).unwrap();
    assert_eq!(read.search.unwrap(), ["b"]);
    let absent = RegistriesConfPlaces {
        given: Some("/no/such".into()),
        ..places.clone()
    };
    let error = RegistriesConf::read(&absent).unwrap_err();
    assert_eq!(error.to_string(), "cannot read `/no/such`");
}

#[test]
fn what_is_malformed_is_refused() {
    let cases = [
        (
            "[registries.search]\nregistries = [\"docker.io\"]",
            "`registries.conf` has a table `[registries]`: the first version of this format is not read, write \
             `[[registry]]` tables and `unqualified-search-registries` instead",
        ),
        (
            "[[registry]]\nblocked = true",
            "`registries.conf`: a table `[[registry]]` has neither `prefix` nor `location`",
        ),
        (
            "[[registry]]\nlocation = \"a.example\"\n[[registry.mirror]]\ninsecure = true",
            "`registries.conf`: a table `[[registry.mirror]]` has no `location`",
        ),
        (
            "[[registry]]\nlocation = \"https://a.example\"",
            "`registries.conf`: `https://a.example` is not a registry without `http://` and `https://`: \
             `insecure = true` allows plain HTTP",
        ),
        (
            "[[registry]]\nlocation = \"a.example/UP\"",
            "`registries.conf`: `a.example/UP` is not the beginning of an image's name",
        ),
        (
            "[[registry]]\nlocation = \"a example\"",
            "`registries.conf`: `a example` is no address of a registry",
        ),
        (
            "[[registry]]\nlocation = \"a.example\"\n[[registry.mirror]]\nlocation = \"b\"\npull-from-mirror = \"x\"",
            "`registries.conf`: `pull-from-mirror` is not `all`, `digest-only` or `tag-only`",
        ),
        (
            "[[registry]]\nlocation = \"a\"\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = \"b\"\n\
             pull-from-mirror = \"all\"",
            "`registries.conf`: `pull-from-mirror` cannot be given together with `mirror-by-digest-only = true`",
        ),
        (
            "[aliases]\nx = \"x\"",
            "`registries.conf`: `aliases.\"x\"` is not a repository with its registry, without tag and digest",
        ),
        (
            "[aliases]\nx = \"a.example/x:1\"",
            "`registries.conf`: `aliases.\"x\"` is not a repository with its registry, without tag and digest",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(read(text).unwrap_err().to_string(), expected);
    }
}
