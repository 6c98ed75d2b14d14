//! What the supervisor reads before the program runs: its own text, and the command as shell functions
//! and counted bytes. Pure: composes, sends nothing.
//!
//! Nothing of a task stands in a remote command line. Secrets, scripts and stdin data are counted bytes
//! behind the text, which the supervisor copies into files; they pass through no argv and no variable.

use std::sync::LazyLock;

use super::marker::Nonce;
use super::{Detach, Program, RemoteCommand, Sudo};

/// Reads the supervisor from stdin and becomes it. Lines before the mark are discarded: a password that
/// sudo did not ask for, say. One line without quotes, backslashes and exclamation marks, so that every
/// login shell (csh and fish too) hands it on unchanged between single quotes.
const LOADER: &str = "while IFS= read -r fab_l; do case $fab_l in FAB-RS:*) fab_n=${fab_l#FAB-RS:}; \
     if fab_s=$(dd bs=$fab_n count=1 iflag=fullblock 2>/dev/null); then fab_full=1; \
     else fab_full=; fab_s=$(dd bs=1 count=$fab_n 2>/dev/null); fi; \
     eval \"$fab_s\"; exit 126;; esac; done; exit 126";

/// The supervisor, without its comments.
static SUPERVISOR: LazyLock<String> = LazyLock::new(|| {
    without_comments(concat!(
        include_str!("talk.sh"),
        include_str!("group.sh"),
        include_str!("boot.sh")
    ))
});

/// What starts a detached step in the supervisor's place.
static STARTER: LazyLock<String> = LazyLock::new(|| {
    without_comments(concat!(
        include_str!("talk.sh"),
        include_str!("group.sh"),
        include_str!("detached/folder.sh"),
        include_str!("detached/start.sh")
    ))
});

/// What a detached step is left alone with.
static RUNNER: LazyLock<String> = LazyLock::new(|| {
    without_comments(concat!(
        include_str!("group.sh"),
        include_str!("detached/runner.sh")
    ))
});

/// A shell text of ours without the lines that are only for people. None of ours holds a here-document.
pub(super) fn without_comments(text: &str) -> String {
    text.lines()
        .map(str::trim_start)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .flat_map(|line| [line, "\n"])
        .collect()
}

/// Seconds without a lifeline byte after which the supervisor ends the program: a lost network needs no help
/// of sshd. Four of [`super::supervise`]'s bytes fit in.
const SILENCE: u32 = 60;

/// Longer texts go through a file: Linux takes 128 KiB for one word of an argv.
const LONGEST_WORD: usize = 100_000;

/// Why a command cannot be sent to any host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ComposeError {
    /// A NUL byte fits in no argv and no variable.
    #[error("the {0} holds a NUL byte")]
    Nul(&'static str),
    /// A shell cannot export this name.
    #[error("`{0}` is not a name of an environment variable that a shell can export")]
    Name(String),
    /// There is nothing to run.
    #[error("the command is empty")]
    Empty,
}

/// How the supervisor gets to the user that the command runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Elevation<'a> {
    /// The login user.
    None,
    /// sudo without a password.
    Quiet(&'a str),
    /// sudo reads the password from the first line of stdin.
    Password(&'a str),
}

impl Elevation<'_> {
    /// The words before a command, quoted, with a space behind.
    pub(super) fn words(self) -> String {
        match self {
            Self::None => String::new(),
            Self::Quiet(user) => format!("sudo -n -u {} -- ", quoted_lossy(user)),
            Self::Password(user) => format!("sudo -k -S -p '' -u {} -- ", quoted_lossy(user)),
        }
    }
}

/// The user's name where the command runs under sudo.
pub(super) fn sudo_user(sudo: &Sudo) -> Option<&str> {
    match sudo {
        Sudo::No => None,
        Sudo::User(user) => Some(user),
    }
}

/// The command line that starts the supervisor: constant but for sudo's user.
pub(super) fn command_line(elevation: Elevation<'_>) -> String {
    format!("{}sh -c '{LOADER}' fab-rs", elevation.words())
}

/// The argv that starts the supervisor here.
pub(super) fn local_argv(user: Option<&str>) -> Vec<&str> {
    let mut argv = match user {
        None => Vec::new(),
        Some(user) => vec!["sudo", "-n", "-u", user, "--"],
    };
    argv.extend(["sh", "-c", LOADER, "fab-rs"]);
    argv
}

