//! What becomes of a run's events on stdout: lines as they come, equal output together, or JSON. Puts bytes
//! on a sheet; when they are written is `printer`'s business.

use crate::model::Stream;
use crate::run::event::{EventKind, RunEvent};

use super::gather::Gatherer;
use super::json::push_event;
use super::lines::{LineWriter, Looks};
use super::screen::{OutputForm, ScreenOptions};
use super::sheet::Sheet;
use super::style::Styles;
use super::terminal::{StreamKind, Streams};
use super::view::host_of;

/// The form of a run's output, with what it has to remember.
pub(crate) enum Form {
    /// Lines as they come; the writer is made once the hosts are known.
    Lines {
        /// Each behind its host's label.
        prefixed: bool,
        /// How the two streams look.
        looks: Looks,
        /// Writes them.
        writer: Option<LineWriter>,
    },
    /// Equal output together.
    Gathered(Gatherer),
    /// One event a line.
    Json,
}

/// What an event came to.
pub(crate) enum Taken {
    /// So many lines on the sheet.
    Lines(usize),
    /// Hosts have ended whose output can be printed now.
    GroupsReady,
}

impl Form {
    pub(crate) fn new(options: ScreenOptions, streams: Streams) -> Self {
        let looks = looks(options, streams);
        match options.form {
            OutputForm::Lines { prefixed } => Self::Lines {
                prefixed,
                looks,
                writer: None,
            },
            OutputForm::Gathered { diff } => Self::Gathered(Gatherer::new(looks, diff)),
            OutputForm::Json => Self::Json,
        }
    }

    /// Takes an event in, and puts on the sheet what is data.
    pub(crate) fn take(&mut self, event: &RunEvent, sheet: &mut Sheet) -> Taken {
        match self {
            Self::Json => {
                push_event(event, sheet.on(Stream::Stdout));
                Taken::Lines(1)
            }
            Self::Lines {
                prefixed,
                looks,
                writer,
            } => {
                if let EventKind::RunStarted { hosts, .. } = &event.kind {
                    let labels = hosts.iter().map(|(host, _)| &host.host);
                    *writer = Some(LineWriter::new(labels, *looks, *prefixed));
                }
                let lines = writer
                    .as_mut()
                    .map_or(0, |writer| take_lines(writer, &event.kind, sheet));
                Taken::Lines(lines)
            }
            Self::Gathered(gatherer) => take_gathered(gatherer, &event.kind),
        }
    }

    /// Ends the line that is open on stderr, so that a text of our own can follow.
    pub(crate) fn before_note(&mut self, sheet: &mut Sheet) {
        if let Self::Lines {
            writer: Some(writer),
            ..
        } = self
        {
            writer.before_note(sheet);
        }
    }

    /// The end of the run.
    pub(crate) fn finish(&mut self, sheet: &mut Sheet) {
        if let Self::Lines {
            writer: Some(writer),
            ..
        } = self
        {
            writer.finish(sheet);
        }
    }
}

fn take_lines(writer: &mut LineWriter, kind: &EventKind, sheet: &mut Sheet) -> usize {
    let host = host_of(kind).map(|host| &host.host);
    match kind {
        EventKind::Output { step, lines, .. } => {
            writer.push(host, step, lines, sheet);
            lines.len()
        }
        EventKind::StepFinished { .. }
        | EventKind::StepRetried { .. }
        | EventKind::HostFinished { .. } => {
            writer.step_ended(host);
            0
        }
        _ => 0,
    }
}

fn take_gathered(gatherer: &mut Gatherer, kind: &EventKind) -> Taken {
    let host = host_of(kind).map(|host| &host.host);
    match kind {
        EventKind::RunStarted { record, .. } => gatherer.spool_in(record),
        EventKind::Output { step, lines, .. } => gatherer.add(host, step, lines),
        EventKind::HostFinished { .. } => gatherer.host_ended(host),
        EventKind::BatchFinished { .. } | EventKind::RunFinished { .. } => {
            return Taken::GroupsReady;
        }
        _ => {}
    }
    Taken::Lines(0)
}

fn looks(options: ScreenOptions, streams: Streams) -> Looks {
    let styles =
        |kind: StreamKind| Styles::new(options.colours.allows(kind == StreamKind::Terminal));
    let both = [styles(streams.stdout), styles(streams.stderr)];
    Looks::on(streams, both, options.remote_colours)
}
