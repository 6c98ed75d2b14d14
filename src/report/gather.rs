//! Equal output of hosts together, under one heading of folded names (`-b`), and each group against the
//! largest one (`--diff`).
//!
//! Memory is bounded: what a host prints goes to a [`Spool`], and once a host has ended with the output of
//! another its own is dropped, so that only different outputs are kept.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::Path;

use indexmap::IndexMap;

use crate::model::{Label, Stream};
use crate::run::event::{Lines, StepRef};

use super::diff::diff_text;
use super::fold::{fold, natural};
use super::lines::{LineLook, Looks};
use super::sanitize::{push_safe_line, safe};
use super::spool::{Fingerprint, Spool};
use super::style::Role;

/// Takes what is to be written: [`Gatherer::print`] hands it on in pieces.
pub(crate) type Writer<'a> = dyn FnMut(Stream, &[u8]) + 'a;

/// Larger outputs are not compared line by line.
const MAX_COMPARED: u64 = 1 << 20;
/// Bytes that are handed on at once.
const PIECE: usize = 64 << 10;

/// Holds back output until its hosts have ended.
pub(crate) struct Gatherer {
    looks: Looks,
    diff: bool,
    folder: Option<tempfile::TempDir>,
    made: usize,
    /// Output of hosts at work; `None` is the controller.
    running: HashMap<(Option<Label>, Stream), Spool>,
    stdout: Pile,
    stderr: Pile,
    /// Hosts that ended without having printed anything.
    silent: Vec<Label>,
}

/// Different outputs of one stream.
#[derive(Default)]
struct Pile(IndexMap<Fingerprint, Group>);

struct Group {
    hosts: Vec<String>,
    spool: Spool,
}

impl Gatherer {
    pub(crate) fn new(looks: Looks, diff: bool) -> Self {
        Self {
            looks,
            diff,
            folder: None,
            made: 0,
            running: HashMap::new(),
            stdout: Pile::default(),
            stderr: Pile::default(),
            silent: Vec::new(),
        }
    }

    /// Keeps what memory should not hold in a folder of its own in the run's record, or, where that cannot
    /// be, in the system's folder for temporary files. It goes when the gatherer goes.
    pub(crate) fn spool_in(&mut self, record: &Path) {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".gather-");
        self.folder = builder
            .tempdir_in(record)
            .or_else(|_| builder.tempdir())
            .ok();
    }

    /// Adds output of a host.
    pub(crate) fn add(&mut self, host: Option<&Label>, step: &StepRef, lines: &Lines) {
        let key = (host.cloned(), lines.stream());
        let made = &mut self.made;
        let folder = self
            .folder
            .as_ref()
            .map_or(Path::new("/nonexistent"), |folder| folder.path());
        let spool = self.running.entry(key).or_insert_with(|| {
            *made += 1;
            Spool::new(folder.join(made.to_string()))
        });
        for line in lines.iter() {
            spool.push(&step.id, line);
        }
    }

    /// A host ended: its output joins those that are equal.
    pub(crate) fn host_ended(&mut self, host: Option<&Label>) {
        let mut printed = false;
        for stream in [Stream::Stdout, Stream::Stderr] {
            let Some(mut spool) = self.running.remove(&(host.cloned(), stream)) else {
                continue;
            };
            printed = true;
            let fingerprint = spool.seal();
            let name = host.map_or("local", Label::as_str).to_owned();
            let pile = match stream {
                Stream::Stdout => &mut self.stdout,
                Stream::Stderr => &mut self.stderr,
            };
            let group = pile.0.entry(fingerprint).or_insert_with(|| Group {
                hosts: Vec::new(),
                spool,
            });
            group.hosts.push(name);
        }
        if let Some(host) = host.filter(|_| !printed) {
            self.silent.push(host.clone());
        }
    }

    /// Prints the groups of every host that has ended, the largest first, and forgets them.
    pub(crate) fn print(&mut self, writer: &mut Writer<'_>) {
        self.host_ended(None);
        for stream in [Stream::Stdout, Stream::Stderr] {
            let pile = match stream {
                Stream::Stdout => std::mem::take(&mut self.stdout),
                Stream::Stderr => std::mem::take(&mut self.stderr),
            };
            self.print_pile(stream, pile, writer);
        }
        if !self.silent.is_empty() {
            let hosts = fold(
                self.silent
                    .drain(..)
                    .collect::<Vec<_>>()
                    .iter()
                    .map(Label::as_str),
            );
            let text = format!("no output: {}\n", safe(&hosts));
            writer(Stream::Stderr, text.as_bytes());
        }
    }

    fn print_pile(&self, stream: Stream, pile: Pile, writer: &mut Writer<'_>) {
        let look = self.looks.of(stream);
        let mut groups: Vec<Group> = pile.0.into_values().collect();
        for group in &mut groups {
            group.hosts.sort_by(|left, right| natural(left, right));
        }
        groups.sort_by(|left, right| {
            let size = right.hosts.len().cmp(&left.hosts.len());
            size.then_with(|| natural(&left.hosts[0], &right.hosts[0]))
        });
        let Some((first, others)) = groups.split_first() else {
            return;
        };
        print_group(stream, first, look, writer);
        for group in others {
            match (self.diff, difference(&first.spool, &group.spool, look)) {
                (true, Some(text)) => {
                    let against = fold(first.hosts.iter().map(String::as_str));
                    let heading =
                        heading(&group.hosts, &format!(", against {}", safe(&against)), look);
                    writer(stream, heading.as_bytes());
                    writer(stream, text.as_bytes());
                }
                _ => print_group(stream, group, look, writer),
            }
        }
    }
}

