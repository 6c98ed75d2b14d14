//! The inventory file: what is read, and every error at its place.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::model::{Diagnostic, HostKeys, Kex, Source};

fn parse(text: &str) -> Result<InventoryFile, Vec<Diagnostic>> {
    read(&std::sync::Arc::new(Source {
        path: "prod.yml".into(),
        text: text.to_owned(),
    }))
}

/// `LINE:COLUMN message (label or first hint)` of every error.
fn errors(text: &str) -> Vec<String> {
    let errors = parse(text).err().unwrap_or_default();
    errors
        .iter()
        .map(|error| {
            let (line, column) = error
                .span
                .as_ref()
                .map_or((0, 0), crate::model::SourceSpan::line_column);
            let more = error.label.as_ref().or(error.hints.first());
            let more = more.map(|text| format!(" ({text})")).unwrap_or_default();
            format!("{line}:{column} {}{more}", error.message)
        })
        .collect()
}

const WHOLE: &str = r#"
version: 1
sources:
  - ec2:
      regions: [us-west-2, eu-west-1]
      profile: prod
      role_arn: arn:aws:iam::123456789012:role/ops
      external_id: "42"
      filters: {"tag:env": prod, instance-type: [m5.large, m5.xlarge]}
      exclude: ["role=bastion", "name~=^tmp"]
      name: ["tag:Name", id]
      address: [private_ip, "tag:vpn", ipv6]
      cache: 60s
      page_size: 100
  - ec2:
  - hosts:
      - {name: app-1, address: 10.0.1.11, zone: us-west-2a, tags: {role: app, n: 010}, port: 2222,
         vars: {xmx: 4, deep: {on: true, list: [1.5, "2", no]}}, ssh: {identity: keys/app}}
  - command: [./cmdb.sh, --json]
  - command: {argv: [cmdb], timeout: 5s}
aliases: {role: Role}
ssh:
  user: ec2-user
  jump: me@bastion.example.com:2222
  host_keys: accept-new
  kex: fast
  options: {ServerAliveInterval: 15}
rules:
  - match: ["role=db", "az=us-west-2a"]
    ssh: {user: admin, port: 2222}
    vars: {service: mysql}
"#;

#[test]
fn the_whole_schema_is_read() {
    let file = parse(WHOLE).unwrap();
    let [
        SourceKind::Ec2(ec2),
        SourceKind::Ec2(plain),
        SourceKind::Hosts(hosts),
        SourceKind::Command(cmdb),
        SourceKind::Command(timed),
    ] = &file
        .sources
        .iter()
        .map(|source| source.kind.clone())
        .collect::<Vec<_>>()[..]
    else {
        panic!("five sources")
    };
    assert_eq!(
        ec2.regions,
        Regions::Named(vec!["us-west-2".to_owned(), "eu-west-1".to_owned()])
    );
    assert_eq!(ec2.filters["instance-type"], ["m5.large", "m5.xlarge"]);
    assert_eq!(ec2.exclude[1].to_string(), "name~=^tmp");
    assert_eq!(
        ec2.name,
        [NameChoice::Tag("Name".to_owned()), NameChoice::Id]
    );
    assert_eq!(ec2.address[1], AddressChoice::Tag("vpn".to_owned()));
    assert_eq!(
        (ec2.cache, ec2.page_size),
        (Some(Duration::from_mins(1)), 100)
    );
    assert_eq!(**plain, Ec2Source::default());
    assert_eq!(hosts[0].tags.get("n"), Some("010"));
    assert_eq!(hosts[0].ssh.port, Some(2222));
    assert_eq!(
        json!(hosts[0].vars),
        json!({"xmx": 4, "deep": {"on": true, "list": [1.5, "2", "no"]}})
    );
    assert_eq!(cmdb.argv, ["./cmdb.sh", "--json"]);
    assert_eq!(timed.timeout, Duration::from_secs(5));
    assert_eq!(file.aliases["role"], "Role");
    assert_eq!(file.ssh.host_keys, Some(HostKeys::AcceptNew));
    assert_eq!(file.ssh.kex, Some(Kex::Fast));
    assert_eq!(file.ssh.options["ServerAliveInterval"], "15");
    assert_eq!(file.rules[0].matches.len(), 2);
    assert_eq!(file.rules[0].vars["service"], "mysql");
}

#[test]
fn unknown_keys_are_told_with_the_nearest() {
    assert_eq!(
        errors("source: []\nsources: [{ec2: {region: us-west-2}}, {host: []}]\n"),
        [
            "1:1 unknown key `source` in the inventory (keys: version, sources, aliases, ssh, rules)",
            "2:18 unknown key `region` in `ec2` (did you mean `regions`?)",
            "2:40 unknown key `host` in an entry of `sources` (did you mean `hosts`?)",
        ]
    );
}

