//! Errors as text: one form for every error of fab-rs, with a caret where there is a file.
//!
//! ```text
//! error: unknown key `max_failure` in `strategy` of task `deploy`
//!   --> tasks/web.yml:14:5
//!    |
//! 14 |     max_failure: 1
//!    |     ^^^^^^^^^^^ did you mean `max_failures`?
//! ```
//!
//! A diagnostic that says in its context what was being done (`step x, rendered for host y`) and has no
//! label points at its place without quoting it; every other one with a span quotes the line. The outcome
//! of hosts is `host_failure`'s job.

use std::fmt::Write as _;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::model::{Diagnostic, SourceSpan};

use super::sanitize::safe;
use super::style::{Role, Styles};

/// Columns of a source line that are shown; longer ones are cut around the caret.
const SOURCE_WIDTH: usize = 120;

/// Errors one after the other, a blank line between them.
pub fn render_all(diagnostics: &[Diagnostic], styles: Styles) -> String {
    let texts: Vec<String> = diagnostics
        .iter()
        .map(|diagnostic| render(diagnostic, styles))
        .collect();
    texts.join("\n")
}

/// One error, each line ended.
pub fn render(diagnostic: &Diagnostic, styles: Styles) -> String {
    render_as("error:", Role::Error, diagnostic, styles)
}

/// A diagnostic that stops nothing.
pub fn render_warning(diagnostic: &Diagnostic, styles: Styles) -> String {
    render_as("warning:", Role::Warning, diagnostic, styles)
}

/// Any error of a library: its message, then its sources as causes. A source that the message before it
/// already ends with is left out.
pub fn diagnostic_of(error: &(dyn std::error::Error + 'static)) -> Diagnostic {
    let mut diagnostic = Diagnostic::new(error.to_string());
    let mut last = diagnostic.message.clone();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !last.ends_with(&text) {
            diagnostic.causes.push(text.clone());
            last = text;
        }
        source = cause.source();
    }
    diagnostic
}

fn render_as(word: &str, role: Role, diagnostic: &Diagnostic, styles: Styles) -> String {
    let mut out = String::new();
    let message = styles.paint(Role::Strong, safe(&diagnostic.message));
    line(
        &mut out,
        format_args!("{} {message}", styles.paint(role, word)),
    );
    push_place(&mut out, diagnostic, styles);
    for cause in &diagnostic.causes {
        push_block(&mut out, "  caused by: ", cause);
    }
    for hint in &diagnostic.hints {
        let lead = styles.paint(Role::Hint, "hint:");
        line(&mut out, format_args!("{lead} {}", safe(hint)));
    }
    out
}

/// A text of one or several lines, the first after `lead`, the others under it.
fn push_block(out: &mut String, lead: &str, text: &str) {
    let mut indent = lead.to_owned();
    for part in text.trim_end().lines() {
        line(out, format_args!("{indent}{}", safe(part)));
        indent = " ".repeat(lead.len());
    }
}

fn push_place(out: &mut String, diagnostic: &Diagnostic, styles: Styles) {
    let context = diagnostic.context.as_deref().map(safe);
    let Some(span) = &diagnostic.span else {
        match context {
            // A context without a blank is a file; any other says what is known about the place.
            Some(file) if !file.contains(' ') => push_arrow(out, 2, &file, styles),
            Some(known) => line(out, format_args!("  {known}")),
            None => {}
        }
        if let Some(label) = &diagnostic.label {
            line(out, format_args!("  {}", safe(label)));
        }
        return;
    };
    let mut place = safe(&span.place()).into_owned();
    if let Some(context) = &context {
        let _ = write!(place, ", {context}");
    }
    let (number, _) = span.line_column();
    let gutter = number.to_string().len().max(2);
    push_arrow(out, gutter, &place, styles);
    if context.is_none() || diagnostic.label.is_some() {
        let label = diagnostic.label.as_deref().map(safe).unwrap_or_default();
        push_caret(out, span, gutter, &label, styles);
    }
}

fn push_arrow(out: &mut String, gutter: usize, place: &str, styles: Styles) {
    let arrow = styles.paint(Role::Dim, "-->");
    line(
        out,
        format_args!("{:width$}{arrow} {place}", "", width = gutter),
    );
}

fn push_caret(out: &mut String, span: &SourceSpan, gutter: usize, label: &str, styles: Styles) {
    let excerpt = Excerpt::of(span);
    let bar = styles.paint(Role::Dim, "|");
    let (number, _) = span.line_column();
    line(out, format_args!("{:gutter$} {bar}", ""));
    let number = styles.paint(Role::Dim, format!("{number:>gutter$}"));
    let quoted = format!("{number} {bar} {}", excerpt.text);
    line(out, format_args!("{}", quoted.trim_end()));
    let marks = "^".repeat(excerpt.width);
    let pointed = format!("{marks} {label}");
    let pointed = styles.paint(Role::Error, pointed.trim_end());
    let indent = " ".repeat(excerpt.column);
    line(out, format_args!("{:gutter$} {bar} {indent}{pointed}", ""));
}

