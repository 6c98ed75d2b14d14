//! Heap dumps that cannot be: each has its plain cause, leaves nothing behind, and the JVM goes on.

use std::process::Command;

use crate::host::{Host, Needs, library, shells};

#[test]
fn a_full_disk_is_seen_before_and_survived_after() {
    let Some(host) = Host::run(
        Needs::Jdk,
        r#"
        jvm only
        mkdir "$HOST/small"
        mount -t tmpfs -o size=2m none "$HOST/small"
        export FAB_PARAM_DIR="$HOST/small"
        try() {
            this=$(handle)
            run room heap-room.sh "$this"
            FAB_PARAM_KEEP_FREE=1KiB run tight heap-room.sh "$this"
            FAB_PARAM_KEEP_FREE=lots run words heap-room.sh "$this"
            run dump heap-dump.sh "$this" api
            ls -A "$HOST/small" >"$OUT/left"
            kill -0 "$(pid_of only)" && echo alive >"$OUT/alive"
        }
        each_shell try
        "#,
    ) else {
        return;
    };
    for key in ["room", "tight"] {
        for answer in host.answers(key) {
            answer.refused_with("not enough room in");
            answer.refused_with("must stay free, but only 2 MiB is free");
            answer.refused_with("name another disk with dir=");
        }
    }
    for answer in host.answers("words") {
        answer.refused_with("keep_free=lots is no size such as 500MiB");
    }
    for answer in host.answers("dump") {
        answer.refused_with("filled up; the JVM goes on, what was written is removed");
        assert_eq!(host.text(&format!("{}/left", answer.shell)), "");
        assert_eq!(host.text(&format!("{}/alive", answer.shell)), "alive");
    }
}

/// `keep_free=auto` by the size of the disk: the function of the script itself, under every shell.
#[test]
fn what_stays_free_suits_the_disk() {
    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;
    let script = std::fs::read_to_string(library().join("heap-room.sh")).unwrap();
    let start = script.find("\nkeep_of() {\n").unwrap();
    let end = start + script[start..].find("\n}\n").unwrap() + 3;
    for (keep_free, disk, kept) in [
        // A fifth of a small disk, then 1 GiB, then 5 %, and never more than 4 GiB.
        ("auto", 0, 0),
        ("auto", 2 * MIB, 2 * MIB / 5),
        ("auto", 4 * GIB, 4 * GIB / 5),
        ("auto", 5 * GIB, GIB),
        ("auto", 20 * GIB, GIB),
        ("auto", 40 * GIB, 2 * GIB),
        ("auto", 80 * GIB, 4 * GIB),
        ("auto", 252 * GIB, 4 * GIB),
        ("auto", 16_384 * GIB, 4 * GIB),
        ("1KiB", 252 * GIB, 1024),
        ("500MiB", 2 * MIB, 500 * MIB),
        ("10GiB", 252 * GIB, 10 * GIB),
    ] {
        for shell in shells() {
            let mut words = shell.split('+');
            let output = Command::new(words.next().unwrap())
                .args(words)
                .arg("-c")
                .arg(format!(
                    "keep_free=$1\n{}\nkeep_of \"$2\"",
                    &script[start..end]
                ))
                .args(["keep_of", keep_free, &disk.to_string()])
                .output()
                .unwrap();
            assert_eq!(
                String::from_utf8_lossy(&output.stdout),
                kept.to_string(),
                "{shell}: keep_free={keep_free} of {disk} bytes: {output:?}"
            );
        }
    }
}

