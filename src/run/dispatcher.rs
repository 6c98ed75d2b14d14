//! The loop around [`RunState`]: takes signals and messages, lets the state decide, carries its orders out
//! and hands its events to the sink. Decides nothing itself.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::model::RunId;

use super::cancel::Signal;
use super::event::{EventKind, RunEvent, RunSummary};
use super::journal::Journal;
use super::message::{Envelope, Reply};
use super::progress::Told;
use super::sink::Sink;
use super::state::{Order, Reaction, RunState};
use super::stop::StopTokens;

/// What reaches a run from outside.
#[derive(Debug)]
pub(crate) struct Outside {
    signals: Option<mpsc::Receiver<Signal>>,
    /// When what runs is ended.
    limit: Option<Instant>,
    /// When nothing new is started any more.
    deadline: Option<Instant>,
}

/// One thing from outside.
#[derive(Debug)]
enum Push {
    Signal(Signal),
    Deadline { kill: bool },
}

impl Outside {
    /// Signals, the run's limit (`limits.run`) and the task's `deadline`, both from now.
    pub(crate) fn new(
        signals: mpsc::Receiver<Signal>,
        limit: Option<Duration>,
        deadline: Option<Duration>,
    ) -> Self {
        let at = |after: Option<Duration>| after.map(|after| Instant::now() + after);
        Self {
            signals: Some(signals),
            limit: at(limit),
            deadline: at(deadline),
        }
    }

    /// Nothing comes any more.
    fn closed() -> Self {
        Self {
            signals: None,
            limit: None,
            deadline: None,
        }
    }

    /// The next push. Nothing is lost where the wait is given up.
    async fn next(&mut self) -> Push {
        loop {
            tokio::select! {
                biased;
                signal = received(&mut self.signals) => match signal {
                    Some(signal) => return Push::Signal(signal),
                    None => self.signals = None,
                },
                () = reached(self.limit) => {
                    self.limit = None;
                    return Push::Deadline { kill: true };
                }
                () = reached(self.deadline) => {
                    self.deadline = None;
                    return Push::Deadline { kill: false };
                }
            }
        }
    }
}

async fn received(signals: &mut Option<mpsc::Receiver<Signal>>) -> Option<Signal> {
    match signals {
        Some(signals) => signals.recv().await,
        None => std::future::pending().await,
    }
}

