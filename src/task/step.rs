//! Steps: one action each, with modifiers.
//!
//! The same types serve the file and the plan. In the file every text may be a template; planning renders
//! what it can per host, and what is left waits for an earlier step's register.

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use crate::model::SourceSpan;

use super::{Expression, OpenSpan, ParamValue, Task, Text};

/// A condition that is known, or an expression that is evaluated when its step comes up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Known while planning.
    Known(bool),
    /// Evaluated later.
    Expression(Arc<Expression>),
}

/// One step.
#[derive(Debug, Clone)]
pub struct Step {
    /// The id: given, else the register's name, else made from the position, unique in the task.
    pub id: String,
    /// What people see: `name`, else the id if given, else the action and its first words.
    pub name: Text,
    /// What it does.
    pub action: Action,
    /// How.
    pub modifiers: Modifiers,
    /// Where it stands.
    pub span: SourceSpan,
    /// Its durations that wait for params, and stand as zero until then. Empty in a plan.
    pub open: Vec<OpenSpan>,
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum Action {
    /// A command.
    Run(RunProgram),
    /// A script of the task's folder.
    Script(Script),
    /// A file or folder, or a rendered template, onto the host.
    Copy(Copy),
    /// A file from the host.
    Download(Download),
    /// Waits until a probe passes.
    WaitFor(WaitFor),
    /// A command on the controller.
    Local(Local),
    /// Fails unless every expression holds.
    Assert {
        /// The expressions.
        that: Vec<Condition>,
        /// Said on failure; the expression itself where empty.
        msg: Option<Text>,
    },
    /// Fails with a message.
    Fail(Text),
    /// Says something.
    Log(Text),
    /// Sets variables for later steps of this host (read as registers of that name).
    Set(IndexMap<String, Text>),
    /// Waits.
    Pause(Duration),
    /// Asks.
    Confirm(Question),
    /// Boots the host anew, and proves it by another boot id. The limit is the step's `timeout`.
    Reboot,
    /// Runs another task's steps in place.
    Task(SubTask),
    /// Several steps as one.
    Group(Group),
}

/// `run`: a text for a shell, or an argv.
#[derive(Debug, Clone)]
pub enum RunProgram {
    /// A shell text; its values are quoted.
    Shell(Text),
    /// An argv, which no shell re-reads.
    Argv(Vec<Text>),
}

/// `script`.
#[derive(Debug, Clone)]
pub struct Script {
    /// The file as named in the task.
    pub src: Text,
    /// Its bytes, read when the task was loaded where `src` is plain; else while planning.
    pub text: Option<Arc<[u8]>>,
    /// Arguments.
    pub args: Vec<Text>,
    /// The interpreter's argv; empty means the `#!` line, `sh` where it has none.
    pub interpreter: Vec<String>,
}

/// Where the bytes of a [`struct@Copy`] come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyContent {
    /// The file or folder `src`, as it is (`upload`).
    File,
    /// The file `src`, rendered (`template`).
    Rendered,
}

/// `upload` and `template`: a file onto the host, by a temporary name, verified, then renamed.
#[derive(Debug, Clone)]
pub struct Copy {
    /// As it is, or rendered.
    pub content: CopyContent,
    /// The local file or folder.
    pub src: Text,
    /// The remote path.
    pub dest: Text,
    /// Octal mode; default: the local file's.
    pub mode: Option<String>,
    /// `user` or `user:group`; needs sudo.
    pub owner: Option<Text>,
    /// Keeps the replaced file beside it as `DEST.bak-RUN`.
    pub backup: bool,
    /// Digest that the source must have; empty text means none.
    pub sha256: Option<Text>,
    /// A remote command line that must pass on the temporary file (`%s`) before the rename.
    pub verify: Option<Text>,
    /// What a `template` writes: `src`'s content, read while planning and rendered as far as it can be.
    /// `None` in a task's file, and for an `upload`.
    pub text: Option<Text>,
}

/// `download`.
#[derive(Debug, Clone)]
pub struct Download {
    /// The remote path.
    pub src: Text,
    /// The local path; default: the run's `files/LABEL/`.
    pub dest: Option<Text>,
    /// Digest that the file must have.
    pub sha256: Option<Text>,
    /// A larger file is refused before anything is transferred, bytes.
    pub max_size: Option<u64>,
    /// A missing remote file is fine.
    pub missing_ok: bool,
    /// What the file must be, looked at once it is here whole.
    pub verify: Option<FileCheck>,
}

