//! The screen over real pipes: what reaches them, in which form, and what it does when they do not take it.

use std::io::Read as _;

use crate::model::{HostOutcome, Stream};

use super::super::samples::{event, every_kind, failed, finished, output, run_started, summary};
use super::*;

/// A screen over real pipes, and the ends to read.
fn piped(options: ScreenOptions) -> (Screen, io::PipeReader, io::PipeReader) {
    screen_on(StreamKind::Pipe, options)
}

/// As [`piped`], with a stdout that is taken for something else.
fn screen_on(kind: StreamKind, options: ScreenOptions) -> (Screen, io::PipeReader, io::PipeReader) {
    let (stdout, out) = io::pipe().unwrap();
    let (stderr, err) = io::pipe().unwrap();
    let outlets = Outlets {
        streams: Streams {
            stdout: kind,
            stderr: StreamKind::Pipe,
            shared: false,
            width: 100,
            height: 24,
        },
        last_resort: Box::new(err.try_clone().unwrap()),
        stdout: Box::new(out),
        stderr: Box::new(err),
    };
    (Screen::start(options, outlets).unwrap(), stdout, stderr)
}

/// Reads a pipe to its end, in a thread of its own as a reader is.
fn read(mut pipe: io::PipeReader) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).unwrap();
        text
    })
}

async fn feed(screen: &Screen, kinds: Vec<EventKind>) {
    let mut sink = screen.sink();
    for (seq, kind) in (0..).zip(kinds) {
        sink.accept(&event(seq, seq * 10, kind)).await;
    }
}

fn two_hosts(kind: Kind) -> Vec<EventKind> {
    vec![
        run_started(kind, &[("app-1", "a"), ("db", "b")]),
        output("app-1", Stream::Stdout, &[b"one"]),
        output("db", Stream::Stderr, &[b"oh"]),
        output("db", Stream::Stdout, &[b"two"]),
        finished("app-1", HostOutcome::Ok, 1000, &[]),
        finished("db", failed(3), 1000, &["oh"]),
    ]
}

fn flood(lines: usize) -> EventKind {
    let line = [b'x'; 99];
    let lines: Vec<&[u8]> = (0..lines).map(|_| line.as_slice()).collect();
    output("app-1", Stream::Stdout, &lines)
}