/// A word for a shell; without the NUL bytes that no shell can take.
pub(super) fn quoted_lossy(word: &str) -> String {
    let word = word.replace('\0', "");
    shlex::try_quote(&word).map_or_else(|_| String::from("''"), std::borrow::Cow::into_owned)
}

fn quoted(word: &str, what: &'static str) -> Result<String, ComposeError> {
    match shlex::try_quote(word) {
        Ok(word) => Ok(word.into_owned()),
        Err(_) => Err(ComposeError::Nul(what)),
    }
}

/// Everything that goes into the supervisor's stdin before the lifeline.
///
/// # Errors
/// Where the command cannot be written as shell text.
pub(super) fn compose(command: &RemoteCommand, nonce: &Nonce) -> Result<Vec<u8>, ComposeError> {
    let mut setup = Setup::default();
    setup.line(&format!("export FAB_MARK={}", nonce.mark()));
    for (name, secret) in &command.secrets {
        let file = format!("FAB_SECRET_{name}");
        let name = exportable(&format!("{file}_FILE"))?.to_owned();
        setup.part(&file, secret.expose().as_bytes());
        setup.line(&format!("export {name}=\"$fab_dir/{file}\""));
    }
    for (name, value) in &command.env {
        let value = quoted(value, "environment")?;
        setup.line(&format!("export {}={value}", exportable(name)?));
    }
    if let Some(cwd) = &command.cwd {
        setup.line(&format!("CDPATH= cd -- {} || exit 126", folder(cwd)?));
    }
    let words = setup.program(&command.program, command.before.as_deref())?;
    setup.line(&format!("fab_exec {}", words.join(" ")));
    if let Some(stdin) = &command.stdin {
        setup.part("stdin", stdin);
    }
    match &command.detach {
        Some(detach) => setup.detached(command, detach, nonce),
        None => Ok(setup.preamble(command, nonce)),
    }
}

/// The names that `export` takes everywhere.
fn exportable(name: &str) -> Result<&str, ComposeError> {
    let mut bytes = name.bytes();
    let first = bytes
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if first && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        Ok(name)
    } else {
        Err(ComposeError::Name(name.to_owned()))
    }
}

/// A folder's name as a word; a leading `~` is the user's home, as in a shell.
fn folder(path: &str) -> Result<String, ComposeError> {
    let what = "working directory";
    match path.strip_prefix('~') {
        Some("") => Ok("\"$HOME\"".to_owned()),
        Some(rest) if rest.starts_with('/') => Ok(format!("\"$HOME\"{}", quoted(rest, what)?)),
        _ => quoted(path, what),
    }
}

/// The two composed functions and the bytes behind them.
#[derive(Debug, Default)]
struct Setup {
    /// The body of `fab_program`.
    body: String,
    /// The commands of `fab_parts`.
    takes: Vec<String>,
    bytes: Vec<u8>,
}

impl Setup {
    fn line(&mut self, line: &str) {
        self.body.push_str(line);
        self.body.push('\n');
    }

    /// Bytes that become the file `name` below `$fab_dir`.
    fn part(&mut self, name: &str, bytes: &[u8]) {
        self.takes.push(match bytes.len() {
            0 => format!(": >\"$fab_dir/{name}\""),
            length => format!("fab_take {length} >\"$fab_dir/{name}\""),
        });
        self.bytes.extend_from_slice(bytes);
    }

    /// The program as quoted words.
    fn program(
        &mut self,
        program: &Program,
        before: Option<&str>,
    ) -> Result<Vec<String>, ComposeError> {
        let words = match program {
            Program::Shell { shell, text } => {
                let text = match before {
                    Some(before) => format!("{before}\n{text}"),
                    None => text.clone(),
                };
                return self.shell_words(shell, &text);
            }
            Program::Argv(words) if words.is_empty() => return Err(ComposeError::Empty),
            Program::Argv(words) => all_quoted(words)?,
            Program::Script {
                interpreter,
                text,
                args,
            } => {
                self.part("script", text);
                self.takes.push("chmod 700 \"$fab_dir/script\"".to_owned());
                let mut words = match &interpreter[..] {
                    [] => all_quoted(&shebang(text))?,
                    words => all_quoted(words)?,
                };
                words.push("\"$fab_dir/script\"".to_owned());
                words.extend(all_quoted(args)?);
                words
            }
        };
        let Some(before) = before else {
            return Ok(words);
        };
        // A shell of its own, as the supervisor's variables are not the program's.
        let shell = ["sh", "-euc"].map(str::to_owned);
        let mut wrapped = self.shell_words(&shell, &format!("{before}\nexec \"$@\""))?;
        wrapped.push("sh".to_owned());
        wrapped.extend(words);
        Ok(wrapped)
    }

