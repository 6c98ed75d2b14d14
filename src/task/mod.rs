//! Tasks: the YAML as written, checked, and ready to be planned.

mod decode;
mod definition;
mod files;
mod params;
mod shell_text;
mod step;
mod text;

pub use decode::{document_name, read, read_document};
pub use definition::{GateAt, Kind, OnFailure, Strategy, Task};
pub use files::{Files, NoFiles};
pub use params::{Param, ParamType, ParamValue};
pub use step::{
    Action, Condition, Copy, CopyContent, Download, Group, Local, Modifiers, Probe, ProbeKind,
    Question, Retry, RunProgram, Script, Step, SubTask, WaitFor, WhereTo,
};
pub use text::{Expression, Quoting, Template, Text};
