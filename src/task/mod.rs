//! Tasks: the YAML as written, checked, and ready to be planned.

mod definition;
mod params;
mod step;
mod text;

pub use definition::{GateAt, Kind, OnFailure, Strategy, Task};
pub use params::{Param, ParamType, ParamValue};
pub use step::{
    Action, Condition, Copy, CopyContent, Download, FileCheck, Group, Local, Modifiers, Probe,
    ProbeKind, Question, Retry, RunProgram, Script, Step, SubTask, WaitFor, WhereTo,
};
pub use text::{Expression, Quoting, Template, Text};
