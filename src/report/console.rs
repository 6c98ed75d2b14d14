//! What a command without a run prints: data on stdout, everything else on stderr, and no panic when either
//! has gone. The lines of a run are `printer`'s job.

use std::io::{self, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::model::{Diagnostic, Stream};

use super::failure;
use super::lines::Looks;
use super::sanitize::{RemoteColours, safe_lines};
use super::sheet::Sheet;
use super::style::{ColourChoice, Role, Styles};
use super::terminal::{StreamKind, Streams};

/// The mouth of every command. Writes never fail: a stream whose reader has gone takes no more.
pub struct Console {
    streams: Streams,
    out: Styles,
    err: Styles,
    stdout: Output,
    stderr: Output,
}

struct Output {
    stream: Mutex<Box<dyn Write + Send>>,
    closed: AtomicBool,
}

impl Output {
    fn new(stream: Box<dyn Write + Send>) -> Self {
        Self {
            stream: Mutex::new(stream),
            closed: AtomicBool::new(false),
        }
    }

    fn write(&self, bytes: &[u8]) {
        if self.closed.load(Ordering::Relaxed) {
            return;
        }
        let mut stream = self
            .stream
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let written = stream.write_all(bytes).and_then(|()| stream.flush());
        if written.is_err() {
            self.closed.store(true, Ordering::Relaxed);
        }
    }
}

impl Console {
    /// The process's own streams.
    pub fn new(choice: ColourChoice) -> Self {
        Self::over(
            Streams::detect(),
            choice,
            Box::new(io::stdout()),
            Box::new(io::stderr()),
        )
    }

    /// Any two streams, for tests.
    pub fn over(
        streams: Streams,
        choice: ColourChoice,
        stdout: Box<dyn Write + Send>,
        stderr: Box<dyn Write + Send>,
    ) -> Self {
        let styles = |kind: StreamKind| Styles::new(choice.allows(kind == StreamKind::Terminal));
        Self {
            streams,
            out: styles(streams.stdout),
            err: styles(streams.stderr),
            stdout: Output::new(stdout),
            stderr: Output::new(stderr),
        }
    }

    /// What the streams are.
    pub fn streams(&self) -> Streams {
        self.streams
    }

    /// Colours for texts that go to stdout.
    pub fn data_styles(&self) -> Styles {
        self.out
    }

    /// Colours for texts that go to stderr.
    pub fn note_styles(&self) -> Styles {
        self.err
    }

    /// Data on stdout, as it is; the caller ends its lines.
    pub fn data(&self, text: &str) {
        self.stdout.write(text.as_bytes());
    }

    /// Bytes on stdout, as they are.
    pub fn data_bytes(&self, bytes: &[u8]) {
        self.stdout.write(bytes);
    }

    /// One JSON value and a newline on stdout.
    pub fn json(&self, value: &serde_json::Value) {
        let text = if self.streams.stdout == StreamKind::Terminal {
            format!("{value:#}\n")
        } else {
            format!("{value}\n")
        };
        self.data(&text);
    }

    /// A text on stderr, ended with a newline where it is not.
    pub fn note(&self, text: &str) {
        let end = if text.is_empty() || text.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        self.stderr.write(format!("{text}{end}").as_bytes());
    }

    /// `note: …` on stderr.
    pub fn remark(&self, text: &str) {
        let lead = self.err.paint(Role::Dim, "note:");
        self.note(&format!("{lead} {}", super::sanitize::safe(text)));
    }

    /// `warning: …` on stderr.
    pub fn warn(&self, text: &str) {
        self.note(&failure::render_warning(&Diagnostic::new(text), self.err));
    }

    /// `hint: …` on stderr.
    pub fn hint(&self, text: &str) {
        let lead = self.err.paint(Role::Hint, "hint:");
        self.note(&format!("{lead} {}", super::sanitize::safe(text)));
    }

    /// Errors on stderr.
    pub fn error(&self, diagnostics: &[Diagnostic]) {
        self.note(&failure::render_all(diagnostics, self.err));
    }

    /// An error with its sources on stderr.
    pub fn failure(&self, error: &(dyn std::error::Error + 'static)) {
        self.error(&[failure::diagnostic_of(error)]);
    }

    /// A question on stderr, without a newline, so that the answer is typed beside it.
    pub fn question(&self, text: &str) {
        self.stderr.write(safe_lines(text).as_bytes());
    }

    /// A sheet, on both streams in its order; it is empty afterwards.
    pub(crate) fn sheet(&self, sheet: &mut Sheet) {
        for (stream, bytes) in sheet.parts() {
            match stream {
                Stream::Stdout => self.stdout.write(bytes),
                Stream::Stderr => self.stderr.write(bytes),
            }
        }
        sheet.clear();
    }

    /// How remote lines look on these streams.
    pub(crate) fn line_looks(&self, colours: RemoteColours) -> Looks {
        Looks::on(self.streams, [self.out, self.err], colours)
    }

    /// A sheet, all of it on stderr; it is empty afterwards.
    pub(crate) fn sheet_of_notes(&self, sheet: &mut Sheet) {
        for (_, bytes) in sheet.parts() {
            self.stderr.write(bytes);
        }
        sheet.clear();
    }

    /// Whether whoever read stdout has gone.
    pub fn stdout_closed(&self) -> bool {
        self.stdout.closed.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use super::*;

    /// A stream that keeps what is written, until it is closed.
    #[derive(Clone, Default)]
    pub(crate) struct Kept(Arc<Mutex<(Vec<u8>, bool)>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut kept = self.0.lock().unwrap();
            if kept.1 {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            kept.0.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Kept {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().0.clone()).unwrap()
        }
    }

    /// A console over two streams that are kept.
    pub(crate) fn console() -> (Console, Kept, Kept) {
        let (out, err) = (Kept::default(), Kept::default());
        let streams = Streams {
            stdout: StreamKind::Pipe,
            stderr: StreamKind::Pipe,
            shared: false,
            width: 80,
            height: 24,
        };
        let console = Console::over(
            streams,
            ColourChoice::Auto,
            Box::new(out.clone()),
            Box::new(err.clone()),
        );
        (console, out, err)
    }

    #[test]
    fn data_and_everything_else_are_kept_apart() {
        let (console, out, err) = console();
        console.data("a\n");
        console.json(&serde_json::json!({"b": 1}));
        console.remark("old form");
        console.warn("no inventory");
        console.hint("make one");
        console.error(&[Diagnostic::new("one"), Diagnostic::new("two")]);
        console.failure(&io::Error::other("three"));
        assert_eq!(out.text(), "a\n{\"b\":1}\n");
        assert_eq!(
            err.text(),
            "note: old form\nwarning: no inventory\nhint: make one\nerror: one\n\nerror: two\nerror: three\n"
        );
    }

    #[test]
    fn a_reader_that_has_gone_is_no_error() {
        let (console, out, _) = console();
        console.data("a\n");
        out.0.lock().unwrap().1 = true;
        assert!(!console.stdout_closed());
        console.data("b\n");
        assert!(console.stdout_closed());
        out.0.lock().unwrap().1 = false;
        console.data("c\n");
        assert_eq!(out.text(), "a\n");
    }
}
