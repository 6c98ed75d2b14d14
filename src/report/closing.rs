//! The last words of a run: its summary, as the options want it. Pure but for the shared view it reads.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use super::grammar::counted;
use super::notice::Verbosity;
use super::screen::{OutputForm, ScreenOptions, Shared};
use super::style::Styles;
use super::summary::{Closing, SummaryLook, all_well, count_line, summary_text};
use super::terminal::{StreamKind, Streams};

/// Colours of what goes to stderr.
pub(crate) fn note_styles(options: ScreenOptions, streams: Streams) -> Styles {
    Styles::new(
        options
            .colours
            .allows(streams.stderr == StreamKind::Terminal),
    )
}

/// The summary as the options want it; nothing where nobody was asked to be told.
pub(crate) fn closing_text(
    shared: &Shared,
    closing: &Closing,
    options: ScreenOptions,
    streams: Streams,
) -> String {
    let view = shared.view();
    if view.run.is_none() {
        return String::new();
    }
    let styles = note_styles(options, streams);
    if options.verbosity == Verbosity::Quiet {
        return if all_well(&view) {
            String::new()
        } else {
            count_line(&view, styles)
        };
    }
    let skipped = shared.skipped();
    let look = SummaryLook {
        styles,
        width: streams.width,
        run: "last",
        skipped: &skipped,
        trouble: None,
    };
    let mut text = summary_text(&view, closing, &look);
    let dropped = shared.dropped.load(Ordering::Relaxed);
    if dropped > 0 && options.form == OutputForm::Json {
        let events = counted(usize::try_from(dropped).unwrap_or(usize::MAX), "event");
        let _ = writeln!(
            text,
            "{events} could not be written in time; events.jsonl has them"
        );
    }
    text
}

/// The summary of a run whose printer is stuck.
pub(crate) fn last_words(
    shared: &Shared,
    closing: &Closing,
    options: ScreenOptions,
    streams: Streams,
) -> String {
    let text = closing_text(shared, closing, options, streams);
    format!(
        "\nthe reader of the output takes nothing; what it did not get is in the hosts' logs\n{text}"
    )
}
