use std::os::unix::fs::PermissionsExt as _;

use vendor_shim::fake::FakeCredentialHelpers;

use super::*;

struct Place {
    directory: tempfile::TempDir,
    helpers: Arc<FakeCredentialHelpers>,
}

impl Place {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            helpers: Arc::default(),
        }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("docker/config.json")
    }

    fn put(&self, text: &str) {
        fs::create_dir_all(self.directory.path().join("docker")).unwrap();
        fs::write(self.file(), text).unwrap();
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    fn logins(&self) -> StoredLogins {
        let places = ConfigPlaces {
            docker_config: Some(self.directory.path().join("docker")),
            ..ConfigPlaces::default()
        };
        let helpers: Arc<FakeCredentialHelpers> = Arc::clone(&self.helpers);
        StoredLogins::find(&places, &Overrides::default(), helpers).unwrap()
    }
}

#[test]
fn a_login_stands_in_a_private_file() {
    let place = Place::new();
    let kept = place.logins().keep("r.example:5000", "me", "p:w").unwrap();
    assert_eq!(kept, Kept::InFile(place.file()));
    assert_eq!(
        place.text(),
        "{\n\t\"auths\": {\n\t\t\"r.example:5000\": {\n\t\t\t\"auth\": \"bWU6cDp3\"\n\t\t}\n\t}\n}"
    );
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&place.file()), 0o600);
    assert_eq!(mode(place.file().parent().unwrap()), 0o700);
    let names = fs::read_dir(place.file().parent().unwrap()).unwrap();
    assert_eq!(names.count(), 1);
}

#[test]
fn what_else_the_file_says_stays_in_its_order() {
    let place = Place::new();
    place.put(
        r#"{"z": 1, "auths": {"index.docker.io": {"auth": "eDp5"}, "o.example": {}}, "a": [2]}"#,
    );
    fs::set_permissions(place.file(), fs::Permissions::from_mode(0o644)).unwrap();
    place.logins().keep("docker.io", "me", "new").unwrap();
    let root: Value = serde_json::from_str(&place.text()).unwrap();
    assert_eq!(
        root.to_string(),
        r#"{"z":1,"auths":{"o.example":{},"https://index.docker.io/v1/":{"auth":"bWU6bmV3"}},"a":[2]}"#
    );
    let mode = fs::metadata(place.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
}

#[test]
fn a_helper_has_the_login_where_the_file_names_one() {
    let place = Place::new();
    place.put(r#"{"credsStore": "pass", "credHelpers": {"gcr.io": "gcloud"}}"#);
    let logins = place.logins();
    let kept = logins.keep("docker.io", "me", "hidden").unwrap();
    assert_eq!(kept, Kept::InHelper("pass".to_owned()));
    assert!(!place.text().contains("hidden") && !place.text().contains("auth\""));
    logins.keep("gcr.io", "you", "hidden").unwrap();
    assert!(logins.forget("docker.io").unwrap());
    assert!(!logins.forget("docker.io").unwrap());
    let root: Value = serde_json::from_str(&place.text()).unwrap();
    assert_eq!(root.get("auths").unwrap(), &json!({ "gcr.io": {} }));
    let asked = place.helpers.asked.lock().unwrap();
    assert_eq!(
        *asked,
        [
            "store pass https://index.docker.io/v1/",
            "store gcloud gcr.io",
            "get pass https://index.docker.io/v1/",
            "erase pass https://index.docker.io/v1/",
            "get pass https://index.docker.io/v1/",
        ]
    );
}

#[test]
fn all_logins_of_a_file_are_forgotten() {
    let place = Place::new();
    let logins = place.logins();
    assert_eq!(logins.forget_all().unwrap(), Vec::<String>::new());
    assert!(!place.file().try_exists().unwrap());
    logins.keep("docker.io", "me", "a").unwrap();
    logins.keep("r.example/team", "me", "b").unwrap();
    assert_eq!(
        logins.forget_all().unwrap(),
        ["docker.io", "r.example/team"]
    );
    assert_eq!(place.text(), "{\n\t\"auths\": {}\n}");
}

#[test]
fn a_link_to_the_file_stays_a_link() {
    let place = Place::new();
    let real = place.directory.path().join("dotfiles.json");
    fs::write(&real, "{}").unwrap();
    fs::create_dir_all(place.file().parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("../dotfiles.json", place.file()).unwrap();
    place.logins().keep("r.example", "me", "a").unwrap();
    assert!(fs::symlink_metadata(place.file()).unwrap().is_symlink());
    assert!(fs::read_to_string(real).unwrap().contains("r.example"));
}

#[test]
fn a_file_that_is_malformed_stays_as_it_is() {
    let place = Place::new();
    for text in ["{ hidden", "[]", r#"{"auths": 5}"#] {
        place.put(text);
        place.logins().keep("r.example", "me", "a").unwrap_err();
        place.logins().forget("r.example").unwrap_err();
        assert_eq!(place.text(), text);
    }
}

#[test]
fn the_file_that_is_given_goes_before_dockers() {
    let places = ConfigPlaces {
        home: Some("/home/me".into()),
        ..ConfigPlaces::default()
    };
    let path = |places: &ConfigPlaces, given: Option<&str>| {
        let overrides = Overrides {
            auth_file: given.map(PathBuf::from),
            ..Overrides::default()
        };
        let helpers: Arc<FakeCredentialHelpers> = Arc::default();
        StoredLogins::find(places, &overrides, helpers).map(|logins| logins.path)
    };
    assert_eq!(
        path(&places, None).unwrap(),
        Path::new("/home/me/.docker/config.json")
    );
    let with_variable = ConfigPlaces {
        registry_auth_file: Some("/r".into()),
        ..places
    };
    assert_eq!(path(&with_variable, None).unwrap(), Path::new("/r"));
    assert_eq!(path(&with_variable, Some("/a")).unwrap(), Path::new("/a"));
    let error = path(&ConfigPlaces::default(), None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no place for credentials: neither `HOME` nor `DOCKER_CONFIG` is set"
    );
}
