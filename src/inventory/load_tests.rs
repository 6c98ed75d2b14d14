//! Loading files and commands from disk, and when EC2 is asked at all.

use super::*;
use crate::inventory::rows;

fn request(path: &Path) -> InventoryRequest {
    InventoryRequest {
        inventory: Some(InventoryRef::Path(path.to_owned())),
        ..InventoryRequest::default()
    }
}

fn with_hosts(text: &str) -> InventoryRequest {
    InventoryRequest {
        hosts: HostWord::list(text).unwrap(),
        ..InventoryRequest::default()
    }
}

#[tokio::test]
async fn every_example_loads() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("inventories");
    let files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yml"))
        .collect();
    assert!(files.len() >= 3, "{files:?}");
    for file in &files {
        check(file).unwrap_or_else(|error| panic!("{}: {:?}", file.display(), error.diagnostics()));
    }
    for (name, hosts) in [("hosts.yml", 7), ("command.yml", 3)] {
        let inventory = load(&request(&folder.join(name))).await.unwrap();
        assert_eq!(inventory.hosts.len(), hosts, "{name}");
        assert!(inventory.problems.is_empty());
    }
}

#[tokio::test]
async fn what_hosts_prints_is_an_inventory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prod.yml");
    let text = r#"
sources:
  - hosts:
      - {name: app-1, id: i-0abc1234, address: 10.0.0.1, zone: us-west-2a, az_id: usw2-az1,
         region: us-west-2, user: me, port: 2222, type: m5.large, state: running, vpc: vpc-1,
         subnet: subnet-1, private_ip: 10.0.0.1, tags: {Role: app, n: "010", "odd: key": "x'y\"z"}}
      - {name: app-1, address: app-1.internal}
"#;
    std::fs::write(&path, text).unwrap();
    let inventory = load(&request(&path)).await.unwrap();
    let saved = folder.path().join("saved.json");
    let rows_before = rows(&inventory.hosts);
    std::fs::write(&saved, serde_json::to_vec_pretty(&rows_before).unwrap()).unwrap();
    let mut again = rows(&load(&request(&saved)).await.unwrap().hosts);
    for row in &mut again {
        assert_eq!(row.source, "saved.json");
        row.source = "prod.yml".to_owned();
    }
    assert_eq!(again, rows_before);
}

#[tokio::test]
async fn a_command_is_run_in_the_inventorys_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prod.yml");
    std::fs::write(
        folder.path().join("list.json"),
        r#"[{"name":"a"},{"name":"b"}]"#,
    )
    .unwrap();
    std::fs::write(&path, "sources: [{command: [cat, list.json]}]").unwrap();
    let inventory = load(&request(&path)).await.unwrap();
    let names: Vec<&str> = inventory
        .hosts
        .iter()
        .map(|host| host.name.as_str())
        .collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(inventory.sources[0].name, "cat");
}

#[tokio::test]
async fn one_source_that_fails_fails_the_inventory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prod.yml");
    let text =
        "sources: [{hosts: [{name: a}]}, {command: [sh, -c, exit 3]}, {command: [./no-such]}]";
    std::fs::write(&path, text).unwrap();
    let error = load(&request(&path)).await.unwrap_err();
    let messages: Vec<String> = error
        .diagnostics()
        .into_iter()
        .map(|one| one.message)
        .collect();
    assert_eq!(
        messages[0],
        "inventory command `sh -c 'exit 3'` ended with status 3"
    );
    assert!(messages[1].starts_with("inventory command `./no-such` cannot be started"));
    assert_eq!(messages.len(), 2);
}

#[tokio::test]
async fn a_file_that_is_not_there_is_named() {
    let error = load(&request(Path::new("/no/such/prod.yml")))
        .await
        .unwrap_err();
    assert_eq!(
        error.diagnostics()[0].message,
        "cannot read inventory /no/such/prod.yml"
    );
}

#[tokio::test]
async fn hosts_that_say_how_to_log_in_ask_nobody() {
    let mut request = with_hosts("root@10.9.9.9,web-1:2222");
    request.ssh.defaults.user = Some("me".to_owned());
    let inventory = load(&request).await.unwrap();
    assert!(inventory.hosts.is_empty() && inventory.notes.is_empty());
    assert_eq!(inventory.ssh.user.as_deref(), Some("me"));
}

#[cfg(not(feature = "aws"))]
#[tokio::test]
async fn without_ec2_names_are_taken_as_typed_and_ids_and_selectors_refused() {
    let inventory = load(&with_hosts("web-1")).await.unwrap();
    assert_eq!(
        inventory.notes,
        ["this build has no EC2 support; the hosts of `-H` are connected to as they were typed"]
    );
    let error = load(&with_hosts("i-0abc1234")).await.unwrap_err();
    assert_eq!(
        error.diagnostics()[0].message,
        "this build has no EC2 support"
    );
    assert!(load(&InventoryRequest::default()).await.is_err());
    let mut selecting = with_hosts("web-1");
    selecting.has_selectors = true;
    assert!(load(&selecting).await.is_err());
}

#[test]
fn flags_replace_what_a_source_names_and_the_configuration_fills_in() {
    let source = Ec2Source {
        regions: Regions::Named(vec!["us-west-2".to_owned()]),
        cache: Some(std::time::Duration::from_mins(1)),
        ..Ec2Source::default()
    };
    let names = |region: &str, profile: &str| AwsNames {
        regions: vec![region.to_owned()],
        profile: Some(profile.to_owned()),
    };
    let mut request = InventoryRequest {
        aws_defaults: names("eu-west-1", "config"),
        ..InventoryRequest::default()
    };
    let own = query(&source, &request);
    assert_eq!(own.regions, Regions::Named(vec!["us-west-2".to_owned()]));
    assert_eq!(own.profile.as_deref(), Some("config"));
    assert_eq!(own.filters["instance-state-name"], ["running"]);
    assert!(own.cache.unwrap().read);
    request.aws = names("all", "flag");
    request.for_change = true;
    request.any_state = true;
    let flagged = query(&source, &request);
    assert_eq!(flagged.regions, Regions::All);
    assert_eq!(flagged.profile.as_deref(), Some("flag"));
    assert!(flagged.filters.is_empty());
    assert!(
        !flagged.cache.unwrap().read,
        "a change never uses a kept answer"
    );
}
