use vendor_shim::fake::FakeCredentialHelpers;

use super::*;

struct Home {
    directory: tempfile::TempDir,
    helpers: Arc<FakeCredentialHelpers>,
}

fn entry(user: &str) -> String {
    format!(r#"{{"auths": {{"r.example": {{"username": "{user}", "password": "p"}}}}}}"#)
}

impl Home {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            helpers: Arc::default(),
        }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn places(&self) -> ConfigPlaces {
        ConfigPlaces {
            home: Some(self.path("home")),
            config_home: Some(self.path("home/.config")),
            runtime_directory: Some(self.path("run")),
            ..ConfigPlaces::default()
        }
    }

    fn credentials(&self, places: &ConfigPlaces, given: Option<&str>) -> Credentials {
        let helpers: Arc<FakeCredentialHelpers> = Arc::clone(&self.helpers);
        Credentials::new(places, given.map(|given| self.path(given)), helpers)
    }

    fn keep(&self, helper: &str, server: &str, user: &str) {
        let credentials = HelperCredentials {
            user: user.to_owned(),
            secret: "p".to_owned(),
        };
        self.helpers.store(helper, server, &credentials).unwrap();
        self.helpers.asked.lock().unwrap().clear();
    }

    fn asked(&self) -> Vec<String> {
        self.helpers.asked.lock().unwrap().clone()
    }
}

const NONE: [Vec<String>; 2] = [Vec::new(), Vec::new()];

fn user(credentials: &Credentials) -> String {
    match credentials.login(&NONE, "r.example", "a").unwrap() {
        Login::Basic { user, .. } => user,
        other => format!("{other:?}"),
    }
}

#[test]
fn the_first_place_that_knows_the_registry_counts() {
    let home = Home::new();
    let mut places = home.places();
    let found = |places: &ConfigPlaces| user(&home.credentials(places, None));
    assert_eq!(found(&places), "Anonymous");
    let legacy = r#"{"r.example": {"auth": "bGVnYWN5OnA="}}"#;
    home.put("home/.dockercfg", legacy);
    assert_eq!(found(&places), "legacy");
    let files = [
        ("home/.config/containers/auth.json", "containers"),
        ("run/containers/auth.json", "session"),
        ("home/.docker/config.json", "docker"),
    ];
    for (path, name) in files {
        home.put(path, &entry(name));
        assert_eq!(found(&places), name);
    }
    let mut of_root = home.places();
    of_root.docker_config = Some(home.path("none"));
    of_root.root_auth_file = Some(home.path("root.json"));
    home.put("root.json", &entry("root"));
    assert_eq!(found(&of_root), "session");
    of_root.runtime_directory = None;
    assert_eq!(found(&of_root), "root");
    home.put("other/config.json", &entry("other"));
    places.docker_config = Some(home.path("other"));
    assert_eq!(found(&places), "other");
    home.put("given.json", &entry("variable"));
    places.registry_auth_file = Some(home.path("given.json"));
    assert_eq!(found(&places), "variable");
    places.docker_auth_config = Some(SecretText::new(entry("text")));
    assert_eq!(found(&places), "text");
    home.put("authfile.json", &entry("argument"));
    let given = home.credentials(&places, Some("authfile.json"));
    assert_eq!(user(&given), "argument");
    assert!(!format!("{places:?}").contains("text"));
}

#[test]
fn a_file_that_is_given_counts_alone() {
    let home = Home::new();
    let mut places = home.places();
    home.put("home/.docker/config.json", &entry("docker"));
    home.put("empty.json", "");
    let given = home.credentials(&places, Some("empty.json"));
    assert_eq!(user(&given), "Anonymous");
    places.registry_auth_file = Some(home.path("none.json"));
    assert_eq!(user(&home.credentials(&places, None)), "Anonymous");
    let absent = home.credentials(&places, Some("none.json"));
    let error = absent.login(&NONE, "r.example", "a").unwrap_err();
    let path = home.path("none.json");
    assert_eq!(
        error.to_string(),
        format!("cannot read `{}`", path.display())
    );
}

