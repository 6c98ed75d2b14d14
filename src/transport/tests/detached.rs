//! Detached steps on real shells: started once, followed from any byte, ended, and what is said of those whose end
//! nobody saw.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::*;
use super::ways::*;
use crate::model::Secret;

/// A place for detached steps, and the folder of one.
struct Place {
    base: tempfile::TempDir,
    folder: DetachedFolder,
}

impl Place {
    fn new() -> Self {
        let base = tempfile::tempdir().unwrap();
        fs::set_permissions(base.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        let folder = DetachedFolder::new("run-1", "app-1-dump.1").below(base.path());
        Self { base, folder }
    }

    fn path(&self) -> PathBuf {
        PathBuf::from(self.folder.path())
    }

    /// The command, to be left alone.
    fn detached(&self, mut command: RemoteCommand, limit: Option<Duration>) -> RemoteCommand {
        let folder = self.folder.clone();
        command.detach = Some(Detach { folder, limit });
        command
    }

    async fn start(&self, way: &Way, command: RemoteCommand) -> String {
        let (report, said) = way.run(&self.detached(command, None)).await;
        assert_eq!(
            report.exit,
            Exit::Code(0),
            "{}: {report:?} {}",
            way.name,
            said.err()
        );
        said.out()
    }

    async fn state(&self, way: &Way, ask: &RemoteCommand) -> DetachedState {
        let (report, said) = way.run(ask).await;
        assert_eq!(report.exit, Exit::Code(0), "{}: {}", way.name, said.err());
        DetachedState::parse(&said.stdout).unwrap_or_else(|| panic!("{}: {}", way.name, said.out()))
    }

    async fn look(&self, way: &Way) -> DetachedState {
        self.state(way, &self.folder.look(&Sudo::No)).await
    }

    async fn followed(&self, way: &Way, from: (u64, u64)) -> (String, String) {
        let (report, said) = way.run(&self.folder.follow(from, &Sudo::No)).await;
        assert_eq!(report.exit, Exit::Code(0), "{}: {}", way.name, said.err());
        (said.out(), said.err())
    }

    async fn remove(&self, way: &Way) {
        let gone = self.state(way, &self.folder.remove(&Sudo::No)).await;
        assert_eq!(gone, DetachedState::Absent, "{}", way.name);
        let left: Vec<_> = fs::read_dir(self.base.path().join("fab-rs/runs"))
            .unwrap()
            .collect();
        assert!(left.is_empty(), "{}: {left:?}", way.name);
    }
}

fn ended(code: u8) -> DetachedState {
    DetachedState::Ended(code, DetachedEnding::Own)
}

#[tokio::test]
async fn it_is_started_once_and_its_streams_and_code_are_its_own() {
    for way in ways() {
        let place = Place::new();
        let trail = place.base.path().join("trail");
        let text = format!(
            "echo run >>{0}; chmod 666 {0}; printf 'out\\n'; echo err >&2; printf last; exit 255",
            trail.display()
        );
        assert_eq!(
            place.look(&way).await,
            DetachedState::Absent,
            "{}",
            way.name
        );
        assert_eq!(
            place.start(&way, shell(&text)).await,
            "started\n",
            "{}",
            way.name
        );
        assert_eq!(
            place.start(&way, shell(&text)).await,
            "there\n",
            "{}",
            way.name
        );
        let all = ("out\nlast".to_owned(), "err\n".to_owned());
        assert_eq!(place.followed(&way, (0, 0)).await, all, "{}", way.name);
        assert_eq!(place.look(&way).await, ended(255), "{}", way.name);
        assert_eq!(
            place.start(&way, shell(&text)).await,
            "there\n",
            "{}",
            way.name
        );
        let rest = ("t\nlast".to_owned(), String::new());
        assert_eq!(place.followed(&way, (2, 4)).await, rest, "{}", way.name);
        let mode = fs::metadata(place.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{}", way.name);
        place.remove(&way).await;
        assert_eq!(fs::read_to_string(trail).unwrap(), "run\n", "{}", way.name);
    }
}

#[tokio::test]
async fn many_starters_start_one() {
    for way in ways() {
        let place = Place::new();
        let trail = place.base.path().join("trail");
        fs::write(&trail, "").unwrap();
        fs::set_permissions(&trail, fs::Permissions::from_mode(0o666)).unwrap();
        let command = shell(&format!("echo run >>{}; sleep 0.3", trail.display()));
        let starts = (0..8).map(|_| place.start(&way, command.clone()));
        let said = futures_util::future::join_all(starts).await;
        let started = said.iter().filter(|said| *said == "started\n").count();
        assert_eq!(started, 1, "{}: {said:?}", way.name);
        place.followed(&way, (0, 0)).await;
        assert_eq!(fs::read_to_string(trail).unwrap(), "run\n", "{}", way.name);
        place.remove(&way).await;
    }
}

#[tokio::test]
async fn everything_reaches_it_and_nothing_of_it_is_left_or_seen() {
    for way in ways() {
        let place = Place::new();
        let mut command = shell(
            "echo \"$A|$PWD|$(cat)|$(cat \"$FAB_SECRET_token_FILE\")\"; ls -l \"$FAB_SECRET_token_FILE\" | cut -c1-10; \
             dirname \"$FAB_SECRET_token_FILE\"; env | grep -c '^fab_' || :",
        );
        command.env = vec![("A".into(), "it's\n$HOME".into())];
        command.cwd = Some("/usr".into());
        command.stdin = Some(b"in put".to_vec());
        command.secrets = vec![("token".into(), Secret::new("s3cret-of-detached"))];
        if way.path.is_some() {
            // Its PATH has no `cut`.
            command.before = Some("PATH=/usr/bin:/bin".into());
        }
        place.start(&way, command).await;
        let (out, err) = place.followed(&way, (0, 0)).await;
        let mut lines = out.rsplitn(4, '\n');
        assert_eq!(lines.next(), Some(""), "{}: {out}{err}", way.name);
        assert_eq!(lines.next(), Some("0"), "{}: {out}{err}", way.name);
        let files = PathBuf::from(lines.next().unwrap());
        let rest = lines.next().unwrap();
        assert_eq!(
            rest, "it's\n$HOME|/usr|in put|s3cret-of-detached\n-rw-------",
            "{}: {err}",
            way.name
        );
        assert!(!files.exists(), "{}: {}", way.name, files.display());
        // The output is the program's own.
        for name in ["who", "status", "dir"] {
            let text = fs::read_to_string(place.path().join(name)).unwrap();
            assert!(!text.contains("s3cret"), "{}: {name}", way.name);
        }
        place.remove(&way).await;
    }
}

#[tokio::test]
async fn its_limit_holds_without_anybody() {
    for way in ways() {
        let place = Place::new();
        let mark = format!("98765.{}", std::process::id());
        let command = shell(&format!(
            "echo begun; trap '' TERM; sleep {mark} & wait; wait"
        ));
        let command = place.detached(command, Some(Duration::from_secs(1)));
        way.run(&command).await;
        let (out, _) = place.followed(&way, (0, 0)).await;
        assert_eq!(out, "begun\n", "{}", way.name);
        let state = place.look(&way).await;
        let DetachedState::Ended(_, DetachedEnding::Limit { gone: true }) = state else {
            panic!("{}: {state:?}", way.name);
        };
        assert!(gone(&mark).await, "{}", way.name);
        place.remove(&way).await;
    }
}

#[tokio::test]
async fn it_runs_on_and_is_not_removed_until_it_is_ended() {
    for way in ways() {
        let place = Place::new();
        let mark = format!("98764.{}", std::process::id());
        place.start(&way, shell(&format!("sleep {mark}"))).await;
        until(|| async { place.look(&way).await == DetachedState::Runs }).await;
        let kept = place.state(&way, &place.folder.remove(&Sudo::No)).await;
        assert_eq!(kept, DetachedState::Runs, "{}", way.name);
        let state = place.state(&way, &place.folder.end(&Sudo::No)).await;
        let asked = DetachedEnding::Asked { gone: true };
        assert_eq!(state, DetachedState::Ended(143, asked), "{}", way.name);
        assert!(gone(&mark).await, "{}", way.name);
        let again = place.state(&way, &place.folder.end(&Sudo::No)).await;
        assert_eq!(again, state, "{}", way.name);
        place.remove(&way).await;
    }
}

/// Waits until it holds.
async fn until<F: Future<Output = bool>>(mut holds: impl FnMut() -> F) {
    for _ in 0..150 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it never held");
}

/// Puts a word in the place of the `number`th of what the runner left about itself.
fn doctor(place: &Place, number: usize, word: &str) {
    let who = place.path().join("who");
    let text = fs::read_to_string(&who).unwrap();
    let mut words: Vec<&str> = text.split_whitespace().collect();
    words[number] = word;
    fs::write(who, words.join(" ") + "\n").unwrap();
}

#[tokio::test]
async fn a_dead_supervisor_and_a_reboot_are_told_from_what_runs() {
    let way = &ways()[0];
    let place = Place::new();
    let mark = format!("98763.{}", std::process::id());
    place.start(way, shell(&format!("sleep {mark}"))).await;
    until(|| async {
        fs::read_to_string(place.path().join("who"))
            .is_ok_and(|who| who.split_whitespace().count() == 5)
    })
    .await;
    assert_eq!(place.look(way).await, DetachedState::Runs);
    let who = fs::read_to_string(place.path().join("who")).unwrap();
    let runner = who.split_whitespace().nth(1).unwrap().to_owned();
    let killed = std::process::Command::new("kill")
        .args(["-KILL", &runner])
        .status();
    assert!(killed.unwrap().success());
    until(|| async { place.look(way).await == DetachedState::Died { runs: true } }).await;
    let kept = place.state(way, &place.folder.remove(&Sudo::No)).await;
    assert_eq!(kept, DetachedState::Died { runs: true }, "it runs");
    // Another process that has its number now is another process.
    let program = who.split_whitespace().nth(3).unwrap();
    let since = who.split_whitespace().nth(4).unwrap();
    doctor(&place, 4, "1");
    assert_eq!(
        place.look(way).await,
        DetachedState::Died { runs: false },
        "{program}"
    );
    doctor(&place, 4, since);
    let state = place.state(way, &place.folder.end(&Sudo::No)).await;
    assert_eq!(state, DetachedState::Died { runs: false });
    assert!(gone(&mark).await);
    doctor(&place, 0, "another-boot");
    assert_eq!(place.look(way).await, DetachedState::Rebooted);
    assert_eq!(
        place.followed(way, (0, 0)).await,
        (String::new(), String::new())
    );
    place.remove(way).await;
}

/// A starter that died between its folder and its runner: one look decides that nothing is ever run there, and a
/// runner that comes late finds that.
#[tokio::test]
async fn what_was_never_begun_is_never_begun() {
    let way = &ways()[0];
    let place = Place::new();
    let command = || shell("echo ran");
    place.start(way, command()).await;
    place.followed(way, (0, 0)).await;
    place.remove(way).await;
    for folder in ["fab-rs/runs/run-1", "fab-rs/runs/run-1/app-1-dump.1"] {
        fs::create_dir(place.base.path().join(folder)).unwrap();
    }
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(place.look(way).await, DetachedState::Waiting);
    assert_eq!(place.start(way, command()).await, "there\n");
    let state = place.state(way, &place.folder.end(&Sudo::No)).await;
    assert_eq!(state, DetachedState::Absent);
    assert_eq!(place.start(way, command()).await, "started\n");
    assert_eq!(place.followed(way, (0, 0)).await.0, "ran\n");
    // The same runner once more.
    let runner = include_str!("../detached/runner.sh");
    fs::remove_file(place.path().join("out")).unwrap();
    let late = std::process::Command::new("sh")
        .args(["-c", runner, "/nowhere/run"])
        .current_dir(place.path())
        .status();
    assert_eq!(late.unwrap().code(), Some(1));
    assert!(!place.path().join("out").exists());
}

/// Whoever can write there can put a folder of the name there first.
#[tokio::test]
async fn what_another_user_or_a_link_put_there_is_refused() {
    let way = &ways()[0];
    for plant in [plant_link, plant_open, plant_foreign, plant_writable_parent] {
        let place = Place::new();
        let runs = place.base.path().join("fab-rs/runs/run-1");
        fs::create_dir_all(&runs).unwrap();
        for folder in runs.ancestors().take(3) {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o1777)).unwrap();
        }
        let words = plant(&place.path());
        if words.is_empty() {
            continue;
        }
        let trail = place.base.path().join("trail");
        let command = shell(&format!("echo ran >{}", trail.display()));
        let (report, said) = way.run(&place.detached(command, None)).await;
        assert_eq!(report.exit, Exit::Code(3), "{}", said.out());
        assert!(said.err().contains(words), "{words}: {}", said.err());
        let (report, said) = way.run(&place.folder.end(&Sudo::No)).await;
        assert_eq!(report.exit, Exit::Code(3), "{words}: {}", said.out());
        assert!(!trail.exists());
    }
}