#[test]
fn a_folder_that_will_not_do_is_refused() {
    let Some(host) = Host::run(
        Needs::JdkAndRoot,
        r#"
        AS='setpriv --reuid 2002 --regid 2002 --clear-groups'
        jvm theirs
        mkdir -m 0700 "$HOST/closed"
        mkdir "$HOST/files"
        try() {
            this=$(handle)
            FAB_PARAM_DIR=relative run relative heap-room.sh "$this"
            FAB_PARAM_DIR=$HOST/absent run absent heap-room.sh "$this"
            FAB_PARAM_DIR=$HOST/closed run closed heap-dump.sh "$this" api
            # Owned by root and entered by all: the dump's own folder is handed to the JVM's user.
            FAB_PARAM_DIR=$HOST/files run works heap-dump.sh "$this" api
            ls -lan "$(field works dir)" >"$OUT/listing"
            ls -A "$HOST/closed" >"$OUT/left"
        }
        each_shell try
        "#,
    ) else {
        return;
    };
    for answer in host.answers("relative") {
        answer.refused_with("dir=relative is no absolute path");
    }
    for answer in host.answers("absent") {
        answer.refused_with("there is no folder");
    }
    for answer in host.answers("closed") {
        answer.refused_with("the JVM (uid 2002) may not write into");
        assert_eq!(host.text(&format!("{}/left", answer.shell)), "");
    }
    for answer in host.answers("works") {
        assert!(answer.json()["bytes"].as_u64().unwrap() > 4 << 20);
        let listing = host.text(&format!("{}/listing", answer.shell));
        let listing = listing.split_whitespace().collect::<Vec<_>>().join(" ");
        // The folder is root's again: its old owner cannot put another file in the place of the dump.
        assert!(listing.contains("drwx------ 2 0 0 "), "{listing}");
        assert!(listing.contains("-rw------- 1 2002 2002 "), "{listing}");
    }
}

