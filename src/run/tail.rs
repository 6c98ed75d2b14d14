//! The last lines of a host's last step, for the failure report: bounded, whatever the host prints. Pure.

use std::collections::VecDeque;

use super::event::Lines;

/// Lines kept.
const LINES: usize = 20;

/// Bytes kept of one line.
const LINE_BYTES: usize = 1024;

/// The last lines.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    lines: VecDeque<Vec<u8>>,
}

impl Tail {
    /// Forgets the lines: another step begins.
    pub(crate) fn clear(&mut self) {
        self.lines.clear();
    }

    /// Takes lines in; only the last ones are copied.
    pub(crate) fn take(&mut self, lines: &Lines) {
        for line in lines.iter().skip(lines.len().saturating_sub(LINES)) {
            let mut kept = if self.lines.len() == LINES {
                self.lines.pop_front().unwrap_or_default()
            } else {
                Vec::new()
            };
            kept.clear();
            kept.extend_from_slice(&line.bytes[..line.bytes.len().min(LINE_BYTES)]);
            self.lines.push_back(kept);
        }
    }

    /// The lines as text, invalid UTF-8 replaced.
    pub(crate) fn texts(&self) -> Vec<String> {
        let lines = self.lines.iter();
        lines
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::model::Stream;
    use crate::run::event::Line;

    use super::*;

    fn lines(texts: &[String]) -> Lines {
        let lines = texts.iter().map(|text| Line {
            bytes: text.as_bytes(),
            partial: false,
        });
        Lines::new(Stream::Stdout, lines)
    }

    #[test]
    fn the_last_lines_stay_in_order() {
        let all: Vec<String> = (0..50).map(|n| n.to_string()).collect();
        let mut tail = Tail::default();
        for batch in all.chunks(7) {
            tail.take(&lines(batch));
        }
        assert_eq!(tail.texts(), all[30..]);
    }

    #[test]
    fn a_long_line_is_cut() {
        let mut tail = Tail::default();
        tail.take(&lines(&["x".repeat(5000)]));
        assert_eq!(tail.texts()[0].len(), LINE_BYTES);
    }
}
