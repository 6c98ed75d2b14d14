//! Changes over real hosts: nothing before every host answered, checks after the steps, and hosts that wait and
//! work for each other.

use std::fs;

use crate::desk::Desk;
use crate::fleets;

/// A folder of the controller, in which hosts leave marks by `local` steps: their own files are their own.
struct Place(tempfile::TempDir);

impl Place {
    /// Makes a folder, and a task that changes hosts; `{place}` is the folder, and the lock of each, as all share hosts.
    fn with_task(desk: &Desk, text: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        let own = "kind: change\nlock: \"{place}\"\n";
        let text = if text.contains("lock: ") {
            text.to_owned()
        } else {
            text.replacen("kind: change\n", own, 1)
        };
        let text = text.replace("{place}", place.path().to_str().unwrap());
        desk.write("tasks/change.yml", text);
        Self(place)
    }

    /// What a host wrote into a file.
    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).unwrap()
    }

    /// The files that hosts left, with the numbers of their lines.
    fn left(&self) -> Vec<(String, usize)> {
        let found = fs::read_dir(self.0.path()).unwrap().flatten();
        let mut found: Vec<_> = found
            .map(|entry| {
                let name = entry.file_name().into_string().unwrap();
                let lines = self.read(&name).lines().count();
                (name, lines)
            })
            .collect();
        found.sort();
        found
    }
}

#[test]
fn a_host_that_does_not_answer_is_found_before_anything_is_changed() {
    let Some((_, desk)) = fleets::broken() else {
        return;
    };
    let place = Place::with_task(
        &desk,
        "\
version: 1
kind: change
lock: '{place}'
strategy: {batch: 4}
steps:
  - local: echo changed >> {place}/{{ host.label }}
",
    );
    let ran = desk.fab(&["-y", "-t", "2", "change", "role=app"]);
    ran.ended(8);
    assert_eq!(place.left(), []);
    for host in ["refuses", "hangs", "changed"] {
        ran.says(host);
    }
    let summary = desk.summary();
    assert_eq!(summary["hosts"]["app-00"]["outcome"], "not_run");
    assert!(desk.processes().is_empty(), "{:?}", desk.processes());
}

#[test]
fn a_host_is_done_when_its_checks_have_passed() {
    let Some((_, desk)) = fleets::calm() else {
        return;
    };
    // What the step starts is not there at once, as a service is not.
    let place = Place::with_task(
        &desk,
        "\
version: 1
kind: change
lock: '{place}'
strategy: {batch: 5}
params: {mark: {required: true}}
health:
  - name: serves
    run: echo asked >> /tmp/asked-$FAB_PARAM_MARK; [ -e /tmp/up-$FAB_PARAM_MARK ]
    interval: 200ms
    timeout: 30s
verify:
  - name: was asked again
    run: '[ $(wc -l < /tmp/asked-$FAB_PARAM_MARK) -ge 3 ]'
    timeout: 30s
steps:
  - run: |
      rm -f /tmp/asked-$FAB_PARAM_MARK
      rm -f /tmp/up-$FAB_PARAM_MARK
      (until [ $(wc -l < /tmp/asked-$FAB_PARAM_MARK) -ge 3 ]; do sleep 0.1; done
      : > /tmp/up-$FAB_PARAM_MARK) >/dev/null 2>&1 </dev/null &
  - local: echo done > {place}/{{ host.label }}
",
    );
    let mark = desk.path().file_name().unwrap().to_str().unwrap();
    desk.fab(&["-y", "change", "ten=yes", &format!("mark={mark}")])
        .ended(0);
    assert_eq!(place.left().len(), 10);
    let log = desk.record().join("hosts/app-00.log");
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("---- serves ok"), "{log}");
}

#[test]
fn a_host_whose_check_never_passes_stops_the_rollout() {
    let Some((_, desk)) = fleets::calm() else {
        return;
    };
    let place = Place::with_task(
        &desk,
        "\
version: 1
kind: change
lock: '{place}'
strategy: {batch: 1, by: flat}
verify:
  - name: took
    run: 'echo not yet; exit 3'
    interval: 100ms
    timeout: 3s
steps:
  - local: echo changed > {place}/{{ host.label }}
",
    );
    let ran = desk.fab(&["-y", "change", "ten=yes"]);
    ran.ended(4).says("took").says("exit 3");
    assert_eq!(place.left().len(), 1);
    let summary = desk.summary();
    assert_eq!(
        summary["counts"],
        serde_json::json!({"unhealthy": 1, "not_run": 9})
    );
}