/// What the bytes of a downloaded file are checked to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileCheck {
    /// `hprof`: a whole JVM heap dump, plain, gzip or zstd ([`crate::diagnose::hprof`]).
    Hprof,
}

/// From where a probe is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhereTo {
    /// From the host.
    Host,
    /// From the controller.
    Controller,
}

/// What a probe asks.
#[derive(Debug, Clone)]
pub enum ProbeKind {
    /// A URL.
    Http(Text),
    /// `HOST:PORT`, or a port of the host itself.
    Tcp(Text),
    /// A command.
    Run(RunProgram),
    /// A path, present or absent.
    File {
        /// The path.
        path: Text,
        /// Whether it must be there.
        present: bool,
    },
    /// The host's SSH port answers with a banner.
    Ssh,
}

/// A question asked again and again until its answer is right.
#[derive(Debug, Clone)]
pub struct Probe {
    /// What is asked.
    pub kind: ProbeKind,
    /// From where.
    pub from: WhereTo,
    /// HTTP statuses that pass; empty means 200 to 299.
    pub status: Vec<u16>,
    /// A regular expression that the body or output must match, unanchored; params in it are escaped.
    pub matches: Option<Text>,
    /// The whole text that the body or output must be, trailing newline aside.
    pub equals: Option<Text>,
    /// An expression over the attempt's result.
    pub until: Option<Condition>,
}

/// `wait_for`.
#[derive(Debug, Clone)]
pub struct WaitFor {
    /// What is asked.
    pub probe: Probe,
    /// Pause between attempts.
    pub interval: Duration,
    /// Good answers in a row.
    pub consecutive: u32,
    /// How long the answers must stay good.
    pub stable_for: Duration,
}

/// `local`: a command on the controller.
#[derive(Debug, Clone)]
pub struct Local {
    /// The command.
    pub program: RunProgram,
}

/// `confirm`.
#[derive(Debug, Clone)]
pub struct Question {
    /// What is asked.
    pub text: Text,
    /// The answer on Enter; `None` insists on one.
    pub default: Option<bool>,
    /// How long an answer is waited for.
    pub timeout: Option<Duration>,
}

/// `task`: another task's steps.
#[derive(Debug, Clone)]
pub struct SubTask {
    /// The other task's name.
    pub name: String,
    /// Its params.
    pub params: IndexMap<String, Text>,
    /// Its steps; filled while planning, with its own params and vars already in place.
    pub steps: Option<Group>,
    /// What its templates see as `params` and `vars`; filled while planning. [`Engine::enter`](super::Engine::enter) makes the
    /// scope that its steps run in.
    ///
    pub scope: Option<Arc<SubScope>>,
}

/// The params and vars of a `task:` step.
#[derive(Debug)]
pub struct SubScope {
    /// The other task.
    pub task: Arc<Task>,
    /// Its params, as far as they are known while planning.
    pub params: Arc<IndexMap<String, ParamValue>>,
    /// Its vars, likewise.
    pub vars: Arc<IndexMap<String, serde_json::Value>>,
    /// Params that wait for a register of the calling task.
    pub late_params: IndexMap<String, Text>,
    /// Vars that read one of those.
    pub late_vars: IndexMap<String, Text>,
}

/// `group`.
#[derive(Debug, Clone)]
pub struct Group {
    /// The steps.
    pub steps: Vec<Step>,
    /// Run where one of them failed.
    pub rescue: Vec<Step>,
    /// Run at the end, whatever happened.
    pub always: Vec<Step>,
    /// A host whose rescue passed counts as ok.
    pub recovered: bool,
}

/// `retry`: failures of the command, never of the connection.
#[derive(Debug, Clone)]
pub struct Retry {
    /// Attempts in all, 1 or more.
    pub attempts: u32,
    /// Pause before the second attempt.
    pub delay: Duration,
    /// What the pause is multiplied with after each attempt, 1 or more.
    pub backoff: f64,
    /// Also try again until this holds.
    pub until: Option<Condition>,
}

