//! The light tier does what it says: hosts are real, apart from each other, and gone afterwards.
#![expect(
    clippy::disallowed_methods,
    reason = "a test of processes waits for them"
)]

use std::process::{Child, Command, Output};

use lab::{Fault, Fleet, Host, HostSpec, Service, Shell, place};

fn hosts() -> Vec<HostSpec> {
    let host = |name: &str| HostSpec::new(name).zone("us-west-2a").role("app");
    vec![
        host("plain").tag("env", "lab"),
        host("jvm")
            .java()
            .service(Service::java("other").port(8081).owner("app").deadlock()),
        host("unit").service(Service::shell("api")),
        host("loop")
            .service(Service::shell("api"))
            .fault(Fault::CrashLoop),
        host("door").bastion(),
        host("inner").behind("door"),
        host("bash").shell(Shell::Bash).fault(Fault::BadShellRc),
        host("tiny")
            .shell(Shell::Busybox)
            .fault(Fault::NoSetsid)
            .fault(Fault::SmallDisk)
            .without("zstd"),
    ]
}

fn ssh(fleet: &Fleet, host: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new("ssh");
    command
        .arg("-F")
        .arg(fleet.ssh_config())
        .arg(host)
        .args(arguments);
    command.output().unwrap()
}

fn stdout(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
    String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned()
}

