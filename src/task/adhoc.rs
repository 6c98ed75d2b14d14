//! Tasks for what is typed without a task: `run`, `put` and `get`. Their words are never templates.

use std::path::PathBuf;
use std::sync::Arc;

use indexmap::IndexMap;

use super::{
    Action, Copy, CopyContent, Download, GateAt, Kind, LockKey, MAIN, Modifiers, OnFailure,
    Quoting, RunProgram, Script, Step, StepPlace, Strategy, Task, TaskPhase, Template, Text,
};
use crate::model::{Amount, Diagnostic, Source, SourceSpan};

/// How an ad-hoc command is carried out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AdHocManner {
    /// In batches, with a start gate and a failure budget: `--batch` or `--by` was given. Otherwise on all
    /// hosts at once, without lock or gate.
    pub is_change: bool,
    /// The user to run as through sudo.
    pub sudo: Option<String>,
}

/// `run -- COMMAND…`: several words are an argv, which no shell re-reads; a single word is a line for
/// `sh -c`.
///
/// # Errors
/// There is no word.
pub fn command(words: &[String], manner: &AdHocManner) -> Result<Task, Diagnostic> {
    let line = words.join(" ");
    let source = typed(&line);
    let (program, shell) = match words {
        [] => return Err(no_command()),
        [line] if line.trim().is_empty() => return Err(no_command()),
        [line] => {
            let shell = ["sh", "-c"].map(str::to_owned).to_vec();
            (RunProgram::Shell(plain(line)), Some(shell))
        }
        _ => {
            let words = words.iter().map(|word| plain(word)).collect();
            (RunProgram::Argv(words), None)
        }
    };
    let mut step = step(
        "run",
        &first_words(&line),
        Action::Run(program),
        (&source, manner),
    );
    step.modifiers.shell = shell;
    Ok(task("run", vec![step], &source, manner))
}

/// `run -- -`: a script that was read from stdin, run by its `#!` line, else by `sh`.
///
/// # Errors
/// It is empty.
pub fn script(text: &[u8], manner: &AdHocManner) -> Result<Task, Diagnostic> {
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err(Diagnostic::new("the script on stdin is empty").hint("nothing was run"));
    }
    let source = typed(&String::from_utf8_lossy(text));
    let script = Script {
        src: plain("stdin"),
        text: Some(text.into()),
        args: Vec::new(),
        interpreter: Vec::new(),
    };
    let step = step(
        "run",
        "script from stdin",
        Action::Script(script),
        (&source, manner),
    );
    Ok(task("run", vec![step], &source, manner))
}

/// `put -- SRC… DEST`: several sources go into the folder `DEST`.
///
/// # Errors
/// There is no destination, or a source without a file name.
pub fn put(paths: &[String], manner: &AdHocManner) -> Result<Task, Diagnostic> {
    let [sources @ .., dest] = paths else {
        return Err(no_paths("put"));
    };
    if sources.is_empty() {
        return Err(no_paths("put"));
    }
    let source = typed(&paths.join(" "));
    let mut steps = Vec::new();
    for path in sources {
        let dest = if sources.len() == 1 {
            dest.clone()
        } else {
            let name = file_name(path).ok_or_else(|| {
                Diagnostic::new(format!("`{path}` has no file name to put it under"))
            })?;
            format!("{}/{name}", dest.trim_end_matches('/'))
        };
        let copy = Copy {
            content: CopyContent::File,
            src: plain(path),
            dest: plain(&dest),
            mode: None,
            owner: None,
            backup: false,
            sha256: None,
            verify: None,
            text: None,
        };
        let id = numbered("put", steps.len(), sources.len());
        let name = format!("put {path}");
        steps.push(step(&id, &name, Action::Copy(copy), (&source, manner)));
    }
    Ok(task("put", steps, &source, manner))
}

/// `get -- SRC…`: into `OUTDIR/HOST/`, by default into the run's own folder for the host.
///
/// # Errors
/// There is no source.
pub fn get(
    sources: &[String],
    outdir: Option<&str>,
    manner: &AdHocManner,
) -> Result<Task, Diagnostic> {
    if sources.is_empty() {
        return Err(no_paths("get"));
    }
    let source = typed(&sources.join(" "));
    let dest = outdir.map(|outdir| host_folder(outdir, &source));
    let steps = sources.iter().enumerate().map(|(index, path)| {
        let download = Download {
            src: plain(path),
            dest: dest.clone(),
            sha256: None,
            max_size: None,
            missing_ok: false,
            verify: None,
        };
        let id = numbered("get", index, sources.len());
        let name = format!("get {path}");
        step(&id, &name, Action::Download(download), (&source, manner))
    });
    let steps = steps.collect();
    Ok(task("get", steps, &source, manner))
}

