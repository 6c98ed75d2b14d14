//! What the controller does between batches: its own steps, questions, and notices.

use std::time::Duration;

use crate::model::{CancelReason, Stream};
use crate::plan::Plan;
use crate::run::errand::{Errand, Gate, Section};
use crate::run::event::GateAnswer;
use crate::run::message::UnitMessage;
use crate::task::{GateAt, Notice, Occasion, Quoting, RunProgram, Task};
use crate::transport::scripted::{Act, HostScript};

use super::bed::Bed;
use super::errands::{Told, hand_out, hand_out_with, sleep};
use super::steps::{run, text};

const CONTROLLER: &str = "@controller";

fn bed() -> Bed {
    Bed::new(1, vec![run("work")]).change(1, 0)
}

fn gate() -> Errand {
    Errand::Ask(Gate {
        at: Some(GateAt::Zone),
        question: "go on?".to_owned(),
        offers: vec![GateAnswer::Go, GateAnswer::Stop],
        timeout: Duration::from_mins(1),
    })
}

fn answers(told: &Told) -> Vec<GateAnswer> {
    let answers = told
        .messages
        .iter()
        .filter_map(|(_, message)| match message {
            UnitMessage::GateAnswered { answer, .. } => Some(*answer),
            _ => None,
        });
    answers.collect()
}

#[tokio::test(start_paused = true)]
async fn what_a_person_answers_is_told() {
    for (says, answer) in [(true, GateAnswer::Go), (false, GateAnswer::Stop)] {
        let bed = bed().with(|bed| bed.says = says);
        let plan = bed.plan();
        assert_eq!(answers(&hand_out(bed, plan, vec![gate()]).await), [answer]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_gate_after_a_stop_is_still_asked() {
    let bed = bed();
    let plan = bed.plan();
    let told = hand_out_with(bed, plan, vec![sleep(5, &[]), gate()], |stop, _| {
        stop.stop_starting(CancelReason::HostFailed);
    })
    .await;
    assert_eq!(answers(&told), [GateAnswer::Go]);
}

#[tokio::test(start_paused = true)]
async fn a_section_says_whether_it_passed() {
    for (code, expected) in [(0, true), (4, false)] {
        let script = HostScript::new().on("prepare", [Act::Exits(code)]);
        let bed = bed().script(CONTROLLER, script);
        let mut plan = bed.plan();
        plan.phases[0].before = vec![run("prepare {{ rollout.phase }}")];
        let errands = vec![Errand::Controller(Section::PhaseBefore(0))];
        let told = hand_out(bed, plan, errands).await;
        let passed = told.messages.iter().find_map(|(_, message)| match message {
            UnitMessage::SectionEnded { passed, .. } => Some(*passed),
            _ => None,
        });
        assert_eq!(passed, Some(expected));
        assert_eq!(told.transport.commands_on(CONTROLLER), ["prepare 'main'"]);
    }
}

/// A plan that runs `mail` when the rollout stops.
fn notifying(bed: &Bed) -> Plan {
    let mut plan = bed.plan();
    let program = RunProgram::Shell(text("mail", Quoting::Shell));
    let events = vec![Occasion::Stop];
    plan.task = std::sync::Arc::new(Task {
        notify: vec![Notice { events, program }],
        ..(*plan.task).clone()
    });
    plan
}

#[tokio::test(start_paused = true)]
async fn a_notice_gets_the_event_and_the_summary_and_its_failure_is_only_noted() {
    let script = HostScript::new().on(
        "mail",
        [
            Act::Prints(Stream::Stderr, b"no route\n".to_vec()),
            Act::Exits(75),
        ],
    );
    let bed = bed().script(CONTROLLER, script);
    let plan = notifying(&bed);
    let errands = vec![
        Errand::Notify(Occasion::Start),
        Errand::Notify(Occasion::Stop),
        sleep(1, &[]),
    ];
    let told = hand_out(bed, plan, errands).await;
    let requests = told.transport.requests_on(CONTROLLER);
    assert_eq!(requests.len(), 1);
    let event = ("FAB_EVENT".to_owned(), "stop".to_owned());
    assert!(requests[0].env.contains(&event));
    let stdin = requests[0].stdin.clone().expect("the summary");
    let summary: serde_json::Value = serde_json::from_slice(&stdin).expect("JSON");
    assert_eq!(
        (&summary["event"], &summary["task"]),
        (&"stop".into(), &"work".into())
    );
    let noted = told.messages.iter().find_map(|(_, message)| match message {
        UnitMessage::Noted { text, .. } => Some(text.clone()),
        _ => None,
    });
    let expected = "`notify` for `stop` failed: exit 75: no route";
    assert_eq!(noted.as_deref(), Some(expected));
}

#[tokio::test(start_paused = true)]
async fn a_notice_that_hangs_is_waited_for_a_few_seconds_only() {
    let bed = bed().script(
        CONTROLLER,
        HostScript::new().on("mail", [Act::HangsForEver]),
    );
    let plan = notifying(&bed);
    let start = tokio::time::Instant::now();
    hand_out(bed, plan, vec![Errand::Notify(Occasion::Stop)]).await;
    assert_eq!(start.elapsed(), Duration::from_secs(5));
}