#[tokio::test]
async fn data_goes_to_stdout_and_words_to_stderr() {
    let (screen, out, err) = piped(ScreenOptions::default());
    let (out, err) = (read(out), read(err));
    feed(&screen, two_hosts(Kind::Read)).await;
    screen.finish(Closing::default()).await;
    insta::assert_snapshot!(out.join().unwrap(), @r"
    app-1 │ one
    db    │ two
    ");
    insta::assert_snapshot!(err.join().unwrap(), @r"
    db    │ oh
    db  failed at step `dump`: exit 3 after 1.0 s, last line:
              | oh
    summary: 1 succeeded, 1 failed in 0.1 s
    record: /state/runs/20250102T030405Z-heapdump-00ff
    next: fab-rs logs 00ff db
    ");
}

#[tokio::test]
async fn equal_output_is_gathered_at_the_end() {
    let (screen, out, err) = piped(ScreenOptions {
        form: OutputForm::Gathered { diff: false },
        verbosity: Verbosity::Quiet,
        ..ScreenOptions::default()
    });
    let (out, err) = (read(out), read(err));
    feed(&screen, two_hosts(Kind::Read)).await;
    screen.finish(Closing::default()).await;
    insta::assert_snapshot!(out.join().unwrap(), @r"
    === app-1 (1) ===
    one
    === db (1) ===
    two
    ");
    insta::assert_snapshot!(err.join().unwrap(), @r"
    db  failed at step `dump`: exit 3 after 1.0 s
    === db (1) ===
    oh
    summary: 1 succeeded, 1 failed in 0.1 s
    ");
}

#[tokio::test]
async fn json_is_alone_on_stdout() {
    let (screen, out, _err) = piped(ScreenOptions {
        form: OutputForm::Json,
        ..ScreenOptions::default()
    });
    let out = read(out);
    let kinds: Vec<EventKind> = every_kind().into_iter().map(|event| event.kind).collect();
    let count = kinds.len();
    feed(&screen, kinds).await;
    screen.finish(Closing::default()).await;
    let text = out.join().unwrap();
    // The event with two lines of output is two lines.
    assert_eq!(text.lines().count(), count + 1);
    for line in text.lines() {
        let value: serde_json::Value = serde_json::from_str(line).expect(line);
        assert!(value["kind"].is_string());
    }
}

#[tokio::test]
async fn a_read_run_loses_no_line_to_a_slow_reader() {
    let (screen, mut out, err) = piped(ScreenOptions::default());
    let err = read(err);
    let reader = std::thread::spawn(move || {
        let (mut all, mut piece) = (0, vec![0; 32 << 10]);
        loop {
            match out.read(&mut piece).unwrap() {
                0 => return all,
                some => all += some,
            }
            std::thread::yield_now();
        }
    });
    let mut kinds = vec![run_started(Kind::Read, &[("app-1", "a")])];
    kinds.extend((0..200).map(|_| flood(1000)));
    feed(&screen, kinds).await;
    screen.finish(Closing::default()).await;
    // 99 bytes, the prefix `app-1 │ ` of 10 bytes, a newline.
    assert_eq!(reader.join().unwrap(), 200 * 1000 * 110);
    assert!(!err.join().unwrap().contains("could not be shown"));
}

/// The reader takes nothing at all: 22 MB do not fit into 8 MiB and a pipe.
#[tokio::test(start_paused = true)]
async fn a_change_waits_for_no_reader() {
    let (screen, out, err) = piped(ScreenOptions::default());
    let err = read(err);
    let mut kinds = vec![run_started(Kind::Change, &[("app-1", "a")])];
    kinds.extend((0..200).map(|_| flood(1000)));
    kinds.push(finished("app-1", failed(1), 10, &["last"]));
    feed(&screen, kinds).await;
    let skipped: u64 = screen
        .handle
        .shared
        .skipped()
        .iter()
        .map(|(_, count)| count)
        .sum();
    assert!((1..200_000).contains(&skipped), "{skipped}");
    screen.finish(Closing::default()).await;
    drop(out);
    let said = err.join().unwrap();
    assert!(
        said.contains("the reader of the output takes nothing"),
        "{said}"
    );
    assert!(said.contains("1 failed"), "{said}");
    assert!(said.contains("could not be shown in time"), "{said}");
}

/// A terminal that was stopped and goes on: it says what it has missed, and gets the rest.
#[tokio::test]
async fn no_run_waits_for_a_terminal() {
    let (screen, out, err) = screen_on(StreamKind::Terminal, ScreenOptions::default());
    let err = read(err);
    let mut kinds = vec![run_started(Kind::Read, &[("app-1", "a")])];
    kinds.extend((0..200).map(|_| flood(1000)));
    kinds.push(finished("app-1", HostOutcome::Ok, 10, &[]));
    feed(&screen, kinds).await;
    let skipped = screen.handle.shared.skipped()[0].1;
    let out = read(out);
    screen.finish(Closing::default()).await;
    let shown = out.join().unwrap().lines().count() as u64;
    assert_eq!(shown + skipped, 200_000);
    let said = err.join().unwrap();
    assert!(
        said.contains("skipped, this terminal is too slow"),
        "{said}"
    );
    assert!(said.contains("1 succeeded"), "{said}");
}

#[tokio::test]
async fn a_signal_frees_a_read_run_from_its_reader() {
    let (screen, out, _err) = piped(ScreenOptions::default());
    let handle = screen.handle();
    let mut kinds = vec![run_started(Kind::Read, &[("app-1", "a")])];
    kinds.extend((0..200).map(|_| flood(1000)));
    let feeding = feed(&screen, kinds);
    tokio::pin!(feeding);
    // It is stuck: nobody reads.
    let stuck = tokio::time::timeout(Duration::from_millis(300), &mut feeding).await;
    assert!(stuck.is_err());
    handle.stop_waiting();
    feeding.await;
    drop(out);
}

#[tokio::test]
async fn a_reader_that_goes_is_told_and_the_run_goes_on() {
    let (screen, out, err) = piped(ScreenOptions::default());
    let err = read(err);
    drop(out);
    let closed = screen.closed_pipe();
    let mut kinds = vec![run_started(Kind::Read, &[("app-1", "a")])];
    kinds.extend((0..300).map(|_| flood(1000)));
    kinds.push(finished("app-1", HostOutcome::Ok, 10, &[]));
    feed(&screen, kinds).await;
    closed.cancelled().await;
    screen.finish(Closing::default()).await;
    assert!(err.join().unwrap().contains("1 succeeded"));
}

#[tokio::test]
async fn a_question_is_on_the_screen_before_the_answer_is_read() {
    let (screen, _out, mut err) = piped(ScreenOptions::default());
    let handle = screen.handle();
    let asking = handle.ask("go on? [y/N] ").await;
    let mut shown = [0; 13];
    err.read_exact(&mut shown).unwrap();
    assert_eq!(&shown, b"go on? [y/N] ");
    drop(asking);
    handle.note("after it");
    let summary = summary(0, "done", &[]);
    feed(
        &screen,
        vec![EventKind::RunFinished {
            summary: Arc::new(summary),
        }],
    )
    .await;
    let err = read(err);
    screen.finish(Closing::default()).await;
    assert!(err.join().unwrap().starts_with("after it\n"));
}
