//! What `plan --probe` says while it asks hosts: what a run says of its preflight, and the lines of the steps. All of
//! it is on stderr, since the plan is the data.

use crate::run::event::{EventKind, RunEvent};
use crate::run::sink::Sink;

use super::console::Console;
use super::form::Form;
use super::notice::{NoticeLook, notice};
use super::screen::{OutputForm, ScreenOptions};
use super::sheet::Sheet;
use super::terminal::{StreamKind, Streams};
use super::view::RunView;

/// Takes the events of a look.
pub struct PreviewSink<'c> {
    console: &'c Console,
    form: Form,
    view: RunView,
    sheet: Sheet,
    look: NoticeLook,
}

impl<'c> PreviewSink<'c> {
    /// A sink over the console's stderr.
    pub fn new(console: &'c Console, options: ScreenOptions) -> Self {
        let own = console.streams();
        let streams = Streams {
            stdout: own.stderr,
            ..own
        };
        let options = ScreenOptions {
            form: OutputForm::Lines { prefixed: true },
            ..options
        };
        Self {
            console,
            form: Form::new(options, streams),
            view: RunView::default(),
            sheet: Sheet::default(),
            look: NoticeLook {
                verbosity: options.verbosity,
                styles: console.note_styles(),
                width: streams.width,
                has_status: false,
                terminal: streams.stderr == StreamKind::Terminal,
            },
        }
    }
}

impl Sink for PreviewSink<'_> {
    async fn accept(&mut self, event: &RunEvent) {
        self.form.take(event, &mut self.sheet);
        if !matches!(event.kind, EventKind::Output { .. }) {
            self.view.apply(event);
        }
        if let Some(text) = notice(&event.kind, &self.view, self.look) {
            self.form.before_note(&mut self.sheet);
            self.sheet.note(&text);
        }
        self.console.sheet_of_notes(&mut self.sheet);
    }
}

impl Drop for PreviewSink<'_> {
    /// Ends a line that is open.
    fn drop(&mut self) {
        self.form.finish(&mut self.sheet);
        self.console.sheet_of_notes(&mut self.sheet);
    }
}
