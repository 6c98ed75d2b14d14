//! What every unit of a run shares: the plan, the parts that do I/O, and what units tell each other.

use std::marker::PhantomData;
use std::sync::Arc;

use tokio::sync::Mutex;

use crate::plan::Plan;
use crate::transport::{Controller, Transport};

use super::digest::Digests;
use super::message::{UnitMessage, Wire};
use super::once::OnceBoard;
use super::options::RunOptions;
use super::places::Places;
use super::prompt::{Answer, Prompt};
use super::record::Record;
use super::roster::Roster;
use super::stop::StopTokens;
use super::values::Rendering;

/// The kinds of the parts of a run in one name, so that no signature needs four.
pub(crate) trait World: Send + Sync + 'static {
    type Transport: Transport;
    type Local: Controller;
    type Record: Record;
    type Prompt: Prompt + 'static;
}

/// The world of these parts.
#[derive(Debug)]
pub(crate) struct WorldOf<T, L, R, P>(PhantomData<Parts<T, L, R, P>>);

/// The parts' types in a form that is always `Send` and `Sync`.
type Parts<T, L, R, P> = fn() -> (T, L, R, P);

impl<T: Transport, L: Controller, R: Record, P: Prompt + 'static> World for WorldOf<T, L, R, P> {
    type Transport = T;
    type Local = L;
    type Record = R;
    type Prompt = P;
}

/// A session to a host of this world.
pub(crate) type SessionOf<W> = <<W as World>::Transport as Transport>::Session;

/// What units share. Nothing here is written but through the parts' own means.
pub(crate) struct Shared<W: World> {
    pub(crate) plan: Arc<Plan>,
    pub(crate) roster: Arc<Roster>,
    pub(crate) places: Places,
    pub(crate) options: RunOptions,
    pub(crate) rendering: Rendering,
    pub(crate) transport: W::Transport,
    pub(crate) local: W::Local,
    pub(crate) record: Arc<W::Record>,
    /// One question is on the screen at a time.
    pub(crate) prompt: Mutex<W::Prompt>,
    pub(crate) wire: Wire,
    pub(crate) stop: Arc<StopTokens>,
    pub(crate) once: OnceBoard,
    pub(crate) digests: Digests,
}

impl<W: World> Shared<W> {
    /// Asks a person; whatever stops the run answers no.
    pub(crate) async fn confirmed(&self, question: Asked<'_>) -> bool {
        let prompt = tokio::select! {
            biased;
            () = self.stop.drain.cancelled() => return false,
            prompt = self.prompt.lock() => prompt,
        };
        let text = question.text.to_owned();
        self.wire
            .tell(UnitMessage::QuestionAsked { question: text })
            .await;
        let ask = prompt.ask(question.text, question.default, question.timeout);
        let answer = tokio::select! {
            biased;
            () = self.stop.drain.cancelled() => Answer { yes: false, by: "cancel" },
            answer = ask => answer,
        };
        self.wire
            .tell(UnitMessage::QuestionAnswered {
                yes: answer.yes,
                by: answer.by.to_owned(),
            })
            .await;
        answer.yes
    }
}

/// A question and what hangs on it.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) text: &'a str,
    pub(crate) default: Option<bool>,
    pub(crate) timeout: Option<std::time::Duration>,
}