#[test]
fn hosts_of_a_batch_wait_at_a_barrier_with_fewer_places_than_hosts() {
    let Some((_, desk)) = fleets::calm() else {
        return;
    };
    let place = Place::with_task(
        &desk,
        "\
version: 1
kind: change
lock: '{place}'
strategy: all
steps:
  - local: echo first > {place}/{{ host.label }}
  - local: '[ $(ls {place} | wc -l) = 10 ]'
    barrier: true
",
    );
    desk.fab(&["-y", "-z", "3", "change", "ten=yes"]).ended(0);
    assert_eq!(place.left().len(), 10);
}

#[test]
fn once_for_a_zone_is_once_in_each_of_three() {
    let Some((_, desk)) = fleets::calm() else {
        return;
    };
    let place = Place::with_task(
        &desk,
        "\
version: 1
kind: change
lock: '{place}'
strategy: {batch: 2, by: az}
steps:
  - local: echo {{ host.label }} >> {place}/{{ zone.name }}
    once: zone
",
    );
    desk.fab(&["-y", "change", "dozen=yes"]).ended(0);
    let zones = ["us-west-2a", "us-west-2b", "us-west-2c"];
    assert_eq!(place.left(), zones.map(|zone| (zone.to_owned(), 1)));
}

#[test]
fn any_healthy_is_another_host() {
    let Some((_, desk)) = fleets::calm() else {
        return;
    };
    let place = Place::with_task(
        &desk,
        "\
version: 1
kind: change
lock: '{place}'
strategy: {batch: 1, by: flat}
steps:
  - run: set -- $SSH_CONNECTION; echo $3 $4
    register: here
  - run: set -- $SSH_CONNECTION; echo $3 $4
    register: there
    where: any_healthy
  - local: echo {{ here.stdout }} > {place}/{{ host.label }}.here
  - local: echo {{ there.stdout }} > {place}/{{ host.label }}.there
",
    );
    desk.fab(&["-y", "change", "ten=yes"]).ended(0);
    let read = |name: &str| place.read(name);
    for host in (0..10).map(|n| format!("app-{n:02}")) {
        let (here, there) = (
            read(&format!("{host}.here")),
            read(&format!("{host}.there")),
        );
        assert_ne!(here, there, "{host}");
        let log = desk.record().join(format!("hosts/{host}.log"));
        let log = fs::read_to_string(log).unwrap();
        assert!(log.contains("note| on app-0"), "{log}");
    }
}

#[test]
fn what_a_host_says_of_itself_is_text_to_every_shell_and_others_are_only_asked() {
    let Some((_, desk)) = fleets::calm() else {
        return;
    };
    let place = Place::with_task(
        &desk,
        "\
version: 1
kind: change
strategy: {batch: 1, by: flat}
facts:
  - run: |
      printf '%s' \"'; touch {place}/pwned; '\\$(touch {place}/pwned)\"
    register: evil
    read_only: true
steps:
  - run: printf '%s' {{ host.facts.evil.stdout }}
    register: seen
  - local: printf '%s\\n' {{ seen.stdout }} {{ host.facts.evil.stdout }} > {place}/{{ host.label }}
",
    );
    desk.fab(&["-y", "change", "ten=yes", "--limit", "app-03"])
        .ended(0);
    assert_eq!(place.left(), [("app-03".to_owned(), 2)]);
    let text = place.read("app-03");
    let (seen, fact) = text.split_once('\n').unwrap();
    assert_eq!(seen, fact.trim_end());
    assert!(seen.contains("$(touch"), "{text}");
    let asked = fs::read_to_string(desk.record().join("hosts/app-00.log")).unwrap();
    assert_eq!(asked.matches(" started ").count(), 1, "{asked}");
}

