//! The EC2 client: real API calls of the real binary against moto, an AWS that others wrote, and against a
//! server that refuses, which moto never does.
#![cfg(feature = "aws")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use lab::{Fleet, HostSpec};
use serde_json::Value;

/// Seven running app hosts in three zones, one that is stopped, and hosts of other roles: nine reservations,
/// which are two pages of five.
fn fleet() -> Option<&'static Fleet> {
    static FLEET: OnceLock<Option<Fleet>> = OnceLock::new();
    let start = || {
        let zone = |n: usize| ["us-west-2a", "us-west-2b", "us-west-2c"][n % 3];
        let app = |n: usize| HostSpec::new(format!("app-{n}")).zone(zone(n)).role("app");
        Fleet::builder("ec2-client")
            .hosts((0..6).map(app))
            .host(HostSpec::new("db-1").zone(zone(0)).role("db"))
            .host(HostSpec::new("web-1").zone(zone(1)).role("web"))
            .host(app(7).ec2_state("stopped"))
            .ec2()
            .start_or_skip()
    };
    FLEET.get_or_init(start).as_ref()
}

struct Ran {
    status: i32,
    stdout: String,
    stderr: String,
}

/// Runs fab-rs in `home`, with no other AWS settings than `env`.
fn fab(home: &Path, env: &[(&str, String)], arguments: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_fab-rs"))
        .args(arguments)
        .current_dir(home)
        .env_clear()
        .env("HOME", home)
        .env("PATH", "/usr/bin:/bin")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(env.iter().map(|(name, value)| (*name, value)))
        .output()
        .unwrap();
    Ran {
        status: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Ran {
    /// The rows of `hosts --json`.
    fn rows(&self) -> Vec<Value> {
        assert_eq!(self.status, 0, "{}", self.stderr);
        serde_json::from_str(&self.stdout).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let rows = self.rows();
        rows.iter()
            .map(|row| row["name"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn inventory(home: &Path, ec2: &str) {
    std::fs::write(
        home.join("inv.yml"),
        format!("sources: [{{ec2: {{{ec2}}}}}]\n"),
    )
    .unwrap();
}

#[test]
fn instances_of_all_pages_and_zones_are_hosts() {
    let Some(fleet) = fleet() else { return };
    let ec2 = fleet.ec2().unwrap();
    let home = tempfile::tempdir().unwrap();
    inventory(home.path(), "regions: us-west-2, page_size: 5");
    let ran = fab(
        home.path(),
        &ec2.env(),
        &["-I", "inv.yml", "hosts", "role=app", "--json"],
    );
    let rows = ran.rows();
    assert_eq!(
        ran.names(),
        ["app-0", "app-1", "app-2", "app-3", "app-4", "app-5"]
    );
    for (row, zone) in rows.iter().zip(["a", "b", "c", "a", "b", "c"]) {
        let name = row["name"].as_str().unwrap();
        assert_eq!(row["id"], ec2.instances[name].as_str());
        assert_eq!(row["label"], name);
        assert_eq!(row["address"], fleet.host(name).address());
        assert_eq!(row["zone"], format!("us-west-2{zone}"));
        assert_eq!(row["region"], "us-west-2");
        assert_eq!(row["source"], "ec2:us-west-2");
        assert_eq!(row["tags"]["role"], "app");
        assert_eq!(row["state"], "running");
    }
    let all = fab(
        home.path(),
        &ec2.env(),
        &["-I", "inv.yml", "hosts", "all", "--json"],
    );
    assert_eq!(all.rows().len(), 8, "two pages without the stopped one");
}

#[test]
fn without_an_inventory_the_ambient_region_is_asked() {
    let Some(fleet) = fleet() else { return };
    let ec2 = fleet.ec2().unwrap();
    let home = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| fab(home.path(), &ec2.env(), arguments);
    assert_eq!(run(&["hosts", "role=db", "--json"]).names(), ["db-1"]);
    assert_eq!(
        run(&["hosts", "state=stopped", "--json"]).names(),
        ["app-7"]
    );
    let by_id = ec2.instances["web-1"].as_str();
    let address = fleet.host("app-2").address();
    let named = format!("{by_id},db-1,{address}");
    let rows = run(&["hosts", "-H", &named, "--json"]);
    assert_eq!(rows.names(), ["app-2", "db-1", "web-1"]);
    let none = run(&["hosts", "role=wbe"]);
    assert_eq!(none.status, 7);
    for line in [
        "error: selector `role=wbe` matches no host",
        "EC2 in us-west-2 has 8 hosts; values of `role`: app, db, web",
        "hint: did you mean `role=web`?",
    ] {
        assert!(none.stderr.contains(line), "{line}\n{}", none.stderr);
    }
}

#[test]
fn several_regions_are_asked_and_an_empty_one_is_empty() {
    let Some(fleet) = fleet() else { return };
    let env = fleet.ec2().unwrap().env();
    let home = tempfile::tempdir().unwrap();
    for regions in ["regions: [us-west-2, eu-west-1]", "regions: all"] {
        inventory(home.path(), regions);
        let ran = fab(
            home.path(),
            &env,
            &["-I", "inv.yml", "hosts", "all", "--json"],
        );
        assert_eq!(ran.rows().len(), 8, "{regions}");
    }
}

#[test]
fn filters_exclusions_names_and_addresses_are_the_files() {
    let Some(fleet) = fleet() else { return };
    let env = fleet.ec2().unwrap().env();
    let home = tempfile::tempdir().unwrap();
    let ec2 = r#"filters: {"tag:role": [app, db]}, exclude: [az=us-west-2a], name: [id], address: [private_dns]"#;
    inventory(home.path(), ec2);
    let rows = fab(
        home.path(),
        &env,
        &["-I", "inv.yml", "hosts", "all", "--json"],
    )
    .rows();
    assert_eq!(rows.len(), 4);
    for row in rows {
        assert_eq!(row["name"], row["id"]);
        assert!(
            row["address"].as_str().unwrap().ends_with(".internal"),
            "{row}"
        );
        assert_ne!(row["zone"], "us-west-2a");
    }
}

#[test]
fn a_kept_answer_is_used_until_it_is_refreshed() {
    let Some(fleet) = fleet() else { return };
    let ec2 = fleet.ec2().unwrap();
    let home = tempfile::tempdir().unwrap();
    inventory(
        home.path(),
        "regions: us-west-2, filters: {\"tag:cached\": \"yes\"}, cache: 1h",
    );
    let hosts = |more: &[&str]| {
        let arguments = [&["-I", "inv.yml", "hosts", "all", "--json"], more].concat();
        fab(home.path(), &ec2.env(), &arguments)
    };
    assert_eq!(hosts(&[]).status, 7, "no host bears the tag yet");
    let id = &ec2.instances["web-1"];
    let body = format!(
        "Action=CreateTags&Version=2016-11-15&ResourceId.1={id}&Tag.1.Key=cached&Tag.1.Value=yes"
    );
    post(&ec2.endpoint(), &body);
    assert_eq!(hosts(&[]).status, 7, "the kept answer knows no such host");
    assert_eq!(hosts(&["--refresh"]).names(), ["web-1"]);
    assert_eq!(hosts(&[]).names(), ["web-1"], "a refreshed answer is kept");
}

/// A request to moto, which checks no signature but takes the region from it.
fn post(endpoint: &str, body: &str) {
    let address = endpoint.strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        socket,
        "POST / HTTP/1.1\r\nHost: ec2.us-west-2.amazonaws.com\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=lab/20260101/us-west-2/ec2/aws4_request, \
         SignedHeaders=host, Signature=0\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// An EC2 that has no instance in us-west-2 and refuses everywhere else with `code`. Returns its endpoint; it
/// ends with the process.
fn refusing(code: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            std::thread::spawn(move || answer(socket, code));
        }
    });
    format!("http://{address}")
}

fn answer(mut socket: TcpStream, code: &str) {
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    // The body is never longer than what the headers arrive with; a request without one ends the same way.
    while !String::from_utf8_lossy(&request).contains("Action=") {
        match socket.read(&mut piece) {
            Ok(0) | Err(_) => return,
            Ok(count) => request.extend_from_slice(&piece[..count]),
        }
    }
    let here = String::from_utf8_lossy(&request).contains("/us-west-2/ec2/");
    let (status, body) = if here {
        let body = "<DescribeInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">\
                    <reservationSet/></DescribeInstancesResponse>";
        ("200 OK", body.to_owned())
    } else {
        let error =
            format!("<Error><Code>{code}</Code><Message>Request has expired.</Message></Error>");
        let body = format!("<Response><Errors>{error}</Errors><RequestID>1</RequestID></Response>");
        ("400 Bad Request", body)
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/xml\r\nContent-Length: {length}\r\nConnection: close"
    );
    // The client may have gone; the test sees that.
    let _ = write!(socket, "{head}\r\n\r\n{body}");
}

fn credentials(endpoint: &str) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_ENDPOINT_URL", endpoint.to_owned()),
        ("AWS_ACCESS_KEY_ID", "lab".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "lab".to_owned()),
        ("AWS_MAX_ATTEMPTS", "1".to_owned()),
    ]
}

#[test]
fn a_region_that_fails_is_an_error_and_never_an_empty_region() {
    let home = tempfile::tempdir().unwrap();
    inventory(home.path(), "regions: [us-west-2, eu-west-1]");
    let env = credentials(&refusing("RequestExpired"));
    let ran = fab(home.path(), &env, &["-I", "inv.yml", "hosts", "all"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (2, ""));
    for line in [
        "error: cannot list instances in eu-west-1",
        "caused by: RequestExpired: Request has expired.",
        "hint: sign in again",
    ] {
        assert!(ran.stderr.contains(line), "{line}\n{}", ran.stderr);
    }
    assert!(!ran.stderr.contains("us-west-2"), "{}", ran.stderr);
}

#[test]
fn an_endpoint_that_is_down_is_told_to_the_innermost_cause() {
    let home = tempfile::tempdir().unwrap();
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut env = credentials(&format!("http://{closed}"));
    env.push(("AWS_REGION", "us-west-2".to_owned()));
    let ran = fab(home.path(), &env, &["hosts", "all"]);
    assert_eq!(ran.status, 2);
    for line in [
        "error: cannot list instances in us-west-2",
        "Connection refused",
        "hint: is the network up?",
    ] {
        assert!(ran.stderr.contains(line), "{line}\n{}", ran.stderr);
    }
}

#[test]
fn what_the_aws_configuration_lacks_is_named() {
    let home = tempfile::tempdir().unwrap();
    let region = ("AWS_REGION", "us-west-2".to_owned());
    let no_credentials = fab(home.path(), &[region], &["hosts", "role=app"]);
    assert_eq!(no_credentials.status, 2);
    assert!(
        no_credentials
            .stderr
            .contains("error: cannot ask EC2: there are no credentials"),
        "{}",
        no_credentials.stderr
    );
    let no_region = fab(
        home.path(),
        &credentials("http://127.0.0.1:1"),
        &["hosts", "role=app"],
    );
    assert_eq!(no_region.status, 2);
    assert!(
        no_region
            .stderr
            .contains("error: cannot ask EC2: no region is set"),
        "{}",
        no_region.stderr
    );
    let profile = fab(
        home.path(),
        &[],
        &[
            "hosts",
            "role=app",
            "--profile",
            "prdo",
            "--region",
            "us-west-2",
        ],
    );
    assert_eq!(profile.status, 2);
    assert!(profile.stderr.contains("prdo"), "{}", profile.stderr);
}

#[test]
fn hosts_named_on_a_machine_without_aws_are_taken_as_typed() {
    let home = tempfile::tempdir().unwrap();
    let ran = fab(home.path(), &[], &["hosts", "-H", "web-1", "--json"]);
    assert_eq!(ran.rows()[0]["address"], "web-1");
    assert!(
        ran.stderr.contains("are connected to as they were typed"),
        "{}",
        ran.stderr
    );
    let id = fab(home.path(), &[], &["hosts", "-H", "i-0abc1234", "--json"]);
    assert_eq!(id.status, 2);
}
