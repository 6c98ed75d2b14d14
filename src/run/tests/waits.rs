//! `wait_for`: over real sockets and a real `sh`; its patience on a paused clock.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::model::Stream;
use crate::task::{Action, Probe, ProbeKind, Quoting, RunProgram, Step, WaitFor, WhereTo};
use crate::transport::scripted::{Act, HostScript};

use super::bed::{Bed, Played};
use super::steps::{Modified as _, holds, run, step, text};
use super::this_machine::ThisMachine;

fn probe(kind: ProbeKind) -> Probe {
    Probe {
        kind,
        from: WhereTo::Host,
        status: Vec::new(),
        matches: None,
        equals: None,
        until: None,
    }
}

fn wait(probe: Probe, interval: Duration) -> Step {
    let wait = WaitFor {
        probe,
        interval,
        consecutive: 1,
        stable_for: Duration::ZERO,
    };
    step("wait", Action::WaitFor(wait))
}

/// A wait that asks often and gives up soon.
fn brief(probe: Probe) -> Step {
    wait(probe, Duration::from_millis(20))
        .but(|modifiers| modifiers.timeout = Some(Duration::from_millis(300)))
}

async fn over(machine: &ThisMachine, step: Step) -> Played {
    Bed::new(1, vec![step]).play_over(machine.clone()).await
}

/// Answers each connection in turn with the next of these, the last one ever after.
async fn server(answers: Vec<&'static str>) -> (u16, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut turn = 0;
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answers[turn.min(answers.len() - 1)];
            turn += 1;
            let mut request = [0; 1024];
            let _asked = stream.read(&mut request).await;
            let head = "content-type: text/plain\r\nconnection: close\r\n\r\n";
            let text = format!("HTTP/1.1 {answer}").replacen('|', &format!("\r\n{head}"), 1);
            let _gone = stream.write_all(text.as_bytes()).await;
        }
    });
    (port, tasks)
}

fn http(port: u16) -> ProbeKind {
    ProbeKind::Http(text(
        &format!("http://127.0.0.1:{port}/health"),
        Quoting::Plain,
    ))
}

#[tokio::test]
async fn an_http_check_waits_for_its_status_from_the_host_and_from_here() {
    for from in [WhereTo::Host, WhereTo::Controller] {
        let (port, _server) = server(vec!["503 Busy|", "503 Busy|", "200 OK|up"]).await;
        let probe = Probe {
            from,
            ..probe(http(port))
        };
        let step = wait(probe, Duration::from_millis(20));
        let played = over(&ThisMachine::default(), step).await;
        assert_eq!(played.words(), ["ok"], "{}", played.cause("h0"));
    }
}

#[tokio::test]
async fn an_http_check_says_its_last_answer() {
    let (port, _server) = server(vec!["503 Busy|"]).await;
    let played = over(&ThisMachine::default(), brief(probe(http(port)))).await;
    let cause = "not so within 0.3 s; the last answer was: status 503";
    assert_eq!(played.cause("h0"), cause);
}

#[tokio::test]
async fn an_http_check_looks_at_the_text_too() {
    let (port, _server) = server(vec!["200 OK|1.4.2\n"]).await;
    let plain = |content: &str| Some(text(content, Quoting::Plain));
    for (equals, matches, words) in [
        (plain("1.4.2"), None, "ok"),
        (plain("1.4"), None, "failed"),
        (None, plain(r"^1\.4"), "ok"),
        (None, plain("^2"), "failed"),
    ] {
        let probe = Probe {
            matches,
            equals,
            ..probe(http(port))
        };
        let played = over(&ThisMachine::default(), brief(probe)).await;
        assert_eq!(played.words(), [words], "{}", played.cause("h0"));
    }
}

