//! A detached step of which the starter or the runner is killed, at any of the commands that it calls: it is begun once
//! at most, and is never said to wait for what will not come.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};

use super::super::*;
use super::detached::{Place, until};
use super::ways::*;

/// What the scripts call, as far as it is a program.
const CALLED: [&str; 21] = [
    "sh", "dd", "setsid", "env", "mktemp", "rm", "sleep", "timeout", "cat", "chmod", "grep",
    "head", "id", "mkdir", "mv", "ls", "rmdir", "tail", "wc", "ln", "true",
];

/// Makes a PATH with nothing but these, of which the `number`th that is called, whoever calls it, kills its group first.
/// Each that was called leaves a file in `calls`.
fn deadly(folder: &Path, without: &[&str], number: usize) {
    let calls = folder.join("calls");
    fs::create_dir(&calls).unwrap();
    mode(&calls, 0o777);
    for name in CALLED.iter().filter(|name| !without.contains(name)) {
        let text = format!(
            "#!{}\nn=1\nuntil (set -C; : >{calls}/$n) 2>/dev/null; do\n\
             [ -d {calls} ] || exit 97\nn=$((n + 1))\ndone\n\
             [ $n -ne {number} ] || kill -KILL 0\nexec {} \"$@\"\n",
            which("dash").display(),
            which(name).display(),
            calls = calls.display(),
        );
        fs::write(folder.join(name), text).unwrap();
        mode(&folder.join(name), 0o755);
    }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Kills at the `number`th call, and asks as whoever takes the run up does; whether so many were called.
async fn killed_at(shell: &[&'static str], without: &[&str], number: usize) -> bool {
    let place = Place::new();
    let trail = place.base.path().join("trail");
    let path = tempfile::tempdir().unwrap();
    deadly(path.path(), without, number);
    let way = |name: String, path: Option<&Path>| Way::of(name, shell, path);
    let dying = way(format!("{shell:?} killed at {number}"), Some(path.path()));
    let sound = way(format!("{shell:?} after {number}"), None);
    let command = place.detached(
        super::ways::shell(&format!("echo run >>{}", trail.display())),
        None,
    );
    let (first, _) = dying.run(&command).await;
    let known_dead = matches!(first.exit, Exit::Code(137)) && !first.started;
    assert!(
        known_dead || matches!(first.exit, Exit::Code(0) | Exit::Lost),
        "{first:?}"
    );
    // Its runner may be at work by itself.
    let mut state = place.look(&sound).await;
    for _ in 0..10 {
        if first.exit == Exit::Code(0) && state == DetachedState::Waiting {
            tokio::time::sleep(Duration::from_millis(100)).await;
            state = place.look(&sound).await;
        }
    }
    if matches!(state, DetachedState::Absent | DetachedState::Waiting) {
        let (again, said) = sound.run(&command).await;
        assert_eq!(again.exit, Exit::Code(0), "{}: {}", sound.name, said.err());
    }
    until(|| async {
        !matches!(
            place.look(&sound).await,
            DetachedState::Waiting | DetachedState::Runs
        )
    })
    .await;
    let runs = || {
        fs::read_to_string(&trail)
            .unwrap_or_default()
            .lines()
            .count()
    };
    match place.look(&sound).await {
        DetachedState::Ended(0, DetachedEnding::Own) => assert_eq!(runs(), 1, "{}", sound.name),
        // The program was what was killed, or whether it was is not known.
        DetachedState::Ended(137, DetachedEnding::Own) | DetachedState::Died { runs: false } => {
            assert!(runs() <= 1, "{}", sound.name);
        }
        state => panic!("{}: {state:?}", sound.name),
    }
    let before = runs();
    let (again, said) = sound.run(&command).await;
    assert_eq!((again.exit, &*said.out()), (Exit::Code(0), "there\n"));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(runs(), before, "{}", sound.name);
    place.remove(&sound).await;
    path.path().join("calls").join(number.to_string()).exists()
}

async fn killed_everywhere(shell: &[&'static str], without: &[&str]) {
    let numbers = stream::iter(1..).map(|number| killed_at(shell, without, number));
    let all: usize = numbers
        .buffered(4)
        .take_while(|called| std::future::ready(*called))
        .count()
        .await;
    assert!(all > 15, "{all}");
}

#[tokio::test]
async fn wherever_it_is_killed_it_is_begun_once_at_most() {
    killed_everywhere(&["dash"], &[]).await;
}

/// With bash's own process groups.
#[tokio::test]
async fn wherever_it_is_killed_it_is_begun_once_at_most_without_setsid() {
    killed_everywhere(&["bash"], &["setsid"]).await;
}
