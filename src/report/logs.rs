//! Hosts' logs on the screen: what they printed, apart by stream as it was while they ran. The format of a
//! log is the engine's (`run::host_log`); what is not an entry of it is shown as it is.

use std::fs::File;
use std::io::{self, BufRead, BufReader};

use crate::model::{Diagnostic, Label, Stream};
use crate::run::event::{Line, Lines, StepRef};

use super::console::Console;
use super::lines::LineWriter;
use super::sanitize::safe;
use super::sheet::Sheet;
use super::store::StoredRun;
use super::style::{Role, Styles};

/// One entry of a log.
#[derive(Debug, PartialEq, Eq)]
enum Entry<'a> {
    /// A line of output.
    Line(Stream, Line<'a>),
    /// Words of fab-rs: a step's beginning or end, a note.
    Words(&'a [u8]),
}

/// Bytes that are collected for one write.
const PIECE: usize = 256 << 10;

/// Prints the log of one host, or of all hosts one after the other, their lines behind their labels; or all as JSON.
///
/// # Errors
/// The run has no such host, or a log cannot be read.
pub fn print_logs(
    run: &StoredRun,
    host: Option<&str>,
    look: LogLook,
    console: &Console,
) -> Result<(), Diagnostic> {
    let logs = run.logs().map_err(|error| unreadable(run, &error))?;
    let chosen: Vec<&(Label, std::path::PathBuf)> = logs
        .iter()
        .filter(|(label, path)| host.is_none_or(|host| is_of(host, label, path)))
        .collect();
    if chosen.is_empty() {
        return Err(nobody(run, host, &logs));
    }
    let prefixed = look.prefixed && host.is_none();
    let labels = chosen.iter().map(|(label, _)| label);
    let mut writer = LineWriter::new(labels, console.line_looks(look.remote_colours), prefixed);
    if look.json {
        for (label, path) in chosen {
            let log = File::open(path).map(BufReader::new);
            let printed = log.and_then(|log| as_json(label, log, console));
            printed.map_err(|error| unreadable(run, &error))?;
        }
        return Ok(());
    }
    for (label, path) in chosen {
        let mut printing = Printing {
            label,
            writer: &mut writer,
            sheet: Sheet::default(),
            console,
        };
        let printed = File::open(path).and_then(|file| printing.log(BufReader::new(file)));
        printed.map_err(|error| unreadable(run, &error))?;
    }
    Ok(())
}

/// Whether a log is the host's; the file of a long name has only its beginning.
fn is_of(host: &str, label: &Label, path: &std::path::Path) -> bool {
    let name = super::record::log_name(Label::new(host).file_name());
    label.as_str() == host || path.file_name().is_some_and(|file| file == name.as_str())
}

/// How logs are shown.
#[derive(Debug, Clone, Copy)]
pub struct LogLook {
    /// Lines behind their labels, where no host was named.
    pub prefixed: bool,
    /// Colours of remote text on a terminal.
    pub remote_colours: super::sanitize::RemoteColours,
    /// One JSON object a line.
    pub json: bool,
}

fn unreadable(run: &StoredRun, error: &io::Error) -> Diagnostic {
    let message = format!("cannot read the logs of run {}", run.id);
    Diagnostic::new(message).cause(error.to_string())
}

fn nobody(run: &StoredRun, host: Option<&str>, logs: &[(Label, std::path::PathBuf)]) -> Diagnostic {
    let known = super::fold::fold_within(logs.iter().map(|(label, _)| label.as_str()), 200);
    match host {
        _ if logs.is_empty() => {
            Diagnostic::new(format!("no host of run {} has printed anything", run.id))
        }
        None => Diagnostic::new(format!("run {} has no logs", run.id)),
        Some(host) => Diagnostic::new(format!("run {} has no log of `{host}`", run.id))
            .hint(format!("it has logs of {known}")),
    }
}

struct Printing<'a> {
    label: &'a Label,
    writer: &'a mut LineWriter,
    sheet: Sheet,
    console: &'a Console,
}

impl Printing<'_> {
    fn log(&mut self, mut log: impl BufRead) -> io::Result<()> {
        let step = StepRef {
            id: "log".into(),
            name: "log".into(),
        };
        let mut raw = Vec::new();
        loop {
            raw.clear();
            if log.read_until(b'\n', &mut raw)? == 0 {
                break;
            }
            match entry_of(raw.strip_suffix(b"\n").unwrap_or(&raw)) {
                Entry::Line(stream, line) => {
                    let lines = Lines::new(stream, [line]);
                    self.writer
                        .push(Some(self.label), &step, &lines, &mut self.sheet);
                }
                Entry::Words(words) => self.words(words),
            }
            if self.sheet.len() >= PIECE {
                self.console.sheet(&mut self.sheet);
            }
        }
        self.writer.step_ended(Some(self.label));
        self.writer.finish(&mut self.sheet);
        self.console.sheet(&mut self.sheet);
        Ok(())
    }

    fn words(&mut self, words: &[u8]) {
        self.writer.step_ended(Some(self.label));
        self.writer.before_note(&mut self.sheet);
        let words = String::from_utf8_lossy(words);
        let styles: Styles = self.console.note_styles();
        let text = styles.paint(
            Role::Dim,
            format!("{}: {}", safe(self.label.as_str()), safe(&words)),
        );
        self.sheet.note(&format!("{text}\n"));
    }
}