fn plant_link(path: &Path) -> &'static str {
    let other = path.parent().unwrap().join("other");
    fs::create_dir(&other).unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o700)).unwrap();
    std::os::unix::fs::symlink(other, path).unwrap();
    "is no folder of ours"
}

fn plant_open(path: &Path) -> &'static str {
    fs::create_dir(path).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    "is not ours"
}

fn plant_foreign(path: &Path) -> &'static str {
    fs::create_dir(path).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
    if std::os::unix::fs::chown(path, Some(65534), None).is_err() {
        return "";
    }
    "is not ours (uid 65534"
}

fn plant_writable_parent(path: &Path) -> &'static str {
    let parent = path.parent().unwrap();
    fs::set_permissions(parent, fs::Permissions::from_mode(0o777)).unwrap();
    if std::os::unix::fs::chown(parent, Some(65534), None).is_err() {
        return "";
    }
    "can be changed by other users"
}

#[tokio::test]
async fn a_full_disk_starts_nothing_and_leaves_nothing() {
    let way = &ways()[0];
    let place = Place::new();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "nr_inodes=6,mode=1777", "none"])
        .arg(place.base.path())
        .output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        return;
    }
    let (report, said) = way.run(&place.detached(shell("echo ran"), None)).await;
    let left = fs::read_dir(place.base.path().join("fab-rs/runs/run-1"))
        .unwrap()
        .count();
    let unmounted = std::process::Command::new("umount")
        .arg(place.base.path())
        .status();
    assert!(unmounted.unwrap().success());
    assert_eq!(report.exit, Exit::Code(3), "{}", said.out());
    assert!(said.err().contains("its disk is full"), "{}", said.err());
    assert_eq!(left, 0);
}
