//! Lines of hosts as people and pipes see them: `name │ line`. Remote stdout goes to stdout, remote stderr
//! to stderr; whole lines only, so that no host tears another's. Pure: lines in, bytes on a [`Sheet`] out.
//!
//! A line that the engine split (64 KiB), or that its stream ended without a newline, is joined again where
//! nothing came between its parts. Otherwise the rest begins a line of its own, with `┊` for `│`. On a
//! terminal every part is a line.

use std::collections::HashMap;
use std::sync::Arc;

use unicode_width::UnicodeWidthStr;

use crate::model::{Label, Stream};
use crate::run::event::{Lines, StepRef};

use super::sanitize::{RemoteColours, push_safe_line, safe};
use super::sheet::Sheet;
use super::style::{Role, Styles};
use super::terminal::{StreamKind, Streams};

/// Labels longer than this stick out; the others are aligned.
const LABEL_COLUMNS: usize = 32;

/// The label of lines from the controller.
const CONTROLLER: &str = "local";

/// How the lines of one of our streams are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LineLook {
    /// Colours of the prefix.
    pub(crate) styles: Styles,
    /// What is taken out of remote text; `None` leaves its bytes as they are.
    pub(crate) cleaned: Option<RemoteColours>,
    /// Parts of one line may be joined: no other stream writes to the same screen or file.
    pub(crate) joins: bool,
}

/// Both streams.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Looks {
    /// For remote stdout.
    pub(crate) stdout: LineLook,
    /// For remote stderr.
    pub(crate) stderr: LineLook,
}

impl Looks {
    /// For these streams in these colours: bytes are cleaned for a terminal, and stay as they are elsewhere.
    pub(crate) fn on(streams: Streams, styles: [Styles; 2], colours: RemoteColours) -> Self {
        let look = |kind: StreamKind, styles: Styles| LineLook {
            styles,
            cleaned: (kind == StreamKind::Terminal).then_some(colours),
            joins: kind != StreamKind::Terminal && !streams.shared,
        };
        Self {
            stdout: look(streams.stdout, styles[0]),
            stderr: look(streams.stderr, styles[1]),
        }
    }

    pub(crate) fn of(self, stream: Stream) -> LineLook {
        match stream {
            Stream::Stdout => self.stdout,
            Stream::Stderr => self.stderr,
        }
    }
}

/// A host, or `None` for the controller.
type Origin = Option<Label>;

/// Writes lines with their hosts' prefixes.
pub(crate) struct LineWriter {
    looks: Looks,
    prefixed: bool,
    prefixes: HashMap<(Origin, Stream), Prefix>,
    /// Whose last line was partial, and in which step.
    split: HashMap<(Origin, Stream), Arc<str>>,
    /// The streams whose last byte is not a newline, and whose line that is.
    open: HashMap<Stream, Origin>,
}

#[derive(Clone, Default)]
struct Prefix {
    first: Vec<u8>,
    rest: Vec<u8>,
}

impl LineWriter {
    /// For these hosts. Without `prefixed`, lines come as they are (`-N`).
    pub(crate) fn new<'a>(
        labels: impl Iterator<Item = &'a Label>,
        looks: Looks,
        prefixed: bool,
    ) -> Self {
        let mut writer = Self {
            looks,
            prefixed,
            prefixes: HashMap::new(),
            split: HashMap::new(),
            open: HashMap::new(),
        };
        if prefixed {
            let labels: Vec<&Label> = labels.collect();
            let column = column_of(labels.iter().map(|label| label.as_str()));
            for label in labels {
                writer.add_prefix(Some(label), column);
            }
            writer.add_prefix(None, column);
        }
        writer
    }

    fn add_prefix(&mut self, host: Option<&Label>, column: usize) {
        let name = host.map_or(CONTROLLER, Label::as_str);
        for stream in [Stream::Stdout, Stream::Stderr] {
            let prefix = prefix_of(name, column, stream, self.looks.of(stream).styles);
            self.prefixes.insert((host.cloned(), stream), prefix);
        }
    }

    /// Appends lines of one host.
    pub(crate) fn push(
        &mut self,
        host: Option<&Label>,
        step: &StepRef,
        lines: &Lines,
        sheet: &mut Sheet,
    ) {
        if lines.is_empty() {
            return;
        }
        let stream = lines.stream();
        let look = self.looks.of(stream);
        let key = (host.cloned(), stream);
        let mut goes_on = !self.split.is_empty()
            && self
                .split
                .remove(&key)
                .is_some_and(|split| split == step.id);
        let out = sheet.on(stream);
        let mut joined = false;
        if let Some(open) = self.open.remove(&stream) {
            joined = goes_on && open == key.0;
            if !joined {
                out.push(b'\n');
            }
        }
        let none = Prefix::default();
        let prefix = self.prefixes.get(&key).unwrap_or(&none);
        let mut last_partial = false;
        for line in lines.iter() {
            if !joined {
                out.extend_from_slice(if goes_on { &prefix.rest } else { &prefix.first });
            }
            match look.cleaned {
                None => out.extend_from_slice(line.bytes),
                Some(colours) => push_safe_line(line.bytes, colours, out),
            }
            joined = line.partial && look.joins;
            if !joined {
                out.push(b'\n');
            }
            goes_on = line.partial;
            last_partial = line.partial;
        }
        if joined {
            self.open.insert(stream, key.0.clone());
        }
        if last_partial {
            self.split.insert(key, Arc::clone(&step.id));
        }
    }

    /// A step of this host ended or starts again: what comes next goes on with no line of it.
    pub(crate) fn step_ended(&mut self, host: Option<&Label>) {
        if self.split.is_empty() {
            return;
        }
        for stream in [Stream::Stdout, Stream::Stderr] {
            self.split.remove(&(host.cloned(), stream));
        }
    }

    /// Ends the lines that are open on stderr, so that a text of our own can follow.
    pub(crate) fn before_note(&mut self, sheet: &mut Sheet) {
        if self.open.remove(&Stream::Stderr).is_some() {
            sheet.on(Stream::Stderr).push(b'\n');
        }
    }

    /// The end: with prefixes every line is ended; without, a last line that had no newline gets none, so
    /// that `-N` hands on exactly the host's bytes.
    pub(crate) fn finish(&mut self, sheet: &mut Sheet) {
        for (stream, _) in self.open.drain() {
            if self.prefixed || stream == Stream::Stderr {
                sheet.on(stream).push(b'\n');
            }
        }
    }
}