/// Each entry as `{"kind","host","stream","line"}` or `{"kind":"note","host","text"}`, as events have them.
fn as_json(label: &Label, mut log: impl BufRead, console: &Console) -> io::Result<()> {
    let mut raw = Vec::new();
    let mut out = Vec::new();
    loop {
        raw.clear();
        let ended = log.read_until(b'\n', &mut raw)? == 0;
        if ended || out.len() >= PIECE {
            console.data_bytes(&std::mem::take(&mut out));
        }
        if ended {
            return Ok(());
        }
        let value = match entry_of(raw.strip_suffix(b"\n").unwrap_or(&raw)) {
            Entry::Line(stream, line) => {
                let mut value = serde_json::json!({
                    "kind": "output_line", "host": label, "stream": stream,
                    "line": String::from_utf8_lossy(line.bytes),
                });
                if line.partial {
                    value["partial"] = true.into();
                }
                value
            }
            Entry::Words(words) => serde_json::json!({
                "kind": "note", "host": label, "text": String::from_utf8_lossy(words),
            }),
        };
        out.extend_from_slice(value.to_string().as_bytes());
        out.push(b'\n');
    }
}

fn entry_of(raw: &[u8]) -> Entry<'_> {
    let line = |stream, bytes, partial| Entry::Line(stream, Line { bytes, partial });
    let forms: [(&[u8], Stream, bool); 4] = [
        (b"out| ", Stream::Stdout, false),
        (b"out+ ", Stream::Stdout, true),
        (b"err| ", Stream::Stderr, false),
        (b"err+ ", Stream::Stderr, true),
    ];
    for (mark, stream, partial) in forms {
        if let Some(bytes) = raw.strip_prefix(mark) {
            return line(stream, bytes, partial);
        }
    }
    let words = raw
        .strip_prefix(b"---- ")
        .or_else(|| raw.strip_prefix(b"note| "));
    words.map_or_else(|| line(Stream::Stdout, raw, false), Entry::Words)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use crate::model::{Host, RunId};
    use crate::run::record::Record as _;

    use super::super::console::tests::console;
    use super::super::record::RunFolder;
    use super::super::store::RunStore;
    use super::*;

    const LOOK: LogLook = LogLook {
        json: false,
        prefixed: true,
        remote_colours: crate::report::RemoteColours::Removed,
    };

    const LOG: &[u8] =
        b"---- dump started 2025-01-02T03:04:05Z\nout| one\nerr| oh\nout+ with\nout| out end\n\
        out+ torn\nnote| a daemon was left\n---- dump failed: exit 1\nodd\nout+ no newline\n";

    fn stored(hosts: &[&str]) -> (tempfile::TempDir, StoredRun) {
        let state = tempfile::tempdir().unwrap();
        let id = RunId::from_text("20250102T030405Z-run-0001");
        let folder = RunFolder::create(state.path(), &id, None, |_| {}).unwrap();
        for host in hosts {
            folder
                .host_log(&Host::named(*host, "a"))
                .unwrap()
                .write_all(LOG)
                .unwrap();
        }
        let run = RunStore::new(state.path()).find("last").unwrap();
        (state, run)
    }

    #[test]
    fn one_hosts_log_is_its_output() {
        let (_state, run) = stored(&["app-1"]);
        let (console, out, err) = console();
        print_logs(&run, Some("app-1"), LOOK, &console).unwrap();
        assert_eq!(out.text(), "one\nwithout end\ntorn\nodd\nno newline");
        assert_eq!(
            err.text(),
            "app-1: dump started 2025-01-02T03:04:05Z\noh\napp-1: a daemon was left\napp-1: dump failed: exit 1\n"
        );
    }

    #[test]
    fn as_json_each_entry_is_an_object_with_its_host() {
        let (_state, run) = stored(&["app-1"]);
        let (console, out, err) = console();
        let look = LogLook { json: true, ..LOOK };
        print_logs(&run, None, look, &console).unwrap();
        let text = out.text();
        let values: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(values.len(), 10, "{text}");
        assert_eq!(
            values[2],
            serde_json::json!({"kind": "output_line", "host": "app-1", "stream": "stderr", "line": "oh"})
        );
        assert_eq!(values[3]["partial"], true);
        assert_eq!(values[6]["text"], "a daemon was left");
        assert_eq!(err.text(), "");
    }

    #[test]
    fn of_several_hosts_each_line_has_its_label() {
        let (_state, run) = stored(&["app-1", "app-2"]);
        let (console, out, _) = console();
        print_logs(&run, None, LOOK, &console).unwrap();
        assert!(
            out.text().contains("app-1 │ without end\n")
                && out.text().ends_with("app-2 │ no newline\n")
        );
    }

    #[test]
    fn a_host_without_a_log_is_an_error() {
        let (_state, run) = stored(&["app-1", "app-2"]);
        let (console, ..) = console();
        let error = print_logs(&run, Some("db"), LOOK, &console).unwrap_err();
        assert_eq!(
            error.message,
            "run 20250102T030405Z-run-0001 has no log of `db`"
        );
        assert_eq!(error.hints, ["it has logs of app-[1-2]"]);
    }
}
