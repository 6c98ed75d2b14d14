//! Tables: a header and aligned columns, nothing drawn between them. Pure.

use unicode_width::UnicodeWidthStr;

use super::sanitize::safe;
use super::style::{Role, Styles};

/// A cell, and what it means.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    role: Option<Role>,
}

impl Cell {
    /// A cell in the plain colour.
    pub(crate) fn new(text: &str) -> Self {
        Self {
            text: safe(text).into_owned(),
            role: None,
        }
    }

    /// In a colour.
    pub(crate) fn of(role: Role, text: &str) -> Self {
        Self {
            role: Some(role),
            ..Self::new(text)
        }
    }

    /// What there is, or a dash.
    pub(crate) fn or_dash(text: Option<&str>) -> Self {
        text.filter(|text| !text.is_empty())
            .map_or_else(|| Self::of(Role::Dim, "-"), Self::new)
    }
}

/// The table; each line is ended. A column that is empty in every row is left out.
pub(crate) fn table(header: &[&str], rows: &[Vec<Cell>], styles: Styles) -> String {
    let empty = |column: usize| {
        rows.iter()
            .all(|row| matches!(row[column].text.as_str(), "" | "-"))
    };
    let shown: Vec<usize> = (0..header.len()).filter(|&c| c == 0 || !empty(c)).collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].text.width());
        cells.chain([header[column].width()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = shown.iter().map(|&column| width(column)).collect();
    let mut out = String::new();
    let header: Vec<Cell> = header
        .iter()
        .map(|text| Cell::of(Role::Dim, text))
        .collect();
    for row in std::iter::once(&header).chain(rows) {
        let mut pad = 0;
        for (&column, width) in shown.iter().zip(&widths) {
            let Cell { text, role } = &row[column];
            if text.is_empty() {
                pad += width + 2;
                continue;
            }
            out.push_str(&" ".repeat(pad));
            match role {
                Some(role) => out.push_str(&styles.paint(*role, text).to_string()),
                None => out.push_str(text),
            }
            pad = width - text.width() + 2;
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_empty_ones_left_out() {
        let row = |a, b, c| vec![Cell::new(a), Cell::or_dash(b), Cell::new(c)];
        let rows = [row("日本", None, "x"), row("b\u{1b}[2J", None, "")];
        assert_eq!(
            table(&["name", "none", "end"], &rows, Styles::plain()),
            "name  end\n日本  x\nb\n"
        );
    }
}
