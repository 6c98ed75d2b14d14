//! How an attempt at a step ended, and what that means for its host. Pure.

use std::time::Duration;

use crate::model::{Doubt, HostOutcome, UnreachableKind};
use crate::run::event::{StepRef, StepResult};

/// How one attempt at a step ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum End {
    Passed {
        exit_code: Option<u8>,
        changed: Option<bool>,
    },
    Failed {
        exit_code: Option<u8>,
        cause: String,
    },
    /// A limit passed; `ended` where nothing of it is left on the host.
    TimedOut { limit: Duration, ended: bool },
    /// The connection died under a command.
    Lost,
    /// The host cannot be reached any more; nothing of this step was sent.
    Unreachable {
        kind: UnreachableKind,
        causes: Vec<String>,
        hints: Vec<String>,
    },
    /// The run was told to end what runs.
    Cancelled { ended: bool },
    /// This machine cannot go on with the host: its log cannot be written.
    Broken { cause: String },
    /// A step inside a group failed.
    Inner(Box<Fault>),
}

impl End {
    /// It passed and nothing is known of changes.
    pub(crate) fn passed() -> Self {
        Self::Passed {
            exit_code: None,
            changed: None,
        }
    }

    /// It passed, and did or did not change something.
    pub(crate) fn changed(changed: bool) -> Self {
        Self::Passed {
            exit_code: None,
            changed: Some(changed),
        }
    }

    /// It failed without an exit code.
    pub(crate) fn failed(cause: impl Into<String>) -> Self {
        Self::Failed {
            exit_code: None,
            cause: cause.into(),
        }
    }

    /// One line saying why it did not pass.
    pub(crate) fn cause(&self) -> String {
        match self {
            Self::Passed { .. } => String::new(),
            Self::Failed { cause, .. } | Self::Broken { cause } => cause.clone(),
            Self::TimedOut { limit, .. } => {
                format!("no answer within {}", crate::model::format_duration(*limit))
            }
            Self::Lost => "the connection was lost".to_owned(),
            Self::Unreachable { causes, .. } => causes.first().cloned().unwrap_or_default(),
            Self::Cancelled { .. } => "cancelled".to_owned(),
            Self::Inner(fault) => fault.cause(),
        }
    }

    /// Whether it passed.
    pub(crate) fn is_ok(&self) -> bool {
        matches!(self, Self::Passed { .. })
    }

    /// The exit code, where there is one.
    pub(crate) fn exit_code(&self) -> Option<u8> {
        match self {
            Self::Passed { exit_code, .. } | Self::Failed { exit_code, .. } => *exit_code,
            Self::Inner(fault) => match &**fault {
                Fault::Failed { exit_code, .. } => *exit_code,
                _ => None,
            },
            _ => None,
        }
    }

    /// How the step's end is told.
    pub(crate) fn result(&self) -> StepResult {
        match self {
            Self::Passed { exit_code, changed } => StepResult::Ok {
                exit_code: *exit_code,
                changed: *changed,
            },
            Self::Failed { exit_code, cause } => StepResult::Failed {
                exit_code: *exit_code,
                cause: cause.clone(),
            },
            Self::TimedOut { limit, .. } => StepResult::TimedOut {
                limit_ms: millis(*limit),
            },
            Self::Lost => StepResult::Unknown,
            Self::Unreachable { causes, .. } => StepResult::Failed {
                exit_code: None,
                cause: causes.first().cloned().unwrap_or_default(),
            },
            Self::Cancelled { .. } => StepResult::Cancelled,
            Self::Broken { cause } => StepResult::Failed {
                exit_code: None,
                cause: cause.clone(),
            },
            Self::Inner(fault) => StepResult::Failed {
                exit_code: self.exit_code(),
                cause: fault.cause(),
            },
        }
    }

    /// The fault for the host, where it did not pass.
    pub(crate) fn fault(self, step: &StepRef) -> Option<Fault> {
        let step = step.clone();
        Some(match self {
            Self::Passed { .. } => return None,
            Self::Failed { exit_code, cause } => Fault::Failed {
                step,
                exit_code,
                cause,
            },
            Self::TimedOut { limit, ended } => Fault::TimedOut { step, limit, ended },
            Self::Lost => Fault::Lost { step },
            Self::Unreachable {
                kind,
                causes,
                hints,
            } => Fault::Unreachable {
                step,
                kind,
                causes,
                hints,
            },
            Self::Cancelled { ended } => Fault::Cancelled {
                step: Some(step),
                ended,
            },
            Self::Broken { cause } => Fault::Broken { step, cause },
            Self::Inner(fault) => *fault,
        })
    }
}