/// The line of a span as it is shown, and where the carets go, in columns.
struct Excerpt {
    text: String,
    column: usize,
    width: usize,
}

impl Excerpt {
    fn of(span: &SourceSpan) -> Self {
        let text = &span.source.text;
        let start = text[..span.range.start].rfind('\n').map_or(0, |at| at + 1);
        let end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let marked_end = span
            .range
            .end
            .clamp(span.range.start, end.max(span.range.start));
        let before = shown(&text[start..span.range.start]);
        let marked = shown(text[span.range.start..marked_end].trim_end());
        let after = shown(&text[marked_end.min(end)..end]);
        let (column, width) = (before.width(), marked.width().max(1));
        if column + width + after.width() <= SOURCE_WIDTH {
            return Self {
                text: format!("{before}{marked}{after}"),
                column,
                width,
            };
        }
        Self::cut(&before, &marked, &after)
    }

    /// A long line: a piece of it around the marked text.
    fn cut(before: &str, marked: &str, after: &str) -> Self {
        let marked = take_columns(marked.chars(), SOURCE_WIDTH / 2);
        let kept: String = take_columns(before.chars().rev(), SOURCE_WIDTH / 4)
            .chars()
            .rev()
            .collect();
        let lead = if kept.len() < before.len() { "…" } else { "" };
        let rest = SOURCE_WIDTH.saturating_sub(kept.width() + marked.width());
        let tail = take_columns(after.chars(), rest);
        let end = if tail.len() < after.len() { "…" } else { "" };
        Self {
            column: lead.width() + kept.width(),
            width: marked.width().max(1),
            text: format!("{lead}{kept}{marked}{tail}{end}"),
        }
    }
}

fn take_columns(chars: impl Iterator<Item = char>, columns: usize) -> String {
    let mut left = columns;
    chars
        .take_while(|c| {
            let width = c.width().unwrap_or(0);
            let fits = width <= left;
            left = left.saturating_sub(width);
            fits
        })
        .collect()
}

