//! Locks of hosts as `lock status` shows them.

use std::fmt::Write as _;

use crate::lock::gather::Gathered;
use crate::lock::words::describe;
use crate::model::format_duration;

use super::sanitize::safe;
use super::style::{Role, Styles};

/// Every lock: its key and state, its holder, and its hosts.
pub fn locks_text(locks: &[Gathered], styles: Styles) -> String {
    let mut text = String::new();
    for lock in locks {
        let best = &lock.best;
        let age = best.age().map_or_else(
            || "held since nobody knows when".to_owned(),
            |age| format!("held for {}", format_duration(age)),
        );
        let state = describe(best);
        let role = if best.is_stale() {
            Role::Warning
        } else {
            Role::Dim
        };
        let _ = writeln!(
            text,
            "{}  {age}, {}",
            styles.paint(Role::Strong, safe(lock.key())),
            styles.paint(role, safe(&state))
        );
        if let Some(note) = &best.note {
            let words = format!("{note}, task {}, pid {}", note.task, note.pid);
            let _ = writeln!(text, "  by {}", safe(&words));
        }
        let hosts: Vec<_> = lock.found.iter().map(|found| found.host.as_str()).collect();
        let _ = writeln!(text, "  on {}", safe(&hosts.join(", ")));
    }
    text
}