/// `OUTDIR/HOST/` as a template: the one place where an ad-hoc task has one. The host's label is taken as a
/// file name, since it is a tag's value and may hold `../`.
fn host_folder(outdir: &str, typed: &Arc<Source>) -> Text {
    let outdir = serde_json::Value::from(format!("{}/", outdir.trim_end_matches('/')));
    Text::Template(Arc::new(Template {
        source: format!("{{{{ {outdir} ~ host.file_name }}}}/"),
        quoting: Quoting::Plain,
        span: SourceSpan::new(typed, 0..0),
        registers: Vec::new(),
    }))
}

fn task(name: &str, steps: Vec<Step>, source: &Arc<Source>, manner: &AdHocManner) -> Task {
    let strategy = if manner.is_change {
        Strategy {
            batch: vec![Amount::Count(1)],
            ..Strategy::all(Amount::Count(0), vec![GateAt::Start])
        }
    } else {
        Strategy::all(Amount::Percent(100), Vec::new())
    };
    Task {
        name: name.to_owned(),
        desc: String::new(),
        help: String::new(),
        private: false,
        kind: if manner.is_change {
            Kind::Change
        } else {
            Kind::Read
        },
        params: IndexMap::new(),
        vars: IndexMap::new(),
        targets: Vec::new(),
        facts: Vec::new(),
        before: Vec::new(),
        phases: vec![TaskPhase {
            steps,
            ..TaskPhase::new(MAIN, strategy)
        }],
        after: Vec::new(),
        lock: LockKey::ByTags,
        on_failure: OnFailure::Stop,
        from_failed: false,
        notify: Vec::new(),
        fanout: None,
        deadline: None,
        source: Arc::clone(source),
        folder: None,
        unsupported: Vec::new(),
        warnings: Vec::new(),
    }
}

fn step(
    id: &str,
    name: &str,
    action: Action,
    (source, manner): (&Arc<Source>, &AdHocManner),
) -> Step {
    Step {
        id: id.to_owned(),
        name: plain(name),
        action,
        modifiers: Modifiers {
            when: None,
            shell: None,
            before: None,
            loop_over: None,
            as_name: "item".to_owned(),
            register: None,
            retry: None,
            timeout: None,
            sudo: manner.sudo.as_deref().map(plain),
            env: IndexMap::new(),
            cwd: None,
            stdin: None,
            once: None,
            barrier: false,
            place: StepPlace::Host,
            ok_rc: vec![0],
            fail_when: None,
            ignore_errors: false,
            read_only: !manner.is_change,
            quiet: false,
            resume: None,
            check: None,
            sticky: false,
            detach: false,
        },
        span: SourceSpan::new(source, 0..source.text.len()),
        open: Vec::new(),
    }
}

fn plain(text: &str) -> Text {
    Text::Plain(text.into())
}

fn typed(text: &str) -> Arc<Source> {
    Arc::new(Source {
        path: PathBuf::from("command line"),
        text: text.to_owned(),
    })
}

fn numbered(key: &str, index: usize, count: usize) -> String {
    if count == 1 {
        key.to_owned()
    } else {
        format!("{key}-{}", index + 1)
    }
}

/// How much of a command its step's name shows.
const NAME_LENGTH: usize = 60;

fn first_words(line: &str) -> String {
    let first = line.lines().find(|line| !line.trim().is_empty());
    let first = first.unwrap_or_default().trim();
    match first.char_indices().nth(NAME_LENGTH) {
        Some((end, _)) => format!("{}…", first[..end].trim_end()),
        None if first.len() < line.trim().len() => format!("{first} …"),
        None => first.to_owned(),
    }
}

fn file_name(path: &str) -> Option<&str> {
    let name = path.trim_end_matches('/').rsplit('/').next()?;
    (!matches!(name, "" | "." | "..")).then_some(name)
}