    fn shell_words(&mut self, shell: &[String], text: &str) -> Result<Vec<String>, ComposeError> {
        let mut words = match shell {
            [] => vec!["sh".to_owned(), "-euc".to_owned()],
            words => all_quoted(words)?,
        };
        if text.len() > LONGEST_WORD {
            if text.contains('\0') {
                return Err(ComposeError::Nul("command"));
            }
            self.part("text", text.as_bytes());
            // The text's own `$0` is then the file; its words reach no argv at all.
            words.push("'. \"$0\"'".to_owned());
            words.push("\"$fab_dir/text\"".to_owned());
        } else {
            words.push(quoted(text, "command")?);
        }
        Ok(words)
    }

    fn preamble(self, command: &RemoteCommand, nonce: &Nonce) -> Vec<u8> {
        let dir = if self.takes.is_empty() { "" } else { "need" };
        let stdin = command.stdin.as_ref().map_or("", |_| "stdin");
        let tenths = command.grace.as_millis().div_ceil(100);
        let mut text = format!(
            "fab_nonce={nonce} fab_grace={tenths} fab_silence={SILENCE} fab_dir={dir} fab_in={stdin}\n"
        );
        if !self.takes.is_empty() {
            text.push_str(&self.parts());
        }
        text.push_str(&self.program_text());
        text.push_str(&SUPERVISOR);
        self.sent(&text, nonce)
    }

    /// The same for a step that is left alone: what runs it is a file among its own.
    fn detached(
        mut self,
        command: &RemoteCommand,
        detach: &Detach,
        nonce: &Nonce,
    ) -> Result<Vec<u8>, ComposeError> {
        let stdin = command.stdin.as_ref().map_or("", |_| "stdin");
        let tenths = command.grace.as_millis().div_ceil(100);
        let limit = detach.limit.map_or(String::new(), |limit| {
            limit.as_millis().div_ceil(1000).max(1).to_string()
        });
        let program = self.program_text();
        let run = format!(
            "fab_grace={tenths} fab_limit={limit} fab_in={stdin}\n{program}{}",
            *RUNNER
        );
        self.part("run", run.as_bytes());
        let words = detach.folder.words();
        let [base, run, name] = words.map(|word| quoted(word, "name of the step's folder"));
        let text = format!(
            "fab_nonce={nonce} fab_dir=need fab_base={} fab_run={} fab_name={}\n{}{}",
            base?,
            run?,
            name?,
            self.parts(),
            *STARTER
        );
        Ok(self.sent(&text, nonce))
    }

    fn parts(&self) -> String {
        format!("fab_parts() {{\n{}\n}}\n", self.takes.join(" &&\n"))
    }

    fn program_text(&self) -> String {
        format!("fab_program() {{\n{}}}\n", self.body)
    }

    fn sent(&self, text: &str, nonce: &Nonce) -> Vec<u8> {
        let mut bytes = format!("FAB-RS:{}\n{text}", text.len()).into_bytes();
        bytes.extend_from_slice(&self.bytes);
        bytes.extend_from_slice(nonce.as_str().as_bytes());
        bytes.push(b'\n');
        bytes
    }
}

fn all_quoted(words: &[String]) -> Result<Vec<String>, ComposeError> {
    words.iter().map(|word| quoted(word, "command")).collect()
}

