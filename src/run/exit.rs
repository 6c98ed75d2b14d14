//! The exit status and the state of a run, computed from how its hosts ended and what stopped it. Pure.
//!
//! The table is the README's. Several at once: 70, 6, 5, 124, 129/130/143, 8, 9, 4, 10, 1, 3.

use crate::model::{CancelReason, ExitStatus, HostOutcome};
use crate::task::Kind;

use super::cancel::Rung;
use super::course::Undone;

/// What decided how a run ended, besides its hosts.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own; their precedence is what stands here"
)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ending {
    /// Whether the run changes hosts.
    pub(crate) kind: Kind,
    /// A part of fab-rs itself broke.
    pub(crate) internal: bool,
    /// Hosts could not be worked on; nothing was changed.
    pub(crate) preflight: bool,
    /// Another run has the lock; nothing was changed.
    pub(crate) locked: bool,
    /// The start gate was answered with no.
    pub(crate) refused: bool,
    /// It was paused at a gate.
    pub(crate) paused: bool,
    /// A budget was passed, a step that all hosts depend on failed, health was missing, or a gate said so.
    pub(crate) stopped: bool,
    /// Hosts were to be rolled back; what came of it.
    pub(crate) undone: Option<Undone>,
    /// The highest reason to stop.
    pub(crate) reason: Option<CancelReason>,
    /// How far the run was asked to stop.
    pub(crate) rung: Option<Rung>,
}

impl Ending {
    /// The exit status of a run whose hosts ended like this.
    pub(crate) fn status<'a>(
        self,
        outcomes: impl IntoIterator<Item = &'a HostOutcome>,
    ) -> ExitStatus {
        let hosts = outcomes
            .into_iter()
            .map(host_status)
            .max()
            .unwrap_or(Worst::Ok);
        // Only a reader or a limit that took nothing from the run leaves its status alone; a signal says
        // that somebody wanted an end.
        let undone = hosts == Worst::Failed;
        match self.reason {
            _ if self.internal => ExitStatus::Internal,
            _ if self.undone == Some(Undone::Partly) => ExitStatus::RollbackIncomplete,
            _ if self.undone == Some(Undone::Whole) => ExitStatus::RolledBack,
            // Whatever the hosts came to on the way forward, they are on their way back.
            Some(CancelReason::Deadline) if self.undone.is_some() => ExitStatus::Deadline,
            Some(CancelReason::Deadline) if undone => ExitStatus::Deadline,
            Some(CancelReason::ClosedPipe) if undone => ExitStatus::Interrupt,
            Some(CancelReason::Hangup) => ExitStatus::Hangup,
            Some(CancelReason::Terminate) => ExitStatus::Terminate,
            Some(CancelReason::Interrupt) => ExitStatus::Interrupt,
            _ if self.preflight => ExitStatus::Preflight,
            _ if self.locked => ExitStatus::Locked,
            _ if self.refused || (self.stopped && self.kind == Kind::Change) => ExitStatus::Stopped,
            _ if self.paused => ExitStatus::Paused,
            _ => match hosts {
                Worst::Failed => ExitStatus::HostsFailed,
                Worst::Unreachable => ExitStatus::Unreachable,
                Worst::Ok => ExitStatus::Ok,
            },
        }
    }

    /// The run's state as records name it. A stop that took nothing from any host leaves what they came to; the
    /// status still says that somebody wanted an end.
    pub(crate) fn state<'a>(
        self,
        status: ExitStatus,
        outcomes: impl IntoIterator<Item = &'a HostOutcome>,
    ) -> &'static str {
        let mut worst = Worst::Ok;
        let mut undone = false;
        for outcome in outcomes {
            worst = worst.max(host_status(outcome));
            undone |= matches!(
                outcome,
                HostOutcome::NotRun { .. } | HostOutcome::Cancelled { .. }
            );
        }
        match status {
            _ if self.undone == Some(Undone::Cut) => "interrupted",
            ExitStatus::Interrupt | ExitStatus::Terminate | ExitStatus::Hangup if !undone => {
                if worst == Worst::Ok {
                    "done"
                } else {
                    "done_partial"
                }
            }
            ExitStatus::Ok => "done",
            ExitStatus::RolledBack => "rolled_back",
            ExitStatus::RollbackIncomplete => "rollback_failed",
            ExitStatus::Preflight | ExitStatus::Locked => "aborted",
            ExitStatus::Stopped if self.refused => "aborted",
            ExitStatus::Stopped => "failed",
            ExitStatus::HostsFailed | ExitStatus::Unreachable => "done_partial",
            _ if self.internal => "failed",
            _ if self.rung == Some(Rung::Kill) => "interrupted",
            ExitStatus::Deadline => "failed",
            _ => "paused",
        }
    }
}

/// What one host's outcome asks of the exit status, worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Worst {
    Ok,
    Unreachable,
    Failed,
}

fn host_status(outcome: &HostOutcome) -> Worst {
    match outcome {
        HostOutcome::Ok | HostOutcome::Gone => Worst::Ok,
        HostOutcome::Unreachable { .. } => Worst::Unreachable,
        HostOutcome::Failed { .. }
        | HostOutcome::TimedOut { .. }
        | HostOutcome::Unhealthy { .. }
        | HostOutcome::Unknown { .. }
        | HostOutcome::Cancelled { .. }
        | HostOutcome::NotRun { .. } => Worst::Failed,
    }
}

#[cfg(test)]
mod tests {
    use crate::model::UnreachableKind;

    use super::*;

