//! Configurations as Docker and Go write them, and what is refused.

use std::collections::BTreeSet;

use serde_json::json;

use super::*;

/// A configuration as Docker writes it, with everything that careen knows and some that it does not.
fn docker() -> Value {
    json!({
        "architecture": "arm64",
        "author": "Alyssa P. Hacker",
        "config": {
            "User": "1:1",
            "ExposedPorts": {"443/tcp": {}, "80/tcp": {}},
            "Env": ["PATH=/bin", "A=1"],
            "Entrypoint": ["/bin/sh"],
            "Cmd": ["-l"],
            "Volumes": {"/data": {}},
            "WorkingDir": "/home",
            "Labels": {"a": "1", "b": ""},
            "StopSignal": "SIGKILL",
            "ArgsEscaped": true,
            "Healthcheck": {
                "Test": ["CMD", "true"],
                "Interval": 30_000_000_000_i64,
                "Timeout": 1,
                "StartPeriod": 2,
                "StartInterval": 3,
                "Retries": 4
            },
            "OnBuild": ["RUN true"],
            "Shell": ["/bin/bash", "-c"],
            "NetworkDisabled": true
        },
        "created": "2015-10-31T22:22:56.015925234Z",
        "history": [
            {
                "created": "2015-10-31T22:22:54Z",
                "created_by": "ADD file:a in /",
                "author": "A",
                "comment": "c"
            },
            {"created_by": "CMD [\"sh\"]", "empty_layer": true}
        ],
        "os": "linux",
        "os.features": ["f"],
        "os.version": "6",
        "rootfs": {
            "type": "layers",
            "diff_ids": [
                "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
            ]
        },
        "variant": "v8",
        "docker_version": "1.10"
    })
}

fn parse(value: &Value) -> Result<ImageConfig, ConfigError> {
    ImageConfig::parse(value.to_string().as_bytes())
}

#[test]
fn a_configuration_is_written_as_it_was_read() {
    let config = parse(&docker()).unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&config.to_bytes()).unwrap(),
        docker()
    );
    let healthcheck = config.config.healthcheck.as_ref().unwrap();
    assert_eq!(healthcheck.interval_ns, 30_000_000_000);
    assert_eq!(config.config.extra["NetworkDisabled"], json!(true));
    assert_eq!(config.extra["docker_version"], json!("1.10"));
    assert_eq!(ImageConfig::parse(&config.to_bytes()).unwrap(), config);
}

#[test]
fn the_empty_configuration_has_what_every_image_has() {
    let config = ImageConfig::new(&Platform::new("linux", "aarch64").with_variant("v8"));
    assert_eq!(
        String::from_utf8(config.to_bytes()).unwrap(),
        r#"{"architecture":"arm64","config":{},"os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#
    );
}

#[test]
fn null_is_empty_as_it_is_in_go() {
    let value = json!({
        "architecture": "amd64",
        "author": null,
        "config": {
            "User": null,
            "ExposedPorts": null,
            "Env": null,
            "Entrypoint": null,
            "Cmd": null,
            "Volumes": null,
            "WorkingDir": "",
            "Labels": null,
            "ArgsEscaped": null,
            "Healthcheck": null,
            "OnBuild": null,
            "Shell": null
        },
        "created": null,
        "history": null,
        "os": "linux",
        "os.features": null,
        "rootfs": {"type": "layers", "diff_ids": null},
        "variant": ""
    });
    assert_eq!(
        parse(&value).unwrap(),
        ImageConfig::new(&Platform::new("linux", "amd64"))
    );
    let without = json!({
        "architecture": "amd64",
        "config": null,
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": []}
    });
    assert_eq!(
        parse(&without).unwrap(),
        ImageConfig::new(&Platform::new("linux", "amd64"))
    );
}

#[test]
fn what_is_not_a_configuration_is_refused() {
    for field in ["architecture", "os", "rootfs"] {
        let mut value = docker();
        value.as_object_mut().unwrap().remove(field);
        assert!(parse(&value).is_err(), "without {field}");
    }
    let table = [
        ("/os", json!(123)),
        ("/created", json!("yesterday")),
        ("/history", json!("none")),
        ("/config/Env", json!([7353])),
        ("/config/ExposedPorts", json!(["80/tcp"])),
        ("/config/Labels", json!({"a": 1})),
        ("/config/Healthcheck/Interval", json!("30s")),
        ("/rootfs/type", json!("flat")),
        ("/rootfs/diff_ids", json!(["sha256:short"])),
    ];
    for (pointer, wrong) in table {
        let mut value = docker();
        *value.pointer_mut(pointer).unwrap() = wrong;
        assert!(
            matches!(parse(&value), Err(ConfigError::Json { .. })),
            "{pointer}"
        );
    }
    let twice = br#"{"os":"linux","os":"windows","architecture":"a","rootfs":{"type":"layers","diff_ids":[]}}"#;
    assert!(matches!(
        ImageConfig::parse(twice),
        Err(ConfigError::Json { .. })
    ));
}

#[test]
fn a_configuration_of_eight_mebibytes_is_read_and_a_larger_one_is_not() {
    let mut text = docker().to_string().into_bytes();
    text.resize(usize::try_from(CONFIG_MAX_BYTES).unwrap(), b' ');
    assert_eq!(
        ImageConfig::parse(&text).unwrap(),
        parse(&docker()).unwrap()
    );
    text.push(b' ');
    assert_eq!(
        ImageConfig::parse(&text).unwrap_err().to_string(),
        "image configuration has 8388609 bytes, more than 8388608"
    );
}

#[test]
fn environment_variables_are_replaced_in_place() {
    let mut config = RunConfig {
        env: vec!["A=1".into(), "B".into(), "A=2".into()],
        ..RunConfig::default()
    };
    assert_eq!(config.env_get("A"), Some("1"));
    assert_eq!(config.env_get("B"), Some(""));
    assert_eq!(config.env_get("C"), None);
    config.env_set("A", "x=y");
    config.env_set("B", "2");
    config.env_set("C", "3");
    assert_eq!(config.env, ["A=x=y", "B=2", "A=2", "C=3"]);
    assert_eq!(config.env_get("A"), Some("x=y"));
}

#[test]
fn a_platform_replaces_what_it_says_and_keeps_the_rest() {
    let mut config = parse(&docker()).unwrap();
    config.set_platform(&Platform::new("linux", "arm"));
    assert_eq!(config.platform().format_all(), "linux(6+f)/arm/v7");
}

#[test]
fn sets_of_names_are_sorted() {
    let config = RunConfig {
        exposed_ports: BTreeSet::from(["9/udp".to_owned(), "10/tcp".to_owned()]),
        ..RunConfig::default()
    };
    assert_eq!(
        serde_json::to_string(&config).unwrap(),
        r#"{"ExposedPorts":{"10/tcp":{},"9/udp":{}}}"#
    );
}
