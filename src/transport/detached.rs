//! A step that is left alone on its host: where it lies there, what is asked about it, and how it stands. What
//! does it all are the scripts in `detached/`; starting one is `preamble`'s.

use std::fmt::Write as _;
use std::sync::LazyLock;
use std::time::Duration;

use super::preamble::{sudo_user, without_comments};
use super::{Program, RemoteCommand, Sudo};

/// Everything that is asked about a detached step.
static SCRIPT: LazyLock<String> = LazyLock::new(|| {
    without_comments(concat!(
        include_str!("group.sh"),
        include_str!("detached/folder.sh"),
        include_str!("detached/detached.sh")
    ))
});

/// Where they lie: it survives a reboot, and everybody may make files there.
const BASE: &str = "/var/tmp";

/// The longest part of a folder's name that comes from one of the user's names.
const LONGEST: usize = 80;

/// The exit code of starting and of following where it is decided that the step is never begun in its folder.
pub const NEVER_BEGUN: u8 = 4;

/// How a command is left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detach {
    /// Where it lies. It is begun there once at most, however often it is sent.
    pub folder: DetachedFolder,
    /// How long it may take; kept by the host.
    pub limit: Option<Duration>,
}

/// The folder of a detached step on its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetachedFolder {
    base: String,
    /// Whose it is; `None` is the login user, whatever the name is there.
    user: Option<String>,
    run: String,
    name: String,
}

/// How a detached step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DetachedState {
    /// There is no such folder.
    Absent,
    /// It was not begun, and may be yet.
    Waiting,
    /// It was not begun, and it is decided that it never is.
    Void,
    /// It runs.
    Runs,
    /// It ended with this exit code.
    Ended(u8, Ending),
    /// The host was started anew meanwhile; how far it got is not known.
    Rebooted,
    /// What waited for it was killed; how it ended is not known.
    Died {
        /// It still runs.
        runs: bool,
    },
}

/// Why a detached step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// By itself.
    Own,
    /// At its limit.
    Limit {
        /// Nothing of it is left.
        gone: bool,
    },
    /// It was told to.
    Asked {
        /// Nothing of it is left.
        gone: bool,
    },
}

impl DetachedFolder {
    /// The folder of a run's step of this name, which runs as this user.
    pub fn new(run: &str, name: &str, sudo: &Sudo) -> Self {
        Self {
            base: BASE.to_owned(),
            user: sudo_user(sudo).map(str::to_owned),
            run: run.to_owned(),
            name: name.to_owned(),
        }
    }

    /// A name for the folder of a host's step, the `number`th that the run detaches: letters, digits and `-._%`.
    pub fn name_of(host: &str, step: &str, number: usize) -> String {
        format!("{}-{}.{number}", encoded(host), encoded(step))
    }

    /// Its path, as a person types it there: a login user's name is left to the shell.
    pub fn path(&self) -> String {
        let user = self.user.as_deref().unwrap_or("*");
        format!("{}/fab-rs-{user}/{}/{}", self.base, self.run, self.name)
    }

    pub(super) fn words(&self) -> [&str; 3] {
        [&self.base, &self.run, &self.name]
    }

    /// Prints how it stands: [`DetachedState::parse`].
    pub fn look(&self, sudo: &Sudo) -> RemoteCommand {
        self.ask("look", &[], sudo)
    }

    /// Prints its output from these bytes of stdout and stderr on, each on its own stream, until it ends; exits with
    /// [`NEVER_BEGUN`] where it never is.
    pub fn follow(&self, (stdout, stderr): (u64, u64), sudo: &Sudo) -> RemoteCommand {
        self.ask("follow", &[stdout, stderr], sudo)
    }

    /// Ends it; prints how it stands then.
    pub fn end(&self, sudo: &Sudo) -> RemoteCommand {
        self.ask("end", &[], sudo)
    }

    /// Removes it unless it runs; prints how it stands then.
    pub fn remove(&self, sudo: &Sudo) -> RemoteCommand {
        self.ask("remove", &[], sudo)
    }

    fn ask(&self, verb: &str, numbers: &[u64], sudo: &Sudo) -> RemoteCommand {
        let script = ["sh", "-c", &*SCRIPT, "fab-rs-detached", verb];
        let words = script.into_iter().chain(self.words()).map(str::to_owned);
        let words = words.chain(numbers.iter().map(u64::to_string));
        let mut command = RemoteCommand::new(Program::Argv(words.collect()));
        command.sudo = sudo.clone();
        command
    }

    /// The same folder in another place than that of hosts.
    #[cfg(test)]
    pub(super) fn below(mut self, base: &std::path::Path) -> Self {
        base.to_str()
            .expect("a test's folder is UTF-8")
            .clone_into(&mut self.base);
        self
    }
}

impl DetachedState {
    /// Reads what a host printed.
    pub fn parse(printed: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(printed).ok()?;
        let words: Vec<&str> = text.split_whitespace().collect();
        Some(match words[..] {
            ["absent"] => Self::Absent,
            ["waiting"] => Self::Waiting,
            ["void"] => Self::Void,
            ["runs"] => Self::Runs,
            ["rebooted"] => Self::Rebooted,
            ["died", "runs"] => Self::Died { runs: true },
            ["died", "gone"] => Self::Died { runs: false },
            ["ended", code, why, proof] => {
                let gone = match proof {
                    "g" => true,
                    "u" => false,
                    _ => return None,
                };
                let ending = match why {
                    "n" => Ending::Own,
                    "t" => Ending::Limit { gone },
                    "e" => Ending::Asked { gone },
                    _ => return None,
                };
                Self::Ended(code.parse().ok()?, ending)
            }
            _ => return None,
        })
    }
}

/// A name of the user's as part of a file's name.
fn encoded(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        let plain = byte.is_ascii_alphanumeric()
            || byte == b'_'
            || (matches!(byte, b'.' | b'-') && !text.is_empty());
        if plain {
            text.push(char::from(byte));
        } else {
            write!(text, "%{byte:02X}").expect("writing to a String cannot fail");
        }
        if text.len() >= LONGEST {
            break;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_whatever_the_user_named() {
        let name = |host: &str, step: &str| DetachedFolder::name_of(host, step, 3);
        assert_eq!(name("app-1", "dump"), "app-1-dump.3");
        assert_eq!(
            name("../x", "outer/inner"),
            "%2E./x-".replace("./", ".%2F") + "outer%2Finner.3"
        );
        assert_eq!(name("-rf", "a b'\n"), "%2Drf-a%20b%27%0A.3");
        assert_eq!(name("é", ""), "%C3%A9-.3");
        assert!(name(&"x".repeat(500), &"/".repeat(500)).len() < 200);
    }

    #[test]
    fn what_a_host_says_is_read_or_not_at_all() {
        let read = |text: &str| DetachedState::parse(text.as_bytes());
        let ended = |code, ending| Some(DetachedState::Ended(code, ending));
        assert_eq!(read("ended 0 n g\n"), ended(0, Ending::Own));
        assert_eq!(
            read("ended 143 t u\n"),
            ended(143, Ending::Limit { gone: false })
        );
        assert_eq!(
            read("ended 143 e g\n"),
            ended(143, Ending::Asked { gone: true })
        );
        assert_eq!(read("void\n"), Some(DetachedState::Void));
        assert_eq!(read("died runs"), Some(DetachedState::Died { runs: true }));
        for text in [
            "",
            "ended",
            "ended 300 n g",
            "ended 1 x g",
            "ended 1 n",
            "runs on",
            "died",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