fn no_command() -> Diagnostic {
    Diagnostic::new("no command to run")
        .hint("write it after `--`: `fab-rs run role=app -- uptime`")
}

fn no_paths(key: &str) -> Diagnostic {
    match key {
        "put" => Diagnostic::new("`put` takes one source or more, and a destination")
            .hint("`fab-rs put role=app -- app.conf /etc/app.conf`"),
        _ => Diagnostic::new("`get` takes one remote file or more")
            .hint("`fab-rs get role=app -- /var/log/app.log`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn change() -> AdHocManner {
        AdHocManner {
            is_change: true,
            sudo: Some("root".to_owned()),
        }
    }

    #[test]
    fn one_word_is_a_line_for_a_shell_and_several_are_an_argv() {
        let manner = AdHocManner::default();
        let line = command(&words(&["echo {{ x }}; exit 3"]), &manner).unwrap();
        let Action::Run(RunProgram::Shell(text)) = &line.phases[0].steps[0].action else {
            panic!("{:?}", line.phases[0].steps);
        };
        assert_eq!(text, &plain("echo {{ x }}; exit 3"));
        assert_eq!(
            line.phases[0].steps[0].modifiers.shell,
            Some(words(&["sh", "-c"]))
        );
        let argv = command(&words(&["grep", "-r", "a b", "$x"]), &manner).unwrap();
        let Action::Run(RunProgram::Argv(argv)) = &argv.phases[0].steps[0].action else {
            panic!("{:?}", argv.phases[0].steps);
        };
        assert_eq!(argv, &["grep", "-r", "a b", "$x"].map(plain));
        assert_eq!(
            (line.kind, &line.phases[0].strategy.batch[..]),
            (Kind::Read, &[][..])
        );
        assert_eq!(line.phases[0].strategy.confirm, []);
    }

    #[test]
    fn batches_make_it_a_change() {
        let task = command(&words(&["id"]), &change()).unwrap();
        assert_eq!(task.kind, Kind::Change);
        assert_eq!(task.phases[0].strategy.confirm, [GateAt::Start]);
        assert_eq!(task.phases[0].strategy.max_failures, Amount::Count(0));
        assert_eq!(task.phases[0].steps[0].modifiers.sudo, Some(plain("root")));
    }

    #[test]
    fn nothing_to_do_is_refused() {
        let manner = AdHocManner::default();
        assert_eq!(
            command(&[], &manner).unwrap_err().message,
            "no command to run"
        );
        assert_eq!(
            command(&words(&[" "]), &manner).unwrap_err().message,
            "no command to run"
        );
        assert_eq!(
            script(b"\n", &manner).unwrap_err().message,
            "the script on stdin is empty"
        );
        assert!(put(&words(&["a"]), &manner).is_err());
        assert!(get(&[], None, &manner).is_err());
    }

    #[test]
    fn a_script_keeps_its_bytes() {
        let task = script(b"#!/bin/sh\n\xff", &AdHocManner::default()).unwrap();
        let Action::Script(script) = &task.phases[0].steps[0].action else {
            panic!("{:?}", task.phases[0].steps);
        };
        assert_eq!(script.text.as_deref(), Some(&b"#!/bin/sh\n\xff"[..]));
    }

    #[test]
    fn several_files_go_into_a_folder() {
        let dests = |paths: &[&str]| -> Vec<String> {
            let task = put(&words(paths), &AdHocManner::default()).unwrap();
            let steps = task.phases[0].steps.iter().map(|step| match &step.action {
                Action::Copy(copy) => format!("{} {}", step.id, copy.dest.shown()),
                other => panic!("{other:?}"),
            });
            steps.collect()
        };
        assert_eq!(dests(&["a.conf", "/etc/"]), ["put /etc/"]);
        assert_eq!(
            dests(&["x/a", "b/", "/etc"]),
            ["put-1 /etc/a", "put-2 /etc/b"]
        );
        assert!(put(&words(&["/", "a", "/etc"]), &AdHocManner::default()).is_err());
    }

    #[test]
    fn names_are_the_commands_first_words() {
        assert_eq!(first_words("uptime"), "uptime");
        assert_eq!(first_words("\nset -e\nuptime"), "set -e …");
        assert_eq!(first_words(&"é".repeat(70)), format!("{}…", "é".repeat(60)));
    }
}
