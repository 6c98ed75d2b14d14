//! The first line that anybody types, on a fleet that the EC2 API knows: heap dumps of the running hosts of one role.

use lab::{Fleet, HostSpec};

use crate::desk::{Desk, files_below};

const ZONES: [&str; 3] = ["us-west-2a", "us-west-2b", "us-west-2c"];

#[test]
fn heap_dumps_by_tag_in_three_zones_and_two_pages() {
    let app = |n: usize| {
        HostSpec::new(format!("app-{n}"))
            .zone(ZONES[n % 3])
            .role("app")
    };
    let fleet = Fleet::builder("ec2-dumps")
        .hosts((0..6).map(|n| app(n).java()))
        .host(HostSpec::new("web-1").zone(ZONES[0]).role("web").java())
        .host(HostSpec::new("db-1").zone(ZONES[1]).role("db"))
        .host(app(7).ec2_state("stopped"))
        .ec2()
        .start_or_skip();
    let Some(fleet) = fleet else { return };
    let ec2 = fleet.ec2().unwrap();
    let inventory = std::fs::read_to_string(fleet.ec2_inventory()).unwrap();
    // Nine reservations, five on a page.
    let desk =
        Desk::with_inventory(&inventory.replacen("[us-west-2]", "[us-west-2], page_size: 5", 1));
    let mut command = desk.command(&["heapdump", "role=app", "keep_free=1MiB", "--yes"]);
    command
        .envs(ec2.env())
        .env("AWS_EC2_METADATA_DISABLED", "true");
    let ran = crate::desk::Running::of(&mut command).end();
    ran.ended(0);
    let summary = desk.summary();
    assert_eq!(
        summary["counts"],
        serde_json::json!({"ok": 6}),
        "{summary:#}"
    );
    for n in 0..6 {
        let host = &summary["hosts"][format!("app-{n}")];
        assert_eq!(host["id"], ec2.instances[&format!("app-{n}")].as_str());
        assert_eq!(host["zone"], ZONES[n % 3]);
    }
    let dumps = files_below(&desk.record().join("files"));
    let dumps = dumps
        .iter()
        .filter(|path| path.to_string_lossy().contains(".hprof"))
        .count();
    assert_eq!(dumps, 6, "{}", ran.all());
    for other in ["web-1", "db-1"] {
        assert_eq!(fleet.host(other).logins(), 0, "{other} was touched");
    }
}
