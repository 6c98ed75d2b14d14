//! Colours: when there are any, and which ones. Meaning never depends on them.

use std::fmt;

use anstyle::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What `--color` asked for; `app` passes `Never` where `NO_COLOR` is set and the flag is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColourChoice {
    /// Colours on a terminal alone.
    #[default]
    Auto,
    /// Colours everywhere.
    Always,
    /// No colours.
    Never,
}

impl ColourChoice {
    /// Whether a stream is coloured.
    pub fn allows(self, terminal: bool) -> bool {
        match self {
            Self::Auto => terminal,
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// Paints texts, or leaves them as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Styles {
    coloured: bool,
}

/// What a piece of text is, which decides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// `error:` and outcomes that are failures.
    Error,
    /// Warnings, and outcomes that are neither good nor bad.
    Warning,
    /// `hint:` and `next:`.
    Hint,
    /// Outcomes that are good.
    Good,
    /// What can be overlooked.
    Dim,
    /// Headings.
    Strong,
    /// A host's label; the number picks one of six colours.
    Host(usize),
}

/// Colours of host labels: those that read well on dark and on light, and mean nothing.
const HOST_COLOURS: [AnsiColor; 6] = [
    AnsiColor::Cyan,
    AnsiColor::Magenta,
    AnsiColor::Blue,
    AnsiColor::BrightCyan,
    AnsiColor::BrightMagenta,
    AnsiColor::BrightBlue,
];

impl Styles {
    /// Colours, or none.
    pub const fn new(coloured: bool) -> Self {
        Self { coloured }
    }

    /// No colours.
    pub const fn plain() -> Self {
        Self::new(false)
    }

    /// Whether there are colours.
    pub const fn coloured(self) -> bool {
        self.coloured
    }

    /// The text in its colour.
    pub(crate) fn paint<T: fmt::Display>(self, role: Role, text: T) -> Painted<T> {
        let style = self.coloured.then(|| style_of(role));
        Painted { style, text }
    }

    /// A host's label in the colour that it has in every run.
    pub(crate) fn label(self, label: &str) -> Painted<&str> {
        self.paint(Role::Host(colour_number(label)), label)
    }
}

fn style_of(role: Role) -> Style {
    let of = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
    match role {
        Role::Error => of(AnsiColor::Red).bold(),
        Role::Warning => of(AnsiColor::Yellow),
        Role::Hint => of(AnsiColor::Cyan).bold(),
        Role::Good => of(AnsiColor::Green),
        Role::Dim => Style::new().dimmed(),
        Role::Strong => Style::new().bold(),
        Role::Host(number) => of(HOST_COLOURS[number % HOST_COLOURS.len()]),
    }
}

/// FNV-1a over the label: the same host has the same colour in every run, whoever its neighbours are.
fn colour_number(label: &str) -> usize {
    let hash = label.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    hash as usize
}

/// A text and its colour.
pub(crate) struct Painted<T> {
    style: Option<Style>,
    text: T,
}

impl<T: fmt::Display> fmt::Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.style {
            None => self.text.fmt(f),
            Some(style) => {
                write!(f, "{style}")?;
                self.text.fmt(f)?;
                write!(f, "{style:#}")
            }
        }
    }
}

/// A row of our own that is no wider than `width`: what is cut off becomes `…`. Colours take no columns.
pub(crate) fn cut(row: &str, width: usize) -> String {
    if anstream::adapter::strip_str(row).to_string().width() <= width {
        return row.to_owned();
    }
    let (mut out, mut left, mut in_escape) = (String::new(), width.saturating_sub(1), false);
    for c in row.chars() {
        let columns = c.width().unwrap_or(0);
        if in_escape || c == '\u{1b}' {
            in_escape = c != 'm';
            out.push(c);
        } else if columns <= left {
            left -= columns;
            out.push(c);
        } else {
            left = 0;
        }
    }
    // Colours that were on at the cut have been switched off by the sequences after it.
    out.push('…');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_cut_by_its_columns_and_ends_its_colours() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdef", 4), "abc…");
        let styles = Styles::new(true);
        let row = format!("ab{}", styles.paint(Role::Good, "cdef"));
        assert_eq!(cut(&row, 4), "ab\u{1b}[32mc\u{1b}[0m…");
        assert_eq!(cut("日本語", 4), "日…");
    }

    #[test]
    fn auto_colours_terminals_alone() {
        let table = [
            (ColourChoice::Auto, [false, true]),
            (ColourChoice::Always, [true, true]),
            (ColourChoice::Never, [false, false]),
        ];
        for (choice, [piped, terminal]) in table {
            assert_eq!(
                (choice.allows(false), choice.allows(true)),
                (piped, terminal)
            );
        }
    }

    #[test]
    fn without_colours_a_text_is_as_it_was() {
        assert_eq!(
            Styles::plain().paint(Role::Error, "error:").to_string(),
            "error:"
        );
        assert_eq!(
            Styles::new(true).paint(Role::Good, "ok").to_string(),
            "\u{1b}[32mok\u{1b}[0m"
        );
    }

    #[test]
    fn a_host_keeps_its_colour() {
        let styles = Styles::new(true);
        assert_eq!(
            styles.label("app-1").to_string(),
            styles.label("app-1").to_string()
        );
    }
}
