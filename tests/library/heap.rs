//! A heap dump from end to end: room, dump, compression, removal, and what arrives is whole.

use std::fs::File;
use std::io::Read;

use fab_rs::diagnose::hprof::{self, Compression};

use crate::host::{Host, Needs};

const WHOLE_WAY: &str = r#"
    jvm only
    # Room is asked for, but not by this machine's disk.
    export FAB_PARAM_DIR="$HOST" FAB_PARAM_KEEP_FREE=1MiB
    mkdir "$HOST/nozstd" "$HOST/nothing"
    for tool in sh awk cat chmod cut df find grep gzip head id ionice ls mktemp mv nice readlink rm rmdir sed sha256sum sleep stat tail timeout tr wc date chown true sort dash bash busybox; do
        there=$(command -v "$tool") || continue
        case $there in /*) ;; *) continue ;; esac
        ln -s "$there" "$HOST/nozstd/$tool"
        [ "$tool" = gzip ] || ln -s "$there" "$HOST/nothing/$tool"
    done
    one() {
        this=$(handle)
        run "room$1" heap-room.sh "$this"
        run "dump$1" heap-dump.sh "$this" 'api'
        ls -lnR "$(field "dump$1" dir)" >"$OUT/listing$1"
        cp "$(field "dump$1" file)" "$OUT/plain$1"
        (
            [ -z "$2" ] || PATH=$HOST/$2
            run "pack$1" heap-pack.sh "$(field "dump$1" file)"
        )
        cp "$(field "pack$1" file)" "$OUT/packed$1"
        sha256sum <"$OUT/packed$1" | cut -c 1-64 >"$OUT/digest$1"
        run "remove$1" remove-dump.sh "$(field "dump$1" dir)"
        run "twice$1" remove-dump.sh "$(field "dump$1" dir)"
    }
    all() { one 1 ''; one 2 nozstd; FAB_PARAM_LIVE=false one 3 nothing; }
    each_shell all
    find "$HOST" -name 'fab-rs-heap*' >"$HOST/left"
"#;

#[test]
fn a_dump_is_written_packed_checked_and_removed() {
    let Some(host) = Host::run(Needs::Jdk, WHOLE_WAY) else {
        return;
    };
    for (round, tool, compression) in [
        ("1", "zstd", Compression::Zstd),
        ("2", "gzip", Compression::Gzip),
        ("3", "none", Compression::None),
    ] {
        for answer in host.answers(&format!("room{round}")) {
            let json = answer.json();
            assert!(json["used"].as_u64().unwrap() > 4 << 20, "{json}");
            assert!(json["need"].as_u64() > json["used"].as_u64(), "{json}");
        }
        for answer in host.answers(&format!("dump{round}")) {
            let json = answer.json();
            assert_eq!(json["answers"], true, "{json}");
            assert!(json["bytes"].as_u64().unwrap() > 4 << 20, "{json}");
            let listing = host.text(&format!("{}/listing{round}", answer.shell));
            assert!(listing.contains("-rw------- "), "{listing}");
            assert!(!listing.contains(".part"), "{listing}");
            let plain = File::open(host.file(&format!("{}/plain{round}", answer.shell))).unwrap();
            let summary = hprof::check(plain).unwrap();
            assert_eq!(Some(summary.bytes), json["bytes"].as_u64());
            assert!(summary.heap_bytes > 4 << 20, "{summary:?}");
        }
        for answer in host.answers(&format!("pack{round}")) {
            let json = answer.json();
            assert_eq!(json["compression"], tool, "{json}");
            let packed = File::open(host.file(&format!("{}/packed{round}", answer.shell))).unwrap();
            assert_eq!(
                json["bytes"].as_u64(),
                Some(packed.metadata().unwrap().len())
            );
            assert_eq!(
                json["sha256"],
                host.text(&format!("{}/digest{round}", answer.shell))
                    .as_str()
            );
            let summary = hprof::check(packed).unwrap();
            assert_eq!(summary.compression, compression);
            assert_eq!(Some(summary.bytes), json["raw_bytes"].as_u64());
            let what = json["what"].as_str().unwrap();
            assert_eq!(
                what.contains("neither zstd nor gzip"),
                tool == "none",
                "{what}"
            );
        }
        for answer in host.answers(&format!("remove{round}")) {
            assert_eq!((answer.code, answer.stderr.as_str()), (0, ""), "{answer:?}");
        }
        for answer in host.answers(&format!("twice{round}")) {
            answer.refused_with("is gone already");
        }
    }
    assert_eq!(host.text("left"), "");
}

/// Of a real dump, any part is refused: plain and packed, cut near records and far from them.
#[test]
fn a_real_dump_cut_short_is_refused() {
    let Some(host) = Host::run(Needs::Jdk, WHOLE_WAY) else {
        return;
    };
    let shell = host.answers("dump1")[0].shell.clone();
    for name in ["plain1", "packed1", "packed2"] {
        let mut whole = Vec::new();
        File::open(host.file(&format!("{shell}/{name}")))
            .unwrap()
            .read_to_end(&mut whole)
            .unwrap();
        // The last record is 9 bytes: around it every length, elsewhere steps without a pattern.
        let near = (whole.len() - 40)..whole.len();
        let far = (1..40).map(|step: usize| step.wrapping_mul(0x9E37_79B9) % whole.len());
        for length in near.chain(far) {
            assert!(
                hprof::check(&whole[..length]).is_err(),
                "{name} cut to {length} of {}",
                whole.len()
            );
        }
        hprof::check(whole.as_slice()).unwrap();
    }
}
