//! A unit of a machine as its systemd describes it. Asking systemd is `machine`'s job.

use std::time::Duration;

use anyhow::{Context as _, Result};

/// The properties that [`UnitState::parse`] needs.
pub(crate) const PROPERTIES: &str =
    "ActiveState,SubState,Result,MainPID,NRestarts,ActiveEnterTimestampMonotonic";

/// What `systemctl show` says of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitState {
    /// `active`, `activating`, `inactive`, `failed`.
    pub active: String,
    /// `running`, `auto-restart`, `dead`.
    pub sub: String,
    /// `success`, `exit-code`, `timeout`.
    pub result: String,
    /// The main process as the machine numbers it; 0 without one.
    pub main_pid: u32,
    /// How often systemd started it again by itself.
    pub restarts: u32,
    /// When it last became active, after the start of the kernel, which all machines share: comparable between machines.
    pub active_since: Duration,
}

impl UnitState {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let value = |key: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
                .with_context(|| format!("systemctl show says nothing of {key}: {text}"))
        };
        let number = |key: &str| -> Result<u64> {
            let text = value(key)?;
            text.parse().with_context(|| format!("{key} is `{text}`"))
        };
        Ok(Self {
            active: value("ActiveState")?.to_owned(),
            sub: value("SubState")?.to_owned(),
            result: value("Result")?.to_owned(),
            main_pid: u32::try_from(number("MainPID")?).context("a process number")?,
            restarts: u32::try_from(number("NRestarts")?).context("a count")?,
            active_since: Duration::from_micros(number("ActiveEnterTimestampMonotonic")?),
        })
    }
}

/// The times of `journalctl -o short-unix`, as time after 1970.
pub(crate) fn unix_times(text: &str) -> Vec<Duration> {
    let seconds = |line: &str| line.split(' ').next()?.parse::<f64>().ok();
    text.lines()
        .filter_map(seconds)
        .map(Duration::from_secs_f64)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{UnitState, unix_times};

    #[test]
    fn what_systemctl_shows_is_read() {
        let text = "MainPID=42\nNRestarts=3\nResult=exit-code\nActiveState=activating\n\
                    SubState=auto-restart\nActiveEnterTimestampMonotonic=1500000\n";
        let state = UnitState::parse(text).unwrap();
        assert_eq!((state.main_pid, state.restarts), (42, 3));
        assert_eq!(state.active_since, Duration::from_millis(1500));
        assert_eq!(
            (
                state.active.as_str(),
                state.sub.as_str(),
                state.result.as_str()
            ),
            ("activating", "auto-restart", "exit-code")
        );
        assert!(UnitState::parse("MainPID=42\n").is_err());
    }

    #[test]
    fn only_lines_with_a_time_count() {
        let text = "-- Boot 4c2f --\n12.250000 a1 systemd[1]: Started api.service.\n";
        assert_eq!(unix_times(text), [Duration::from_millis(12_250)]);
    }
}