    fn outcomes(words: &str) -> Vec<HostOutcome> {
        let one = |word| match word {
            "ok" => HostOutcome::Ok,
            "gone" => HostOutcome::Gone,
            "failed" => HostOutcome::Failed {
                step: "s".into(),
                exit_code: Some(1),
                cause: "exit 1".into(),
            },
            "unreachable" => HostOutcome::Unreachable {
                kind: UnreachableKind::Refused,
                causes: vec![],
                hints: vec![],
            },
            "timed_out" => HostOutcome::TimedOut {
                step: "s".into(),
                limit_ms: 1,
                ended: true,
            },
            "unknown" => HostOutcome::Unknown {
                step: "s".into(),
                doubt: crate::model::Doubt::Lost,
            },
            "unhealthy" => HostOutcome::Unhealthy {
                check: "c".into(),
                cause: String::new(),
            },
            "cancelled" => HostOutcome::Cancelled {
                reason: CancelReason::Interrupt,
                step: None,
                ended: true,
            },
            "not_run" => HostOutcome::NotRun { reason: "r".into() },
            other => panic!("{other}"),
        };
        words.split_whitespace().map(one).collect()
    }

    fn ending(reason: Option<CancelReason>) -> Ending {
        Ending {
            kind: Kind::Change,
            internal: false,
            preflight: false,
            locked: false,
            refused: false,
            paused: false,
            stopped: false,
            undone: None,
            reason,
            rung: reason.map(|_| Rung::Drain),
        }
    }

    fn code_and_state(ending: Ending, words: &str) -> (u8, &'static str) {
        let status = ending.status(&outcomes(words));
        (status.code(), ending.state(status, &outcomes(words)))
    }

    #[test]
    fn hosts_alone_decide_where_nothing_stopped_the_run() {
        for (words, expected) in [
            ("", (0, "done")),
            ("ok ok gone", (0, "done")),
            ("gone", (0, "done")),
            ("ok unreachable", (3, "done_partial")),
            ("unreachable failed", (1, "done_partial")),
            ("ok timed_out", (1, "done_partial")),
            ("unknown", (1, "done_partial")),
            ("unhealthy", (1, "done_partial")),
            ("cancelled", (1, "done_partial")),
            ("ok not_run", (1, "done_partial")),
        ] {
            assert_eq!(code_and_state(ending(None), words), expected, "{words}");
        }
    }

    #[test]
    fn what_stopped_the_run_comes_before_its_hosts() {
        use CancelReason::{ClosedPipe, Deadline, Hangup, HostFailed, Interrupt, Terminate};
        for (reason, words, expected) in [
            (Some(Interrupt), "ok failed not_run", (130, "paused")),
            (Some(Interrupt), "ok", (130, "done")),
            (Some(Interrupt), "ok failed", (130, "done_partial")),
            (Some(Interrupt), "ok cancelled", (130, "paused")),
            (Some(Terminate), "ok not_run", (143, "paused")),
            (Some(Hangup), "ok not_run", (129, "paused")),
            (Some(Deadline), "ok not_run", (124, "failed")),
            (Some(Deadline), "ok ok", (0, "done")),
            (Some(ClosedPipe), "ok", (0, "done")),
            (Some(ClosedPipe), "cancelled", (130, "paused")),
            (Some(HostFailed), "failed not_run", (1, "done_partial")),
        ] {
            assert_eq!(
                code_and_state(ending(reason), words),
                expected,
                "{reason:?} {words}"
            );
        }
    }

    #[test]
    fn a_stopped_rollout_is_4_and_a_stopped_read_is_1() {
        let stopped = Ending {
            stopped: true,
            ..ending(Some(CancelReason::HostFailed))
        };
        assert_eq!(code_and_state(stopped, "failed not_run"), (4, "failed"));
        assert_eq!(code_and_state(stopped, "unreachable"), (4, "failed"));
        let read = Ending {
            kind: Kind::Read,
            ..stopped
        };
        assert_eq!(code_and_state(read, "failed not_run"), (1, "done_partial"));
    }

    #[test]
    fn precedence_is_70_124_signal_4() {
        let all = Ending {
            internal: true,
            refused: true,
            stopped: true,
            ..ending(Some(CancelReason::Interrupt))
        };
        assert_eq!(code_and_state(all, "failed").0, 70);
        let no_bug = Ending {
            internal: false,
            ..all
        };
        assert_eq!(code_and_state(no_bug, "failed").0, 130);
        let no_signal = Ending {
            reason: Some(CancelReason::HostFailed),
            ..no_bug
        };
        assert_eq!(code_and_state(no_signal, "not_run"), (4, "aborted"));
    }

    #[test]
    fn a_rollback_that_was_cut_off_is_interrupted_whatever_its_hosts_came_to() {
        use CancelReason::{Deadline, Interrupt, Terminate};
        for (reason, undone, expected) in [
            (Interrupt, Undone::Cut, (130, "interrupted")),
            (Terminate, Undone::Cut, (143, "interrupted")),
            (Deadline, Undone::Cut, (124, "interrupted")),
            (Interrupt, Undone::Whole, (5, "rolled_back")),
            (Interrupt, Undone::Partly, (6, "rollback_failed")),
        ] {
            for words in ["ok ok", "ok failed not_run"] {
                let cut = Ending {
                    undone: Some(undone),
                    stopped: true,
                    rung: Some(Rung::Kill),
                    ..ending(Some(reason))
                };
                assert_eq!(code_and_state(cut, words), expected, "{undone:?} {words}");
            }
        }
    }

    #[test]
    fn a_second_signal_leaves_the_run_interrupted() {
        let killed = Ending {
            rung: Some(Rung::Kill),
            ..ending(Some(CancelReason::Interrupt))
        };
        assert_eq!(code_and_state(killed, "cancelled"), (130, "interrupted"));
    }
}
