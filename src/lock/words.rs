//! Locks in words: who holds one, and what can be done about it. Words of hosts are made harmless by whoever shows
//! them.

use crate::model::format_duration;

use super::answer::Found;
use super::note::NoteState;

/// Who holds a lock and since when, in one line: user, machine, run, host, age, and whether the holder lives.
pub fn held(found: &Found) -> String {
    let age = found.age().map_or_else(
        || "since when is not known".to_owned(),
        |age| format!("held for {}", format_duration(age)),
    );
    let Some(note) = &found.note else {
        let folder = &found.folder;
        return format!(
            "`{folder}` is locked on {}, by whom is not known (the folder is {}'s), {age}",
            found.host, found.owner
        );
    };
    format!(
        "`{}` is locked on {} by {note}, {age}, {}",
        note.key,
        found.host,
        describe(found)
    )
}

/// Whether the holder lives, as far as it can be told.
pub fn describe(found: &Found) -> String {
    let silent = found
        .silent_ms
        .map(std::time::Duration::from_millis)
        .map(format_duration);
    let state = found.note.as_ref().map(|note| note.state);
    match (state, silent) {
        (Some(NoteState::Paused), _) => "paused".to_owned(),
        (Some(NoteState::Live), Some(silent)) if found.is_stale() => {
            format!("stale: no sign of life for {silent}")
        }
        (Some(NoteState::Live), Some(silent)) => format!("live, last sign {silent} ago"),
        (Some(NoteState::Live), None) => match &found.note {
            Some(note) if note.anchor != found.host => {
                format!("its signs of life go to {}", note.anchor)
            }
            _ => "no sign of life".to_owned(),
        },
        (None, _) if found.is_stale() => "stale: its holder left no name".to_owned(),
        (None, _) => "its holder left no name".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::note;
    use super::super::{Note, NoteState};
    use super::*;
    use crate::model::Label;

    #[test]
    fn every_kind_of_holder_is_told() {
        let with = |state, silent_ms| Found {
            host: Label::new("app-1"),
            folder: "k".to_owned(),
            owner: "deploy".to_owned(),
            age_ms: Some(192_000),
            silent_ms,
            note: Some(Note {
                state,
                ..note("app-1", 1)
            }),
        };
        let live = with(NoteState::Live, Some(4_000));
        assert_eq!(
            held(&live),
            "`restart/api/prod` is locked on app-1 by alice@bastion (run 20260102T030405Z-restart-0001), \
             held for 3 m 12 s, live, last sign 4.0 s ago"
        );
        let table = [
            (
                with(NoteState::Live, Some(90_000)),
                "stale: no sign of life for 1 m 30 s",
            ),
            (with(NoteState::Paused, Some(90_000)), "paused"),
            (
                Found {
                    host: Label::new("app-2"),
                    ..with(NoteState::Live, None)
                },
                "its signs of life go to app-1",
            ),
        ];
        for (found, words) in table {
            assert_eq!(describe(&found), words);
        }
        let nameless = Found { note: None, ..live };
        assert_eq!(
            held(&nameless),
            "`k` is locked on app-1, by whom is not known (the folder is deploy's), held for 3 m 12 s"
        );
    }
}
