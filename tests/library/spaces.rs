//! JVMs that live in mounts or a process table of their own: systemd's `PrivateTmp`, containers.

use std::fs::File;

use fab_rs::diagnose::hprof;

use crate::host::{Host, Needs};

const WHOLE_WAY: &str = r#"
        cat >"$HOST/private" <<'END'
        mount -t tmpfs none /run
        cp -r "$HOST/classes" /run/
        chmod -R a+rX /run/classes
        mount -t tmpfs -o mode=1777 none /var/tmp
        mount -t tmpfs -o mode=1777 none /tmp
        exec setpriv --reuid 2002 --regid 2002 --clear-groups java -Xmx64m -cp /run/classes Patient
END
        unshare OPTIONS sh "$HOST/private" >"$HOST/only.log" 2>&1 &
        outer=$!
        wait_for "$HOST/only.log"
        read -r inner _ 2>/dev/null <"/proc/$outer/task/$outer/children"
        # Room is asked for, but not by this machine's memory.
        export FAB_PARAM_DIR=/var/tmp FAB_PARAM_KEEP_FREE=1MiB
        try() {
            this=$(handle)
            run room heap-room.sh "$this"
            run dump heap-dump.sh "$this" api
            run pack heap-pack.sh "$(field dump file)"
            cp "$(field pack file)" "$OUT/packed"
            run remove remove-dump.sh "$(field dump dir)"
            FAB_PARAM_N=1 run threads thread-dump.sh "$this" api
            # The folder is asked for in the JVM's own file system.
            FAB_PARAM_DIR=$HOST run absent heap-room.sh "$this"
        }
        each_shell try
        ls -A "/proc/${inner:-$outer}/root/var/tmp" >"$HOST/left"
    "#;

/// Starts a JVM by `unshare OPTIONS`, as another user with its own /tmp and /var/tmp, and goes the whole way.
fn whole_way(options: &str, space: &str) {
    let Some(host) = Host::run(Needs::JdkAndRoot, &WHOLE_WAY.replace("OPTIONS", options)) else {
        return;
    };
    for answer in host.answers("find") {
        assert_eq!(answer.json()["space"], space);
    }
    for key in ["room", "dump"] {
        for answer in host.answers(key) {
            answer.json();
        }
    }
    for answer in host.answers("pack") {
        let json = answer.json();
        let file = json["file"].as_str().unwrap();
        assert!(
            file.starts_with("/proc/") && file.contains("/root/var/tmp/"),
            "{json}"
        );
        let packed = File::open(host.file(&format!("{}/packed", answer.shell))).unwrap();
        hprof::check(packed).unwrap();
    }
    for answer in host.answers("remove") {
        assert_eq!((answer.code, answer.stderr.as_str()), (0, ""), "{answer:?}");
    }
    for answer in host.answers("threads") {
        let json = answer.json();
        assert_eq!(
            (&json["how"], &json["problem"]),
            (&"jcmd".into(), &"".into()),
            "{json}"
        );
    }
    for answer in host.answers("absent") {
        answer.refused_with("in the file system of the JVM; name another with dir=");
    }
    assert_eq!(host.text("left"), "");
}

#[test]
fn a_unit_with_private_tmp() {
    whole_way("--mount", "mount");
}

#[test]
fn a_container() {
    whole_way("--mount --pid --fork --mount-proc", "pid");
}
