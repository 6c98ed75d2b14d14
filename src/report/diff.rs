//! How one text differs from another, as few lines as people need. Pure.

use std::fmt::Write as _;

use similar::{ChangeTag, TextDiff};

use super::sanitize::safe;
use super::style::{Role, Styles};

/// Unchanged lines around a change.
const CONTEXT: usize = 2;

/// How a plan differs from one that was kept, both of the form of `plan --json`; empty where nothing that is run does.
pub fn plan_diff(kept: &serde_json::Value, now: &serde_json::Value, styles: Styles) -> String {
    diff_text(
        &crate::plan::spelled(kept),
        &crate::plan::spelled(now),
        styles,
    )
}

/// The lines in which `text` differs from `base`: `-` is missing, `+` is added; an unchanged line or two
/// around, `…` where lines are left out.
pub(crate) fn diff_text(base: &str, text: &str, styles: Styles) -> String {
    let diff = TextDiff::from_lines(base, text);
    let mut out = String::new();
    for (index, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        if index > 0 {
            out.push_str("…\n");
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let line = safe(change.value().trim_end_matches('\n')).into_owned();
            let _ = match change.tag() {
                ChangeTag::Delete => {
                    writeln!(out, "{}", styles.paint(Role::Error, format!("-{line}")))
                }
                ChangeTag::Insert => {
                    writeln!(out, "{}", styles.paint(Role::Good, format!("+{line}")))
                }
                ChangeTag::Equal => writeln!(out, " {line}"),
            };
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_stand_in_their_context() {
        let base: Vec<String> = (1..=20).map(|n| format!("line {n}")).collect();
        let base = base.join("\n") + "\n";
        let text = base
            .replace("line 3\n", "LINE 3\n")
            .replace("line 15\n", "");
        insta::assert_snapshot!(diff_text(&base, &text, Styles::plain()), @r"
         line 1
         line 2
        -line 3
        +LINE 3
         line 4
         line 5
        …
         line 13
         line 14
        -line 15
         line 16
         line 17
        ");
        assert_eq!(diff_text(&base, &base, Styles::plain()), "");
    }
}
