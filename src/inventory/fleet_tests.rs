//! Rules, settings, identities and what two sources both gave.

use std::path::PathBuf;
use std::sync::Arc;

use super::*;
use crate::inventory::file::{self, SourceKind};
use crate::model::{Kex, Source};

fn read(text: &str) -> InventoryFile {
    let source = Arc::new(Source {
        path: "prod.yml".into(),
        text: text.to_owned(),
    });
    file::read(&source).unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn gathered(file: &InventoryFile) -> Gathered {
    let entries = file.sources.iter().flat_map(|source| match &source.kind {
        SourceKind::Hosts(hosts) => hosts.clone(),
        _ => Vec::new(),
    });
    Gathered {
        found: entries
            .map(|entry| Found::of_entry(entry, "prod.yml"))
            .collect(),
        ..Gathered::default()
    }
}

fn inventory(text: &str, context: &SshContext) -> Inventory {
    let file = read(text);
    assemble(gathered(&file), &file, context, "prod.yml".to_owned()).unwrap()
}

const RULES: &str = r#"
sources:
  - hosts:
      - {name: db-1, address: 10.0.0.1, tags: {role: db}, vars: {shard: 7}}
      - {name: app-1, address: 10.0.0.2, user: me, tags: {role: app}}
      - {name: i, id: i-0abc1234, address: "fe80::1"}
ssh: {user: ec2-user, kex: fast, options: {ServerAliveInterval: 15}}
rules:
  - match: [role=db]
    ssh: {user: admin, port: 2222}
    vars: {service: mysql, shard: 0}
  - match: all
    ssh: {port: 22, jump: bastion, options: {Compression: "yes"}}
    vars: {service: none}
"#;

#[test]
fn the_first_rule_wins_for_each_key_and_the_host_itself_before_all() {
    let inventory = inventory(RULES, &SshContext::default());
    let [app, db, instance] = &inventory.hosts[..] else {
        panic!("three hosts")
    };
    assert_eq!(
        (app.ssh.user.as_deref(), app.ssh.port),
        (Some("me"), Some(22))
    );
    assert_eq!(
        (db.ssh.user.as_deref(), db.ssh.port),
        (Some("admin"), Some(2222))
    );
    assert_eq!(db.ssh.jump.as_deref(), Some("bastion"));
    assert_eq!(db.vars["service"], "mysql");
    assert_eq!(db.vars["shard"], 7);
    assert_eq!(app.vars["service"], "none");
    assert_eq!(instance.ssh.user.as_deref(), Some("ec2-user"));
    assert_eq!(instance.ssh.kex, Kex::Fast);
    assert_eq!(instance.ssh.options.len(), 2);
}

#[test]
fn flags_override_everything_and_the_configuration_nothing() {
    let keys = |user: &str| SshKeys {
        user: Some(user.to_owned()),
        identity: Some(PathBuf::from(format!("/{user}"))),
        ..SshKeys::default()
    };
    let context = SshContext {
        flags: SshKeys {
            identity: None,
            ..keys("flag")
        },
        defaults: keys("config"),
    };
    let inventory = inventory(RULES, &context);
    for host in &inventory.hosts {
        assert_eq!(host.ssh.user.as_deref(), Some("flag"), "{}", host.name);
        assert_eq!(host.ssh.identity.as_deref(), Some(Path::new("/config")));
    }
}

#[test]
fn an_identity_is_the_instance_id_or_what_is_connected_to() {
    let inventory = inventory(RULES, &SshContext::default());
    let ids: Vec<&str> = inventory
        .hosts
        .iter()
        .map(|host| host.id.as_str())
        .collect();
    assert_eq!(ids, ["me@10.0.0.2:22", "admin@10.0.0.1:2222", "i-0abc1234"]);
    assert_eq!(inventory.hosts[0].ssh.host_keys, None);
    assert_eq!(
        inventory.hosts[2].ssh.host_keys,
        Some(HostKeys::AcceptNew),
        "instances are pinned by id unless the file says otherwise"
    );
}

#[test]
fn a_host_that_two_sources_give_is_there_once_as_the_first_has_it() {
    let file =
        read("sources: [{hosts: [{name: first, id: i-0abc1234}, {name: twin, address: a}]}]");
    let cmdb =
        read("sources: [{hosts: [{name: second, id: i-0abc1234}, {name: twin, address: b}]}]");
    let mut all = gathered(&file);
    all.found.extend(gathered(&cmdb).found);
    let inventory = assemble(all, &file, &SshContext::default(), String::new()).unwrap();
    let labels: Vec<&str> = inventory
        .hosts
        .iter()
        .map(|host| host.label.as_str())
        .collect();
    assert_eq!(labels, ["first", "twin.a", "twin.b"]);
    assert_eq!(
        inventory.notes,
        ["`second` of prod.yml is left out: prod.yml has the same host, as `first`"]
    );
}

#[test]
fn one_file_that_has_a_host_twice_is_an_error_though_rules_made_them_one() {
    let file = read(
        r"
sources:
  - hosts:
      - {name: app-1, address: 10.0.0.1, user: me}
      - {name: app-2, address: 10.0.0.1, tags: {role: app}}
rules:
  - match: [role=app]
    ssh: {user: me}
",
    );
    let all = gathered(&file);
    let errors = assemble(all, &file, &SshContext::default(), String::new()).unwrap_err();
    assert_eq!(
        errors[0].message,
        "hosts `app-1` (line 4) and `app-2` are one host: both are `me@10.0.0.1`"
    );
    assert_eq!(errors[0].span.as_ref().unwrap().place(), "prod.yml:5:9");
}

#[test]
fn a_rule_over_a_tag_of_two_spellings_is_an_error_at_its_place() {
    let file = read(
        r"
sources:
  - hosts: [{name: a, tags: {role: db}}, {name: b, tags: {Role: db}}]
rules:
  - match: [role=db]
    vars: {x: 1}
",
    );
    let errors = assemble(
        gathered(&file),
        &file,
        &SshContext::default(),
        String::new(),
    )
    .unwrap_err();
    assert_eq!(
        errors[0].message,
        "tag `role` is spelled in 2 ways: `Role`, `role`"
    );
    assert_eq!(errors[0].span.as_ref().unwrap().place(), "prod.yml:5:5");
}

#[test]
fn an_instance_id_is_told_from_a_name() {
    for id in ["i-0abc1234", "i-0123456789abcdef0"] {
        assert!(is_instance_id(id), "{id}");
    }
    for name in ["i-1", "i-0abc123z", "app-1", "i-"] {
        assert!(!is_instance_id(name), "{name}");
    }
}
