//! Uploads and downloads against real files and a real `sh`: a session whose host is this machine.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::HostOutcome;
use crate::run::event::{EventKind, StepResult};
use crate::task::{Action, Copy, CopyContent, Download, Quoting, Step};

use super::bed::{Bed, Played};
use super::steps::{Modified as _, step, text};
use super::this_machine::ThisMachine;

struct Desk {
    folder: tempfile::TempDir,
    machine: ThisMachine,
}

impl Desk {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            machine: ThisMachine::default(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::File::create(&path)
            .unwrap()
            .write_all(content)
            .unwrap();
        path
    }

    async fn play(&self, step: Step) -> Played {
        Bed::new(1, vec![step])
            .play_over(self.machine.clone())
            .await
    }

    /// Everything in a folder, sorted.
    fn names(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(folder)).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn upload(src: &Path, dest: &Path) -> Copy {
    Copy {
        content: CopyContent::File,
        src: plain(src),
        dest: plain(dest),
        mode: Some("0640".to_owned()),
        owner: None,
        backup: false,
        sha256: None,
        verify: None,
        text: None,
    }
}

fn plain(path: &Path) -> crate::task::Text {
    text(path.to_str().unwrap(), Quoting::Plain)
}

fn download(src: &Path) -> Download {
    Download {
        src: plain(src),
        dest: None,
        sha256: None,
        max_size: None,
        missing_ok: false,
        verify: None,
    }
}

fn put(copy: Copy) -> Step {
    step("put", Action::Copy(copy))
}

fn get(download: Download) -> Step {
    step("get", Action::Download(download))
}

fn changed(played: &Played) -> Option<bool> {
    let results = played.events.iter().filter_map(|event| match &event.kind {
        EventKind::StepFinished {
            result: StepResult::Ok { changed, .. },
            ..
        } => Some(*changed),
        _ => None,
    });
    results.fold(None, |_, changed| changed)
}

fn fetched(played: &Played) -> Option<PathBuf> {
    played.events.iter().find_map(|event| match &event.kind {
        EventKind::FileFetched { path, .. } => Some(path.clone()),
        _ => None,
    })
}

#[tokio::test]
async fn an_upload_is_put_in_place_once() {
    let desk = Desk::new();
    let src = desk.write("src/app.jar", b"release 2");
    let target = desk.write("dest/app's $(x).jar", b"release 1");
    let copy = Copy {
        backup: true,
        ..upload(&src, &target)
    };
    let played = desk.play(put(copy.clone())).await;
    assert_eq!(
        (played.words(), changed(&played)),
        (vec!["ok"], Some(true)),
        "{}",
        played.cause("h0")
    );
    assert_eq!(std::fs::read(&target).unwrap(), b"release 2");
    assert_eq!(
        std::fs::metadata(&target).unwrap().permissions().mode() & 0o777,
        0o640
    );
    let names = desk.names("dest");
    assert_eq!(
        names,
        [
            "app's $(x).jar",
            "app's $(x).jar.bak-20260730T031244Z-work-0001"
        ]
    );
    let played = desk.play(put(copy)).await;
    assert_eq!(
        (played.words(), changed(&played)),
        (vec!["ok"], Some(false))
    );
}

#[tokio::test]
async fn an_upload_of_right_content_mends_the_mode_alone() {
    let desk = Desk::new();
    let src = desk.write("src/x", b"same");
    let target = desk.write("dest/x", b"same");
    std::fs::set_permissions(&target, std::fs::Permissions::from_mode(0o600)).unwrap();
    let played = desk.play(put(upload(&src, &target))).await;
    assert_eq!(changed(&played), Some(true));
    assert_eq!(
        std::fs::metadata(&target).unwrap().permissions().mode() & 0o777,
        0o640
    );
}

#[tokio::test]
async fn an_upload_that_arrives_cut_short_replaces_nothing() {
    let mut desk = Desk::new();
    desk.machine.cut_short = true;
    let src = desk.write("src/x", b"the whole");
    let target = desk.write("dest/x", b"before");
    let played = desk.play(put(upload(&src, &target))).await;
    assert_eq!(played.words(), ["failed"]);
    assert!(
        played.cause("h0").contains("only 1 of 9 bytes arrived"),
        "{}",
        played.cause("h0")
    );
    assert_eq!(std::fs::read(&target).unwrap(), b"before");
    assert_eq!(desk.names("dest"), ["x"]);
}

#[tokio::test]
async fn an_upload_whose_connection_is_lost_is_sent_again() {
    let mut desk = Desk::new();
    desk.machine.lost_after = Some(3);
    desk.machine.losses = Arc::new(AtomicU64::new(1));
    let src = desk.write("src/x", b"the whole");
    let target = desk.path("x");
    let played = desk.play(put(upload(&src, &target))).await;
    assert_eq!(played.words(), ["ok"]);
    assert_eq!(std::fs::read(&target).unwrap(), b"the whole");
}

#[tokio::test]
async fn an_upload_is_refused_by_its_check_or_its_digest() {
    let desk = Desk::new();
    let src = desk.write("src/x", b"bad config");
    let target = desk.write("dest/x", b"good config");
    let check = text("grep -q good %s", Quoting::Plain);
    let copy = Copy {
        verify: Some(check),
        ..upload(&src, &target)
    };
    let played = desk.play(put(copy)).await;
    assert!(
        played.cause("h0").contains("verify failed with exit 1"),
        "{}",
        played.cause("h0")
    );
    let copy = Copy {
        sha256: Some(text(&"0".repeat(64), Quoting::Plain)),
        ..upload(&src, &target)
    };
    let played = desk.play(put(copy)).await;
    assert!(
        played.cause("h0").contains("nothing was sent"),
        "{}",
        played.cause("h0")
    );
    assert_eq!(std::fs::read(&target).unwrap(), b"good config");
    assert_eq!(desk.names("dest"), ["x"]);
}

#[tokio::test]
async fn an_upload_makes_no_folder_but_takes_one_as_its_place() {
    let desk = Desk::new();
    let src = desk.write("src/x", b"1");
    let played = desk.play(put(upload(&src, &desk.path("missing/x")))).await;
    assert_eq!(played.words(), ["failed"]);
    desk.write("dest/other", b"");
    let played = desk.play(put(upload(&src, &desk.path("dest")))).await;
    assert_eq!(played.words(), ["ok"]);
    assert_eq!(desk.names("dest"), ["other", "x"]);
}

#[tokio::test]
async fn a_folder_is_uploaded_file_by_file() {
    let desk = Desk::new();
    desk.write("src/a", b"1");
    desk.write("src/deep/er/b", b"2");
    let copy = upload(&desk.path("src"), &desk.path("dest"));
    let played = desk.play(put(copy.clone())).await;
    assert_eq!((played.words(), changed(&played)), (vec!["ok"], Some(true)));
    assert_eq!(std::fs::read(desk.path("dest/deep/er/b")).unwrap(), b"2");
    let played = desk.play(put(copy)).await;
    assert_eq!(changed(&played), Some(false));
}

#[tokio::test]
async fn a_template_is_uploaded_as_rendered() {
    let desk = Desk::new();
    let src = desk.write("src/unit.j2", b"");
    let target = desk.path("unit");
    let copy = Copy {
        content: CopyContent::Rendered,
        text: Some(text("runs on {{ host.label }}\n", Quoting::Plain)),
        ..upload(&src, &target)
    };
    let played = desk.play(put(copy)).await;
    assert_eq!(played.words(), ["ok"], "{}", played.cause("h0"));
    assert_eq!(std::fs::read(&target).unwrap(), b"runs on h0\n");
}

#[tokio::test]
async fn a_download_lands_in_the_runs_files() {
    let desk = Desk::new();
    let src = desk.write("remote/app.hprof", b"a dump");
    let played = desk.play(get(download(&src))).await;
    assert_eq!(played.words(), ["ok"], "{}", played.cause("h0"));
    let path = fetched(&played).unwrap();
    assert!(path.ends_with("files/h0/app.hprof"), "{path:?}");
    assert_eq!(std::fs::read(&path).unwrap(), b"a dump");
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let folder = std::fs::read_dir(path.parent().unwrap()).unwrap();
    assert_eq!(folder.count(), 1, "no part is left beside the file");
}

#[tokio::test]
async fn a_download_goes_on_over_lost_connections() {
    let mut desk = Desk::new();
    desk.machine.lost_after = Some(10);
    desk.machine.losses = Arc::new(AtomicU64::new(5));
    let src = desk.write("remote/x", &[7; 64]);
    let played = desk.play(get(download(&src))).await;
    assert_eq!(played.words(), ["ok"], "{}", played.cause("h0"));
    assert_eq!(std::fs::read(fetched(&played).unwrap()).unwrap(), [7; 64]);
    // No byte came twice.
    assert_eq!(desk.machine.fetched.load(Ordering::SeqCst), 64);
}

#[tokio::test]
async fn a_download_that_brings_nothing_is_given_up_as_lost() {
    let mut desk = Desk::new();
    desk.machine.lost_after = Some(0);
    desk.machine.losses = Arc::new(AtomicU64::new(9));
    let src = desk.write("remote/x", &[7; 64]);
    let played = desk.play(get(download(&src))).await;
    assert_eq!(
        played.outcome("h0"),
        HostOutcome::Unknown {
            step: "get".to_owned(),
            doubt: crate::model::Doubt::Lost
        }
    );
}

fn into(dest: &Path, src: &Path) -> Download {
    Download {
        dest: Some(plain(dest)),
        ..download(src)
    }
}

#[tokio::test]
async fn a_part_of_the_same_file_is_gone_on_with_and_one_of_another_is_not() {
    for (part, bytes) in [(&b"a wh"[..], 3), (b"xxxx", 3 + 7)] {
        let desk = Desk::new();
        let src = desk.write("remote/x", b"a whole");
        let target = desk.path("here/x");
        desk.write("here/.x.h0.part", part);
        let played = desk.play(get(into(&target, &src))).await;
        assert_eq!(played.words(), ["ok"], "{}", played.cause("h0"));
        assert_eq!(std::fs::read(&target).unwrap(), b"a whole");
        assert_eq!(desk.machine.fetched.load(Ordering::SeqCst), bytes);
        assert_eq!(desk.names("here"), ["x"]);
    }
}

#[tokio::test]
async fn a_download_never_overwrites_another_file() {
    let desk = Desk::new();
    let src = desk.write("remote/x", b"new");
    let target = desk.write("here/x", b"old");
    let played = desk.play(get(into(&target, &src))).await;
    assert!(
        played.cause("h0").contains("is not overwritten"),
        "{}",
        played.cause("h0")
    );
    assert_eq!(std::fs::read(&target).unwrap(), b"old");
    let target = desk.write("same/x", b"new");
    let played = desk.play(get(into(&target, &src))).await;
    assert_eq!(
        (played.words(), changed(&played)),
        (vec!["ok"], Some(false))
    );
    assert_eq!(desk.machine.fetched.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_download_is_refused_for_size_digest_or_absence() {
    let desk = Desk::new();
    let src = desk.write("remote/x", b"twelve bytes");
    let played = desk
        .play(get(Download {
            max_size: Some(11),
            ..download(&src)
        }))
        .await;
    assert!(
        played.cause("h0").contains("nothing was transferred"),
        "{}",
        played.cause("h0")
    );
    let wrong = Some(text(&"0".repeat(64), Quoting::Plain));
    let played = desk
        .play(get(Download {
            sha256: wrong,
            ..download(&src)
        }))
        .await;
    assert!(
        played.cause("h0").contains("the remote file was kept"),
        "{}",
        played.cause("h0")
    );
    assert!(fetched(&played).is_none());
    let absent = desk.path("remote/absent");
    let played = desk.play(get(download(&absent))).await;
    assert!(
        played.cause("h0").contains("there is no file"),
        "{}",
        played.cause("h0")
    );
    let played = desk
        .play(get(Download {
            missing_ok: true,
            ..download(&absent)
        }))
        .await;
    assert_eq!(
        (played.words(), changed(&played)),
        (vec!["ok"], Some(false))
    );
}

#[tokio::test]
async fn a_heap_dump_that_is_none_is_kept_aside() {
    let desk = Desk::new();
    let src = desk.write("remote/x.hprof", b"no dump");
    let target = desk.path("here/x.hprof");
    let check = Some(crate::task::FileCheck::Hprof);
    let played = desk
        .play(get(Download {
            verify: check,
            ..into(&target, &src)
        }))
        .await;
    assert!(
        played.cause("h0").contains("no whole heap dump"),
        "{}",
        played.cause("h0")
    );
    assert_eq!(desk.names("here"), [".x.hprof.h0.part"]);
}

#[tokio::test]
async fn a_register_of_a_download_holds_its_path() {
    let desk = Desk::new();
    let src = desk.write("remote/x", b"1");
    let fetch = get(download(&src)).but(|modifiers| modifiers.register = Some("got".to_owned()));
    let say = step(
        "say",
        Action::Log(text("{{ got.ok }} {{ got.stdout }}", Quoting::Plain)),
    );
    let played = Bed::new(1, vec![fetch, say])
        .play_over(desk.machine.clone())
        .await;
    let note = format!("true {}", fetched(&played).unwrap().display());
    assert_eq!(played.notes(), [note]);
}
