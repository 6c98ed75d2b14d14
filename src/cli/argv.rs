//! From the process's arguments to [`Cli`]: finds where a task's name stands, takes Fabric 1's spellings, and
//! answers flags that mean something else here with a hint.

use std::ffi::OsString;

use clap::{CommandFactory, Parser};

use super::{Cli, hints};

/// The words `task` and `run` as [`place_subcommand`] puts them in.
const TASK: &str = "task";

/// What was typed, and what should be said about how it was typed.
#[derive(Debug)]
pub(crate) struct Typed {
    /// The flags and the subcommand.
    pub(crate) cli: Cli,
    /// One-line notes, such as the new form of an old spelling.
    pub(crate) notes: Vec<String>,
    /// The arguments that say the same in today's spelling, without the program's name.
    pub(crate) argv: Vec<String>,
}

/// Parses the arguments, the program's name first.
///
/// # Errors
/// clap's error, with a hint where a flag means something else here; also for `--help` and `--version`.
pub(crate) fn parse(args: Vec<OsString>) -> Result<Typed, clap::Error> {
    let command = Cli::command();
    let mut notes = Vec::new();
    let placed = place_subcommand(&command, args, &mut notes);
    match Cli::try_parse_from(&placed) {
        Ok(cli) => match hints::wrong_tool(&cli) {
            None => Ok(Typed {
                cli,
                notes,
                argv: plain(&placed),
            }),
            Some(message) => {
                Err(Cli::command().error(clap::error::ErrorKind::ValueValidation, message))
            }
        },
        Err(error) => {
            // A word that a person types is never this one: it was put there, before the task's name.
            let mut words = placed.iter().map(|word| word.to_string_lossy());
            let task = words.find(|word| word == TASK).and_then(|_| words.next());
            Err(hints::with_hint(error, task.as_deref()))
        }
    }
}

fn plain(args: &[OsString]) -> Vec<String> {
    let args = args.iter().skip(1);
    args.map(|arg| arg.to_string_lossy().into_owned()).collect()
}

/// Puts `task` before a task's name and `run` before a bare `--`; turns `-l` into `list`, `-d TASK` into
/// `show TASK`, and `TASK:name=value,…` into words.
fn place_subcommand(
    command: &clap::Command,
    args: Vec<OsString>,
    notes: &mut Vec<String>,
) -> Vec<OsString> {
    let mut placed = Vec::with_capacity(args.len() + 1);
    let mut rest = args.into_iter();
    placed.extend(rest.next());
    while let Some(arg) = rest.next() {
        let text = arg.to_string_lossy().into_owned();
        if text == "--" {
            placed.push("run".into());
        } else if text == "-l" || text == "--list" {
            placed.push("list".into());
            placed.extend(rest);
            return placed;
        } else if text == "-d" {
            placed.push("show".into());
            placed.extend(rest);
            return placed;
        } else if text == "help" {
            // `help TASK` is `show TASK`: that is where a task says what it does.
            match rest.next() {
                Some(word) if command.find_subcommand(&word).is_some() => {
                    placed.extend([word, "--help".into()]);
                }
                Some(task) if !task.to_string_lossy().starts_with('-') => {
                    placed.extend(["show".into(), task]);
                }
                _ => placed.push("--help".into()),
            }
            return placed;
        } else if text.len() > 1 && text.starts_with('-') {
            let takes_next = flag_takes_next(command, &text);
            placed.push(arg);
            if takes_next {
                placed.extend(rest.next());
            }
            continue;
        } else if command.find_subcommand(&text).is_none() {
            let rest: Vec<OsString> = rest.collect();
            if asks_for_help(&rest) {
                placed.extend(["show".into(), arg]);
                return placed;
            }
            placed.push(TASK.into());
            placed.extend(task_words(&text, notes).into_iter().map(OsString::from));
            placed.extend(rest);
            return placed;
        }
        placed.push(arg);
        placed.extend(rest);
        return placed;
    }
    placed
}

/// Whether these arguments of a task ask what the task does.
fn asks_for_help(rest: &[OsString]) -> bool {
    rest.iter()
        .take_while(|arg| *arg != "--")
        .any(|arg| arg == "--help" || arg == "-h")
}

/// Whether the value of this flag is the next argument.
fn flag_takes_next(command: &clap::Command, text: &str) -> bool {
    let takes_value =
        |arg: &clap::Arg| arg.get_action().takes_values() && !arg.is_require_equals_set();
    if let Some(long) = text.strip_prefix("--") {
        return !long.contains('=')
            && command
                .get_arguments()
                .any(|arg| arg.get_long() == Some(long) && takes_value(arg));
    }
    let mut shorts = text[1..].chars().peekable();
    while let Some(short) = shorts.next() {
        if command
            .get_arguments()
            .any(|arg| arg.get_short() == Some(short) && takes_value(arg))
        {
            return shorts.peek().is_none();
        }
    }
    false
}

