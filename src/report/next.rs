//! Which commands go on from where a run stands. Pure.

/// Where a run stands, as far as it decides what can be done about it.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, in any combination"
)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stand<'a> {
    /// The state's word.
    pub(crate) state: &'a str,
    /// Some host was not done.
    pub(crate) undone: bool,
    /// What was typed can be planned again.
    pub(crate) repeatable: bool,
    /// It has steps that roll back, and began something on a host.
    pub(crate) reversible: bool,
    /// Hosts were being rolled back.
    pub(crate) undoing: bool,
}

/// Whether a run in this state can be gone on with.
pub(crate) fn may_go_on(state: &str) -> bool {
    matches!(state, "failed" | "paused" | "interrupted")
}

/// The commands, the first of them the one to type; none where a person has to decide.
pub(crate) fn next_commands(stand: Stand<'_>) -> Vec<&'static str> {
    if !stand.repeatable {
        return Vec::new();
    }
    match stand.state {
        "interrupted" if stand.undoing => vec!["rollback"],
        state if may_go_on(state) && stand.reversible => vec!["resume", "rollback"],
        state if may_go_on(state) => vec!["resume"],
        "rollback_failed" => vec!["rollback"],
        // Hosts that were rolled back are not as the run was to make them.
        "aborted" if stand.undoing => vec!["retry"],
        "done_partial" | "aborted" if stand.undone => vec!["retry"],
        _ => Vec::new(),
    }
}

/// What can be done about a run whose journal is damaged: nothing that would have to know what it did. One that may
/// have left a lock, on hosts that are known, can be rid of that.
pub(crate) fn next_of_damaged(locks: bool) -> Vec<&'static str> {
    let mut commands = vec!["report", "logs"];
    if locks {
        commands.push("lock release --run");
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_has_its_commands() {
        let none: [&str; 0] = [];
        for (state, reversible, expected) in [
            ("running", true, &none[..]),
            ("failed", true, &["resume", "rollback"]),
            ("failed", false, &["resume"]),
            ("paused", false, &["resume"]),
            ("interrupted", false, &["resume"]),
            ("done", true, &none),
            ("done_partial", true, &["retry"]),
            ("aborted", false, &["retry"]),
            ("rolled_back", true, &none),
            ("rollback_failed", true, &["rollback"]),
        ] {
            let stand = Stand {
                state,
                undone: true,
                repeatable: true,
                reversible,
                undoing: false,
            };
            assert_eq!(next_commands(stand), expected, "{state}");
            let unknown = Stand {
                repeatable: false,
                ..stand
            };
            assert_eq!(next_commands(unknown), none, "{state}");
        }
    }

    #[test]
    fn where_all_is_done_nothing_is_to_be_done_again() {
        let stand = Stand {
            state: "aborted",
            undone: false,
            repeatable: true,
            reversible: false,
            undoing: false,
        };
        assert!(next_commands(stand).is_empty());
    }

    #[test]
    fn a_rollback_that_was_cut_off_is_gone_on_with_by_its_own_name() {
        let stand = Stand {
            state: "interrupted",
            undone: true,
            repeatable: true,
            reversible: true,
            undoing: true,
        };
        assert_eq!(next_commands(stand), ["rollback"]);
        let given_up = Stand {
            state: "aborted",
            undone: false,
            ..stand
        };
        assert_eq!(next_commands(given_up), ["retry"]);
    }
}
