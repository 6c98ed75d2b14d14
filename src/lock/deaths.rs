//! The script of locks is killed before and after every command that it starts: whatever is left has a name on it,
//! its run takes it up again, and nobody else is kept out for good.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::tests::note;
use super::{Answer, Found, Note, Order, Token, Verb, parse, parse_list};
use crate::model::Label;
use crate::transport::{Program, Sudo};

/// What the script starts, each through a stand-in that counts it.
const STARTED: [&str; 12] = [
    "cat", "chmod", "date", "find", "head", "id", "ls", "mkdir", "mv", "rm", "sleep", "tr",
];

const FOLDER: &str = "restart%2Fapi%2Fprod";

/// Ends everything of the script at the command of this number, before it or after it.
const STAND_IN: &str = r#"#!/bin/sh
PATH=/usr/bin:/bin
printf x >>"$COUNT"
reached() { [ "$(wc -c <"$COUNT")" -ge "$AT" ]; }
if [ "$WHEN" = before ] && reached; then kill -9 0; fi
NAME "$@"
ended=$?
if [ "$WHEN" = after ] && reached; then kill -9 0; fi
exit $ended
"#;

/// A host, and what stands in for the commands on it.
struct Ground {
    folder: tempfile::TempDir,
}

impl Ground {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for inner in ["host", "bin"] {
            fs::create_dir(folder.path().join(inner)).unwrap();
        }
        for name in STARTED {
            let path = folder.path().join("bin").join(name);
            fs::write(&path, STAND_IN.replace("NAME", name)).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn anew(&self) {
        fs::remove_dir_all(self.path("host")).unwrap();
        fs::create_dir(self.path("host")).unwrap();
    }

    /// What the order says, if it comes to its end.
    fn killed(&self, order: &Order, when: &str, at: usize) -> Option<String> {
        let _none_yet = fs::remove_file(self.path("count"));
        let path = format!("{}:/usr/bin:/bin", self.path("bin").display());
        let mut command = command(order, &self.path("host"));
        command.env("PATH", path).env("COUNT", self.path("count"));
        command.env("WHEN", when).env("AT", at.to_string());
        ended(command, order)
    }

    fn said(&self, order: &Order) -> String {
        let said = ended(command(order, &self.path("host")), order);
        said.expect("the order is done")
    }

    fn locks(&self) -> Vec<Found> {
        parse_list(&Label::new("h0"), &self.said(&Order::list()))
    }

    /// Takes a lock as another run, which must be able to, and gives it back.
    fn is_free(&self) {
        let other = note("h0", 2);
        let taken = self.said(&Order::new(FOLDER, Verb::Take(&other, true)));
        assert_eq!(taken, "taken\n");
        let release = Order::new(FOLDER, Verb::Release(Some(&other.token)));
        assert_eq!(self.said(&release), "released\n");
    }
}

fn command(order: &Order, host: &Path) -> Command {
    let Program::Argv(words) = order.clone().below(host).command(Sudo::No).program else {
        panic!("an order is an argv");
    };
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).process_group(0);
    command
}

fn ended(mut command: Command, order: &Order) -> Option<String> {
    let given = order.command(Sudo::No).stdin.unwrap_or_default();
    let stdin = tempfile::tempfile().unwrap();
    std::os::unix::fs::FileExt::write_all_at(&stdin, &given, 0).unwrap();
    let output = command.stdin(stdin).stderr(Stdio::piped()).output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(said)
}

/// The same run with another token, as a process that takes it up has one.
fn again(mine: &Note) -> Note {
    Note {
        token: Token::of(99),
        ..mine.clone()
    }
}

/// Kills an order at each of its commands; `begin` makes ready, `check` looks at what is left.
fn at_every_command(order: &Order, begin: impl Fn(&Ground), check: impl Fn(&Ground, &str)) {
    let ground = Ground::new();
    for when in ["before", "after"] {
        let mut at = 1;
        loop {
            ground.anew();
            begin(&ground);
            let whole = ground.killed(order, when, at).is_some();
            check(&ground, &format!("{when} command {at}"));
            if whole {
                break;
            }
            at += 1;
            assert!(at < 100, "it never comes to its end");
        }
        assert!(at > 5, "{when}: only {at} commands");
    }
}

#[test]
fn whoever_dies_taking_a_lock_has_it_with_its_name_or_not_at_all() {
    let mine = note("h0", 1);
    let take = Order::new(FOLDER, Verb::Take(&mine, true));
    let nothing = |_: &Ground| {};
    at_every_command(&take, nothing, |ground, how| {
        match ground.locks().as_slice() {
            [] => ground.is_free(),
            [found] => {
                assert_eq!(found.note.as_ref(), Some(&mine), "{how}");
                assert!(
                    found.age_ms.is_some() && found.silent_ms.is_some(),
                    "{how}: {found:?}"
                );
            }
            more => panic!("{how}: {more:?}"),
        }
        let again = again(&mine);
        let adopt = Order::new(FOLDER, Verb::Adopt(&again, true, &mine.run));
        assert_eq!(ground.said(&adopt), "taken\n", "{how}");
        assert_eq!(ground.locks()[0].note.as_ref(), Some(&again), "{how}");
    });
}

#[test]
fn whoever_dies_taking_a_lock_up_can_take_it_up_once_more() {
    let mine = note("h0", 1);
    let (second, third) = (again(&mine), mine.clone());
    let adopt = Order::new(FOLDER, Verb::Adopt(&second, true, &mine.run));
    let held = |ground: &Ground| {
        ground.said(&Order::new(FOLDER, Verb::Take(&mine, true)));
    };
    at_every_command(&adopt, held, |ground, how| {
        let locks = ground.locks();
        let run = locks[0].note.as_ref().map(|note| &note.run);
        assert_eq!((locks.len(), run), (1, Some(&mine.run)), "{how}");
        let adopt = Order::new(FOLDER, Verb::Adopt(&third, true, &mine.run));
        assert_eq!(ground.said(&adopt), "taken\n", "{how}");
    });
}

#[test]
fn whoever_dies_letting_go_of_a_lock_has_it_or_not() {
    let mine = note("h0", 1);
    let release = Order::new(FOLDER, Verb::Release(Some(&mine.token)));
    let held = |ground: &Ground| {
        ground.said(&Order::new(FOLDER, Verb::Take(&mine, true)));
    };
    at_every_command(&release, held, |ground, how| {
        for found in ground.locks() {
            assert_eq!(found.note.as_ref(), Some(&mine), "{how}");
        }
        let said = ground.said(&release);
        let answer = parse(&Label::new("h0"), &said);
        assert_eq!(answer, Some(Answer::Gone), "{how}");
        ground.is_free();
    });
}

/// What a death leaves beside the locks goes with whoever takes one a day later.
#[test]
fn what_a_death_left_aside_is_cleared_away() {
    let ground = Ground::new();
    ground.is_free();
    let locks = ground.path("host/fab-rs/locks");
    let (old, new) = (locks.join(".new-old-1"), locks.join(".new-young-1"));
    for left in [&old, &new] {
        fs::create_dir(left).unwrap();
    }
    let two_days = std::time::Duration::from_hours(48);
    let then = std::time::SystemTime::now() - two_days;
    fs::File::open(&old).unwrap().set_modified(then).unwrap();
    ground.is_free();
    assert_eq!((old.exists(), new.exists()), (false, true));
}
