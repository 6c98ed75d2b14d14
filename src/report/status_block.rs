//! The status block on the terminal: rows of `progress` under the lines of the hosts. Owns the cursor while
//! it is shown; every write to the terminal goes through [`StatusBlock::above`].

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::terminal::ControlsHidden;

/// Rows that are redrawn in place.
pub(crate) struct StatusBlock {
    block: MultiProgress,
    rows: Vec<ProgressBar>,
    hidden: bool,
    _controls: Option<ControlsHidden>,
}

/// Redraws a second at most.
const REDRAWS: u8 = 10;

impl StatusBlock {
    /// A block on stderr.
    pub(crate) fn on_stderr() -> Self {
        Self {
            _controls: ControlsHidden::on_stderr(),
            ..Self::on(ProgressDrawTarget::stderr_with_hz(REDRAWS))
        }
    }

    /// A block on any target.
    pub(crate) fn on(target: ProgressDrawTarget) -> Self {
        Self {
            block: MultiProgress::with_draw_target(target),
            rows: Vec::new(),
            hidden: false,
            _controls: None,
        }
    }

    /// Shows these rows in place of the former ones.
    pub(crate) fn show(&mut self, rows: &[String]) {
        let rows = if self.hidden { &[] } else { rows };
        while self.rows.len() > rows.len() {
            if let Some(row) = self.rows.pop() {
                row.finish_and_clear();
                self.block.remove(&row);
            }
        }
        for (row, text) in self.rows.iter().zip(rows) {
            if row.message() != *text {
                row.set_message(text.clone());
            }
        }
        for text in &rows[self.rows.len()..] {
            let style = ProgressStyle::with_template("{msg}").expect("the template is fixed");
            let row = ProgressBar::new(1)
                .with_style(style)
                .with_message(text.clone());
            let row = self.block.add(row);
            row.tick();
            self.rows.push(row);
        }
    }

    /// Takes the block off the screen until [`StatusBlock::unhide`]: somebody is asked, or the run is over.
    pub(crate) fn hide(&mut self) {
        self.hidden = true;
        self.show(&[]);
        // The rows are gone already; a terminal that refuses shows them a moment longer.
        let _ = self.block.clear();
    }

    /// Lets the block be shown again.
    pub(crate) fn unhide(&mut self) {
        self.hidden = false;
    }

    /// Runs `write` with the block out of the way: what it writes scrolls above the block.
    pub(crate) fn above<R>(&self, write: impl FnOnce() -> R) -> R {
        if self.rows.is_empty() {
            return write();
        }
        self.block.suspend(write)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_and_go() {
        let mut block = StatusBlock::on(ProgressDrawTarget::hidden());
        block.show(&["a".into(), "b".into()]);
        assert_eq!(block.rows.len(), 2);
        block.show(&["c".into()]);
        assert_eq!(block.rows[0].message(), "c");
        block.hide();
        block.show(&["d".into()]);
        assert!(block.rows.is_empty());
        block.unhide();
        block.show(&["d".into()]);
        assert_eq!(block.rows.len(), 1);
        assert_eq!(block.above(|| 7), 7);
    }
}
