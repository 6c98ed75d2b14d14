//! Locks over the very script that runs on hosts, with a folder of this machine for each host.

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Mutex;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::model::{Label, RunId};
use crate::transport::{Program, Sudo};

/// A note of a run.
pub(super) fn note(anchor: &str, number: u16) -> Note {
    let started: jiff::Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
    Note {
        key: "restart/api/prod".to_owned(),
        run: RunId::new(started, "restart", number),
        task: "restart".to_owned(),
        user: "alice".to_owned(),
        controller: "bastion".to_owned(),
        pid: 4711,
        started,
        state: NoteState::Live,
        anchor: Label::new(anchor),
        token: Token::of(u128::from(number)),
    }
}

/// Hosts, each a folder.
struct Folders {
    base: tempfile::TempDir,
    /// Those that do not answer.
    silent: HashSet<usize>,
    asked: Mutex<Vec<usize>>,
}

impl Folders {
    fn new(count: usize) -> Self {
        let base = tempfile::tempdir().unwrap();
        for host in 0..count {
            std::fs::create_dir(base.path().join(host.to_string())).unwrap();
        }
        Self {
            base,
            silent: HashSet::new(),
            asked: Mutex::default(),
        }
    }

    fn without(mut self, silent: &[usize]) -> Self {
        self.silent.extend(silent);
        self
    }

    fn of(&self, host: usize) -> PathBuf {
        self.base.path().join(host.to_string())
    }

    fn lock(&self, host: usize) -> PathBuf {
        self.of(host).join("fab-rs/locks/restart%2Fapi%2Fprod")
    }

    fn holds(&self, count: usize) -> Vec<usize> {
        (0..count)
            .filter(|host| self.lock(*host).exists())
            .collect()
    }

    async fn found(&self, host: usize) -> Vec<Found> {
        let said = self.ask(host, &Order::list()).await.unwrap();
        parse_list(&label(host), &said)
    }
}

impl Hosts for Folders {
    async fn ask(&self, host: usize, order: &Order) -> Result<String, String> {
        self.asked.lock().unwrap().push(host);
        if self.silent.contains(&host) {
            return Err("no route to host".to_owned());
        }
        let command = order.clone().below(&self.of(host)).command(Sudo::No);
        let Program::Argv(words) = command.program else {
            panic!("an order is an argv");
        };
        let mut child = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin
            .write_all(&command.stdin.unwrap_or_default())
            .await
            .unwrap();
        drop(stdin);
        let output = child.wait_with_output().await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(text(&output.stderr).trim_end().to_owned())
        }
    }
}

fn label(host: usize) -> Label {
    Label::new(format!("h{host}"))
}

fn request(hosts: &[usize], number: u16) -> Request {
    let place = |&host: &usize| Place {
        host,
        label: label(host),
        key: "restart/api/prod".to_owned(),
    };
    Request {
        note: note("", number),
        places: hosts.iter().map(place).collect(),
        adopt: None,
    }
}

async fn taken(hosts: &Folders, places: &[usize], number: u16) -> Taken {
    take(hosts, &request(places, number), &CancellationToken::new()).await
}

fn ours(taken: Taken) -> Held {
    match taken {
        Taken::Ours(held) => *held,
        other => panic!("{other:?}"),
    }
}