#[test]
fn a_jvm_that_takes_no_attach_says_why() {
    let Some(host) = Host::run(
        Needs::Jdk,
        r#"
        jvm deaf -XX:+DisableAttachMechanism
        jvm hidden -XX:-UsePerfData
        jvm quiet -Xrs
        jvm stopped
        jvm gone
        kill -STOP "$(pid_of stopped)"
        export FAB_PARAM_DIR="$HOST"
        try() {
            for name in deaf hidden quiet stopped; do
                FAB_PARAM_PID=$(pid_of $name) run find find-jvm.sh
                run "room-$name" heap-room.sh "$(field find handle)"
                run "dump-$name" heap-dump.sh "$(field find handle)" api
            done
            # Found, then replaced: the same pid with another start time is another process.
            this=$(field find handle)
            pid=${this%%:*} rest=${this#*:}
            run room-gone heap-room.sh "$pid:1:${rest#*:}"
            run dump-gone heap-dump.sh "$pid:1:${rest#*:}" api
            # A Java runtime without tools.
            FAB_PARAM_PID=$(pid_of hidden) run find find-jvm.sh
            this=$(field find handle)
            run room-bare heap-room.sh "${this%%/*}"
        }
        each_shell try
        for name in deaf hidden quiet stopped; do
            kill -0 "$(pid_of $name)" && echo alive
        done >"$HOST/alive"
        "#,
    ) else {
        return;
    };
    for (name, words) in [
        (
            "deaf",
            "the JVM was started with -XX:+DisableAttachMechanism: no tool can attach to it",
        ),
        (
            "stopped",
            "is stopped by a signal or a debugger and cannot answer; continue it with: kill -CONT",
        ),
        (
            "gone",
            "is gone: the JVM ended or was restarted since it was found",
        ),
    ] {
        for answer in host.answers(&format!("room-{name}")) {
            answer.refused_with(words);
        }
        for answer in host.answers(&format!("dump-{name}")) {
            answer.refused_with(words);
        }
    }
    for answer in host.answers("room-bare") {
        answer.refused_with("no jcmd on this host: only a Java runtime is installed");
    }
    for name in ["hidden", "quiet"] {
        for answer in host.answers(&format!("dump-{name}")) {
            assert!(answer.json()["bytes"].as_u64().unwrap() > 4 << 20);
        }
    }
    assert_eq!(host.text("alive"), "alive\nalive\nalive\nalive");
}

/// What jcmd says decides, with the file beside it, and never its status: here a jcmd that lies.
#[test]
fn a_dump_that_is_not_what_jcmd_says_is_none() {
    let Some(host) = Host::run(
        Needs::Jdk,
        r#"
        jvm only
        mkdir "$HOST/bin"
        cat >"$HOST/bin/jcmd" <<'END'
#!/bin/sh
# The last word is the file, as with the real one; SAYS is what is done.
for file in "$@"; do :; done
case $SAYS in
nothing) ;;
short) echo abc >"$file"; echo 'Heap dump file created [400 bytes in 1.000 secs]' ;;
absent) echo 'Heap dump file created [400 bytes in 1.000 secs]' ;;
link) ln -s /etc/passwd "$file"; echo "Heap dump file created [$(wc -c </etc/passwd) bytes in 1.000 secs]" ;;
exists) echo abc >"$file"; echo 'Unable to create file: File exists' ;;
parts) echo abc >"$file.p0"; echo abc >"$file.p1"; echo 'No space left on device' ;;
dies) echo abc >"$file"; kill -9 "$VICTIM"; sleep 1; echo 'java.io.IOException: Premature EOF' ;;
term) echo abc >"$file"; kill -TERM 0; sleep 1 ;;
esac
exit 0
END
        chmod +x "$HOST/bin/jcmd"
        export FAB_PARAM_DIR="$HOST" SAYS VICTIM
        try() {
            real=$(handle)
            fake=${real%%/*}$HOST/bin/jcmd
            for SAYS in nothing short absent link exists parts; do
                run "$SAYS" heap-dump.sh "$fake" api
            done
            # As the supervisor ends a step: the whole group at once.
            AS_LOGIN='setsid -w' SAYS=term
            run term heap-dump.sh "$fake" api
            AS_LOGIN=
            jvm victim
            VICTIM=$(pid_of victim) SAYS=dies
            FAB_PARAM_PID=$VICTIM run find find-jvm.sh
            real=$(field find handle)
            run dies heap-dump.sh "${real%%/*}$HOST/bin/jcmd" api
        }
        each_shell try
        find "$HOST" -name 'fab-rs-heap*' >"$HOST/left"
        "#,
    ) else {
        return;
    };
    for (says, words) in [
        ("nothing", "no heap dump: the JVM (PID "),
        (
            "short",
            "no heap dump: the JVM says 400 bytes, the file has 4",
        ),
        ("absent", "but there is no such file"),
        ("link", "but there is no such file"),
        ("exists", "the JVM found the file there already"),
        (
            "parts",
            "filled up; the JVM goes on, what was written is removed",
        ),
        (
            "dies",
            "DIED WHILE ITS HEAP WAS DUMPED. It was not restarted",
        ),
    ] {
        for answer in host.answers(says) {
            answer.refused_with(words);
        }
    }
    for answer in host.answers("term") {
        assert_eq!(
            (answer.code, answer.stdout.as_str()),
            (143, ""),
            "{answer:?}"
        );
    }
    assert_eq!(host.text("left"), "");
}

#[test]
fn without_room_for_the_packed_copy_the_dump_stays_as_it_is() {
    let Some(host) = Host::run(
        Needs::Nothing,
        r#"
        mkdir "$HOST/small"
        mount -t tmpfs -o size=5m,mode=0700 none "$HOST/small"
        try() {
            head -c 4000000 /dev/urandom >"$HOST/small/a.hprof"
            run full heap-pack.sh "$HOST/small/a.hprof"
            ls "$HOST/small" >"$OUT/left"
            # A name that is taken, by a link at that, is not written through.
            head -c 1000 /dev/urandom >"$HOST/small/a.hprof"
            echo precious >"$OUT/precious"
            ln -sf "$OUT/precious" "$HOST/small/a.hprof.gz"
            FAB_PARAM_COMPRESS=gzip run linked heap-pack.sh "$HOST/small/a.hprof"
            run absent heap-pack.sh "$HOST/small/none.hprof"
            run foreign remove-dump.sh "$HOST/small"
        }
        each_shell try
        "#,
    ) else {
        return;
    };
    for answer in host.answers("full") {
        let json = answer.json();
        assert_eq!(
            (&json["compression"], &json["bytes"]),
            (&"none".into(), &4_000_000.into())
        );
        assert!(
            json["what"].as_str().unwrap().contains("(not compressed: "),
            "{json}"
        );
        assert_eq!(host.text(&format!("{}/left", answer.shell)), "a.hprof");
    }
    for answer in host.answers("linked") {
        assert_eq!(answer.json()["compression"], "none");
        assert_eq!(host.text(&format!("{}/precious", answer.shell)), "precious");
    }
    for answer in host.answers("absent") {
        answer.refused_with("none.hprof is gone");
    }
    for answer in host.answers("foreign") {
        answer.refused_with("is no folder of ours: nothing removed");
    }
}