#[test]
fn ctrl_c_in_a_pause_ends_it() {
    let Some((_, desk)) = fleets::calm() else {
        return;
    };
    let place = Place::with_task(
        &desk,
        "\
version: 1
kind: change
strategy: {batch: 1, by: flat, bake: 1h}
health:
  - {name: serves, run: exit 0, interval: 100ms, watch: true}
steps:
  - local: echo done > {place}/{{ host.label }}
",
    );
    let running = desk.start(&["-y", "--json", "change", "ten=yes"]);
    running.until_it_says("bake_started");
    running.signal("INT");
    running.end().ended(130);
    assert_eq!(place.left(), [("app-00".to_owned(), 1)]);
    assert_eq!(desk.summary()["counts"]["not_run"], 9);
}

/// Reads, then changes; `app-04` is sick, `app-00` is taken last.
const PROBED: &str = "\
version: 1
kind: change
strategy: {batch: 4, by: flat, last: \"{{ host.facts.who.stdout == 'app-00' }}\"}
facts:
  - {run: 'echo {{ host.label }}', register: who}
health:
  - {name: serves, run: 'test {{ host.label }} != app-04', timeout: 3s}
steps:
  - {run: 'echo seen {{ host.label }}', read_only: true, register: seen}
  - {run: echo second, read_only: true, when: \"seen.stdout == 'seen app-02'\"}
  - local: echo changed > {place}/{{ host.label }}
  - {run: echo never, read_only: true}
";

#[test]
fn a_probe_shows_the_plan_as_it_would_be_taken_now_and_changes_nothing() {
    let Some((_, desk)) = fleets::calm() else {
        return;
    };
    let place = Place::with_task(&desk, PROBED);
    let ran = desk.fab(&["plan", "change", "ten=yes", "--probe"]);
    ran.ended(0)
        .says("preflight: 10 hosts answer, 1 sick: app-04 (serves: exit 1")
        .says("plan changed:")
        .says("app-09 │ seen app-09")
        .says("app-02 │ second");
    let (out, err) = (ran.out(), ran.err());
    assert!(out.contains("(last)") && !out.contains(" │ "), "{out}");
    assert!(!err.contains("never"), "{err}");
    assert_eq!(err.matches("second").count(), 1, "{err}");

    let ran = desk.fab(&["--json", "plan", "change", "ten=yes", "--probe"]);
    ran.ended(0);
    let plan: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    let batches = plan["phases"][0]["batches"].as_array().unwrap();
    assert_eq!(batches[0]["hosts"][0], "app-04");
    assert_eq!(batches[3]["hosts"], serde_json::json!(["app-00"]));
    let hosts = &plan["probe"]["hosts"];
    assert_eq!(hosts[4]["state"], "sick");
    assert_eq!(hosts[0]["last"], true);
    assert_eq!(hosts[1]["steps"]["outcome"], "ok");

    assert_eq!((place.left(), desk.runs().len()), (Vec::new(), 0));
    assert!(desk.processes().is_empty(), "{:?}", desk.processes());
}

#[test]
fn a_probe_ends_as_the_preflight_would_where_a_run_would_not_begin() {
    let Some((_, desk)) = fleets::broken() else {
        return;
    };
    let place = Place::with_task(
        &desk,
        "\
version: 1
kind: change
strategy: {batch: 4}
steps:
  - {run: echo never, read_only: true}
  - local: echo changed > {place}/{{ host.label }}
",
    );
    let ran = desk.fab(&["-t", "2", "plan", "change", "role=app", "--probe"]);
    ran.ended(8)
        .says("no answer")
        .says("refuses")
        .says("nothing was changed on any host");
    assert!(!ran.err().contains("never │") && !ran.err().contains("│ never"));
    assert!(ran.out().contains("batch 1"), "{}", ran.out());
    assert_eq!(place.left(), []);
}

#[test]
fn a_kept_plan_brings_its_own_selectors() {
    let Some((_, desk)) = fleets::calm() else {
        return;
    };
    let place = Place::with_task(
        &desk,
        "\
version: 1
kind: change
strategy: all
steps:
  - local: echo done > {place}/{{ host.label }}
",
    );
    desk.fab(&["plan", "change", "dozen=yes", "--out", "p.json"])
        .ended(0);
    desk.fab(&["-y", "change", "ten=yes", "--plan", "p.json"])
        .ended(7)
        .says("does not hold any more");
    assert_eq!(place.left(), []);
    desk.fab(&["-y", "change", "--plan", "p.json"])
        .ended(0)
        .says("the hosts are those of the plan `p.json`: dozen=yes");
    assert_eq!(place.left().len(), 12);
}