fn others(taken: Taken) -> Found {
    match taken {
        Taken::Held(found) => *found,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_lock_stands_on_every_host_and_whoever_comes_later_hears_who_has_it() {
    let hosts = Folders::new(3);
    let held = ours(taken(&hosts, &[0, 1, 2], 1).await);
    assert_eq!((held.anchor(), held.count()), (0, 3));
    assert_eq!(hosts.holds(3), [0, 1, 2]);
    let found = others(taken(&hosts, &[0, 1, 2], 2).await);
    assert_eq!(found.note, Some(note("h0", 1)));
    assert_eq!(found.host, label(0));
    assert!(found.age_ms.is_some() && found.silent_ms.is_some() && found.is_live());
    // Whose population begins elsewhere meets it there, and leaves nothing behind.
    let hosts_after = others(taken(&hosts, &[1, 2], 3).await);
    assert_eq!(
        hosts_after.silent_ms, None,
        "the heartbeat goes to the anchor"
    );
    assert_eq!(release(&hosts, &held).await, []);
    assert_eq!(hosts.holds(3), [] as [usize; 0]);
    assert_eq!(release(&hosts, &held).await, [], "twice does no harm");
    ours(taken(&hosts, &[0, 1, 2], 2).await);
}

#[tokio::test]
async fn who_loses_on_a_later_host_gives_back_what_it_took() {
    let hosts = Folders::new(3);
    let held = ours(taken(&hosts, &[2], 1).await);
    others(taken(&hosts, &[0, 1, 2], 2).await);
    assert_eq!(hosts.holds(3), [2]);
    assert_eq!(hosts.found(2).await[0].note, Some(note("h2", 1)));
    assert_eq!(held.count(), 1);
}

#[tokio::test]
async fn a_release_takes_nothing_of_others() {
    let hosts = Folders::new(1);
    let first = ours(taken(&hosts, &[0], 1).await);
    std::fs::remove_dir_all(hosts.lock(0)).unwrap();
    let second = ours(taken(&hosts, &[0], 2).await);
    assert_eq!(release(&hosts, &first).await, []);
    assert_eq!(hosts.holds(1), [0], "the second has it still");
    assert_eq!(hosts.ask(0, &first.beat()).await.unwrap(), "gone\n");
    assert_eq!(hosts.ask(0, &second.beat()).await.unwrap(), "ours\n");
}

#[tokio::test]
async fn hosts_that_do_not_answer_are_told_and_the_next_one_decides() {
    let hosts = Folders::new(3).without(&[0]);
    let held = ours(taken(&hosts, &[0, 1, 2], 1).await);
    assert_eq!((held.anchor(), held.count()), (1, 2));
    assert_eq!(held.without, [(label(0), "no route to host".to_owned())]);
    assert_eq!(
        hosts.found(1).await[0].note.as_ref().unwrap().anchor,
        label(1)
    );
    assert!(hosts.found(1).await[0].silent_ms.is_some());
    let nowhere = Folders::new(2).without(&[0, 1]);
    let taken = taken(&nowhere, &[0, 1], 1).await;
    assert!(matches!(taken, Taken::Nowhere(causes) if causes.len() == 2));
}

#[tokio::test]
async fn a_paused_lock_is_kept_and_only_its_run_takes_it_up() {
    let hosts = Folders::new(2);
    let held = ours(taken(&hosts, &[0, 1], 1).await);
    assert_eq!(keep(&hosts, &held).await, []);
    let found = others(taken(&hosts, &[0, 1], 2).await);
    assert_eq!(found.note.as_ref().unwrap().state, NoteState::Paused);
    assert!(!found.is_live() && !found.is_stale());
    let mut again = request(&[0, 1], 1);
    again.note.token = Token::of(99);
    let stop = CancellationToken::new();
    others(take(&hosts, &again, &stop).await);
    again.adopt = Some(again.note.run.clone());
    let held = ours(take(&hosts, &again, &stop).await);
    let note = hosts.found(1).await[0].note.clone().unwrap();
    assert_eq!((note.state, note.token), (NoteState::Live, Token::of(99)));
    assert_eq!(release(&hosts, &held).await, []);
    assert_eq!(hosts.holds(2), [] as [usize; 0]);
}

/// Anybody can read who holds a lock, and make one that says the same where it was let go of.
#[tokio::test]
async fn nothing_is_written_into_a_lock_that_another_user_made() {
    use std::os::unix::fs::symlink;
    if !rustix::process::geteuid().is_root() {
        // Nobody else can give a folder away.
        return;
    }
    let hosts = Folders::new(1);
    let held = ours(taken(&hosts, &[0], 1).await);
    let lock = hosts.lock(0);
    let (mine, names) = (hosts.of(0).join("mine"), ["since", "beat", "holder.json"]);
    std::fs::write(&mine, "precious").unwrap();
    for name in names {
        symlink(&mine, lock.join(format!("{name}.new"))).unwrap();
    }
    std::os::unix::fs::chown(&lock, Some(65534), Some(65534)).unwrap();
    let said = hosts.ask(0, &held.beat()).await.unwrap();
    assert_eq!(parse(&label(0), &said), Some(Answer::Gone));
    assert_eq!(keep(&hosts, &held).await, []);
    let mut again = request(&[0], 1);
    again.note.token = Token::of(99);
    again.adopt = Some(again.note.run.clone());
    let Taken::Nowhere(causes) = take(&hosts, &again, &CancellationToken::new()).await else {
        panic!("it is another user's");
    };
    assert!(causes[0].1.contains("is another user's"), "{causes:?}");
    assert_eq!(std::fs::read_to_string(&mine).unwrap(), "precious");
}

#[tokio::test]
async fn a_stop_has_everything_given_back() {
    let hosts = Folders::new(2);
    let stop = CancellationToken::new();
    stop.cancel();
    let taken = take(&hosts, &request(&[0, 1], 1), &stop).await;
    assert!(matches!(taken, Taken::Stopped));
    assert_eq!(hosts.holds(2), [] as [usize; 0]);
}

#[tokio::test]
async fn a_place_that_is_not_safe_is_refused() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let hosts = Folders::new(3);
    let elsewhere = hosts.base.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, hosts.of(0).join("fab-rs")).unwrap();
    std::fs::create_dir(hosts.of(1).join("fab-rs")).unwrap();
    symlink(&elsewhere, hosts.of(1).join("fab-rs/locks")).unwrap();
    std::fs::write(hosts.of(2).join("fab-rs"), "").unwrap();
    let Taken::Nowhere(causes) = taken(&hosts, &[0, 1, 2], 1).await else {
        panic!("no host is safe");
    };
    for (host, cause) in &causes {
        assert!(cause.contains("is no folder"), "{host}: {cause}");
    }
    assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 0);
    let open = Folders::new(1);
    std::fs::create_dir(open.of(0).join("fab-rs")).unwrap();
    ours(taken(&open, &[0], 1).await);
    for name in ["fab-rs", "fab-rs/locks"] {
        let mode = std::fs::metadata(open.of(0).join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o7777, 0o1777, "{name}");
    }
}

