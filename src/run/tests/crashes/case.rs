//! Random tasks: phases of steps of every kind that a journal has to know about, hosts that fail, and what is
//! done about them.

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use proptest::prelude::*;

use crate::plan::Plan;
use crate::run::tests::bed::Bed;
use crate::run::tests::steps::{Modified as _, expression, group, holds, run, step, text};
use crate::task::{
    Action, GateAt, Local, Mode, OnFailure, OnResume, OnceFor, Quoting, Retry, RunProgram, Step,
};

use super::world::Nature;

/// The elements of every loop.
pub(super) const ELEMENTS: [&str; 2] = ["x", "y"];

/// What a step is there to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// May run again.
    Put,
    /// May not; a check, or a person, says whether it ran.
    Add { asks: bool },
    /// Fails once and is tried again.
    Flaky { asks: bool },
    /// One host does it for many.
    Once { of: OnceFor, asks: bool },
    /// What one step registers another one uses; `quiet` where the journal may not have it.
    Copy { quiet: bool },
    /// The first value stays, though a later step changes what it was read from.
    Sticky,
    /// A variable made of a register.
    Set,
    /// With a rescue and an always; whether a rescued host is as good as new.
    Group { recovered: bool },
    /// For each of several elements.
    Loop,
    /// Not to be done at all.
    Skipped,
}

/// A task, how it is rolled out, and what its hosts do about it.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is drawn by itself")]
pub(super) struct Case {
    pub(super) hosts: usize,
    pub(super) batch: usize,
    pub(super) window: bool,
    pub(super) max_failures: usize,
    pub(super) phases: Vec<Vec<Kind>>,
    /// Hosts on which a step of a phase fails, by their numbers.
    pub(super) failing: Vec<(usize, usize, usize)>,
    pub(super) gates: bool,
    pub(super) bakes: bool,
    /// Steps on the controller around it all.
    pub(super) sections: bool,
    /// They fail once only.
    pub(super) heals: bool,
    pub(super) on_failure: OnFailure,
    pub(super) eager: bool,
}

fn kind() -> impl Strategy<Value = Kind> {
    let asks = any::<bool>;
    let of = prop_oneof![Just(OnceFor::Rollout), Just(OnceFor::Batch)];
    prop_oneof![
        2 => Just(Kind::Put),
        2 => asks().prop_map(|asks| Kind::Add { asks }),
        1 => asks().prop_map(|asks| Kind::Flaky { asks }),
        2 => (of, asks()).prop_map(|(of, asks)| Kind::Once { of, asks }),
        1 => any::<bool>().prop_map(|quiet| Kind::Copy { quiet }),
        2 => Just(Kind::Sticky),
        1 => Just(Kind::Set),
        2 => any::<bool>().prop_map(|recovered| Kind::Group { recovered }),
        1 => Just(Kind::Loop),
        1 => Just(Kind::Skipped),
    ]
}

pub(super) fn any_case() -> impl Strategy<Value = Case> {
    let phases = prop::collection::vec(prop::collection::vec(kind(), 1..4), 1..3);
    let failing = prop_oneof![
        1 => Just(Vec::new()),
        2 => prop::collection::vec((0_usize..6, 0_usize..2, 0_usize..3), 1..3),
    ];
    let on_failure = prop_oneof![
        3 => Just(OnFailure::Stop),
        1 => Just(OnFailure::RollbackFailed),
        1 => Just(OnFailure::RollbackBatch),
        1 => Just(OnFailure::RollbackAll),
    ];
    let sizes = (1_usize..7, 1_usize..4, 0_usize..3);
    let switches = prop::array::uniform6(any::<bool>());
    (sizes, phases, failing, on_failure, switches).prop_map(
        |((hosts, batch, max_failures), phases, failing, on_failure, switches)| {
            let [window, gates, bakes, sections, heals, eager] = switches;
            Case {
                hosts,
                batch,
                window,
                max_failures,
                phases,
                failing,
                gates,
                bakes,
                sections,
                heals,
                on_failure,
                eager,
            }
        },
    )
}

/// The name of a step, and of everything that belongs to it.
fn key(phase: usize, number: usize) -> String {
    format!("p{phase}s{number}")
}

fn command(id: &str, words: &str) -> Step {
    let mut step = run(words);
    step.id = id.to_owned();
    step.name = text(id, Quoting::Plain);
    step
}