/// The interpreter that a script's first line names, as Linux reads it: a path and at most one argument.
/// Called by us, so that a `noexec` temporary folder does not matter. Without one: `sh`.
fn shebang(script: &[u8]) -> Vec<String> {
    let line = script.split(|byte| *byte == b'\n').next().unwrap_or(script);
    let line = String::from_utf8_lossy(line);
    let Some(line) = line.strip_prefix("#!").map(str::trim) else {
        return vec!["sh".to_owned()];
    };
    match line.split_once([' ', '\t']) {
        Some((path, argument)) => vec![path.to_owned(), argument.trim().to_owned()],
        None if line.is_empty() => vec!["sh".to_owned()],
        None => vec![line.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Secret;

    fn text_of(command: &RemoteCommand) -> String {
        let nonce = Nonce::random();
        String::from_utf8(compose(command, &nonce).unwrap()).unwrap()
    }

    #[test]
    fn the_loader_survives_every_login_shell() {
        for byte in ['\'', '\\', '!', '\n', '`'] {
            assert!(!LOADER.contains(byte), "{byte:?}");
        }
        assert!(command_line(Elevation::None).starts_with("sh -c 'while"));
        assert!(command_line(Elevation::Quiet("app")).starts_with("sudo -n -u app -- sh -c "));
        assert!(
            command_line(Elevation::Password("a b"))
                .starts_with("sudo -k -S -p '' -u 'a b' -- sh -c ")
        );
    }

    #[test]
    fn nothing_of_the_task_stands_in_the_command_line() {
        let line = command_line(Elevation::None);
        assert_eq!(line, format!("sh -c '{LOADER}' fab-rs"));
    }

    #[test]
    fn the_text_is_counted_and_the_nonce_is_the_last_line() {
        let nonce = Nonce::random();
        let mut command = RemoteCommand::new(Program::Argv(vec!["true".into()]));
        command.stdin = Some(b"data".to_vec());
        let bytes = compose(&command, &nonce).unwrap();
        let line = bytes.iter().position(|byte| *byte == b'\n').unwrap();
        let count: usize = std::str::from_utf8(&bytes[b"FAB-RS:".len()..line])
            .unwrap()
            .parse()
            .unwrap();
        let rest = &bytes[line + 1 + count..];
        assert_eq!(rest, format!("data{nonce}\n").as_bytes());
    }

    #[test]
    fn a_secret_is_counted_bytes_and_never_text() {
        let mut command = RemoteCommand::new(Program::Argv(vec!["true".into()]));
        command.secrets = vec![("TOKEN".into(), Secret::new("hunter22"))];
        let text = text_of(&command);
        assert!(text.contains("export FAB_SECRET_TOKEN_FILE=\"$fab_dir/FAB_SECRET_TOKEN\""));
        assert!(text.contains("fab_take 8 >\"$fab_dir/FAB_SECRET_TOKEN\""));
        let main = text
            .find("fab_main\nhunter22")
            .expect("bytes behind the text");
        assert!(!text[..main].contains("hunter22"));
    }

    #[test]
    fn what_no_shell_can_carry_is_refused() {
        let argv = |words: &[&str]| {
            RemoteCommand::new(Program::Argv(
                words.iter().map(|word| (*word).to_owned()).collect(),
            ))
        };
        let refused = |command: &RemoteCommand| compose(command, &Nonce::random()).unwrap_err();
        assert_eq!(refused(&argv(&[])), ComposeError::Empty);
        assert_eq!(refused(&argv(&["a\0b"])), ComposeError::Nul("command"));
        let mut command = argv(&["true"]);
        command.env = vec![("a-b".into(), "1".into())];
        assert_eq!(refused(&command), ComposeError::Name("a-b".into()));
    }

    #[test]
    fn the_first_line_of_a_script_names_its_interpreter() {
        for (script, words) in [
            ("#!/bin/bash\necho", &["/bin/bash"][..]),
            (
                "#! /usr/bin/env -S python3 -u\n",
                &["/usr/bin/env", "-S python3 -u"],
            ),
            ("#!/bin/sh -e", &["/bin/sh", "-e"]),
            ("echo hi", &["sh"]),
            ("#!\n", &["sh"]),
            ("", &["sh"]),
        ] {
            assert_eq!(shebang(script.as_bytes()), words, "{script:?}");
        }
    }

    #[test]
    fn a_leading_tilde_is_the_home_folder() {
        assert_eq!(folder("~").unwrap(), "\"$HOME\"");
        assert_eq!(folder("~/a b").unwrap(), "\"$HOME\"'/a b'");
        assert_eq!(folder("~root").unwrap(), "'~root'");
    }
}
