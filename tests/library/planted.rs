//! A JVM's user who plants links where root is about to write: nothing outside of the dump's own folder is touched.

use crate::host::{Host, Needs};

/// What belongs to a third user, reachable by all, and what it is like.
const PRECIOUS: &str = r#"
    AS='setpriv --reuid 2002 --regid 2002 --clear-groups'
    mkdir -p "$HOST/precious" "$HOST/theirs" "$HOST/bin"
    echo precious >"$HOST/precious/file"
    chmod 0751 "$HOST/precious"
    chmod 0644 "$HOST/precious/file"
    chown -R 3003:3003 "$HOST/precious"
    chown 2002:2002 "$HOST/theirs"
    state() {
        stat -c '%n %u:%g %a %s %h' "$HOST/precious" "$HOST/precious"/* "$HOST/precious"/.[!.]*
        cat "$HOST/precious/file"
    }
    state >"$HOST/before" 2>/dev/null
"#;

fn host(script: &str) -> Option<Host> {
    let host = Host::run(
        Needs::JdkAndRoot,
        &format!("{PRECIOUS}\n{script}\nstate >\"$HOST/after\" 2>/dev/null; :"),
    )?;
    assert!(host.text("before").ends_with("precious"));
    assert_eq!(host.text("before"), host.text("after"));
    Some(host)
}

#[test]
fn a_folder_behind_somebody_elses_link_is_not_entered() {
    let Some(host) = host(
        r#"
        jvm theirs
        ln -s "$HOST/precious" "$HOST/theirs/link"
        chown -h 2002:2002 "$HOST/theirs/link"
        # What root has linked is meant so.
        mkdir -m 0755 "$HOST/large"
        ln -s "$HOST/large" "$HOST/roots"
        try() {
            this=$(handle)
            export FAB_PARAM_KEEP_FREE=1KiB
            for dir in theirs/link theirs/../precious roots; do
                FAB_PARAM_DIR=$HOST/$dir run "room-${dir##*/}" heap-room.sh "$this"
                FAB_PARAM_DIR=$HOST/$dir run "dump-${dir##*/}" heap-dump.sh "$this" api
            done
            # A folder that others can change holds no dump of ours.
            mkdir "$HOST/theirs/fab-rs-heap.abcdef"
            echo theirs >"$HOST/theirs/fab-rs-heap.abcdef/heapdump-api.hprof"
            chown -R 2002:2002 "$HOST/theirs/fab-rs-heap.abcdef"
            run pack heap-pack.sh "$HOST/theirs/fab-rs-heap.abcdef/heapdump-api.hprof"
            run remove remove-dump.sh "$HOST/theirs/fab-rs-heap.abcdef"
            cat "$HOST/theirs/fab-rs-heap.abcdef"/* >"$OUT/theirs"
            rm -r "$HOST/theirs/fab-rs-heap.abcdef"
        }
        each_shell try
        "#,
    ) else {
        return;
    };
    for step in ["room", "dump"] {
        for answer in host.answers(&format!("{step}-link")) {
            answer.refused_with("link is a symbolic link, which may lead anywhere");
        }
        for answer in host.answers(&format!("{step}-precious")) {
            answer.refused_with("goes back with ..");
        }
        for answer in host.answers(&format!("{step}-roots")) {
            answer.json();
        }
    }
    for answer in host.answers("pack") {
        answer.refused_with("is no folder of ours: nothing packed");
        assert_eq!(host.text(&format!("{}/theirs", answer.shell)), "theirs");
    }
    for answer in host.answers("remove") {
        answer.refused_with("is no folder of ours: nothing removed");
    }
}

/// The JVM's user owns the folder that the dump's folder is made in, and changes it while root works there. Its jcmd
/// does so here, and then says that all went well.
#[test]
fn links_planted_during_the_dump_lead_nowhere() {
    let Some(host) = host(
        r#"
        jvm theirs
        cat >"$HOST/bin/jcmd" <<'END'
#!/bin/sh
for file in "$@"; do :; done
folder=${file%/*}
case $PLANTS in
file) ln -s "$HOST/precious/file" "$file" ;;
folder) mv "$folder" "$folder.away" && ln -s "$HOST/precious" "$folder" ;;
both)
    echo precious >"$file"
    mv "$folder" "$folder.away" && ln -s "$HOST/precious" "$folder"
    ;;
name) echo precious >"$HOST/theirs/other" && ln "$HOST/theirs/other" "$file" ;;
esac
echo 'Heap dump file created [9 bytes in 1.000 secs]'
END
        chmod 0755 "$HOST/bin/jcmd"
        export FAB_PARAM_DIR="$HOST/theirs" PLANTS
        try() {
            real=$(handle)
            for PLANTS in file folder both name; do
                run "$PLANTS" heap-dump.sh "${real%%/*}$HOST/bin/jcmd" api
                rm -rf "$HOST/theirs"/*
            done
        }
        each_shell try
        "#,
    ) else {
        return;
    };
    for (plants, words) in [
        ("file", "but there is no such file"),
        ("folder", "but there is no such file"),
        ("both", "is no longer what was made there"),
        ("name", "has another name somewhere"),
    ] {
        for answer in host.answers(plants) {
            answer.refused_with(words);
        }
    }
}

/// In another file system an absolute link would lead to ours.
#[test]
fn no_link_leads_out_of_a_containers_file_system() {
    let Some(host) = host(
        r#"
        cat >"$HOST/private" <<'END'
        mount -t tmpfs none /run
        cp -r "$HOST/classes" /run/
        chmod -R a+rX /run/classes
        mount -t tmpfs -o mode=1777 none /tmp
        ln -s "$HOST/precious" /run/planted
        exec setpriv --reuid 2002 --regid 2002 --clear-groups java -Xmx64m -cp /run/classes Patient
END
        unshare --mount --pid --fork --mount-proc sh "$HOST/private" >"$HOST/only.log" 2>&1 &
        wait_for "$HOST/only.log"
        export FAB_PARAM_DIR=/run/planted FAB_PARAM_KEEP_FREE=1KiB
        try() {
            this=$(handle)
            run room heap-room.sh "$this"
            run dump heap-dump.sh "$this" api
        }
        each_shell try
        "#,
    ) else {
        return;
    };
    for step in ["room", "dump"] {
        for answer in host.answers(step) {
            answer.refused_with("planted is a symbolic link, which may lead anywhere");
        }
    }
}
