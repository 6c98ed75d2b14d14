//! Tasks: the YAML as written, checked, and ready to be planned.

pub mod adhoc;
mod decode;
mod definition;
mod files;
pub mod library;
mod param_given;
mod param_parse;
mod param_value;
mod params;
mod reads;
mod schema;
mod scope;
mod shell_text;
mod span;
mod step;
mod strategy;
mod sub_scope;
mod template;
mod text;

pub use decode::{document_name, read, read_document};
pub use definition::{Kind, LockKey, MAIN, Task, TaskPhase};
pub use files::{Files, NoFiles};
pub use param_given::{CommonParams, GivenParams, ParamSource};
pub use params::{Param, ParamType, ParamValue};
pub use reads::Reads;
pub use schema::task_schema;
pub use scope::{
    BatchPlace, Facts, RegisterValue, Results, Rollout, RunFacts, Scope, StepError, ZonePlace,
};
pub use span::{OpenSpan, SpanOf};
pub use step::{
    Action, Check, Condition, Copy, CopyContent, Download, FileCheck, Group, Local, Modifiers,
    OnResume, OnceFor, Probe, ProbeKind, Question, Retry, RunProgram, Script, Step, StepPlace,
    SubScope, SubTask, WaitFor, WhereTo,
};
pub use strategy::{
    Bakes, By, Canary, GateAt, HostOrder, Mode, Notice, Occasion, OnFailure, OnStop, Quorum,
    Strategy, WhenUnreachable, ZoneOrder,
};
pub use template::{Engine, Fab, NamePath, Names, Outside, expression_names, template_names};
pub use text::{Expression, Quoting, Template, Text};