/// Fabric's `TASK:name=value,name=value` as a name and words.
fn task_words(text: &str, notes: &mut Vec<String>) -> Vec<String> {
    let Some((name, args)) = text.split_once(':').filter(|(name, _)| !name.contains('=')) else {
        return vec![text.to_owned()];
    };
    let words: Vec<String> = std::iter::once(name)
        .chain(args.split(',').filter(|arg| !arg.is_empty()))
        .map(str::to_owned)
        .collect();
    notes.push(format!("`{text}` is read as `fab-rs {}`", words.join(" ")));
    words
}

#[cfg(test)]
mod tests {
    use super::super::Command;
    use super::*;

    fn typed(line: &str) -> Typed {
        let args = std::iter::once("fab-rs")
            .chain(line.split_whitespace())
            .map(OsString::from)
            .collect();
        parse(args).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    fn refused(line: &str) -> String {
        let args = std::iter::once("fab-rs")
            .chain(line.split_whitespace())
            .map(OsString::from)
            .collect();
        parse(args).expect_err(line).to_string()
    }

    #[test]
    fn a_word_that_is_no_subcommand_is_a_task_wherever_flags_stand() {
        for line in [
            "heapdump role=app --yes -z 4",
            "-z 4 --yes heapdump role=app",
            "-z4 -y heapdump role=app",
        ] {
            let typed = typed(line);
            let Command::Task(task) = typed.cli.command else {
                panic!("{line}")
            };
            assert_eq!(
                (task.name.as_str(), task.words.as_slice()),
                ("heapdump", &["role=app".to_owned()][..])
            );
            assert_eq!(
                typed.cli.run.fanout.map(std::num::NonZeroUsize::get),
                Some(4)
            );
            assert!(typed.cli.run.yes.is_some());
        }
    }

    #[test]
    fn fabrics_task_arguments_become_words_with_a_note() {
        let typed = typed("-R app restart:service=api,port=80");
        let Command::Task(task) = typed.cli.command else {
            panic!()
        };
        assert_eq!(task.words, ["service=api", "port=80"]);
        assert_eq!(
            typed.notes,
            ["`restart:service=api,port=80` is read as `fab-rs restart service=api port=80`"]
        );
    }

    #[test]
    fn a_bare_double_dash_is_an_ad_hoc_command() {
        let typed = typed("-R web -- uptime -p");
        let Command::Run(run) = typed.cli.command else {
            panic!()
        };
        assert_eq!(run.command, ["uptime", "-p"]);
        assert_eq!(typed.cli.selection.role, ["web"]);
    }

    #[test]
    fn the_command_of_run_keeps_its_own_flags() {
        let typed = typed("run role=app -T 2 -- ls -l -d /");
        let Command::Run(run) = typed.cli.command else {
            panic!()
        };
        assert_eq!(
            (run.words, run.command),
            (
                vec!["role=app".to_owned()],
                ["ls", "-l", "-d", "/"].map(str::to_owned).to_vec()
            )
        );
    }

    #[test]
    fn fabrics_list_and_display_flags_are_subcommands() {
        assert!(matches!(typed("-l").cli.command, Command::List(_)));
        let Command::Show(show) = typed("-d deploy").cli.command else {
            panic!()
        };
        assert_eq!(show.name, "deploy");
    }

    #[test]
    fn help_of_a_task_is_the_task_itself() {
        for line in ["help heapdump", "heapdump --help", "heapdump role=app -h"] {
            let Command::Show(show) = typed(line).cli.command else {
                panic!("{line}")
            };
            assert_eq!(show.name, "heapdump", "{line}");
        }
        assert!(refused("help run").contains("fab-rs run"));
        assert!(refused("help").contains("Commands:"));
    }

    #[test]
    fn yes_takes_its_value_by_an_equals_sign_alone() {
        use super::super::Yes;
        assert_eq!(
            typed("restart --yes role=app").cli.run.yes,
            Some(Yes::Start)
        );
        assert_eq!(
            typed("restart --yes=all role=app").cli.run.yes,
            Some(Yes::All)
        );
        assert_eq!(typed("restart -y role=app").cli.run.yes, Some(Yes::Start));
    }

    #[test]
    fn flags_of_another_tool_are_answered_with_the_right_one() {
        assert!(refused("restart role=app -w a,b,c").contains("did you mean `-H a,b,c`"));
        assert!(refused("restart role=app -n 3").contains("did you mean `--attempts 3`"));
        assert!(refused("-w a,b run -- true").contains("did you mean `-H a,b`"));
        assert!(refused("restart role=app -D").contains("host_keys"));
        assert!(refused("restart role=app -A").contains("-J"));
        assert!(refused("restart role=app -p secret").contains("no password on a command line"));
        assert!(refused("restart role=app -g bastion").contains("-J"));
        assert!(refused("ssh app-1 --json").contains("`--json` has nothing to say"));
        assert!(refused("restart role=app --sudo").contains("`run`, `put` and `get` alone"));
        assert!(refused("plan restart role=app --sudo").contains("`run`, `put` and `get` alone"));
    }

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
