//! The first phase of `hotfix` over ssh: nothing is switched anywhere unless every host has the release. The second
//! phase needs a real systemd, and is `tests/rollouts`' job.

use lab::{Fleet, Host, HostSpec, Service};

use crate::desk::{Desk, Ran};

/// One MiB has no room for twice of it.
const ARTIFACT: usize = 700_000;

const LAY_OUT: &str =
    "mkdir -p /var/tmp/api/releases/1.0.0; echo old >/var/tmp/api/releases/1.0.0/app.jar
    chmod -R a+rwX /var/tmp/api; ln -sfn releases/1.0.0 /var/tmp/api/current";

fn tree(host: &Host) -> String {
    let line = "cd /var/tmp/api && find . -type f -printf '%P %s\\n' | grep -v VERSION | sort; readlink current";
    host.exec_ok(line).unwrap()
}

#[test]
fn nobody_switches_unless_every_host_has_the_release() {
    let host = |name: &str| {
        HostSpec::new(name)
            .role("app")
            .tag("service", "api")
            .var("dir", "/var/tmp/api")
            .service(Service::shell("api"))
    };
    let fleet = Fleet::builder("hotfixes").hosts([
        host("app-1"),
        host("app-2"),
        host("small").var_tmp_size("1m"),
    ]);
    let Some(fleet) = fleet.start_or_skip() else {
        return;
    };
    let desk = Desk::new(&fleet.inventory());
    for host in fleet.hosts() {
        host.exec_ok(LAY_OUT).unwrap();
    }
    desk.write("new.jar", vec![b'x'; ARTIFACT]);
    desk.write("other.jar", "other bytes");
    let fab = |artifact: &str, more: &str| -> Ran {
        let artifact = format!("artifact={artifact}");
        let mut words = vec![
            "hotfix",
            "role=app",
            &artifact,
            "version=1.1.0",
            "--yes=all",
        ];
        words.extend(more.split_whitespace());
        desk.fab(&words)
    };
    let old = "releases/1.0.0/app.jar 4\nreleases/1.0.0\n";
    let staged =
        format!("releases/1.0.0/app.jar 4\nreleases/1.1.0/app.jar {ARTIFACT}\nreleases/1.0.0\n");

    // Not what the build made: not a byte is sent.
    fab("new.jar", &format!("sha256={}", "0".repeat(64)))
        .ended(4)
        .says("is not what it should be");
    for host in fleet.hosts() {
        assert_eq!(tree(host), old, "{}", host.name());
    }

    // One host has no room: the others have the release, and nobody was switched.
    fab("new.jar", "")
        .ended(4)
        .says("no room in /var/tmp/api/releases");
    let trees: Vec<_> = fleet.hosts().iter().map(tree).collect();
    assert_eq!(trees, [&staged, &staged, old]);
    assert_eq!(desk.summary()["counts"]["failed"], 1);

    // Another content under that version is refused where it is, before anything is sent there.
    fab("other.jar", "-x small")
        .ended(4)
        .says("1.1.0 is there with another content");
    let trees: Vec<_> = fleet.hosts().iter().map(tree).collect();
    assert_eq!(trees, [&staged, &staged, old]);

    // The same content is not sent again: it would be another file then.
    let file = "stat -c %i:%Z /var/tmp/api/releases/1.1.0/app.jar";
    let before = fleet.hosts()[0].exec_ok(file).unwrap();
    fab("new.jar", "from=0.9.0 -x small")
        .ended(4)
        .says("this host has 1.0.0, which is none of from=0.9.0");
    fab("new.jar", "").ended(4).says("1.1.0 is there already");
    assert_eq!(fleet.hosts()[0].exec_ok(file).unwrap(), before);
}
