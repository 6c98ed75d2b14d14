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
pub(super) struct Place {
    pub(super) base: tempfile::TempDir,
    folder: DetachedFolder,
}

/// The folders above a step's that are its user's own, where those of a login user are asked for.
fn above(place: &Place) -> [PathBuf; 2] {
    let path = place.path();
    let run = path.parent().unwrap();
    [run.parent().unwrap().to_owned(), run.to_owned()]
}

impl Place {
    pub(super) fn new() -> Self {
        let base = tempfile::tempdir().unwrap();
        fs::set_permissions(base.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        let folder = DetachedFolder::new("run-1", "app-1-dump.1", &Sudo::No).below(base.path());
        Self { base, folder }
    }

    /// Where it lies, or will: some user's, or ours.
    fn path(&self) -> PathBuf {
        let path = self.folder.path();
        let mut users = fs::read_dir(self.base.path()).unwrap().flatten();
        let made = users.find_map(|user| {
            let name = user.file_name().into_string().unwrap();
            name.strip_prefix("fab-rs-").map(str::to_owned)
        });
        let user = made.unwrap_or_else(|| {
            let said = std::process::Command::new("id").arg("-un").output();
            String::from_utf8(said.unwrap().stdout).unwrap()
        });
        PathBuf::from(path.replace('*', user.trim()))
    }

    /// The command, to be left alone.
    pub(super) fn detached(
        &self,
        mut command: RemoteCommand,
        limit: Option<Duration>,
    ) -> RemoteCommand {
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

    pub(super) async fn look(&self, way: &Way) -> DetachedState {
        self.state(way, &self.folder.look(&Sudo::No)).await
    }

    async fn followed(&self, way: &Way, from: (u64, u64)) -> (String, String) {
        let (report, said) = way.run(&self.folder.follow(from, &Sudo::No)).await;
        assert_eq!(report.exit, Exit::Code(0), "{}: {}", way.name, said.err());
        (said.out(), said.err())
    }

    pub(super) async fn remove(&self, way: &Way) {
        let gone = self.state(way, &self.folder.remove(&Sudo::No)).await;
        assert_eq!(gone, DetachedState::Absent, "{}", way.name);
        let [user, _] = above(self);
        let left: Vec<_> = fs::read_dir(user).unwrap().collect();
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
        // It may not have begun yet.
        let again = place.start(&way, shell(&text)).await;
        assert!(["there\n", "started\n"].contains(&&*again), "{again}");
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
        assert!(said.contains(&"started\n".to_owned()), "{}", way.name);
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
        for name in ["begun", "status"] {
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
pub(super) async fn until<F: Future<Output = bool>>(mut holds: impl FnMut() -> F) {
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
    let begun = place.path().join("begun");
    let text = fs::read_to_string(&begun).unwrap();
    let mut words: Vec<&str> = text.split_whitespace().collect();
    words[number] = word;
    fs::write(begun, words.join(" ") + "\n").unwrap();
}

#[tokio::test]
async fn a_dead_supervisor_and_a_reboot_are_told_from_what_runs() {
    let way = &ways()[0];
    let place = Place::new();
    let mark = format!("98763.{}", std::process::id());
    place.start(way, shell(&format!("sleep {mark}"))).await;
    until(|| async { place.look(way).await == DetachedState::Runs }).await;
    let who = fs::read_to_string(place.path().join("begun")).unwrap();
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

/// One look decides that nothing is ever run there: that stands, and a start or a runner that comes late finds it.
#[tokio::test]
async fn what_was_never_begun_is_never_begun() {
    let way = &ways()[0];
    let place = Place::new();
    let [user, run] = above(&place);
    for folder in [user, run, place.path()] {
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
    }
    // A runner that was launched, and sleeps.
    let late = place.path().join("try.late");
    fs::create_dir(&late).unwrap();
    for file in ["who", "status"] {
        fs::write(late.join(file), " ".repeat(80)).unwrap();
    }
    let text = format!(
        "fab_grace=20 fab_limit= fab_in=\nfab_program() {{\necho ran\n}}\n{}{}",
        include_str!("../group.sh"),
        include_str!("../detached/runner.sh")
    );
    fs::write(late.join("run"), text).unwrap();
    assert_eq!(place.look(way).await, DetachedState::Waiting);
    let state = place.state(way, &place.folder.end(&Sudo::No)).await;
    assert_eq!(state, DetachedState::Void);
    let woken = std::process::Command::new("sh")
        .arg("./try.late/run")
        .current_dir(place.path())
        .status();
    assert_eq!(woken.unwrap().code(), Some(1));
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1, "its files");
    let again = place.detached(shell("echo ran"), None);
    for command in [again, place.folder.follow((0, 0), &Sudo::No)] {
        let (report, said) = way.run(&command).await;
        assert_eq!(report.exit, Exit::Code(NEVER_BEGUN), "{}", said.err());
    }
    assert_eq!(place.look(way).await, DetachedState::Void);
    place.remove(way).await;
}

/// Whether something was put in the place of a step's folder.
type Plant = fn(&Path) -> bool;

/// Whoever can write there can put a folder of the name there first, and the owner of a folder can take away what is
/// in it, sticky or not.
#[tokio::test]
async fn what_another_user_or_a_link_put_there_is_refused() {
    let way = &ways()[0];
    let plants: [(Plant, &str); 6] = [
        (|path| link(path), "is no folder of ours"),
        (|path| mode(path, 0o755), "is not ours alone"),
        (|path| foreign(path, 0o700), "is not ours alone (uid 65534"),
        (|path| foreign(path, 0o1777), "is not ours alone (uid 65534"),
        (
            |path| foreign(path.parent().unwrap(), 0o1777),
            "run-1 is not ours alone (uid 65534",
        ),
        (
            |path| foreign(path.ancestors().nth(3).unwrap(), 0o1777),
            "has to be root's, and sticky",
        ),
    ];
    for (plant, words) in plants {
        let place = Place::new();
        fs::create_dir_all(place.path()).unwrap();
        for folder in [&above(&place)[..], &[place.path()]].concat() {
            mode(&folder, 0o700);
        }
        if !plant(&place.path()) {
            continue;
        }
        let trail = place.base.path().join("trail");
        let command = shell(&format!("echo ran >{}", trail.display()));
        let (report, said) = way.run(&place.detached(command, None)).await;
        assert_eq!(report.exit, Exit::Code(3), "{words}: {}", said.out());
        assert!(said.err().contains(words), "{words}: {}", said.err());
        let (report, said) = way.run(&place.folder.end(&Sudo::No)).await;
        assert_eq!(report.exit, Exit::Code(3), "{words}: {}", said.out());
        assert!(!trail.exists());
    }
}

fn link(path: &Path) -> bool {
    let other = path.parent().unwrap().join("other");
    fs::rename(path, &other).unwrap();
    std::os::unix::fs::symlink(other, path).is_ok()
}

fn mode(path: &Path, mode: u32) -> bool {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).is_ok()
}

/// Whether we may give it away.
fn foreign(path: &Path, bits: u32) -> bool {
    mode(path, bits) && std::os::unix::fs::chown(path, Some(65534), None).is_ok()
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
    let left = fs::read_dir(&above(&place)[1]).unwrap().count();
    let unmounted = std::process::Command::new("umount")
        .arg(place.base.path())
        .status();
    assert!(unmounted.unwrap().success());
    assert_eq!(report.exit, Exit::Code(3), "{}", said.out());
    assert!(said.err().contains("its disk is full"), "{}", said.err());
    assert_eq!(left, 0);
}
