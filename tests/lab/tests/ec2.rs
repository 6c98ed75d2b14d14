//! The hosts are EC2 instances of a moto server, as boto3, which others wrote, sees them.

use std::process::Command;

use lab::{Fleet, FleetSpec, HostSpec, place};

const LIST: &str = r#"
import boto3
for page in boto3.client("ec2").get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 5}):
    for reservation in page["Reservations"]:
        for i in reservation["Instances"]:
            tags = {t["Key"]: t["Value"] for t in i["Tags"]}
            print(tags["Name"], i["PrivateIpAddress"], i["Placement"]["AvailabilityZone"], i["State"]["Name"], tags.get("role"))
"#;

#[test]
fn moto_lists_the_hosts() {
    let hosts = ["a", "b", "c"].map(|zone| {
        HostSpec::new(format!("app-{zone}1"))
            .zone(format!("us-west-2{zone}"))
            .role("app")
    });
    let mut spec = FleetSpec {
        hosts: hosts.into(),
        ec2: true,
    };
    spec.hosts
        .push(HostSpec::new("old").zone("us-west-2a").ec2_state("stopped"));
    let Some(fleet) = Fleet::builder("ec2").spec(spec).start_or_skip() else {
        return;
    };
    let ec2 = fleet.ec2().unwrap();
    let output = Command::new(place::base().join("venv/bin/python"))
        .args(["-c", LIST])
        .envs(ec2.env())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let mut seen: Vec<_> = said.lines().collect();
    seen.sort_unstable();
    let ip = |host: &str| fleet.host(host).ip();
    let expected = [
        format!("app-a1 {} us-west-2a running app", ip("app-a1")),
        format!("app-b1 {} us-west-2b running app", ip("app-b1")),
        format!("app-c1 {} us-west-2c running app", ip("app-c1")),
        format!("old {} us-west-2a stopped None", ip("old")),
    ];
    assert_eq!(
        seen,
        expected,
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(ec2.instances["old"].starts_with("i-"));
    assert!(!fleet.host("old").is_alive());
    let server = ec2.process;
    fleet.down();
    assert!(!server.is_alive());
}
