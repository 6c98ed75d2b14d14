//! The exit statuses of fab-rs: frozen; the README's table is compared with this enum by a test.

/// What fab-rs ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ExitStatus {
    /// Every host succeeded.
    Ok = 0,
    /// Finished; some host failed, timed out, is unhealthy, unknown, cancelled or left undone.
    HostsFailed = 1,
    /// Refused: usage, files, templates, plan; nothing ran.
    Refused = 2,
    /// Finished; some host unreachable, none failed.
    Unreachable = 3,
    /// Rollout stopped (budget, health, canary, gate), not rolled back; resumable.
    Stopped = 4,
    /// Failed; every host in the rollback's scope is restored.
    RolledBack = 5,
    /// Rollback incomplete: needs a human.
    RollbackIncomplete = 6,
    /// No host matched, or the fleet drifted from the plan.
    NoHost = 7,
    /// Preflight failed; nothing changed.
    Preflight = 8,
    /// Lock held by another run.
    Locked = 9,
    /// Paused; resumable.
    Paused = 10,
    /// Internal error.
    Internal = 70,
    /// Deadline passed; resumable.
    Deadline = 124,
    /// Stopped by SIGHUP; resumable.
    Hangup = 129,
    /// Stopped by SIGINT; resumable.
    Interrupt = 130,
    /// Stopped by SIGTERM; resumable.
    Terminate = 143,
}

impl ExitStatus {
    /// Every status, in rising order.
    pub const ALL: [Self; 16] = [
        Self::Ok,
        Self::HostsFailed,
        Self::Refused,
        Self::Unreachable,
        Self::Stopped,
        Self::RolledBack,
        Self::RollbackIncomplete,
        Self::NoHost,
        Self::Preflight,
        Self::Locked,
        Self::Paused,
        Self::Internal,
        Self::Deadline,
        Self::Hangup,
        Self::Interrupt,
        Self::Terminate,
    ];

    /// The status of this number.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.code() == code)
    }

    /// The number that the process ends with.
    pub fn code(self) -> u8 {
        self as u8
    }
}
