//! Power fails: the disk has the beginning of a run's journal, cut at any byte, or damaged. What is read of it is
//! what was kept up to there, with which a run is gone on with rightly; or nothing is, and the reason is told.
//!
//! Hosts are ahead of the disk by what was under way: everything that needs no further line there. They are
//! never ahead by more, since a command waits for its line.

use crate::journal::{Corrupt, Sync, Writer, read, replay};
use crate::model::RunId;
use crate::run::journal::{Fact, Journal as _};
use crate::task::{OnFailure, OnceFor};

use super::case::{Case, Kind};
use super::disk::{Death, lines};
use super::laws::{Crash, Whole, check, whole};
use super::runtime;

fn case() -> Case {
    let once = Kind::Once {
        of: OnceFor::Rollout,
        asks: true,
    };
    Case {
        hosts: 2,
        batch: 1,
        max_failures: 1,
        phases: vec![vec![Kind::Sticky, once], vec![Kind::Add { asks: false }]],
        failing: vec![(1, 1, 0)],
        on_failure: OnFailure::Stop,
        ..Case::whole()
    }
}

/// A whole run, and its journal.
async fn journal(case: &Case) -> (Whole, RunId, Vec<u8>) {
    let whole = whole(case).await;
    let run = case.bed().options.run;
    let bytes = lines(&run, &whole.facts);
    (whole, run, bytes)
}

fn facts_of(run: &RunId, bytes: &[u8]) -> Result<Vec<Fact>, Corrupt> {
    let read = read(run, bytes)?;
    let records = read.records.into_iter();
    Ok(records.map(|record| record.fact).collect())
}

#[test]
fn a_run_whose_journal_is_cut_at_any_byte_goes_on_rightly() {
    let case = case();
    runtime().block_on(async {
        let (whole, run, bytes) = journal(&case).await;
        assert_eq!(facts_of(&run, &bytes).unwrap(), whole.facts);
        let mut known = 0;
        for cut in 0..bytes.len() {
            let facts = facts_of(&run, &bytes[..cut]).unwrap();
            assert!(facts == whole.facts[..facts.len()], "cut at byte {cut}");
            let is_line = bytes[..cut].ends_with(b"\n");
            assert_eq!(facts.len(), known + usize::from(is_line), "cut at {cut}");
            known = facts.len();
            // Without its first line there is no run; after its last one there is nothing to go on with.
            if !is_line || known + 2 > whole.facts.len() {
                continue;
            }
            assert!(!replay(&facts).is_new());
            for (death, eager) in [
                (Death::AtOnce, false),
                (Death::AtOnce, true),
                (Death::Late, true),
            ] {
                let after = known - 1;
                let case = Case {
                    eager,
                    ..case.clone()
                };
                let checked = check(&case, &[Crash { after, death }], &whole).await;
                checked.unwrap_or_else(|error| panic!("cut at {cut}, {death:?}: {error}"));
            }
        }
    });
}

#[test]
fn a_torn_line_is_cut_off_before_the_next_one_is_written() {
    let case = case();
    let (whole, run, bytes) = runtime().block_on(journal(&case));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    for (end, _) in ends.skip(1) {
        for cut in [end - 60, end - 1, end, end + 1] {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            let found = read(&run, &bytes[..cut]).unwrap();
            let kept = (found.whole, found.records.len() as u64);
            let writer = Writer::open(&path, &run, kept, Sync::Never).unwrap();
            writer.note(Fact::Bake { length_ms: 7 });
            drop(writer);
            let mut facts = facts_of(&run, &std::fs::read(&path).unwrap()).unwrap();
            assert_eq!(facts.pop(), Some(Fact::Bake { length_ms: 7 }));
            assert!(facts == whole.facts[..found.records.len()], "cut at {cut}");
        }
    }
}

#[test]
fn damage_is_refused_with_the_line_or_was_of_a_line_that_is_torn_anyway() {
    let case = case();
    let (whole, run, bytes) = runtime().block_on(journal(&case));
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let mut start = 0;
    for (number, line) in lines.iter().enumerate() {
        for at in [0, line.len() / 3, line.len() / 2, line.len() - 4] {
            for damage in [0, b'x', line[at] ^ 1, b'\n'] {
                let mut damaged = bytes.clone();
                damaged[start + at] = damage;
                let error = facts_of(&run, &damaged).expect_err("a damaged line in the middle");
                assert_eq!(error.line, number + 1, "{error}");
            }
        }
        // The disk has the file's new length, and nothing of its last line or lines.
        for zeros in [1, line.len(), 4096] {
            let torn = [&bytes[..start], &vec![0; zeros]].concat();
            let facts = facts_of(&run, &torn).unwrap();
            assert!(facts == whole.facts[..number]);
        }
        // It has a later line, but not this one.
        let mut hole = bytes.clone();
        hole[start..start + line.len()].fill(0);
        let is_last = number + 1 == lines.len();
        let found = facts_of(&run, &hole);
        match found {
            Ok(facts) => assert!(is_last && facts == whole.facts[..number]),
            Err(error) => assert_eq!(error.line, number + 1),
        }
        start += line.len();
    }
}