/// Source text on a terminal: tabs are four blanks, everything hostile is taken out.
fn shown(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let text = text.trim_end_matches('\r').replace('\t', "    ");
    super::sanitize::push_safe_line(
        text.as_bytes(),
        super::sanitize::RemoteColours::Removed,
        &mut out,
    );
    String::from_utf8_lossy(&out).into_owned()
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = writeln!(out, "{text}");
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::model::Source;

    use super::*;

    fn source(path: &str, text: &str) -> Arc<Source> {
        Arc::new(Source {
            path: path.into(),
            text: text.to_owned(),
        })
    }

    fn span_of(path: &str, text: &str, word: &str) -> SourceSpan {
        let start = text.find(word).expect("the word is in the text");
        SourceSpan::new(&source(path, text), start..start + word.len())
    }

    fn plain(diagnostic: &Diagnostic) -> String {
        render(diagnostic, Styles::plain())
    }

    #[test]
    fn an_error_without_a_span_names_its_file() {
        let diagnostic = Diagnostic::new("no task named `deplyo`")
            .context("tasks/web.yml")
            .hint("did you mean `deploy`? all tasks: deploy, restart, rollback");
        insta::assert_snapshot!(plain(&diagnostic), @r"
        error: no task named `deplyo`
          --> tasks/web.yml
        hint: did you mean `deploy`? all tasks: deploy, restart, rollback
        ");
    }

    #[test]
    fn a_caret_points_at_the_words() {
        let text = format!("{}    max_failure: 1\n", "a: 1\n".repeat(13));
        let diagnostic =
            Diagnostic::new("unknown key `max_failure` in `strategy` of task `deploy`")
                .at(&span_of("tasks/web.yml", &text, "max_failure"))
                .label("did you mean `max_failures`?");
        insta::assert_snapshot!(plain(&diagnostic), @r"
        error: unknown key `max_failure` in `strategy` of task `deploy`
          --> tasks/web.yml:14:5
           |
        14 |     max_failure: 1
           |     ^^^^^^^^^^^ did you mean `max_failures`?
        ");
    }

    #[test]
    fn a_context_says_what_was_being_done() {
        let text = format!("{}    - run: echo {{{{ release }}}}\n", "a: 1\n".repeat(21));
        let diagnostic = Diagnostic::new("variable `release` is not defined")
            .at(&span_of("tasks/web.yml", &text, "{{"))
            .context("step `unpack`, rendered for host web-a1")
            .hint("declare it in `params:` or `vars:`, or use `host.vars.release`")
            .hint("nothing was run");
        insta::assert_snapshot!(plain(&diagnostic), @r"
        error: variable `release` is not defined
          --> tasks/web.yml:22:17, step `unpack`, rendered for host web-a1
        hint: declare it in `params:` or `vars:`, or use `host.vars.release`
        hint: nothing was run
        ");
    }

    #[test]
    fn what_is_known_stands_under_the_message() {
        let diagnostic = Diagnostic::new("selector `role=wbe` matches no host")
            .context("inventories/prod.yml has 48 hosts; values of `role`: db, web, worker")
            .hint("did you mean `role=web`?");
        insta::assert_snapshot!(plain(&diagnostic), @r"
        error: selector `role=wbe` matches no host
          inventories/prod.yml has 48 hosts; values of `role`: db, web, worker
        hint: did you mean `role=web`?
        ");
    }

    #[test]
    fn causes_stand_one_a_line() {
        let diagnostic = Diagnostic::new("cannot list instances in eu-west-1")
            .cause("the security token has expired")
            .hint("sign in again, or use `--inventory FILE` with a saved list");
        insta::assert_snapshot!(plain(&diagnostic), @r"
        error: cannot list instances in eu-west-1
          caused by: the security token has expired
        hint: sign in again, or use `--inventory FILE` with a saved list
        ");
    }

    #[test]
    fn colours_change_no_word() {
        let diagnostic = Diagnostic::new("unknown key `a`")
            .at(&span_of("t.yml", "a: 1\n", "a"))
            .label("here")
            .hint("remove it");
        let coloured = render(&diagnostic, Styles::new(true));
        assert_eq!(
            anstream::adapter::strip_str(&coloured).to_string(),
            plain(&diagnostic)
        );
        insta::assert_snapshot!(coloured.replace('\u{1b}', "E"), @r"
        E[1mE[31merror:E[0m E[1munknown key `a`E[0m
          E[2m-->E[0m t.yml:1:1
           E[2m|E[0m
        E[2m 1E[0m E[2m|E[0m a: 1
           E[2m|E[0m E[1mE[31m^ hereE[0m
        E[1mE[36mhint:E[0m remove it
        ");
    }

    #[test]
    fn tabs_wide_characters_and_long_lines_keep_the_caret_in_place() {
        let text = "\t日本: wrong\n";
        let diagnostic = Diagnostic::new("odd").at(&span_of("t.yml", text, "wrong"));
        insta::assert_snapshot!(plain(&diagnostic), @r"
        error: odd
          --> t.yml:1:6
           |
         1 |     日本: wrong
           |           ^^^^^
        ");
        let text = format!("{} wrong {}", "x".repeat(200), "y".repeat(200));
        let diagnostic = Diagnostic::new("odd").at(&span_of("t.yml", &text, "wrong"));
        insta::assert_snapshot!(plain(&diagnostic), @r"
        error: odd
          --> t.yml:1:202
           |
         1 | …xxxxxxxxxxxxxxxxxxxxxxxxxxxxx wrong yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy…
           |                                ^^^^^
        ");
    }

    #[test]
    fn a_span_over_lines_is_marked_to_its_lines_end() {
        let text = "steps:\n  - run: |\n      one\n      two\n";
        let start = text.find("run").unwrap();
        let span = SourceSpan::new(&source("t.yml", text), start..text.len());
        insta::assert_snapshot!(plain(&Diagnostic::new("odd").at(&span)), @r"
        error: odd
          --> t.yml:2:5
           |
         2 |   - run: |
           |     ^^^^^^
        ");
        let end = SourceSpan::new(&source("t.yml", text), text.len()..text.len());
        assert!(plain(&Diagnostic::new("ended early").at(&end)).contains("t.yml:5:1"));
    }

    #[test]
    fn a_chain_of_errors_repeats_nothing() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot read inv.yml")]
        struct Outer(#[source] Middle);
        #[derive(Debug, thiserror::Error)]
        #[error("local file: {0}")]
        struct Middle(#[source] std::io::Error);
        let error = Outer(Middle(std::io::Error::other("disk on fire")));
        insta::assert_snapshot!(plain(&diagnostic_of(&error)), @r"
        error: cannot read inv.yml
          caused by: local file: disk on fire
        ");
    }

    #[test]
    fn hostile_words_stay_text() {
        let diagnostic = Diagnostic::new("no host `\u{1b}[2Jx`").hint("a\nb");
        assert_eq!(plain(&diagnostic), "error: no host `x`\nhint: a b\n");
    }
}
