//! What hosts say is left of commands that were ended.

use std::time::Duration;

use crate::model::Stream;
use crate::run::cancel::Signal;
use crate::transport::scripted::{Act, Connect, HostScript};

use super::bed::{Bed, Played};
use super::steps::run;

/// Two signals to a host that, asked what is left, answers so, each time in turn.
async fn ended(answers: &[&[Act]], connects: &[Connect]) -> Played {
    let script = HostScript::new().on("work", [Act::HangsUntilAsked]);
    let script = answers
        .iter()
        .fold(script, |script, acts| script.on("FAB_MARK=", acts.to_vec()));
    let script = connects
        .iter()
        .fold(script, |script, connect| script.connects(connect.clone()));
    let bed = Bed::new(1, vec![run("work")]).script("h0", script);
    bed.signal(1, Signal::Interrupt)
        .signal(2, Signal::Interrupt)
        .play()
        .await
}

fn says(text: &str) -> Vec<Act> {
    vec![Act::Prints(Stream::Stdout, text.as_bytes().to_vec())]
}

#[tokio::test(start_paused = true)]
async fn a_host_where_nothing_is_left_is_not_listed() {
    let played = ended(&[&says("end\n")], &[]).await;
    assert_eq!(played.words(), ["cancelled"]);
    assert!(!played.summary.hosts[0].may_still_run);
    let asked = played.transport.commands_on("h0").pop().unwrap();
    assert!(asked.ends_with(" fab-rs 42 m"), "{asked}");
}

#[tokio::test(start_paused = true)]
async fn what_is_left_is_named() {
    let played = ended(&[&says("7 sleep 9\n8 x\nend\n")], &[]).await;
    let host = &played.summary.hosts[0];
    assert!(host.may_still_run);
    assert_eq!(host.left, ["7 sleep 9", "8 x"]);
    let note = "it was ended, and left running: 7 sleep 9, 8 x".to_owned();
    assert!(played.notes().contains(&note), "{:?}", played.notes());
}

#[tokio::test(start_paused = true)]
async fn half_an_answer_is_none() {
    for answer in [says(""), says("7 sl"), vec![Act::Exits(127)]] {
        let played = ended(&[&answer], &[]).await;
        assert!(played.summary.hosts[0].may_still_run);
        assert!(played.summary.hosts[0].left.is_empty());
        assert!(played.log("h0").contains("it could not be asked"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_does_not_answer_is_given_up_soon() {
    let played = ended(&[&[Act::HangsForEver]], &[]).await;
    assert!(played.summary.hosts[0].may_still_run);
    assert_eq!(played.took, Duration::from_secs(2 + 6));
}

#[tokio::test(start_paused = true)]
async fn a_host_whose_connection_is_gone_is_asked_over_another() {
    let end = says("end\n");
    let played = ended(&[&[Act::IsLost], &end], &[]).await;
    assert!(!played.summary.hosts[0].may_still_run);
    let first = Connect::After(Duration::ZERO);
    let down = Connect::Fails(Duration::ZERO, crate::model::UnreachableKind::Refused);
    let played = ended(&[&[Act::IsLost], &end], &[first, down]).await;
    assert!(played.summary.hosts[0].may_still_run);
    assert!(played.log("h0").contains("it could not be asked"));
}
