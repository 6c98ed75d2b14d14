//! What a run writes into its journal, when, and what it never does.

use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;

use crate::model::{Secret, Stream};
use crate::run::event::{EventKind, RolloutFact, RunEvent, StopCause};
use crate::run::execute;
use crate::run::journal::{Fact, Journal, Memory};
use crate::task::{OnResume, ParamValue};
use crate::transport::scripted::{Act, Asked, HostScript, Scripted};

use super::bed::Bed;
use super::steps::{Modified as _, run};

/// Plays a bed with this journal; its events and the transport's log.
async fn play(bed: Bed, journal: Arc<dyn Journal>) -> (Vec<RunEvent>, Vec<Asked>) {
    let folder = tempfile::tempdir().unwrap();
    let events = Arc::new(Mutex::new(Vec::new()));
    let scripted = Scripted::new(bed.scripts.clone());
    let parts = bed.parts(scripted.clone(), scripted.clone(), (folder.path(), &events));
    let parts = crate::run::Parts { journal, ..parts };
    let (_sender, signals) = mpsc::channel(1);
    execute(Arc::new(bed.plan()), parts, bed.options.clone(), signals).await;
    let events = std::mem::take(&mut *events.lock().unwrap());
    (events, scripted.asked())
}

/// Refuses once it holds so many facts of steps that begin.
#[derive(Debug)]
struct Full {
    memory: Memory,
    room: usize,
}

impl Full {
    fn begun(&self) -> usize {
        let facts = self.memory.facts();
        let begun = |fact: &&Fact| matches!(fact, Fact::StepStarted { .. });
        facts.iter().filter(begun).count()
    }
}

impl Journal for Full {
    fn note(&self, fact: Fact) {
        self.memory.note(fact);
    }

    fn settled(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(std::future::ready(self.fault().map_or(Ok(()), Err)))
    }

    fn fault(&self) -> Option<String> {
        (self.begun() > self.room).then(|| "no space left".to_owned())
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_is_in_the_journal_before_it_is_sent_and_its_end_after() {
    let journal = Arc::new(Memory::default());
    let bed = Bed::new(1, vec![run("first"), run("second")]).change(1, 0);
    play(bed, Arc::clone(&journal) as Arc<dyn Journal>).await;
    let facts = journal.facts();
    let words = facts.iter().filter_map(|fact| match fact {
        Fact::HostStarted { .. } => Some("host"),
        Fact::StepStarted { changes: true, .. } => Some("begins"),
        Fact::StepFinished { .. } => Some("ends"),
        Fact::HostFinished { .. } => Some("done"),
        Fact::RunFinished { .. } => Some("over"),
        _ => None,
    });
    let words: Vec<&str> = words.collect();
    assert_eq!(
        words,
        ["host", "begins", "ends", "begins", "ends", "done", "over"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_cannot_be_written_stops_the_run_before_the_next_command() {
    let journal = Arc::new(Full {
        memory: Memory::default(),
        room: 3,
    });
    // More failures would be tolerated than there are hosts.
    let bed = Bed::new(6, vec![run("work")]).change(1, 6);
    let (events, asked) = play(bed, journal).await;
    let sent = asked
        .iter()
        .filter(|asked| matches!(asked, Asked::Exec(..)));
    assert_eq!(sent.count(), 3);
    let stopped = events.iter().any(|event| {
        matches!(&event.kind, EventKind::Rollout(RolloutFact::RolloutStopped { because, .. })
            if *because == StopCause::Journal { cause: "no space left".to_owned() })
    });
    assert!(stopped);
}

#[tokio::test(start_paused = true)]
async fn no_secret_is_in_the_journal_and_no_output_that_nobody_reads() {
    let journal = Arc::new(Memory::default());
    let prints = |text: &str| Act::Prints(Stream::Stdout, text.as_bytes().to_vec());
    let script = HostScript::new()
        .on("kept", [prints("pw=hunter22\n")])
        .on("quiet", [prints("quietly said\n")])
        .on("sticky", [prints("needed again\n")])
        .on("plain", [prints("plainly said\n")])
        .on("fails", [Act::Exits(1)]);
    let register = |name: &str| {
        let name = name.to_owned();
        move |modifiers: &mut crate::task::Modifiers| modifiers.register = Some(name)
    };
    let steps = vec![
        run("kept").but(register("kept")),
        run("quiet").but(|modifiers| {
            modifiers.quiet = true;
            modifiers.register = Some("quiet".to_owned());
            modifiers.resume = Some(OnResume::Rerun);
        }),
        run("sticky").but(|modifiers| {
            (modifiers.quiet, modifiers.sticky) = (true, true);
            modifiers.register = Some("sticky".to_owned());
        }),
        run("plain"),
        run("reads {{ kept.stdout }}{{ quiet.rc }}"),
        run("fails"),
    ];
    let bed = Bed::new(1, steps).change(1, 0).script("h0", script);
    let bed = bed.with(|bed| {
        let secret = ParamValue::Secret(Secret::new("hunter22"));
        bed.params.insert("password".to_owned(), secret);
    });
    play(bed, Arc::clone(&journal) as Arc<dyn Journal>).await;
    let text = serde_json::to_string(&journal.facts()).unwrap();
    assert!(text.contains("\"stdout\":\"pw=***\""), "{text}");
    assert!(text.contains("\"withheld\":true"), "{text}");
    assert!(text.contains("\"stdout\":\"needed again\""), "{text}");
    for never in ["hunter22", "quietly said", "plainly said"] {
        assert!(!text.contains(never), "{never}: {text}");
    }
}