fn heading(hosts: &[String], rest: &str, look: LineLook) -> String {
    let folded = fold(hosts.iter().map(String::as_str));
    let text = format!("=== {} ({}){rest} ===", safe(&folded), hosts.len());
    format!("{}\n", look.styles.paint(Role::Strong, text))
}

fn print_group(stream: Stream, group: &Group, look: LineLook, writer: &mut Writer<'_>) {
    writer(stream, heading(&group.hosts, "", look).as_bytes());
    let read = group
        .spool
        .reader()
        .and_then(|reader| hand_on(reader, stream, look, writer));
    let trouble = read.err().map(|error| error.to_string());
    let trouble = trouble.or_else(|| group.spool.trouble().map(ToString::to_string));
    if let Some(trouble) = trouble {
        let hosts = fold(group.hosts.iter().map(String::as_str));
        let text = format!(
            "the output of {} is cut here: {trouble}; the hosts' logs have it all\n",
            safe(&hosts)
        );
        writer(Stream::Stderr, text.as_bytes());
    }
}

/// Hands a spool's lines on, cleaned where the stream wants it.
fn hand_on(
    mut reader: impl std::io::BufRead,
    stream: Stream,
    look: LineLook,
    writer: &mut Writer<'_>,
) -> std::io::Result<()> {
    let (mut line, mut out) = (Vec::new(), Vec::with_capacity(PIECE));
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        match look.cleaned {
            None => out.extend_from_slice(&line),
            Some(colours) => {
                push_safe_line(line.strip_suffix(b"\n").unwrap_or(&line), colours, &mut out);
                out.push(b'\n');
            }
        }
        if out.len() >= PIECE {
            writer(stream, &out);
            out.clear();
        }
    }
    writer(stream, &out);
    Ok(())
}

