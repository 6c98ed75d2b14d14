//! The line that a changed host gets in its syslog.

use std::time::Duration;

use crate::transport::scripted::{Act, HostScript};

use super::bed::{Bed, Played};
use super::steps::run;

fn told(bed: &mut Bed) {
    bed.options.syslog = Some("desk 1".to_owned());
}

fn lines(played: &Played, host: &str) -> Vec<String> {
    let mut commands = played.transport.commands_on(host);
    commands.retain(|command| command.starts_with("logger "));
    commands
}

const WHO: &str =
    r#"logger -t fab-rs user=mo controller="desk 1" run=20260730T031244Z-work-0001 task=work"#;

#[tokio::test(start_paused = true)]
async fn each_host_that_was_changed_gets_a_line() {
    let failing = HostScript::new().on("work", [Act::Exits(1)]);
    let bed = Bed::new(3, vec![run("work")]).change(2, 0).with(told);
    let played = bed.script("h1", failing).play().await;
    assert_eq!(played.words(), ["ok", "failed", "not_run"]);
    assert_eq!(lines(&played, "h0"), [format!("{WHO} outcome=ok")]);
    let failed = format!("{WHO} outcome=failed step=work");
    assert_eq!(lines(&played, "h1"), [failed]);
    assert_eq!(lines(&played, "h2"), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_rollback_is_a_line_of_its_own() {
    let failing = HostScript::new().on("work", [Act::Exits(1)]);
    let bed = Bed::new(1, vec![run("work")]).change(1, 0).with(told);
    let bed = bed.with(|bed| bed.rollback = vec![run("undo")]);
    let played = bed.script("h0", failing).play().await;
    let lines = lines(&played, "h0");
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lines[1], format!("{WHO} rollback=done"));
}

#[tokio::test(start_paused = true)]
async fn who_only_reads_leaves_no_line() {
    let played = Bed::new(1, vec![run("work")]).with(told).play().await;
    assert_eq!(played.transport.commands_on("h0"), ["work"]);
}

#[tokio::test(start_paused = true)]
async fn a_line_that_does_not_come_about_changes_nothing() {
    for (act, took) in [
        (Act::Exits(127), 0),
        (Act::IsLost, 0),
        (Act::HangsForEver, 3),
    ] {
        let script = HostScript::new().on("logger", [act]);
        let bed = Bed::new(1, vec![run("work")]).change(1, 0).with(told);
        let played = bed.script("h0", script).play().await;
        assert_eq!((played.words(), played.exit()), (vec!["ok"], 0));
        assert_eq!(played.took, Duration::from_secs(took));
        assert!(played.log("h0").contains("the host's syslog has no line"));
        assert_eq!(played.notes(), [""; 0]);
        assert_eq!(played.summary.hosts[0].duration_ms, 0);
    }
}
