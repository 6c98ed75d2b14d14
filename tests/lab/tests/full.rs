//! The full tier does what it says: machines have a real systemd, HAProxy sees what becomes of them, and nothing is left.
#![expect(
    clippy::disallowed_methods,
    reason = "a test of processes waits for them"
)]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use lab::full::{Machine, Machines};
use lab::{HostSpec, Service, http, http_get};

/// Tells the test that is started by another that it is.
const CHILD: &str = "LAB_TEST_CHILD";

fn app(zone: char, number: usize) -> HostSpec {
    HostSpec::new(format!("app-{zone}{number}"))
        .zone(format!("us-west-2{zone}"))
        .role("app")
        .java()
}

/// Runs a line by ssh, which gives up after so many seconds without a greeting.
fn ssh(fleet: &Machines, limit: u32, machine: &str, line: &str) -> Output {
    let mut command = Command::new("ssh");
    command.arg("-F").arg(fleet.ssh_config()).args([
        "-o",
        &format!("ConnectTimeout={limit}"),
        machine,
        line,
    ]);
    command.output().unwrap()
}

fn ssh_ok(fleet: &Machines, machine: &str, line: &str) -> String {
    let output = ssh(fleet, 60, machine, line);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {}: {said}", output.status);
    String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned()
}

fn ssh_fails(fleet: &Machines, machine: &str, line: &str) -> String {
    let output = ssh(fleet, 2, machine, line);
    assert!(!output.status.success(), "{line}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Waits for as long as a test's patience lasts: no statement about speed.
fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_mins(2);
    while !done() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// One test for all, as machines cost seconds.
#[test]
fn machines_are_real() {
    let hosts = ['a', 'b', 'c']
        .into_iter()
        .flat_map(|zone| [app(zone, 1), app(zone, 2)]);
    let fleet = Machines::builder("real").hosts(hosts).balancer("api");
    let Some(fleet) = fleet.start_or_skip() else {
        return;
    };
    a_machine_is_one_of_its_own(&fleet);
    a_restart_is_systemds(&fleet);
    a_drained_machine_goes_away_unnoticed(&fleet);
    a_machine_leaves_and_joins_by_command(&fleet);
    a_machine_that_is_not_drained_is_missed(&fleet);
    a_hotfix_is_a_link(&fleet);
    a_unit_can_crash_in_a_loop(&fleet);
    a_reboot_is_a_boot(&fleet);
    a_power_cut_keeps_files(&fleet);
    a_link_can_go_down(&fleet);
    a_machine_can_hang(&fleet);
    nothing_is_left(fleet);
}

fn a_machine_is_one_of_its_own(fleet: &Machines) {
    let machine = fleet.machine("app-a1");
    wait("systemd has started all units", || {
        machine.exec("systemctl is-system-running").unwrap().stdout == b"running\n"
    });
    let said = ssh_ok(
        fleet,
        "app-a1",
        "hostname; id -un; sudo -n id -un; ps -o comm= -p 1; ip route; cat /proc/sys/kernel/random/boot_id",
    );
    let block = fleet
        .balancer()
        .unwrap()
        .ip()
        .to_string()
        .replace(".253", ".0/24");
    let route = format!(
        "{block} dev host0 proto kernel scope link src {}",
        machine.ip()
    );
    let boot = machine.boot_id().unwrap();
    let lines: Vec<_> = said.lines().map(str::trim_end).collect();
    assert_eq!(
        lines,
        ["app-a1", "deploy", "root", "systemd", &route, &boot]
    );
    assert_ne!(fleet.machine("app-a2").boot_id().unwrap(), boot);
    assert_eq!(machine.logins().unwrap(), 1);
    let inventory = std::fs::read_to_string(fleet.inventory()).unwrap();
    let line = format!(
        r#"- {{name: "app-a1", address: "{}", zone: "us-west-2a", tags: {{"role": "app"}}, vars: "#,
        machine.ip()
    );
    assert!(
        inventory.contains(&line) && inventory.contains("port: 22\n"),
        "{inventory}"
    );
    let dump = ssh_ok(
        fleet,
        "app-a1",
        "jcmd $(systemctl show -p MainPID --value api) Thread.print",
    );
    assert!(dump.contains("api-worker-1"), "{dump}");
}

fn a_restart_is_systemds(fleet: &Machines) {
    let machine = fleet.machine("app-a1");
    let (before, process) = (
        machine.unit("api").unwrap(),
        machine.processes_like("app.jar"),
    );
    ssh_ok(fleet, "app-a1", "sudo -n systemctl restart api");
    machine.wait_for_services().unwrap();
    let after = machine.unit("api").unwrap();
    assert_eq!(
        (after.active.as_str(), after.sub.as_str(), after.restarts),
        ("active", "running", 0)
    );
    assert!(after.active_since > before.active_since && after.main_pid != before.main_pid);
    assert_ne!(
        process[0].outer_pid,
        machine.processes_like("app.jar")[0].outer_pid
    );
    assert_eq!(machine.starts("api").unwrap().len(), 2);
    assert_eq!(fleet.machine("app-a2").starts("api").unwrap().len(), 1);
    assert!(
        machine
            .journal("api")
            .unwrap()
            .contains("api 1.0.0 listens on 0.0.0.0:8080")
    );
    fleet.balancer().unwrap().wait_for("app-a1", true).unwrap();
}

fn a_drained_machine_goes_away_unnoticed(fleet: &Machines) {
    let (balancer, machine) = (fleet.balancer().unwrap(), fleet.machine("app-b1"));
    let client = fleet.ask().unwrap();
    wait("each machine has answered", || {
        client.so_far().answered.len() == 6
    });
    assert_eq!(ssh_ok(fleet, "app-b1", "drain"), "drained");
    assert_eq!(http(machine.ip(), 8080, "GET", "/health").unwrap().0, 503);
    assert_eq!(
        http_get(machine.ip(), 8080, "/work").unwrap(),
        "app-b1 1.0.0\n"
    );
    balancer.wait_for("app-b1", false).unwrap();
    wait("what HAProxy had handed over is answered", || {
        balancer.sessions("app-b1").unwrap() == Some(0)
    });
    let before = client.so_far();
    ssh_ok(fleet, "app-b1", "sudo -n systemctl restart api");
    machine.wait_for_services().unwrap();
    balancer.wait_for("app-b1", true).unwrap();
    wait("it answers again", || {
        client.so_far().answered_by("app-b1") > before.answered_by("app-b1")
    });
    wait("many were asked", || client.so_far().requests() > 200);
    assert_eq!(client.finish().failures, []);
    assert_eq!(
        ssh_ok(fleet, "app-b1", "drain; restore"),
        "drained\nrestored"
    );
}

fn a_machine_leaves_and_joins_by_command(fleet: &Machines) {
    let (balancer, machine) = (fleet.balancer().unwrap(), fleet.machine("app-b1"));
    let inventory = std::fs::read_to_string(fleet.inventory()).unwrap();
    let vars = r#"vars: {"drain": "leave-balancer api", "drain_wait": "0s", "restore": "join-balancer api"}"#;
    assert_eq!(inventory.matches(vars).count(), 6, "{inventory}");
    let client = fleet.ask().unwrap();
    let left = "left the load balancer";
    assert_eq!(ssh_ok(fleet, "app-b1", "leave-balancer api"), left);
    let before = client.so_far().answered_by("app-b1");
    machine.exec_ok("systemctl restart api").unwrap();
    machine.wait_for_services().unwrap();
    // Well, and still out.
    assert_eq!(client.so_far().answered_by("app-b1"), before);
    assert_ne!(balancer.machines().unwrap()["app-b1"], "UP");
    let joined = "joined the load balancer";
    assert_eq!(ssh_ok(fleet, "app-b1", "join-balancer api"), joined);
    assert_eq!(balancer.machines().unwrap()["app-b1"], "UP");
    wait("it answers again", || {
        client.so_far().answered_by("app-b1") > before
    });
    assert_eq!(client.finish().failures, []);
}

fn a_machine_that_is_not_drained_is_missed(fleet: &Machines) {
    let client = fleet.ask().unwrap();
    let machine = fleet.machine("app-b2");
    machine.stop_unit("api").unwrap();
    assert_eq!(machine.unit("api").unwrap().active, "inactive");
    wait("a request failed", || !client.so_far().failures.is_empty());
    let seen = client.finish();
    assert!(
        seen.failures
            .iter()
            .all(|failure| failure.reason.contains("50")),
        "{:?}",
        seen.failures
    );
    machine.exec_ok("systemctl start api").unwrap();
    machine.wait_for_services().unwrap();
}

fn a_hotfix_is_a_link(fleet: &Machines) {
    let machine = fleet.machine("app-c1");
    let jar = machine.stage("api", "1.1.0").unwrap();
    assert_eq!(jar, Path::new("/opt/api/releases/1.1.0/app.jar"));
    let version = || http_get(machine.ip(), 8080, "/version").unwrap();
    ssh_ok(
        fleet,
        "app-c1",
        "cd /opt/api && sudo -n ln -s releases/1.1.0 new && sudo -n mv -T new current",
    );
    assert_eq!(version(), "1.0.0\n");
    machine.exec_ok("systemctl restart api").unwrap();
    machine.wait_for_services().unwrap();
    assert_eq!(version(), "1.1.0\n");
}

fn a_unit_can_crash_in_a_loop(fleet: &Machines) {
    let machine = fleet.machine("app-c2");
    machine.crash_from_next_start("api").unwrap();
    assert_eq!(machine.unit("api").unwrap().active, "active");
    ssh_ok(fleet, "app-c2", "sudo -n systemctl restart api");
    wait("systemd starts it again", || {
        machine.unit("api").unwrap().restarts > 0
    });
    wait("systemd gives up", || {
        machine.unit("api").unwrap().active == "failed"
    });
    assert_eq!(machine.unit("api").unwrap().result, "exit-code");
    machine.mend("api").unwrap();
    machine
        .exec_ok("systemctl reset-failed api; systemctl start api")
        .unwrap();
    machine.wait_for_services().unwrap();
}

fn a_reboot_is_a_boot(fleet: &Machines) {
    let machine = fleet.machine("app-a2");
    let before = (
        machine.boot_id().unwrap(),
        machine.unit("api").unwrap().active_since,
    );
    ssh(
        fleet,
        60,
        "app-a2",
        "touch /var/tmp/mark /run/mark; sudo -n systemctl reboot",
    );
    wait("it has another boot id", || {
        machine.boot_id().is_ok_and(|boot| boot != before.0)
    });
    machine.wait_for_sshd().unwrap();
    machine.wait_for_services().unwrap();
    assert_eq!(
        ssh_ok(
            fleet,
            "app-a2",
            "ls /var/tmp/mark /run/mark 2>/dev/null || :"
        ),
        "/var/tmp/mark"
    );
    assert!(machine.unit("api").unwrap().active_since > before.1);
    assert_eq!(machine.starts("api").unwrap().len(), 2);
}

fn a_power_cut_keeps_files(fleet: &Machines) {
    let machine = fleet.machine("app-b1");
    machine.exec_ok("touch /opt/mark").unwrap();
    machine.kill().unwrap();
    assert!(!machine.is_alive() && machine.processes().is_empty());
    let said = ssh_fails(fleet, "app-b1", "true");
    assert!(
        said.contains("timed out") || said.contains("refused") || said.contains("No route"),
        "{said}"
    );
    machine.power_on().unwrap();
    machine.wait_for_services().unwrap();
    assert_eq!(ssh_ok(fleet, "app-b1", "ls /opt/mark"), "/opt/mark");
}

fn a_link_can_go_down(fleet: &Machines) {
    let machine = fleet.machine("app-c1");
    let mut running = Command::new("ssh")
        .arg("-F")
        .arg(fleet.ssh_config())
        .args(["app-c1", "sleep 1000"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait("the command runs", || {
        machine.processes_like("sleep 1000").len() > 1
    });
    machine.set_link(false).unwrap();
    let said = ssh_fails(fleet, "app-c1", "true");
    assert!(
        said.contains("timed out") || said.contains("No route"),
        "{said}"
    );
    assert!(running.try_wait().unwrap().is_none());
    machine.set_link(true).unwrap();
    assert_eq!(ssh_ok(fleet, "app-c1", "hostname"), "app-c1");
    assert!(machine.drop_connections() > 0);
    assert_eq!(running.wait().unwrap().code(), Some(255));
    assert_eq!(
        machine.processes_like("sleep 1000").len(),
        2,
        "shell and sleep go on"
    );
}

fn a_machine_can_hang(fleet: &Machines) {
    let machine = fleet.machine("app-c1");
    machine.freeze();
    assert!(ssh_fails(fleet, "app-c1", "true").contains("timed out"));
    machine.thaw();
    assert_eq!(ssh_ok(fleet, "app-c1", "hostname"), "app-c1");
}

/// What this fleet, told by its folder, has outside its processes.
fn traces(dir: &Path) -> Vec<String> {
    let name = dir.file_name().unwrap().to_str().unwrap();
    let find = format!(
        "find /sys/fs/cgroup -maxdepth 2 -name '*.{name}'; grep -h {} /proc/*/mountinfo 2>/dev/null; :",
        dir.display()
    );
    let found = Command::new("sh").args(["-c", &find]).output().unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    found.lines().map(str::to_owned).collect()
}

fn has_address(fleet: &str) -> bool {
    let own = Command::new("ip")
        .args(["-4", "-o", "address"])
        .output()
        .unwrap();
    String::from_utf8(own.stdout)
        .unwrap()
        .contains(&format!(" {fleet}/24"))
}

fn nothing_is_left(fleet: Machines) {
    let dir = fleet.dir().to_path_buf();
    let own = fleet
        .balancer()
        .unwrap()
        .ip()
        .to_string()
        .replace(".253", ".254");
    let processes: Vec<_> = fleet
        .machines()
        .iter()
        .flat_map(Machine::processes)
        .collect();
    assert!(processes.len() > 30 && has_address(&own) && traces(&dir).len() > 6);
    fleet.down();
    for process in processes {
        let now = lab::Process::of(process.outer_pid).is_some_and(lab::Process::is_alive);
        assert!(!now, "still there: {process:?}");
    }
    assert_eq!(traces(&dir), Vec::<String>::new());
    assert!(!has_address(&own) && !dir.exists());
}

#[test]
fn machines_end_with_their_process() {
    let builder =
        Machines::builder("orphan").host(HostSpec::new("orphan").service(Service::shell("loop")));
    if std::env::var_os(CHILD).is_some() {
        let fleet = builder.start().unwrap();
        let init = fleet.machine("orphan").processes()[0].outer_pid;
        std::fs::write(
            std::env::var_os(CHILD).unwrap(),
            format!("{} {init}", fleet.dir().display()),
        )
        .unwrap();
        std::thread::sleep(Duration::from_mins(10));
        return;
    }
    if !lab::full::available() {
        return;
    }
    let note = lab::place::base().join(format!("orphan.{}", std::process::id()));
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "machines_end_with_their_process"])
        .env(CHILD, &note)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut text = String::new();
    wait("the machine runs", || {
        text = std::fs::read_to_string(&note).unwrap_or_default();
        !text.is_empty() || child.try_wait().unwrap().is_some()
    });
    let (dir, init) = text.split_once(' ').unwrap();
    let init = lab::Process::of(init.parse().unwrap()).unwrap();
    assert!(init.is_alive() && !traces(Path::new(dir)).is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::remove_file(&note).unwrap();
    wait("all is gone", || {
        !init.is_alive() && traces(Path::new(dir)).is_empty()
    });
}

#[test]
fn a_quorum_loses_no_write() {
    let member = |zone: char| {
        HostSpec::new(format!("zk-{zone}"))
            .zone(format!("us-west-2{zone}"))
            .role("zookeeper")
            .service(Service::zookeeper("zookeeper").owner("app"))
    };
    let Some(fleet) = Machines::builder("quorum")
        .hosts(['a', 'b', 'c'].map(member))
        .start_or_skip()
    else {
        return;
    };
    wait("somebody leads", || fleet.leader().is_some());
    let writer = fleet.write();
    let roles = || {
        fleet
            .quorum()
            .filter_map(Machine::zookeeper_role)
            .collect::<Vec<_>>()
    };
    wait("the others follow", || {
        roles().iter().filter(|role| *role == "follower").count() == 2
    });
    let leader = fleet.leader().unwrap();
    wait("writes are acknowledged", || writer.count() > 25);
    // Not restarted: on a slow machine it could be back in time to lead again.
    leader.exec_ok("systemctl stop zookeeper").unwrap();
    wait("another leads", || {
        fleet
            .leader()
            .is_some_and(|now| now.name() != leader.name())
    });
    let before = writer.count();
    wait("the new leader acknowledges", || {
        writer.count() > before + 25
    });
    leader.exec_ok("systemctl start zookeeper").unwrap();
    wait("all are there again", || roles().len() == 3);
    let before = writer.count();
    wait("all acknowledge", || writer.count() > before + 25);
    let mut written = writer.finish();
    assert!(written.acknowledged.len() > 75, "{written:?}");
    assert_eq!(written.lost().unwrap(), Vec::<u64>::new());
    written.acknowledged.push(u64::MAX);
    assert_eq!(written.lost().unwrap(), [u64::MAX], "a loss would be seen");
}