/// Everything that one attempt leaves.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Done {
    pub(crate) end: End,
    /// Captured output, masked, cut at 64 KiB; empty where nobody reads it.
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl From<End> for Done {
    fn from(end: End) -> Self {
        Self {
            end,
            stdout: Vec::new(),
            stderr: Vec::new(),
        }
    }
}

/// Why a host's steps go no further.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fault {
    Failed {
        step: StepRef,
        exit_code: Option<u8>,
        cause: String,
    },
    TimedOut {
        step: StepRef,
        limit: Duration,
        ended: bool,
    },
    Lost {
        step: StepRef,
    },
    /// It was interrupted in an earlier process of the run, and left as it is.
    Left {
        step: StepRef,
    },
    Unreachable {
        step: StepRef,
        kind: UnreachableKind,
        causes: Vec<String>,
        hints: Vec<String>,
    },
    Cancelled {
        step: Option<StepRef>,
        ended: bool,
    },
    Broken {
        step: StepRef,
        cause: String,
    },
}

impl Fault {
    /// Whether the step itself failed, so that rescue, `ignore_errors` and `-w` have a say. The rest is
    /// about the connection, this machine or a stop.
    pub(crate) fn is_of_step(&self) -> bool {
        matches!(self, Self::Failed { .. } | Self::TimedOut { .. })
    }

    /// Whether there is no use in trying further steps on the host.
    pub(crate) fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Cancelled { .. } | Self::Broken { .. }
        )
    }

    /// Whether something of the step may still be running.
    pub(crate) fn may_still_run(&self) -> bool {
        matches!(
            self,
            Self::Lost { .. }
                | Self::Left { .. }
                | Self::TimedOut { ended: false, .. }
                | Self::Cancelled { ended: false, .. }
        )
    }

    /// The step.
    pub(crate) fn step(&self) -> Option<&StepRef> {
        match self {
            Self::Failed { step, .. }
            | Self::TimedOut { step, .. }
            | Self::Lost { step }
            | Self::Left { step }
            | Self::Unreachable { step, .. }
            | Self::Broken { step, .. } => Some(step),
            Self::Cancelled { step, .. } => step.as_ref(),
        }
    }

    /// The word for `error.kind`.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Failed { .. } | Self::Broken { .. } => "failed",
            Self::TimedOut { .. } => "timed_out",
            Self::Lost { .. } | Self::Left { .. } => "unknown",
            Self::Unreachable { .. } => "unreachable",
            Self::Cancelled { .. } => "cancelled",
        }
    }

    /// One line saying why.
    pub(crate) fn cause(&self) -> String {
        match self {
            Self::Failed { cause, .. } | Self::Broken { cause, .. } => cause.clone(),
            Self::TimedOut { limit, .. } => {
                format!("timed out after {}", crate::model::format_duration(*limit))
            }
            Self::Lost { .. } => "the connection was lost".to_owned(),
            Self::Left { .. } => "it was interrupted, and is left as it is".to_owned(),
            Self::Unreachable { causes, .. } => causes.first().cloned().unwrap_or_default(),
            Self::Cancelled { .. } => "cancelled".to_owned(),
        }
    }

    /// The host's outcome. `touched` where an earlier step had been sent to the host: such a host is not
    /// merely unreachable, it is half done.
    pub(crate) fn outcome(self, touched: bool, reason: crate::model::CancelReason) -> HostOutcome {
        let named = |step: StepRef| step.name.to_string();
        match self {
            Self::Failed {
                step,
                exit_code,
                cause,
            } => HostOutcome::Failed {
                step: named(step),
                exit_code,
                cause,
            },
            Self::TimedOut { step, limit, ended } => HostOutcome::TimedOut {
                step: named(step),
                limit_ms: millis(limit),
                ended,
            },
            Self::Lost { step } => HostOutcome::Unknown {
                step: named(step),
                doubt: Doubt::Lost,
            },
            Self::Left { step } => HostOutcome::Unknown {
                step: named(step),
                doubt: Doubt::Left,
            },
            Self::Unreachable { step, causes, .. } if touched => HostOutcome::Failed {
                step: named(step),
                exit_code: None,
                cause: format!(
                    "the connection was lost before this step, and again: {}",
                    causes.first().map_or("no connection", String::as_str)
                ),
            },
            Self::Unreachable {
                kind,
                causes,
                hints,
                ..
            } => HostOutcome::Unreachable {
                kind,
                causes,
                hints,
            },
            Self::Cancelled { step, ended } => HostOutcome::Cancelled {
                reason,
                step: step.map(named),
                ended,
            },
            Self::Broken { step, cause } => HostOutcome::Failed {
                step: named(step),
                exit_code: None,
                cause,
            },
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