/// A step that may run again.
fn put(id: &str, value: &str) -> Step {
    command(id, &format!("put {id} {value}"))
        .but(|modifiers| modifiers.resume = Some(OnResume::Rerun))
}

/// A step that may not.
fn add(id: &str, verb: &str, asks: bool) -> Step {
    guarded(command(id, &format!("{verb} {id}")), asks)
}

fn guarded(step: Step, asks: bool) -> Step {
    let id = step.id.clone();
    step.but(|modifiers| {
        if !asks {
            modifiers.resume = Some(OnResume::Check);
            modifiers.check = Some(text(&format!("has {id}"), Quoting::Shell));
        }
    })
}

/// A step that fails once, and may not run again after it passed.
fn flaky(id: &str, asks: bool) -> Step {
    let retry = Retry {
        attempts: 2,
        delay: Duration::from_secs(3),
        backoff: 1.0,
        until: None,
    };
    let step = guarded(command(id, &format!("flaky {id} 1")), asks);
    step.but(|modifiers| modifiers.retry = Some(retry))
}

/// A step for each element; each of them has a check.
fn looped(id: &str) -> Step {
    command(id, &format!("add {id}-{{{{ item }}}}")).but(|modifiers| {
        modifiers.resume = Some(OnResume::Check);
        let check = format!("has {id}-{{{{ item }}}}");
        modifiers.check = Some(text(&check, Quoting::Shell));
        modifiers.loop_over = Some(expression(&format!("{ELEMENTS:?}")));
    })
}

/// Reads what release a host has.
fn reads(id: &str, register: &str) -> Step {
    command(id, "get release").but(|modifiers| modifiers.register = Some(register.to_owned()))
}

impl Kind {
    fn steps(self, key: &str) -> Vec<Step> {
        let register = format!("r_{key}");
        let get = format!("{key}g");
        let printed = format!("{{{{ {register}.stdout }}}}");
        let read_only = |step: Step| step.but(|modifiers| modifiers.read_only = true);
        match self {
            Self::Put => vec![put(key, "done")],
            Self::Add { asks } => vec![add(key, "add", asks)],
            Self::Flaky { asks } => vec![flaky(key, asks)],
            Self::Once { of, asks } => {
                vec![add(key, "add", asks).but(|modifiers| modifiers.once = Some(of))]
            }
            Self::Copy { quiet } => {
                let reads = read_only(reads(&get, &register));
                let reads = reads.but(|modifiers| modifiers.quiet = quiet);
                vec![reads, put(key, &printed)]
            }
            Self::Sticky => {
                let reads = reads(&get, &register).but(|modifiers| {
                    modifiers.sticky = true;
                    modifiers.resume = Some(OnResume::Rerun);
                });
                let switch = command(key, &format!("switch {key} {key}"));
                let switch = switch.but(|modifiers| modifiers.resume = Some(OnResume::Rerun));
                vec![reads, switch, put(&format!("{key}w"), &printed)]
            }
            Self::Set => {
                let variable = format!("v_{key}");
                let value = format!("{printed}-{{{{ host.label }}}}");
                let variables = IndexMap::from([(variable.clone(), text(&value, Quoting::Plain))]);
                let set = step(&format!("{key}s"), Action::Set(variables));
                let puts = put(key, &format!("{{{{ {variable} }}}}"));
                vec![read_only(reads(&get, &register)), set, puts]
            }
            Self::Group { recovered } => {
                let inner = |end: &str| format!("{key}{end}");
                let steps = vec![add(&inner("a"), "add", true), put(&inner("b"), "done")];
                let rescue = vec![put(&inner("r"), "{{ error.step }}")];
                let always = vec![put(&inner("w"), "done")];
                let mut group = group(key, steps, rescue, always);
                if let Action::Group(group) = &mut group.action {
                    group.recovered = recovered;
                }
                vec![group]
            }
            Self::Loop => vec![looped(key)],
            Self::Skipped => {
                vec![put(key, "never").but(|modifiers| modifiers.when = Some(holds("false")))]
            }
        }
    }
}