#[tokio::test]
async fn an_http_check_goes_by_curl_where_nothing_is_forwarded() {
    let (port, _server) = server(vec!["200 OK|up"]).await;
    let machine = ThisMachine {
        forwards_nothing: true,
        ..ThisMachine::default()
    };
    let played = over(&machine, brief(probe(http(port)))).await;
    let cause = played.cause("h0");
    assert!(
        cause.is_empty() || cause.contains("curl is not there"),
        "{cause}"
    );
}

#[tokio::test]
async fn a_tcp_check_tells_an_open_port_from_one_where_nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let tcp = || ProbeKind::Tcp(text(&port.to_string(), Quoting::Plain));
    let patient = |kind| wait(probe(kind), Duration::from_millis(20));
    let played = over(&ThisMachine::default(), patient(tcp())).await;
    assert_eq!(played.words(), ["ok"], "{}", played.cause("h0"));
    drop(listener);
    let played = over(&ThisMachine::default(), brief(probe(tcp()))).await;
    assert!(
        played.cause("h0").contains("nobody listens"),
        "{}",
        played.cause("h0")
    );
}

#[tokio::test]
async fn a_file_check_waits_for_presence_or_absence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pid");
    for (present, words) in [(true, "failed"), (false, "ok")] {
        let path = text(path.to_str().unwrap(), Quoting::Plain);
        let step = brief(probe(ProbeKind::File { path, present }));
        let step = step.but(|modifiers| modifiers.timeout = Some(Duration::from_secs(2)));
        let played = over(&ThisMachine::default(), step).await;
        assert_eq!(played.words(), [words], "{}", played.cause("h0"));
    }
}

fn says(content: &str) -> Vec<Act> {
    vec![Act::Prints(Stream::Stdout, content.as_bytes().to_vec())]
}

fn asks() -> Probe {
    let command = RunProgram::Shell(text("ask", Quoting::Shell));
    probe(ProbeKind::Run(command))
}

#[tokio::test(start_paused = true)]
async fn a_command_check_must_pass_often_enough_in_a_row() {
    let fails = || vec![Act::Exits(1)];
    let script = HostScript::new()
        .on("ask", says("1"))
        .on("ask", fails())
        .on("ask", says("2"));
    let mut step = wait(asks(), Duration::from_secs(5));
    if let Action::WaitFor(wait) = &mut step.action {
        wait.consecutive = 3;
    }
    let played = Bed::new(1, vec![step]).script("h0", script).play().await;
    assert_eq!(played.words(), ["ok"]);
    assert_eq!(played.transport.commands_on("h0").len(), 5);
    assert_eq!(played.took, Duration::from_secs(20));
}

#[tokio::test(start_paused = true)]
async fn a_check_sees_its_own_answer_in_until() {
    let script = HostScript::new()
        .on("ask", says("looking"))
        .on("ask", says("leader"));
    let probe = Probe {
        until: Some(holds("mode.stdout == 'leader'")),
        ..asks()
    };
    let step = wait(probe, Duration::from_secs(5));
    let step = step.but(|modifiers| modifiers.register = Some("mode".to_owned()));
    let after = run("use {{ mode.stdout }}");
    let bed = Bed::new(1, vec![step, after]).script("h0", script);
    let played = bed.play().await;
    assert_eq!(played.words(), ["ok"]);
    assert_eq!(played.took, Duration::from_secs(5));
    assert_eq!(played.transport.commands_on("h0")[2], "use 'leader'");
}

#[tokio::test(start_paused = true)]
async fn a_check_that_hangs_costs_the_steps_limit() {
    let script = HostScript::new().on("ask", [Act::HangsUntilStopped { confirmed: true }]);
    let step = wait(asks(), Duration::from_secs(5));
    let step = step.but(|modifiers| modifiers.timeout = Some(Duration::from_secs(30)));
    let played = Bed::new(1, vec![step]).script("h0", script).play().await;
    assert_eq!(played.took, Duration::from_secs(30));
    assert!(
        played.cause("h0").contains("no answer before the limit"),
        "{}",
        played.cause("h0")
    );
}