#[tokio::test]
async fn a_holder_that_dies_leaves_a_lock_that_is_shown_and_not_taken() {
    let hosts = Folders::new(1);
    ours(taken(&hosts, &[0], 1).await);
    std::fs::write(hosts.lock(0).join("beat"), "1000\n").unwrap();
    let found = others(taken(&hosts, &[0], 2).await);
    assert!(found.is_stale() && !found.is_live());
    assert!(
        held(&found).contains("stale: no sign of life for"),
        "{}",
        held(&found)
    );
    // Who died before it left its name holds it too.
    std::fs::remove_file(hosts.lock(0).join("holder.json")).unwrap();
    std::fs::write(hosts.lock(0).join("since"), "1000\n").unwrap();
    let nameless = others(taken(&hosts, &[0], 2).await);
    assert!(nameless.note.is_none() && nameless.is_stale());
    let order = Order::new(&nameless.folder, Verb::Release(None));
    assert_eq!(hosts.ask(0, &order).await.unwrap(), "released\n");
    ours(taken(&hosts, &[0], 2).await);
}

#[tokio::test]
async fn what_others_put_into_a_lock_is_harmless() {
    let hosts = Folders::new(1);
    ours(taken(&hosts, &[0], 1).await);
    for text in ["08", "$(reboot)", "99999999999999999999", "-1", ""] {
        std::fs::write(hosts.lock(0).join("beat"), text).unwrap();
        assert_eq!(hosts.found(0).await[0].silent_ms, None, "{text:?}");
    }
    std::fs::write(
        hosts.lock(0).join("holder.json"),
        "\u{1b}[2J\nlock 1 1 x y\n",
    )
    .unwrap();
    let found = hosts.found(0).await;
    assert_eq!((found.len(), found[0].note.clone()), (1, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_never_two_have_it() {
    races(25).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute or two"]
async fn of_very_many_at_once_never_two_have_it() {
    races(500).await;
}

/// Two, three or four at once, with populations that overlap in every way.
async fn races(tries: usize) {
    let places: [&[usize]; 4] = [&[0, 1, 2], &[0, 1, 2], &[1, 2], &[0, 2]];
    for round in 0..tries {
        let hosts = Folders::new(3);
        let racers = 2 + round % 3;
        let racing = (1..).zip(&places[..racers]);
        let racing = racing.map(|(racer, places)| taken(&hosts, places, racer));
        let ended = futures_util::future::join_all(racing).await;
        let winners = ended
            .iter()
            .filter(|end| matches!(end, Taken::Ours(_)))
            .count();
        assert!(winners <= 1, "round {round}: {ended:?}");
        if racers == 2 {
            assert_eq!(
                winners, 1,
                "round {round}: of one population exactly one: {ended:?}"
            );
        }
        if winners == 0 {
            assert_eq!(
                hosts.holds(3),
                [] as [usize; 0],
                "round {round}: who lost leaves nothing"
            );
        }
    }
}
