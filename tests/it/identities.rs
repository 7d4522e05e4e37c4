//! Users and groups of commands where a build has one id: commands see what those of a build with many ids see.

use support::{Archive, Feature, Kind, needs};

use crate::bench;

/// Has what follows run in a user namespace that has one id, which careen takes for what its user has.
const WITH_ONE_ID: [&str; 3] = ["unshare", "--user", "--map-root-user"];

/// Builds, and returns the content and the owner of a file of the image.
fn file(dockerfile: &str, path: &str, wrapper: &[&str]) -> (String, (u64, u64)) {
    let bench = bench().with_busybox();
    bench.dockerfile(dockerfile);
    let run = bench.careen_build_under(wrapper, &["--output", "type=oci,dest=out.tar"]);
    run.run().success();
    let archive = Archive::read(&std::fs::read(bench.path("out.tar")).unwrap());
    let tree = archive.image().tree();
    let entry = &tree[path];
    let Kind::File(content) = &entry.kind else {
        panic!("{path} is {:?}", entry.kind);
    };
    (String::from_utf8(content.clone()).unwrap(), entry.owner)
}

/// Builds with one id and with many, and returns what is the same in both.
fn same_file(dockerfile: &str, path: &str) -> (String, (u64, u64)) {
    let [one, many] = [&WITH_ONE_ID[..], &[]].map(|wrapper| file(dockerfile, path, wrapper));
    assert_eq!(one, many);
    one
}

const USERS: &str = "FROM base\n\
    RUN printf 'root:x:0:0::/:/bin/sh\\nwww:x:33:33::/:/bin/sh\\n' > /etc/passwd && \
        printf 'root:x:0:\\nwww:x:33:\\nstaff:x:50:www\\n' > /etc/group\n";

#[test]
fn commands_with_one_id_become_others_and_cannot_come_back() {
    needs!(Feature::Busybox, Feature::IdRange);
    let (seen, owner) = same_file(
        &format!(
            "{USERS}RUN {{ id; su www -c 'id; chroot / id; chown 0 /seen; su www -c id'; id -u; }} > /seen 2>&1; \
             chown www:staff /seen\n"
        ),
        "seen",
    );
    assert!(
        seen.starts_with(
            "uid=0(root) gid=0(root) groups=0(root)\n\
             uid=33(www) gid=33(www) groups=33(www),50(staff)\n\
             chroot: can't change root directory to '/': Operation not permitted\n\
             chown: /seen: Operation not permitted\n"
        ),
        "{seen}"
    );
    assert!(seen.ends_with("\n0\n"), "{seen}");
    assert_eq!(owner, (33, 50));
}

#[test]
fn a_command_with_one_id_is_the_user_of_the_instruction() {
    needs!(Feature::Busybox, Feature::IdRange);
    for (user, expected) in [
        ("www", "uid=33(www) gid=33(www) groups=33(www),50(staff)\n"),
        ("1234:55", "uid=1234 gid=55 groups=55\n"),
        ("0:50", "uid=0(root) gid=50(staff) groups=50(staff)\n"),
    ] {
        let dockerfile = format!("{USERS}RUN chmod 1777 /tmp\nUSER {user}\nRUN id > /tmp/seen\n");
        let (seen, owner) = same_file(&dockerfile, "tmp/seen");
        assert_eq!(seen, expected, "{user}");
        let ids = match user {
            "www" => (33, 33),
            "1234:55" => (1234, 55),
            _ => (0, 50),
        };
        assert_eq!(owner, ids, "{user}");
    }
}

/// A database binds a socket and changes its mode, before it takes anybody's question. busybox's `syslogd` does so too.
#[test]
fn a_daemon_with_one_id_owns_the_socket_that_it_binds() {
    needs!(Feature::Busybox, Feature::IdRange);
    // The daemon is in the background before it binds, and then opens its socket to everybody.
    let (seen, _) = same_file(
        &format!(
            "{USERS}RUN --network=none mkdir -m 777 /sockets && ln -s /sockets/log /dev/log && \
             su www -c 'busybox syslogd; until [ \"$(stat -c %a /sockets/log 2>/dev/null)\" = 666 ]; do :; done; chmod 640 /sockets/log && stat -c \"%F %a %u:%g\" /sockets/log' > /seen\n"
        ),
        "seen",
    );
    assert_eq!(seen, "socket 640 33:33\n");
}