#[test]
fn helpers_of_a_registry_go_before_the_one_of_all_and_before_the_file() {
    let home = Home::new();
    home.put(
        "home/.docker/config.json",
        r#"{"credHelpers": {"r.example": "own"}, "credsStore": "all",
            "auths": {"r.example": {"username": "file", "password": "p"},
                      "o.example": {"username": "file", "password": "p"}}}"#,
    );
    home.keep("own", "r.example", "own");
    home.keep("all", "r.example", "wrong");
    home.keep("all", "https://index.docker.io/v1/", "<token>");
    let credentials = home.credentials(&home.places(), None);
    assert_eq!(user(&credentials), "own");
    assert_eq!(user(&credentials), "own");
    let login = |server: &str| credentials.login(&NONE, server, "a").unwrap();
    assert_eq!(login("docker.io"), Login::IdentityToken("p".to_owned()));
    let file = Login::Basic {
        user: "file".to_owned(),
        password: "p".to_owned(),
    };
    assert_eq!(login("o.example"), file);
    assert_eq!(login("n.example"), Login::Anonymous);
    // Each is asked once, however often we ask.
    assert_eq!(
        home.asked(),
        [
            "get own r.example",
            "get all https://index.docker.io/v1/",
            "get all o.example",
            "get all n.example",
        ]
    );
}

#[test]
fn t_e09_a_helper_that_fails_is_an_error_and_nobody_else_is_asked() {
    let home = Home::new();
    home.put(
        "home/.docker/config.json",
        r#"{"credsStore": "gone", "auths": {"r.example": {"username": "file", "password": "p"}}}"#,
    );
    let helpers = FakeCredentialHelpers {
        missing: Some("gone".to_owned()),
        ..FakeCredentialHelpers::default()
    };
    let credentials = Credentials::new(&home.places(), None, Arc::new(helpers));
    for _ in 0..2 {
        let error = credentials.login(&NONE, "r.example", "a").unwrap_err();
        assert_eq!(error.to_string(), "look up the credentials for `r.example`");
        let cause = std::error::Error::source(&error).unwrap();
        assert_eq!(cause.to_string(), "ask the credential helper `gone`");
    }
}

#[test]
fn helpers_of_registries_conf_are_asked_around_the_files() {
    let home = Home::new();
    home.put("home/.docker/config.json", &entry("file"));
    home.keep("first", "o.example", "first");
    home.keep("last", "l.example", "last");
    home.keep("last", "r.example", "wrong");
    let helpers = [vec!["first".to_owned()], vec!["last".to_owned()]];
    let credentials = home.credentials(&home.places(), None);
    let user = |server: &str| match credentials.login(&helpers, server, "a").unwrap() {
        Login::Basic { user, .. } => user,
        other => format!("{other:?}"),
    };
    assert_eq!(user("o.example"), "first");
    assert_eq!(user("r.example"), "file");
    assert_eq!(user("l.example"), "last");
}

#[test]
fn threads_that_want_the_same_wait_for_the_first() {
    let home = Home::new();
    home.put("home/.docker/config.json", r#"{"credsStore": "all"}"#);
    home.keep("all", "r.example", "me");
    let credentials = home.credentials(&home.places(), None);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(user(&credentials), "me"));
        }
    });
    assert_eq!(home.asked(), ["get all r.example"]);
}

#[test]
fn a_malformed_text_of_the_variable_is_named_after_it() {
    let home = Home::new();
    let places = ConfigPlaces {
        docker_auth_config: Some(SecretText::new("{hidden".to_owned())),
        ..home.places()
    };
    let error = home
        .credentials(&places, None)
        .login(&NONE, "r.example", "a")
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "`DOCKER_AUTH_CONFIG`, line 1: no valid JSON"
    );
}