fn stderr(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// One test for all, as each connection and each host costs time on both sides.
#[test]
fn hosts_are_real() {
    let Some(fleet) = Fleet::builder("real").hosts(hosts()).start_or_skip() else {
        return;
    };
    a_host_is_a_machine_of_its_own(&fleet);
    shells_and_missing_programs(&fleet);
    units_start_and_stop(&fleet);
    jvms_can_be_asked(&fleet);
    a_bastion_is_the_only_way(&fleet);
    a_reboot_is_more_than_an_open_port(&fleet);
    hosts_break_on_demand(&fleet);
    let left: Vec<_> = fleet.hosts().iter().flat_map(Host::processes).collect();
    assert!(left.len() > 8, "{left:?}");
    let dir = fleet.dir().to_path_buf();
    fleet.down();
    for process in left {
        let now = lab::Process::of(process.outer_pid).is_some_and(lab::Process::is_alive);
        assert!(!now, "still there: {process:?}");
    }
    assert!(!dir.exists());
}

fn a_host_is_a_machine_of_its_own(fleet: &Fleet) {
    let said = stdout(&ssh(
        fleet,
        "plain",
        &["hostname; id -un; echo ~; ps -e -o comm= | grep -c java; touch /var/tmp/mark"],
    ));
    let host = fleet.host("plain");
    let home = host.home().display().to_string();
    assert_eq!(said, format!("plain\n{}\n{home}\n0", host.login()));
    assert!(host.path("/var/tmp/mark").unwrap().exists());
    assert!(!std::path::Path::new("/var/tmp/mark").exists());
    assert_eq!(host.logins(), 1);
    assert_eq!(host.exec_ok("hostname").unwrap(), "plain\n");
    let user = stdout(&ssh(fleet, "plain", &["sudo -n -u root -- id -un"]));
    assert_eq!(
        user,
        if place::is_root() {
            "root"
        } else {
            host.login()
        }
    );
    let inventory = std::fs::read_to_string(fleet.inventory()).unwrap();
    let line = format!(
        r#"- {{name: "plain", address: "{}", zone: "us-west-2a", tags: {{"env": "lab", "role": "app"}}}}"#,
        host.ip()
    );
    assert!(inventory.contains(&line), "{inventory}");
}

fn shells_and_missing_programs(fleet: &Fleet) {
    let noisy = ssh(fleet, "bash", &["readlink -f /proc/$$/exe; :"]);
    assert_eq!(stdout(&noisy), "noise from .bashrc\n/usr/bin/bash");
    let tiny = stdout(&ssh(
        fleet,
        "tiny",
        &[
            "readlink -f /proc/$$/exe; command -v setsid zstd; head -c 3000000 /dev/zero > /var/tmp/x || echo full",
        ],
    ));
    // Without root another shell is bound over the machine's, whose name shows.
    let shell = if place::is_root() {
        "/usr/bin/busybox"
    } else {
        "/usr/bin/dash"
    };
    assert_eq!(tiny, format!("{shell}\nfull"));
    assert_eq!(
        stdout(&ssh(
            fleet,
            "plain",
            &["readlink -f /proc/$$/exe; command -v setsid"]
        )),
        "/usr/bin/dash\n/usr/bin/setsid"
    );
}

fn units_start_and_stop(fleet: &Fleet) {
    let show = "systemctl show -p ActiveState,SubState,NRestarts --value api | tr '\\n' ' '";
    let said = stdout(&ssh(
        fleet,
        "unit",
        &[&format!(
            "{show}; a=$(systemctl show -p MainPID --value api); sudo -n systemctl restart api; \
             b=$(systemctl show -p MainPID --value api); test $a != $b && test -d /proc/$b && {show}; \
             sudo -n systemctl stop api; test ! -d /proc/$b && {show}; systemctl is-active api; echo $?; \
             systemctl status nothing 2>&1"
        )],
    ).tap_status(4));
    assert_eq!(
        said,
        "active running 0 active running 0 inactive dead 0 inactive\n3\nUnit nothing.service could not be found."
    );
    if place::is_root() {
        let refused = stderr(&ssh(fleet, "unit", &["systemctl restart api"]));
        assert_eq!(
            refused.trim_end(),
            "Failed to restart api.service: Interactive authentication required."
        );
    }
    let looping = format!(
        "{show}; sudo -n systemctl restart api && echo 0; \
         for i in $(seq 600); do \
         test $(systemctl show -p NRestarts --value api) -ge 1 && echo again && exit; sleep 0.1; done"
    );
    let said = stdout(&ssh(fleet, "loop", &[&looping]));
    assert_eq!(said, "active running 0 0\nagain");
}

fn jvms_can_be_asked(fleet: &Fleet) {
    let host = fleet.host("jvm");
    assert_eq!(host.processes_like("LabService").len(), 2);
    let dump = "p=$(systemctl show -p MainPID --value other); u=$(stat -c %U /proc/$p); \
                sudo -n -u $u jcmd $p Thread.print | grep -c -e 'Found one Java-level deadlock' -e 'other-worker-1'; \
                jcmd $(systemctl show -p MainPID --value api) GC.heap_dump /var/tmp/h.hprof";
    let said = stdout(&ssh(fleet, "jvm", &[dump]));
    assert!(
        said.contains("2\n") && said.contains("Heap dump file created"),
        "{said}"
    );
    assert!(
        host.path("/var/tmp/h.hprof")
            .unwrap()
            .metadata()
            .unwrap()
            .len()
            > 4_000_000
    );
    assert_eq!(
        lab::http_get(host.ip(), 8081, "/version").as_deref(),
        Some("1.0.0\n")
    );
}

fn a_bastion_is_the_only_way(fleet: &Fleet) {
    let said = stdout(&ssh(fleet, "inner", &["hostname"]));
    assert_eq!(said, "inner");
    assert_eq!(fleet.host("door").logins(), 1);
    let direct = stderr(&ssh(fleet, "inner", &["-o", "ProxyJump=none", "true"]));
    assert!(direct.contains("Could not resolve hostname"), "{direct}");
}

fn a_reboot_is_more_than_an_open_port(fleet: &Fleet) {
    let unit = fleet.host("unit");
    let boot = || unit.exec_ok("cat /proc/sys/kernel/random/boot_id").unwrap();
    let before = boot();
    let first = unit.exec_ok("systemctl start api; systemctl show -p MainPID --value api");
    let mut cut = sleeps(fleet, unit);
    assert_eq!(
        stdout(&ssh(fleet, "unit", &["touch /tmp/mark; sudo -n reboot"])),
        ""
    );
    assert_eq!(cut.wait().unwrap().code(), Some(255));
    while boot() == before {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let active = "for i in $(seq 600); do systemctl is-active api && exit; sleep 0.1; done";
    assert!(unit.exec_ok(active).unwrap().ends_with("active\n"));
    let second = unit.exec_ok("ls /tmp; systemctl show -p MainPID --value api");
    assert_ne!(first.unwrap(), second.unwrap());
}

/// A connection under which a command runs that only its loss ends.
fn sleeps(fleet: &Fleet, host: &Host) -> Child {
    let client = Command::new("ssh")
        .arg("-F")
        .arg(fleet.ssh_config())
        .args([host.name(), "sleep 1000"])
        .spawn()
        .unwrap();
    while host.processes_like("sleep 1000").is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    client
}

fn hosts_break_on_demand(fleet: &Fleet) {
    let plain = fleet.host("plain");
    let mut running = sleeps(fleet, plain);
    plain.freeze();
    let silent = ssh(fleet, "plain", &["-o", "ConnectTimeout=2", "true"]);
    assert!(stderr(&silent).contains("timed out"));
    plain.thaw();
    assert!(plain.drop_connections() > 0);
    assert_eq!(running.wait().unwrap().code(), Some(255));
    fleet.change_host_key("plain").unwrap();
    assert!(stderr(&ssh(fleet, "plain", &["true"])).contains("Host key verification failed"));
    let boot = |host: &Host| host.exec_ok("cat /proc/sys/kernel/random/boot_id").unwrap();
    let tiny = fleet.host("tiny");
    let before = boot(tiny);
    tiny.kill();
    assert!(stderr(&ssh(fleet, "tiny", &["true"])).contains("Connection refused"));
    assert!(!tiny.is_alive() && tiny.processes().is_empty());
    fleet.start_host(tiny).unwrap();
    assert_ne!(boot(tiny), before);
    assert_eq!(stdout(&ssh(fleet, "tiny", &["hostname"])), "tiny");
}

/// A command that is expected to end with another status.
trait TapStatus {
    fn tap_status(self, status: i32) -> Output;
}

impl TapStatus for Output {
    fn tap_status(mut self, status: i32) -> Output {
        assert_eq!(
            self.status.code(),
            Some(status),
            "{}",
            String::from_utf8_lossy(&self.stderr)
        );
        self.status = std::process::ExitStatus::default();
        self
    }
}
