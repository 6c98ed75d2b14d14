//! Tests of the record chain, over dumps of a real JVM and over cut ones.

use std::io::Write;

use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;

fn header() -> Vec<u8> {
    let mut bytes = b"JAVA PROFILE 1.0.2\0".to_vec();
    bytes.extend(8_u32.to_be_bytes());
    bytes.extend(1_700_000_000_000_u64.to_be_bytes());
    bytes
}

fn record(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag, 0, 0, 0, 0];
    bytes.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
    bytes.extend(body);
    bytes
}

fn dump(records: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = header();
    for (tag, body) in records {
        bytes.extend(record(*tag, body));
    }
    bytes.extend(record(HEAP_DUMP_END, &[]));
    bytes
}

fn small() -> Vec<u8> {
    dump(&[(1, b"main".to_vec()), (HEAP_DUMP_SEGMENT, vec![7; 300])])
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

#[test]
fn a_whole_dump_is_counted() {
    assert_eq!(
        check(small().as_slice()).unwrap(),
        HprofSummary {
            version: "1.0.2".to_owned(),
            id_size: 8,
            started_ms: 1_700_000_000_000,
            compression: Compression::None,
            bytes: small().len() as u64,
            records: 3,
            segments: 1,
            heap_bytes: 300,
        }
    );
}

#[test]
fn compressed_dumps_are_told_by_their_first_bytes() {
    for (packed, compression) in [
        (gzip(&small()), Compression::Gzip),
        (zstd(&small()), Compression::Zstd),
        // Several members or frames are one stream, as `cat a.gz b.gz` makes them.
        (
            [gzip(&small()[..50]), gzip(&small()[50..])].concat(),
            Compression::Gzip,
        ),
        (
            [zstd(&small()[..50]), zstd(&small()[50..])].concat(),
            Compression::Zstd,
        ),
    ] {
        let summary = check(packed.as_slice()).unwrap();
        assert_eq!(
            (summary.compression, summary.bytes),
            (compression, small().len() as u64)
        );
    }
}

#[test]
fn each_kind_of_damage_has_its_own_words() {
    let mut wrong_tag = small();
    wrong_tag[31] = 0;
    let mut wrong_ids = small();
    wrong_ids[22] = 9;
    let packed = gzip(&small());
    let cases: [(&[u8], &str); 10] = [
        (b"", "not a heap dump: it begins with nothing: it is empty"),
        (b"\x7fELF", "not a heap dump: it begins with `\\x7f`"),
        (
            b"JAVA PROFILE 2",
            "not a heap dump: it begins with `JAVA PROFILE 2`",
        ),
        (
            &small()[..25],
            "cut short: it ends at byte 25, 6 bytes before the end of the record that begins at byte 0",
        ),
        (
            &small()[..200],
            "cut short: it ends at byte 200, 153 bytes before the end of the record that begins at byte 44",
        ),
        (
            &small()[..353],
            "cut short: it ends at byte 353 between two records, without the end mark",
        ),
        (
            &wrong_tag,
            "damaged: byte 31 holds 0x00, which begins no record",
        ),
        (
            &wrong_ids,
            "the header says ids of 9 bytes; only 4 and 8 exist",
        ),
        (
            &[small(), vec![1]].concat(),
            "damaged: bytes follow the end mark at byte 362",
        ),
        (
            &packed[..packed.len() - 12],
            "damaged or cut short: the gzip data stops unpacking after byte",
        ),
    ];
    for (bytes, text) in cases {
        let error = check(bytes).unwrap_err().to_string();
        assert!(error.starts_with(text), "{error}\n  wanted: {text}");
    }
}

/// A reader that gives a few bytes, then fails, as a disk or a link does.
struct Breaks(usize);

impl Read for Breaks {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let whole = small();
        let step = into.len().min(self.0);
        if step == 0 {
            return Err(io::Error::other("input/output error"));
        }
        into[..step].copy_from_slice(&whole[whole.len() - self.0..][..step]);
        self.0 -= step;
        Ok(step)
    }
}

#[test]
fn a_file_that_cannot_be_read_is_not_called_damaged() {
    let error = check(Breaks(0)).unwrap_err();
    assert!(
        matches!(error, HprofError::Read { offset: 0, .. }),
        "{error}"
    );
    let mut head = header();
    head.extend(&small()[31..100]);
    let error = check(head.as_slice().chain(Breaks(0))).unwrap_err();
    assert!(
        matches!(error, HprofError::Read { offset: 100, .. }),
        "{error}"
    );
}

fn records() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
    let tag = prop_oneof![1..=7_u8, 10..=14_u8, Just(HEAP_DUMP_SEGMENT)];
    prop::collection::vec((tag, prop::collection::vec(any::<u8>(), 0..200)), 0..8)
}

proptest! {
    #[test]
    fn a_dump_cut_anywhere_is_refused(records in records(), cut in any::<prop::sample::Index>()) {
        let whole = dump(&records);
        prop_assert_eq!(check(whole.as_slice()).unwrap().records, records.len() as u64 + 1);
        prop_assert!(check(&whole[..cut.index(whole.len())]).is_err());
        let (gz, zst) = (gzip(&whole), zstd(&whole));
        prop_assert_eq!(check(gz.as_slice()).unwrap().bytes, whole.len() as u64);
        prop_assert_eq!(check(zst.as_slice()).unwrap().bytes, whole.len() as u64);
        prop_assert!(check(&gz[..cut.index(gz.len())]).is_err());
        prop_assert!(check(&zst[..cut.index(zst.len())]).is_err());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(check(bytes.as_slice()).is_err());
        let behind_header = [header(), bytes].concat();
        let _ = check(behind_header.as_slice());
    }
}
