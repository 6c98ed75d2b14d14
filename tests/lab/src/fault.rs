//! What can be wrong with a host, and how it is written on a command line (`fails:3`). Causing it is `host`'s job.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One thing that is wrong with a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Nothing listens on the port.
    Refuses,
    /// The connection request is never answered, like a host that is down.
    Unanswered,
    /// The connection is accepted, then silence.
    HangsAfterAccept,
    /// sshd's banner comes, then silence.
    HangsAfterBanner,
    /// The connection is accepted and closed.
    Closes,
    /// The fleet's key is not among the authorized ones.
    RefusesKey,
    /// The known hosts file holds another key.
    WrongHostKey,
    /// The known hosts file holds no key.
    UnknownHostKey,
    /// The connection is cut this many milliseconds after a command starts; the command is not told.
    Drops(u64),
    /// Every command exits at once with this status.
    Fails(u8),
    /// Every command hangs.
    Hangs,
    /// Every command prints without end.
    Floods,
    /// Every command starts this many milliseconds late.
    Slow(u64),
    /// The login user may not use sudo.
    NoSudo,
    /// sudo wants the password [`crate::SUDO_PASSWORD`].
    SudoPassword,
    /// `/var/tmp` has 2 MiB.
    SmallDisk,
    /// The shell's start files print noise on both streams.
    BadShellRc,
    /// There is no `setsid`.
    NoSetsid,
    /// Units that are restarted die again and again.
    CrashLoop,
}

/// Every fault with a sample argument, for tables in help and tests.
pub const ALL: &[Fault] = &[
    Fault::Refuses,
    Fault::Unanswered,
    Fault::HangsAfterAccept,
    Fault::HangsAfterBanner,
    Fault::Closes,
    Fault::RefusesKey,
    Fault::WrongHostKey,
    Fault::UnknownHostKey,
    Fault::Drops(500),
    Fault::Fails(3),
    Fault::Hangs,
    Fault::Floods,
    Fault::Slow(1000),
    Fault::NoSudo,
    Fault::SudoPassword,
    Fault::SmallDisk,
    Fault::BadShellRc,
    Fault::NoSetsid,
    Fault::CrashLoop,
];

impl Fault {
    /// The name without an argument.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Refuses => "refuses",
            Self::Unanswered => "unanswered",
            Self::HangsAfterAccept => "hangs_after_accept",
            Self::HangsAfterBanner => "hangs_after_banner",
            Self::Closes => "closes",
            Self::RefusesKey => "refuses_key",
            Self::WrongHostKey => "wrong_host_key",
            Self::UnknownHostKey => "unknown_host_key",
            Self::Drops(_) => "drops",
            Self::Fails(_) => "fails",
            Self::Hangs => "hangs",
            Self::Floods => "floods",
            Self::Slow(_) => "slow",
            Self::NoSudo => "no_sudo",
            Self::SudoPassword => "sudo_password",
            Self::SmallDisk => "small_disk",
            Self::BadShellRc => "bad_shell_rc",
            Self::NoSetsid => "no_setsid",
            Self::CrashLoop => "crash_loop",
        }
    }

    /// Whether a small TCP program (or nothing) stands in sshd's place.
    pub fn replaces_sshd(&self) -> bool {
        matches!(
            self,
            Self::Refuses
                | Self::Unanswered
                | Self::HangsAfterAccept
                | Self::HangsAfterBanner
                | Self::Closes
        )
    }

    /// The arguments of the forced command that causes the fault, if that is how it is caused.
    pub fn forced_command(&self) -> Option<String> {
        let seconds = |ms: u64| format!("{}.{:03}", ms / 1000, ms % 1000);
        match self {
            Self::Drops(ms) => Some(format!("drops {}", seconds(*ms))),
            Self::Fails(status) => Some(format!("fails {status}")),
            Self::Hangs => Some("hangs".to_owned()),
            Self::Floods => Some("floods".to_owned()),
            Self::Slow(ms) => Some(format!("slow {}", seconds(*ms))),
            _ => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drops(n) | Self::Slow(n) => write!(f, "{}:{n}", self.name()),
            Self::Fails(n) => write!(f, "{}:{n}", self.name()),
            _ => f.write_str(self.name()),
        }
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, argument) = text
            .split_once(':')
            .map_or((text, None), |(n, a)| (n, Some(a)));
        let name = name.replace('-', "_");
        let Some(fault) = ALL.iter().find(|fault| fault.name() == name) else {
            let names: Vec<_> = ALL.iter().map(Fault::name).collect();
            return Err(format!(
                "no fault named `{name}`; there are: {}",
                names.join(", ")
            ));
        };
        let Some(argument) = argument else {
            return Ok(fault.clone());
        };
        let bad = |_| format!("`{argument}` is no number that `{name}` takes");
        match fault {
            Self::Drops(_) => argument.parse().map(Self::Drops).map_err(bad),
            Self::Slow(_) => argument.parse().map(Self::Slow).map_err(bad),
            Self::Fails(_) => argument.parse().map(Self::Fails).map_err(bad),
            _ => Err(format!("`{name}` takes no argument")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ALL, Fault};

    #[test]
    fn what_is_printed_is_read_back() {
        for fault in ALL {
            assert_eq!(fault.to_string().parse::<Fault>().as_ref(), Ok(fault));
        }
    }

    #[test]
    fn a_wrong_name_is_answered_with_the_right_ones() {
        let error = "refused".parse::<Fault>().unwrap_err();
        assert!(
            error.contains("no fault named `refused`") && error.contains("refuses,"),
            "{error}"
        );
        assert_eq!(
            "hangs:3".parse::<Fault>().unwrap_err(),
            "`hangs` takes no argument"
        );
        assert_eq!(
            "fails:300".parse::<Fault>().unwrap_err(),
            "`300` is no number that `fails` takes"
        );
    }
}
