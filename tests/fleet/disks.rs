//! Full disks, here and there: said, and only the host concerned fails.

use std::process::Command;

use crate::desk::{Desk, Ran, Running};
use crate::fleets;

/// Runs `fab-rs` where `folder` (below the desk) is a disk of this size, and prints what `then` says of it.
fn on_a_small_disk(desk: &Desk, folder: &str, size: &str, words: &[&str], then: &str) -> Ran {
    let line = desk.command(words);
    let line = std::iter::once(line.get_program()).chain(line.get_args());
    let line: Vec<_> = line.map(|word| word.to_str().unwrap()).collect();
    let line = shlex::try_join(line).unwrap();
    std::fs::create_dir_all(desk.path().join(folder)).unwrap();
    let script = format!(
        "mount -t tmpfs -o size={size} tmpfs {folder} || exit 99; {line}; s=$?; {then}; exit $s"
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "--map-root-user", "--user", "sh", "-c", &script]);
    if std::fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0)
    {
        command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script]);
    }
    desk.surround(&mut command);
    Running::of(&mut command).end()
}

#[test]
fn a_full_disk_here_fails_the_host_whose_file_does_not_fit() {
    let Some((fleet, desk)) = fleets::calm() else {
        return;
    };
    for (name, megabytes) in [("app-13", 1), ("app-14", 12), ("app-15", 1)] {
        let make = format!(
            "head -c {megabytes}000000 /dev/urandom > /var/tmp/big; chmod 644 /var/tmp/big"
        );
        fleet.host(name).exec_ok(&make).unwrap();
    }
    let words = [
        "--outdir",
        "out",
        "get",
        "name=app-13,app-14,app-15",
        "--",
        "/var/tmp/big",
    ];
    let ran = on_a_small_disk(
        &desk,
        "out",
        "6m",
        &words,
        "cd out && find . -type f | sort",
    );
    ran.ended(1)
        .says("app-14  failed")
        .says("the disk of this machine has no room");
    let out = ran.out();
    let found: Vec<_> = out.lines().collect();
    assert!(
        found
            .iter()
            .any(|path| path.contains("app-13") && path.ends_with("big")),
        "{}",
        ran.all()
    );
    assert!(
        found
            .iter()
            .any(|path| path.contains("app-15") && path.ends_with("big")),
        "{}",
        ran.all()
    );
    assert_eq!(
        desk.summary()["counts"],
        serde_json::json!({"ok": 2, "failed": 1})
    );
    for name in ["app-13", "app-14", "app-15"] {
        assert!(
            fleet.host(name).path("/var/tmp/big").unwrap().exists(),
            "{name} lost its file"
        );
    }
}

#[test]
fn a_full_disk_of_the_record_is_said_and_the_run_ends_in_order() {
    let Some((_, desk)) = fleets::calm() else {
        return;
    };
    let words = [
        "run",
        "name=app-16",
        "--",
        "head -c 8000000 /dev/zero | tr '\\0' x | fold -w 100",
    ];
    let ran = on_a_small_disk(&desk, "state", "2m", &words, "ls state/runs >&2");
    ran.says("No space left on device").says("summary: ");
    assert_ne!(ran.status, 70, "{}", ran.all());
    assert_ne!(
        ran.status,
        0,
        "a record that is not whole is no success: {}",
        ran.all()
    );
}

#[test]
fn a_full_disk_there_is_the_cause_and_leaves_nothing_behind() {
    let Some((fleet, desk)) = fleets::broken() else {
        return;
    };
    desk.write("eight", vec![b'x'; 8_000_000]);
    let ran = desk.fab(&[
        "put",
        "-H",
        "small-disk,app-05",
        "--",
        "eight",
        "/var/tmp/eight",
    ]);
    ran.ended(1)
        .says("small-disk  failed")
        .says("No space left on device");
    let summary = desk.summary();
    assert_eq!(
        summary["counts"],
        serde_json::json!({"ok": 1, "failed": 1}),
        "{summary:#}"
    );
    let left = fleet.host("small-disk").exec_ok("ls -A /var/tmp").unwrap();
    assert_eq!(left, "", "{}", ran.all());
    let arrived = fleet.host("app-05").path("/var/tmp/eight").unwrap();
    assert_eq!(std::fs::metadata(arrived).unwrap().len(), 8_000_000);
}
