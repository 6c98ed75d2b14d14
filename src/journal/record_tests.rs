//! A journal that is cut or damaged anywhere is read as what it was before, or refused.

use proptest::prelude::*;

use crate::model::{HostId, HostOutcome};
use crate::run::event::StepResult;
use crate::run::journal::{Kept, Mark, Opening, Part, Process};

use super::*;

fn run() -> RunId {
    RunId::from_text("20260730T031244Z-work-0001")
}

fn opening() -> Fact {
    Fact::RunStarted(Box::new(Opening {
        task: "work".to_owned(),
        task_hash: "00".to_owned(),
        changes: true,
        population: vec![HostId::new("i-1")],
        targets: vec![HostId::new("i-1")],
        retries: None,
        process: Process { pid: 1, started: 2 },
        typed: serde_json::json!({"words": ["role=app"]}),
    }))
}

fn facts() -> Vec<Fact> {
    let host = || Some(HostId::new("i-1"));
    let step = Mark {
        part: Part::Steps(0),
        id: "first".into(),
        passes: vec![2],
        once: None,
    };
    vec![
        opening(),
        Fact::StepStarted {
            host: host(),
            step: step.clone(),
            changes: true,
        },
        Fact::StepFinished {
            host: host(),
            step,
            result: StepResult::Ok {
                exit_code: Some(0),
                changed: None,
            },
            register: Some(Box::new(Kept {
                stdout: "a\n\",\"crc\":\"00000000\"}".to_owned(),
                ..Kept::default()
            })),
        },
        Fact::HostFinished {
            host: HostId::new("i-1"),
            outcome: HostOutcome::Ok,
        },
    ]
}

fn records() -> Vec<Record> {
    let facts = facts().into_iter().zip(0..);
    facts
        .map(|(fact, seq)| Record {
            v: FORMAT,
            seq,
            time: jiff::Timestamp::UNIX_EPOCH,
            run: run(),
            fact,
        })
        .collect()
}

fn bytes(records: &[Record]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for record in records {
        record.write(&mut bytes);
    }
    bytes
}

#[test]
fn what_was_written_is_read() {
    let records = records();
    let bytes = bytes(&records);
    let found = read(&run(), &bytes).unwrap();
    assert_eq!((found.records, found.whole), (records, bytes.len()));
}

#[test]
fn a_journal_cut_at_any_byte_is_read_up_to_its_last_whole_line() {
    let records = records();
    let bytes = bytes(&records);
    for cut in 0..bytes.len() {
        let lines = bytes[..cut].split(|byte| *byte == b'\n').count() - 1;
        let found = read(&run(), &bytes[..cut]).unwrap();
        assert_eq!(found.records, records[..lines], "cut at {cut}");
        assert!(found.whole <= cut);
    }
}

#[test]
fn damage_is_refused() {
    let whole = bytes(&records());
    for at in 0..whole.len() - 1 {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        assert!(read(&run(), &damaged).is_err(), "damaged at {at}");
    }
}

#[test]
fn lines_of_another_run_format_or_place_are_refused() {
    let change = |change: &dyn Fn(&mut Vec<Record>)| {
        let mut records = records();
        change(&mut records);
        read(&run(), &bytes(&records)).unwrap_err().to_string()
    };
    assert_eq!(
        change(&|records| records[1].seq = 5),
        "line 2 of the journal has number 5, not 1"
    );
    assert_eq!(
        change(&|records| records[2].run = RunId::from_text("other")),
        "line 3 of the journal is of run other"
    );
    assert_eq!(
        change(&|records| records[3].v = 2),
        "line 4 of the journal is of format 2, and this fab-rs reads format 1"
    );
    assert_eq!(
        change(&|records| drop(records.remove(0))),
        "line 1 of the journal has number 1, not 0"
    );
    assert_eq!(
        change(&|records| records[1].fact = opening()),
        "line 2 of the journal is not where the run begins"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn damage_anywhere_never_makes_another_journal(
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let records = records();
        let mut bytes = bytes(&records);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes.truncate(cut.index(bytes.len() + 1));
        if let Ok(found) = read(&run(), &bytes) {
            prop_assert_eq!(&found.records[..], &records[..found.records.len()]);
        }
    }
}