/// The column of the bar: after the longest label that is not too long.
fn column_of<'a>(labels: impl Iterator<Item = &'a str>) -> usize {
    labels
        .map(|label| safe(label).width())
        .filter(|width| *width <= LABEL_COLUMNS)
        .max()
        .unwrap_or(0)
}

fn prefix_of(name: &str, column: usize, stream: Stream, styles: Styles) -> Prefix {
    let name = safe(name);
    let pad = " ".repeat(column.saturating_sub(name.width()));
    let label = styles.label(&name);
    let role = match stream {
        Stream::Stdout => Role::Dim,
        Stream::Stderr => Role::Error,
    };
    let of = |bar: &str| format!("{label}{pad} {} ", styles.paint(role, bar)).into_bytes();
    Prefix {
        first: of("│"),
        rest: of("┊"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::run::event::Line;

    use super::super::samples::step;
    use super::*;

    fn look(cleaned: bool, joins: bool) -> LineLook {
        LineLook {
            styles: Styles::plain(),
            cleaned: cleaned.then_some(RemoteColours::Removed),
            joins,
        }
    }

    fn piped() -> Looks {
        Looks {
            stdout: look(false, true),
            stderr: look(false, true),
        }
    }

    fn terminal() -> Looks {
        Looks {
            stdout: look(true, false),
            stderr: look(true, false),
        }
    }

    struct Pages {
        writer: LineWriter,
        sheet: Sheet,
    }

    impl Pages {
        fn new(labels: &[&str], looks: Looks, prefixed: bool) -> Self {
            let labels: Vec<Label> = labels.iter().map(|label| Label::new(*label)).collect();
            Self {
                writer: LineWriter::new(labels.iter(), looks, prefixed),
                sheet: Sheet::default(),
            }
        }

        fn push(&mut self, label: &str, stream: Stream, lines: &[(&[u8], bool)]) {
            let lines = Lines::new(
                stream,
                lines
                    .iter()
                    .map(|&(bytes, partial)| Line { bytes, partial }),
            );
            let host = (label != "local").then(|| Label::new(label));
            self.writer
                .push(host.as_ref(), &step("s"), &lines, &mut self.sheet);
        }

        fn text(mut self) -> String {
            self.writer.finish(&mut self.sheet);
            let parts: Vec<String> = self
                .sheet
                .parts()
                .map(|(stream, bytes)| {
                    let mark = if stream == Stream::Stderr { "E:" } else { "" };
                    format!("{mark}{}", String::from_utf8_lossy(bytes))
                })
                .collect();
            parts.concat()
        }
    }

    #[test]
    fn prefixes_are_aligned_and_the_streams_kept_apart() {
        let long = "a-name-that-is-longer-than-any-sane-name-would-be";
        let mut pages = Pages::new(&["app-1", "db", long], piped(), true);
        pages.push("app-1", Stream::Stdout, &[(b"one", false), (b"two", false)]);
        pages.push("db", Stream::Stderr, &[(b"oh", false)]);
        pages.push("local", Stream::Stdout, &[(b"here", false)]);
        pages.push(long, Stream::Stdout, &[(b"", false)]);
        insta::assert_snapshot!(pages.text(), @r"
        app-1 │ one
        app-1 │ two
        E:db    │ oh
        local │ here
        a-name-that-is-longer-than-any-sane-name-would-be │ 
        ");
    }

    #[test]
    fn colours_mark_the_host_and_the_stream() {
        let look = LineLook {
            styles: Styles::new(true),
            ..look(true, false)
        };
        let mut pages = Pages::new(
            &["db"],
            Looks {
                stdout: look,
                stderr: look,
            },
            true,
        );
        pages.push("db", Stream::Stdout, &[(b"\x1b[31mred", false)]);
        pages.push("db", Stream::Stderr, &[(b"oh", false)]);
        insta::assert_snapshot!(pages.text().replace('\u{1b}', "\\e"), @r"
        \e[35mdb\e[0m \e[2m│\e[0m red
        E:\e[35mdb\e[0m \e[1m\e[31m│\e[0m oh
        ");
    }

    #[test]
    fn bytes_stay_as_they_are_in_a_pipe() {
        let mut pages = Pages::new(&["a"], piped(), false);
        pages.push("a", Stream::Stdout, &[(b"\x1b[31m\r\x07", false)]);
        assert_eq!(pages.text(), "\u{1b}[31m\r\u{7}\n");
    }

    #[test]
    fn parts_of_a_line_are_joined_where_nothing_came_between() {
        let mut pages = Pages::new(&["a", "b"], piped(), true);
        pages.push("a", Stream::Stdout, &[(b"one ", true), (b"line", false)]);
        pages.push("a", Stream::Stdout, &[(b"torn ", true)]);
        pages.push("b", Stream::Stdout, &[(b"other", false)]);
        pages.push("a", Stream::Stdout, &[(b"apart", false)]);
        pages.push("a", Stream::Stdout, &[(b"over ", true)]);
        pages.push("a", Stream::Stdout, &[(b"batches", true)]);
        insta::assert_snapshot!(pages.text(), @r"
        a │ one line
        a │ torn 
        b │ other
        a ┊ apart
        a │ over batches
        ");
    }

    #[test]
    fn on_a_terminal_every_part_is_a_line() {
        let mut pages = Pages::new(&["a"], terminal(), true);
        pages.push("a", Stream::Stdout, &[(b"one ", true)]);
        pages.push("a", Stream::Stdout, &[(b"line", false)]);
        assert_eq!(pages.text(), "a │ one \na ┊ line\n");
    }

    #[test]
    fn without_prefix_a_missing_newline_stays_missing() {
        let mut pages = Pages::new(&["a"], piped(), false);
        pages.push("a", Stream::Stdout, &[(b"{}", true)]);
        assert_eq!(pages.text(), "{}");
    }

    #[test]
    fn the_next_step_goes_on_with_no_line_of_the_last() {
        let mut pages = Pages::new(&["a"], piped(), true);
        pages.push("a", Stream::Stdout, &[(b"no newline", true)]);
        pages.writer.step_ended(Some(&Label::new("a")));
        pages.push("a", Stream::Stdout, &[(b"next", false)]);
        assert_eq!(pages.text(), "a │ no newline\na │ next\n");
    }

    proptest! {
        /// Every line of every host comes out once, whole, behind its own prefix.
        #[test]
        fn no_host_tears_another(pushes in prop::collection::vec((0_usize..3, "[a-z]{0,5}", any::<bool>()), 1..40)) {
            let names = ["a", "b", "c"];
            let mut pages = Pages::new(&names, piped(), true);
            let mut given = vec![String::new(); 3];
            for (host, text, partial) in &pushes {
                pages.push(names[*host], Stream::Stdout, &[(text.as_bytes(), *partial)]);
                given[*host].push_str(text);
                if !partial {
                    given[*host].push('\n');
                }
            }
            let mut seen = vec![String::new(); 3];
            for line in pages.text().lines() {
                let (prefix, rest) = line.split_at(line.find(['│', '┊']).expect("a prefix"));
                let host = names.iter().position(|name| *name == prefix.trim()).expect("a host");
                let mut rest = rest.chars();
                let goes_on = rest.next() == Some('┊');
                if goes_on && seen[host].ends_with('\n') {
                    seen[host].pop();
                }
                seen[host].push_str(&rest.as_str()[1..]);
                seen[host].push('\n');
            }
            for (seen, given) in seen.iter().zip(&given) {
                prop_assert_eq!(seen.trim_end_matches('\n').replace('\n', "|"), given.trim_end_matches('\n').replace('\n', "|"));
            }
        }
    }
}