/// How one output differs from another; `None` where they are too large, or cannot be read.
fn difference(base: &Spool, other: &Spool, look: LineLook) -> Option<String> {
    if base.len() > MAX_COMPARED || other.len() > MAX_COMPARED {
        return None;
    }
    let text = |spool: &Spool| {
        let mut bytes = Vec::new();
        spool.reader().ok()?.read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    Some(diff_text(&text(base)?, &text(other)?, look.styles))
}

#[cfg(test)]
mod tests {
    use super::super::samples::{lines, step};
    use super::super::style::Styles;
    use super::*;

    fn gatherer(diff: bool) -> Gatherer {
        let look = LineLook {
            styles: Styles::plain(),
            cleaned: None,
            joins: true,
        };
        Gatherer::new(
            Looks {
                stdout: look,
                stderr: look,
            },
            diff,
        )
    }

    fn printed(gatherer: &mut Gatherer) -> String {
        let mut text = String::new();
        gatherer.print(&mut |stream, bytes| {
            for line in String::from_utf8_lossy(bytes).lines() {
                let mark = if stream == Stream::Stderr { "E:" } else { "" };
                text.extend([mark, line, "\n"]);
            }
        });
        text
    }

    fn give(gatherer: &mut Gatherer, host: &str, stream: Stream, texts: &[&str]) {
        let texts: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
        gatherer.add(Some(&Label::new(host)), &step("s"), &lines(stream, &texts));
    }

    fn end(gatherer: &mut Gatherer, hosts: &[&str]) {
        for host in hosts {
            gatherer.host_ended(Some(&Label::new(*host)));
        }
    }

    fn fleet(diff: bool) -> Gatherer {
        let mut gatherer = gatherer(diff);
        for host in ["app-3", "app-1", "app-2"] {
            give(
                &mut gatherer,
                host,
                Stream::Stdout,
                &["kernel 6.1", "java 17"],
            );
        }
        give(
            &mut gatherer,
            "db-1",
            Stream::Stdout,
            &["kernel 6.1", "java 21"],
        );
        give(&mut gatherer, "db-1", Stream::Stderr, &["deprecated"]);
        end(
            &mut gatherer,
            &["app-1", "app-2", "app-3", "db-1", "quiet-1"],
        );
        gatherer
    }

    #[test]
    fn equal_output_is_printed_once() {
        insta::assert_snapshot!(printed(&mut fleet(false)), @r"
        === app-[1-3] (3) ===
        kernel 6.1
        java 17
        === db-1 (1) ===
        kernel 6.1
        java 21
        E:=== db-1 (1) ===
        E:deprecated
        E:no output: quiet-1
        ");
    }

    #[test]
    fn groups_are_shown_against_the_largest() {
        insta::assert_snapshot!(printed(&mut fleet(true)), @r"
        === app-[1-3] (3) ===
        kernel 6.1
        java 17
        === db-1 (1), against app-[1-3] ===
         kernel 6.1
        -java 17
        +java 21
        E:=== db-1 (1) ===
        E:deprecated
        E:no output: quiet-1
        ");
    }

    #[test]
    fn hosts_at_work_wait_for_the_next_time() {
        let mut gatherer = gatherer(false);
        give(&mut gatherer, "a", Stream::Stdout, &["1"]);
        give(&mut gatherer, "b", Stream::Stdout, &["1"]);
        end(&mut gatherer, &["a"]);
        assert_eq!(printed(&mut gatherer), "=== a (1) ===\n1\n");
        end(&mut gatherer, &["b"]);
        assert_eq!(printed(&mut gatherer), "=== b (1) ===\n1\n");
        assert_eq!(printed(&mut gatherer), "");
    }

    #[test]
    fn large_output_goes_by_the_disk_and_is_kept_once() {
        let record = tempfile::tempdir().unwrap();
        let mut gatherer = gatherer(true);
        gatherer.spool_in(record.path());
        let texts: Vec<String> = (0..3000).map(|n| format!("line {n} of many")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        for host in ["a", "b"] {
            give(&mut gatherer, host, Stream::Stdout, &texts);
            end(&mut gatherer, &[host]);
        }
        let folder = gatherer.folder.as_ref().unwrap().path().to_owned();
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        let text = printed(&mut gatherer);
        assert_eq!(text.lines().count(), 3001);
        assert!(
            text.starts_with("=== a,b (2) ===\nline 0 of many\n"),
            "{}",
            &text[..60]
        );
        drop(gatherer);
        assert!(!folder.exists());
    }
}