impl Case {
    /// Six hosts in two phases with one of each kind.
    pub(super) fn whole() -> Self {
        let once = |of| Kind::Once { of, asks: false };
        Self {
            hosts: 6,
            batch: 2,
            window: false,
            max_failures: 0,
            phases: vec![
                vec![
                    Kind::Sticky,
                    once(OnceFor::Rollout),
                    Kind::Add { asks: true },
                    Kind::Flaky { asks: false },
                ],
                vec![
                    Kind::Copy { quiet: false },
                    Kind::Set,
                    Kind::Group { recovered: true },
                    once(OnceFor::Batch),
                    Kind::Loop,
                ],
            ],
            failing: Vec::new(),
            gates: true,
            bakes: true,
            sections: true,
            heals: false,
            on_failure: OnFailure::Stop,
            eager: true,
        }
    }

    pub(super) fn bed(&self) -> Bed {
        let bed = Bed::new(self.hosts, Vec::new()).change(self.batch, self.max_failures);
        bed.with(|bed| {
            if self.gates {
                bed.confirm = vec![GateAt::Start, GateAt::Batch];
            }
            if self.sections {
                bed.before = vec![local("before", false)];
                bed.after = vec![local("after", true)];
            }
        })
    }

    pub(super) fn plan(&self, bed: &Bed) -> Arc<Plan> {
        let mut plan = bed.plan();
        let first = plan.phases.remove(0);
        for (number, kinds) in self.phases.iter().enumerate() {
            let mut phase = first.clone();
            phase.name = format!("p{number}");
            if self.window {
                phase.pace.mode = Mode::Window;
            }
            if self.bakes {
                phase.pace.bakes.batch = Some(Duration::from_mins(1));
            }
            let steps = kinds.iter().enumerate();
            let steps: Vec<Step> = steps
                .flat_map(|(step, kind)| kind.steps(&key(number, step)))
                .collect();
            for host in &mut phase.hosts {
                host.steps = steps.clone().into();
                if self.on_failure != OnFailure::Stop {
                    host.rollback = undo(number, kinds).into();
                }
            }
            plan.phases.push(phase);
        }
        Arc::make_mut(&mut plan.task).on_failure = self.on_failure;
        Arc::new(plan)
    }

    /// What its hosts are like.
    pub(super) fn nature(&self) -> Nature {
        let failing = self.failing.iter();
        let failing = failing.flat_map(|(host, phase, step)| {
            let key = key(*phase, *step);
            let host = format!("h{host}");
            // Of a group its second step.
            [(host.clone(), format!("{key}b")), (host, key)]
        });
        Nature {
            failing: failing.collect(),
            heals: self.heals,
            eager: self.eager,
        }
    }

    /// Whether a key is of a step that is run for many hosts, on whichever of them comes first.
    pub(super) fn is_once(&self, of: &str) -> bool {
        let phases = self.phases.iter().enumerate();
        let mut steps = phases.flat_map(|(phase, kinds)| {
            let kinds = kinds.iter().enumerate();
            kinds.map(move |(number, kind)| (key(phase, number), kind))
        });
        steps.any(|(key, kind)| key == of && matches!(kind, Kind::Once { .. }))
    }

    /// Whether it matters for its end when it is killed: a step fails that is run for many, or one that passes
    /// when it is tried again, or on a host beside which the next one begins at once, also where it is tried again.
    pub(super) fn is_luck(&self) -> bool {
        let fails_anew = self.heals || self.window && self.batch > 1;
        fails_anew && !self.failing.is_empty()
            || self.failing.iter().any(|(_, phase, step)| {
                let kind = self.phases.get(*phase).and_then(|kinds| kinds.get(*step));
                matches!(kind, Some(Kind::Once { .. }))
            })
    }
}

/// What undoes a phase: the release that it found comes back.
fn undo(phase: usize, kinds: &[Kind]) -> Vec<Step> {
    let mut steps = vec![put(&format!("undo{phase}"), "done")];
    if kinds.first() == Some(&Kind::Sticky) {
        let register = format!("r_{}", key(phase, 0));
        let id = format!("back{phase}");
        let back = command(&id, &format!("switch {id} {{{{ {register}.stdout }}}}"));
        steps.push(back.but(|modifiers| modifiers.resume = Some(OnResume::Rerun)));
    }
    steps
}

/// A step on the controller.
fn local(id: &str, asks: bool) -> Step {
    let program = RunProgram::Shell(text(&format!("add {id}"), Quoting::Shell));
    guarded(step(id, Action::Local(Local { program })), asks)
}
