//! The last words of a run: its summary, as the options want it. Pure but for the shared view it reads.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use super::fold::fold_within;
use super::grammar::counted;
use super::notice::Verbosity;
use super::sanitize::safe;
use super::screen::{OutputForm, ScreenOptions, Shared};
use super::style::Styles;
use super::summary::{Closing, SummaryLook, all_well, count_line, summary_text};
use super::terminal::{StreamKind, Streams};
use super::view::RunView;

/// Columns for hosts that were still at work.
const LEFT_WIDTH: usize = 60;

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
    let Some(run) = &view.run else {
        return String::new();
    };
    // Not `last`: another run may have begun meanwhile, and this one may be an old one that went on.
    let run = run.as_str();
    let run = run.rsplit('-').next().unwrap_or(run);
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
        run,
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

/// The last words of a process that was told three times to end.
pub(crate) fn leaving(view: &RunView) -> String {
    let Some(run) = &view.run else {
        return "left before anything was run\n".to_owned();
    };
    let busy: Vec<&str> = view
        .busy()
        .iter()
        .map(|(label, ..)| label.as_str())
        .collect();
    let left = match busy.len() {
        0 => "no host was at work".to_owned(),
        count => format!(
            "{} still at work: {}; what ran there ends by itself, unseen",
            counted(count, "host"),
            safe(&fold_within(busy, LEFT_WIDTH))
        ),
    };
    let record = view.record.to_string_lossy();
    format!(
        "left at the third signal; {left}\nrecord: {}\nnext: fab-rs report {run}\n",
        safe(&record)
    )
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

#[cfg(test)]
mod tests {
    use super::super::samples::{event, finished, host, run_started};
    use super::*;
    use crate::model::HostOutcome;
    use crate::run::event::EventKind;
    use crate::task::Kind;

    #[test]
    fn whoever_leaves_is_told_who_was_at_work_and_where_the_record_is() {
        let mut view = RunView::default();
        assert_eq!(leaving(&view), "left before anything was run\n");
        view.apply(&event(
            0,
            0,
            run_started(Kind::Read, &[("a", "z"), ("b", "z")]),
        ));
        for label in ["a", "b"] {
            view.apply(&event(1, 1, EventKind::HostStarted { host: host(label) }));
        }
        view.apply(&event(2, 2, finished("a", HostOutcome::Ok, 1, &[])));
        insta::assert_snapshot!(leaving(&view), @r"
        left at the third signal; 1 host still at work: b; what ran there ends by itself, unseen
        record: /state/runs/20250102T030405Z-heapdump-00ff
        next: fab-rs report 20250102T030405Z-heapdump-00ff
        ");
    }
}