#[test]
fn every_error_of_a_file_is_told_at_its_place() {
    let text = r#"version: 2
sources:
  - ec2: {regions: [all, us-west-2], cache: 60, name: Name, external_id: x, page_size: 1}
    hosts: []
  - ssh_config: {hosts: "web-*"}
  - command: ./cmdb.sh --json
  - hosts:
      - {tags: {role: app}}
      - {name: a, address: "root@b", port: 0}
      - {name: c, user: x, ssh: {user: y, host_keys: no}}
rules:
  - match: ["role="]
  - vars: {a: 1}
"#;
    let found = errors(text);
    let expected = [
        "1:10 version 2 is not known",
        "3:5 an entry of `sources` has exactly one of",
        "5:5 source `ssh_config` is not supported yet",
        "6:14 `command` must be a list of words: no shell reads it (write `command: [./cmdb.sh, --json]`)",
        "8:9 host 1 has neither `name` nor `address`",
        "9:28 address of host `a`: `root@b` is more than an address",
        "9:44 `port`: 0 is not a port",
        "10:54 `host_keys` must be `ssh`, `strict` or `accept-new`, not `no`",
        "10:19 host `c` has `user` twice",
        "12:13 `role=` is not a selector: an empty value",
        "13:5 a rule has no `match`",
    ];
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            found.starts_with(expected),
            "expected {expected}\nfound    {found}"
        );
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn choices_of_ec2_are_checked() {
    assert_eq!(
        errors(
            "sources: [{ec2: {regions: [all, x], cache: 60, name: Name, address: [privateip], external_id: x, page_size: 1}}]\n"
        ),
        [
            "1:27 `all` stands for every region; no other belongs beside it",
            "1:54 `Name` is not a choice for `name` (choices: id, private_dns, public_dns, private_ip, tag:KEY)",
            "1:70 `privateip` is not a choice for `address` (did you mean `private_ip`?)",
            "1:44 `cache`: `60` is not a duration such as `10s`, `2m` or `1h30m`",
            "1:109 `page_size` must be 5 to 1000, not 1",
            "1:82 `external_id` without a `role_arn` that asks for it",
        ]
    );
}

#[test]
fn an_empty_file_says_how_to_start() {
    assert!(errors("")[0].starts_with("1:1 the inventory is empty (start with `sources:`"));
    assert_eq!(
        errors("version: 1\n"),
        ["1:1 the inventory has no `sources`"]
    );
}

#[test]
fn a_saved_list_is_an_inventory() {
    let file = parse(
        r#"[{"label": "a.1234", "name": "a", "id": "i-0abc1234", "port": null, "tags": {}}]"#,
    )
    .unwrap();
    let [
        SourceEntry {
            kind: SourceKind::Hosts(hosts),
            ..
        },
    ] = &file.sources[..]
    else {
        panic!("one list")
    };
    assert_eq!((hosts[0].name.as_str(), hosts[0].ssh.port), ("a", None));
    assert_eq!(
        errors("sources: [{hosts: [{name: a, port: }]}]\n"),
        ["1:30 `port` has no value (give it one, or leave the key out)"],
        "a person who wrote no value meant one"
    );
}

#[test]
fn ansibles_json_is_refused_by_name() {
    let errors = json_hosts(br#"{"_meta": {"hostvars": {}}}"#).unwrap_err();
    assert_eq!(
        errors[0].message,
        "Ansible's inventory JSON is not supported yet"
    );
}

#[test]
fn the_schema_accepts_what_is_read_and_refuses_what_is_not() {
    let validator = jsonschema::validator_for(&crate::inventory::schema()).unwrap();
    let valid = |text: &str| {
        let value: serde_json::Value = serde_yaml::from_str(text).unwrap();
        validator.is_valid(&value)
    };
    assert!(valid(WHOLE));
    for text in [
        "version: 2\nsources: [{ec2: {}}]",
        "sources: []",
        "sources: [{ec2: {}, hosts: []}]",
        "sources: [{ec2: {region: x}}]",
        "sources: [{command: ./cmdb.sh}]",
        "sources: [{hosts: [{tags: {}}]}]",
        "sources: [{hosts: [{name: a, port: 0}]}]",
        "sources: [{ec2: {}}]\nrules: [{match: all}]",
        "sources: [{ec2: {}}]\nssh: {host_keys: off}",
    ] {
        assert!(!valid(text), "{text}");
        assert!(parse(text).is_err(), "{text}");
    }
}
