//! The ladder of stopping: what each signal adds to what was asked before. Pure.
//!
//! First signal: start nothing new, let running hosts finish. Second: end the remote process groups. The
//! third, which ends the process whatever is stuck, is armed by `app` and never comes here.

use crate::model::CancelReason;
use crate::task::Kind;

/// What came from outside and asks the run to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP: the terminal went away.
    Hangup,
    /// Nobody reads the output any more. Ends a `read` run like a second Ctrl-C; a `change` goes on.
    ClosedPipe,
}

impl Signal {
    /// The signal as a reason to stop.
    fn reason(self) -> CancelReason {
        match self {
            Self::Interrupt => CancelReason::Interrupt,
            Self::Terminate => CancelReason::Terminate,
            Self::Hangup => CancelReason::Hangup,
            Self::ClosedPipe => CancelReason::ClosedPipe,
        }
    }
}

/// How far a run has been asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rung {
    /// Start nothing new.
    Drain,
    /// End what runs.
    Kill,
}

/// Why and how far the run stops. Both only ever rise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Ladder {
    reason: Option<CancelReason>,
    rung: Option<Rung>,
    /// Signals that came, which is not the rung: a stop for another reason costs the first Ctrl-C nothing.
    signalled: bool,
}

impl Ladder {
    /// The highest reason so far.
    pub(crate) fn reason(self) -> Option<CancelReason> {
        self.reason
    }

    /// How far it went.
    pub(crate) fn rung(self) -> Option<Rung> {
        self.rung
    }

    /// Whether a further push of this height ends what runs: the first signal does not, even where a rule of the
    /// rollout ended what ran before it.
    pub(crate) fn ends(self, before: Self) -> bool {
        self.rung == Some(Rung::Kill) && (before.rung != Some(Rung::Kill) || before.signalled)
    }

    /// The ladder after a reason that asks for `rung`.
    pub(crate) fn raised(self, reason: CancelReason, rung: Rung) -> Self {
        Self {
            reason: self.reason.max(Some(reason)),
            rung: self.rung.max(Some(rung)),
            ..self
        }
    }

    /// The ladder after a signal to a run of this kind.
    pub(crate) fn signalled(self, signal: Signal, kind: Kind) -> Self {
        match (signal, kind) {
            (Signal::ClosedPipe, Kind::Change) => self,
            (Signal::ClosedPipe, Kind::Read) => self.raised(signal.reason(), Rung::Kill),
            _ => {
                let rung = if self.signalled {
                    Rung::Kill
                } else {
                    Rung::Drain
                };
                Self {
                    signalled: true,
                    ..self.raised(signal.reason(), rung)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_signal_ends_what_runs_whatever_its_kind() {
        let once = Ladder::default().signalled(Signal::Interrupt, Kind::Change);
        assert_eq!(once.rung(), Some(Rung::Drain));
        let twice = once.signalled(Signal::Hangup, Kind::Change);
        assert_eq!(twice.rung(), Some(Rung::Kill));
        assert_eq!(twice.reason(), Some(CancelReason::Interrupt));
    }

    #[test]
    fn a_stop_for_failed_hosts_leaves_the_first_signal_gentle() {
        let failed = Ladder::default().raised(CancelReason::HostFailed, Rung::Drain);
        let once = failed.signalled(Signal::Interrupt, Kind::Change);
        assert_eq!(
            (once.rung(), once.reason()),
            (Some(Rung::Drain), Some(CancelReason::Interrupt))
        );
    }

    #[test]
    fn the_first_signal_ends_nothing_where_a_rule_ended_what_ran() {
        let cancelled = Ladder::default().raised(CancelReason::HostFailed, Rung::Kill);
        let once = cancelled.signalled(Signal::Interrupt, Kind::Change);
        assert!(!once.ends(cancelled));
        assert!(once.signalled(Signal::Interrupt, Kind::Change).ends(once));
        let start = Ladder::default();
        assert!(start.signalled(Signal::ClosedPipe, Kind::Read).ends(start));
    }

    #[test]
    fn a_closed_pipe_ends_a_read_and_not_a_change() {
        let start = Ladder::default();
        assert_eq!(
            start.signalled(Signal::ClosedPipe, Kind::Read).rung(),
            Some(Rung::Kill)
        );
        assert_eq!(start.signalled(Signal::ClosedPipe, Kind::Change), start);
    }
}