async fn reached(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Events with their numbers and times.
#[derive(Debug)]
pub(crate) struct Stamp {
    run: RunId,
    started: Instant,
    /// For how long earlier processes of the run were at work.
    before: Duration,
    seq: u64,
    queue: VecDeque<RunEvent>,
}

impl Stamp {
    /// From now on, what follows was told already.
    pub(crate) fn new(run: RunId, told: &Told) -> Self {
        Self {
            run,
            started: Instant::now(),
            before: told.elapsed,
            seq: told.events,
            queue: VecDeque::new(),
        }
    }

    /// The next event that was not handed on.
    pub(crate) fn take(&mut self) -> Option<RunEvent> {
        self.queue.pop_front()
    }

    pub(crate) fn put(&mut self, kind: EventKind) {
        let takes = match &kind {
            EventKind::Output { lines, .. } => lines.len() as u64,
            _ => 1,
        };
        self.queue.push_back(RunEvent {
            seq: self.seq,
            time: jiff::Timestamp::now(),
            elapsed: self.before + self.started.elapsed(),
            run: self.run.clone(),
            kind,
        });
        self.seq += takes;
    }
}

/// The deciding half of a run.
#[derive(Debug)]
pub(crate) struct Dispatcher<S> {
    state: RunState,
    stamp: Stamp,
    outside: Outside,
    ends: Ends<S>,
    /// Errands that are given once what was told before them is on the screen: a question follows its text.
    errands: Vec<(oneshot::Sender<Reply>, Reply)>,
}

/// Where decisions go.
#[derive(Debug)]
pub(crate) struct Ends<S> {
    /// To the units.
    pub(crate) stop: Arc<StopTokens>,
    /// To the journal, before anything else learns of them.
    pub(crate) journal: Arc<dyn Journal>,
    /// To people.
    pub(crate) sink: S,
}

impl<S: Sink> Dispatcher<S> {
    /// A dispatcher whose first event is `first`.
    pub(crate) fn new(
        run: RunId,
        (state, first): (RunState, EventKind),
        outside: Outside,
        ends: Ends<S>,
    ) -> Self {
        let told = state.told();
        let mut stamp = Stamp::new(run, &told);
        stamp.put(first);
        Self {
            state,
            stamp,
            outside,
            ends,
            errands: Vec::new(),
        }
    }

    /// Works until every sender of messages has gone; then tells the end.
    pub(crate) async fn run(mut self, mut messages: mpsc::Receiver<Envelope>) -> Arc<RunSummary> {
        loop {
            self.deliver().await;
            for (reply, errand) in self.errands.drain(..) {
                // As where an order is answered.
                let _unread = reply.send(errand);
            }
            tokio::select! {
                biased;
                push = self.outside.next() => {
                    let reaction = react(&mut self.state, &push);
                    carry_out((&self.ends.stop, &*self.ends.journal), &mut self.stamp, reaction, None);
                }
                envelope = messages.recv() => match envelope {
                    Some(Envelope { message, reply }) => {
                        if let Some(cause) = self.ends.journal.fault() {
                            let reaction = self.state.unrecorded(cause);
                            carry_out((&self.ends.stop, &*self.ends.journal), &mut self.stamp, reaction, None);
                        }
                        let reaction = self.state.apply(message);
                        let errand = carry_out((&self.ends.stop, &*self.ends.journal), &mut self.stamp, reaction, reply);
                        self.errands.extend(errand);
                    }
                    None => break,
                },
            }
        }
        // What comes from outside now changes nothing any more; the last event stays the last.
        self.outside = Outside::closed();
        let (last, summary) = self.state.finish(jiff::Timestamp::now());
        carry_out(
            (&self.ends.stop, &*self.ends.journal),
            &mut self.stamp,
            last,
            None,
        );
        // What could not be kept is the writer's to say.
        let _fault = self.ends.journal.settled().await;
        self.deliver().await;
        summary
    }

    /// Hands queued events to the sink. A sink that makes us wait keeps no signal waiting.
    async fn deliver(&mut self) {
        while let Some(event) = self.stamp.take() {
            let mut accept = pin!(self.ends.sink.accept(&event));
            loop {
                tokio::select! {
                    biased;
                    push = self.outside.next() => {
                        let reaction = react(&mut self.state, &push);
                        carry_out((&self.ends.stop, &*self.ends.journal), &mut self.stamp, reaction, None);
                    }
                    () = &mut accept => break,
                }
            }
        }
    }
}

fn react(state: &mut RunState, push: &Push) -> Reaction {
    match push {
        Push::Signal(signal) => state.signal(*signal),
        Push::Deadline { kill } => state.deadline(*kill),
    }
}

/// Does what was decided; an errand is handed back, to be given once the events are told.
fn carry_out(
    (stop, journal): (&StopTokens, &dyn Journal),
    stamp: &mut Stamp,
    Reaction {
        events,
        facts,
        orders,
    }: Reaction,
    mut reply: Option<oneshot::Sender<Reply>>,
) -> Option<(oneshot::Sender<Reply>, Reply)> {
    let mut errand = None;
    for fact in facts {
        journal.note(fact);
    }
    for order in orders {
        match order {
            Order::Answer(answer) => match (reply.take(), &answer) {
                (Some(reply), Reply::Errand(_)) => errand = Some((reply, answer)),
                (Some(reply), Reply::Verdict(_)) => {
                    // Who asked may have gone meanwhile; then nobody acts on the answer.
                    let _unread = reply.send(answer);
                }
                (None, _) => {}
            },
            Order::StopStarting(reason) => stop.stop_starting(reason),
            Order::EndGroups => stop.end_groups(),
            Order::EndRollback => stop.end_rollback(),
        }
    }
    for kind in events {
        stamp.put(kind);
    }
    errand
}