/// For whom a `once` step is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OnceFor {
    /// Every host of the phase.
    Rollout,
    /// Every host of a zone.
    Zone,
    /// Every host of a batch.
    Batch,
}

/// `where`: on which machine a step of a host runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum StepPlace {
    /// On the host itself.
    #[default]
    Host,
    /// On the controller.
    Controller,
    /// On some other host of the population that is healthy.
    AnyHealthy,
    /// On the first healthy host that these selector words match; the host itself if it is one of them.
    Selected(Vec<crate::model::selector::Term>),
}

/// A check of `health` or `verify`: a `wait_for` step that reads only, with a name and a limit of its own.
#[derive(Debug, Clone)]
pub struct Check {
    /// The question: its action is [`Action::WaitFor`], its `timeout` is set.
    pub step: Step,
    /// Asked again and again while a bake lasts.
    pub watch: bool,
}

/// How a step is done.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one key of the format"
)]
pub struct Modifiers {
    /// Runs only if this holds; otherwise the step is skipped.
    pub when: Option<Condition>,
    /// The shell's argv that takes a text as its last argument; `None` means `sh -euc`.
    pub shell: Option<Vec<String>>,
    /// Shell text before the command, in the same shell.
    pub before: Option<Text>,
    /// Once per element of this expression, as `item` (or `as`) and `loop.index` from 1.
    pub loop_over: Option<Arc<Expression>>,
    /// The loop variable's name.
    pub as_name: String,
    /// The name under which later steps see the result.
    pub register: Option<String>,
    /// Retries.
    pub retry: Option<Retry>,
    /// The step's limit; `None` means the run's command limit.
    pub timeout: Option<Duration>,
    /// The user to run as through sudo.
    pub sudo: Option<Text>,
    /// Environment variables.
    pub env: IndexMap<String, Text>,
    /// Working directory.
    pub cwd: Option<Text>,
    /// What the command reads on stdin.
    pub stdin: Option<Text>,
    /// Runs once for so many hosts, on the first reachable one; the others wait for it.
    pub once: Option<OnceFor>,
    /// Waits until every host of the batch has come this far or ended.
    pub barrier: bool,
    /// Where it runs.
    pub place: StepPlace,
    /// Exit codes that pass.
    pub ok_rc: Vec<u8>,
    /// Fails if this holds, whatever the exit code.
    pub fail_when: Option<Condition>,
    /// A failure is shown as `ignored` and the host goes on. Never covers an unreachable host.
    pub ignore_errors: bool,
    /// Changes nothing on the host.
    pub read_only: bool,
    /// Output goes to the host's log alone.
    pub quiet: bool,
    /// What a resumed run does where it was interrupted in this step; `None` leaves that to the action.
    pub resume: Option<OnResume>,
    /// The command that [`OnResume::Check`] asks.
    pub check: Option<Text>,
    /// The first value that the step registers stays, even where it runs again.
    pub sticky: bool,
    /// It goes on by itself on its host, whatever becomes of the connection and of fab-rs.
    pub detach: bool,
}

/// What a resumed run does with a step of which it is not known whether it finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OnResume {
    /// Runs it again.
    Rerun,
    /// Runs its `check`: 0 says that it is done, anything else that it runs again.
    Check,
    /// Asks a person.
    Ask,
}

impl Step {
    /// What a resumed run does with it.
    pub fn on_resume(&self) -> OnResume {
        let asks = match &self.action {
            Action::Run(_) | Action::Script(_) | Action::Local(_) => !self.modifiers.read_only,
            Action::Reboot => true,
            _ => false,
        };
        let default = if asks { OnResume::Ask } else { OnResume::Rerun };
        self.modifiers.resume.unwrap_or(default)
    }

    /// Whether it may change something outside fab-rs.
    pub fn changes(&self) -> bool {
        let reads = matches!(
            self.action,
            Action::Log(_)
                | Action::Set(_)
                | Action::Assert { .. }
                | Action::Fail(_)
                | Action::Pause(_)
                | Action::WaitFor(_)
                | Action::Download(_)
                | Action::Confirm(_)
        );
        !self.modifiers.read_only && !reads
    }
}
