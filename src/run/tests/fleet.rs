//! A fleet of hosts that exist in words alone: a plan over it, and how each host behaves.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use crate::model::{Host, HostId, HostOutcome, Source, UnreachableKind, Zone};
use crate::plan::{Overrides, Plan, PlanRequest, TaskFiles, build};
use crate::run::cancel::Signal;
use crate::run::errand::{GateAnswer, LockEnd, Section};
use crate::run::event::{EventKind, RollbackResult, RunSummary};
use crate::run::progress::Progress;
use crate::task::{CommonParams, Files, GivenParams, Param, ParamSource, Task, read};

use super::bed;
use super::playing::Playing;

struct Nothing;

impl Files for Nothing {
    fn read(&self, path: &str) -> Result<Arc<[u8]>, String> {
        Err(path.to_owned())
    }

    fn paths(&self) -> Vec<String> {
        Vec::new()
    }
}

impl TaskFiles for Nothing {
    fn read(&self, _task: &Task, path: &str) -> Result<Arc<[u8]>, String> {
        Err(path.to_owned())
    }
}

impl ParamSource for Nothing {
    fn read(&self, _param: &Param, from: &str) -> Result<Option<String>, String> {
        Err(from.to_owned())
    }

    fn ask(&self, _param: &Param) -> Option<String> {
        None
    }
}

/// Hosts `a1`, `a2`, … for each zone and its size.
pub(super) fn hosts(zones: &[(&str, usize)]) -> Vec<Arc<Host>> {
    let of_zone = |(zone, count): &(&str, usize)| {
        let zone = (*zone).to_owned();
        (1..=*count).map(move |number| {
            let name = format!("{zone}{number}");
            Arc::new(Host {
                id: HostId::new(format!("i-{name}")),
                zone: Some(Zone::new(zone.as_str())),
                ..Host::named(name.as_str(), "10.0.0.1")
            })
        })
    };
    zones.iter().flat_map(of_zone).collect()
}

/// The plan of a task's text over hosts; `None` where it is refused. `touched` picks the targets.
pub(super) fn plan(
    text: &str,
    population: Vec<Arc<Host>>,
    touched: impl Fn(&str) -> bool,
) -> Option<Plan> {
    let source = Arc::new(Source {
        path: "tasks/t.yml".into(),
        text: text.to_owned(),
    });
    let task = read(&source, None, &Nothing).ok()?;
    let task = Arc::new(task);
    let engine = bed::engine();
    let params = CommonParams::resolve(&task, &GivenParams::default(), &Nothing, &engine).ok()?;
    let targets = population
        .iter()
        .filter(|host| touched(host.label.as_str()));
    let targets: Vec<HostId> = targets.map(|host| host.id.clone()).collect();
    build(&PlanRequest {
        task: &task,
        library: &|_| None,
        files: &Nothing,
        population,
        targets: &targets,
        params: &params,
        overrides: &Overrides::default(),
        engine: &engine,
        fanout: 32,
        now: jiff::Timestamp::UNIX_EPOCH,
        seed: 7,
        last_population: None,
    })
    .ok()
}

/// How the fleet behaves.
pub(super) struct Fleet {
    pub(super) plan: Arc<Plan>,
    /// Hosts that do not serve now.
    pub(super) sick: HashSet<String>,
    /// Hosts that do not answer.
    pub(super) silent: HashSet<String>,
    /// Hosts on which sudo does not work.
    pub(super) unfit: HashSet<String>,
    /// Who says that it is taken last.
    pub(super) leader: Option<String>,
    /// How a host's work ends, each time it is taken; well where nothing is said.
    pub(super) ends: HashMap<String, VecDeque<HostOutcome>>,
    /// How long a host's work takes, in seconds; 1 where nothing is said.
    pub(super) takes: HashMap<String, u64>,
    /// When a host falls ill (`true`) or recovers by itself.
    pub(super) turns: Vec<(u64, String, bool)>,
    /// When a host is no longer heard of, though it goes on serving.
    pub(super) silences: Vec<(u64, String)>,
    /// When the leader is another, or nobody.
    pub(super) elections: Vec<(u64, Option<String>)>,
    pub(super) answers: VecDeque<GateAnswer>,
    pub(super) signals: Vec<(u64, Signal)>,
    /// How a host's rollback ends; done where nothing is said.
    pub(super) undone: HashMap<String, RollbackResult>,
    /// The section that fails.
    pub(super) broken: Option<Section>,
    pub(super) fanout: usize,
    /// What comes of taking the lock, where it is not simply taken.
    pub(super) lock_end: Option<LockEnd>,
    /// How far an earlier process had come.
    pub(super) progress: Option<Arc<Progress>>,
}

/// What came of it.
pub(super) struct Played {
    pub(super) summary: Arc<RunSummary>,
    pub(super) events: Vec<EventKind>,
    /// Every hand-out: `[a1 a2]`, a rollback with `!` before it.
    pub(super) taken: Vec<String>,
    /// Every errand's word, but waits and starts.
    pub(super) errands: Vec<String>,
    /// What was done about the lock.
    pub(super) locks: Vec<String>,
    pub(super) took: u64,
    /// Broken laws.
    pub(super) faults: Vec<String>,
}

impl Fleet {
    /// A fleet in which everything goes well.
    pub(super) fn new(plan: Plan) -> Self {
        Self {
            plan: Arc::new(plan),
            sick: HashSet::new(),
            silent: HashSet::new(),
            unfit: HashSet::new(),
            leader: None,
            ends: HashMap::new(),
            takes: HashMap::new(),
            turns: Vec::new(),
            silences: Vec::new(),
            elections: Vec::new(),
            lock_end: None,
            progress: None,
            answers: VecDeque::new(),
            signals: Vec::new(),
            undone: HashMap::new(),
            broken: None,
            fanout: 32,
        }
    }

    /// One of `text` over hosts `a1`, … of these zones.
    pub(super) fn of(text: &str, zones: &[(&str, usize)]) -> Self {
        let plan = plan(text, hosts(zones), |_| true);
        Self::new(plan.unwrap_or_else(|| panic!("refused: {text}")))
    }

    /// The host's work ends so.
    pub(super) fn ends(mut self, host: &str, outcome: HostOutcome) -> Self {
        self.ends
            .entry(host.to_owned())
            .or_default()
            .push_back(outcome);
        self
    }

    /// Changes anything.
    pub(super) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub(super) fn play(self) -> Played {
        Playing::new(self).play()
    }
}

pub(super) fn failed() -> HostOutcome {
    HostOutcome::Failed {
        step: "work".to_owned(),
        exit_code: Some(1),
        cause: "exit 1".to_owned(),
    }
}

pub(super) fn unhealthy() -> HostOutcome {
    HostOutcome::Unhealthy {
        check: "up".to_owned(),
        cause: "refused".to_owned(),
    }
}

pub(super) fn unreachable() -> HostOutcome {
    HostOutcome::Unreachable {
        kind: UnreachableKind::Refused,
        causes: vec!["refused".to_owned()],
        hints: Vec::new(),
    }
}
