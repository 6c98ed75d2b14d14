//! `thread-dump.sh`: whole dumps by jcmd, by SIGQUIT where nothing else can, and never at the JVM's expense.

use crate::host::{Host, Needs};

#[test]
fn several_dumps_are_taken_and_deadlocks_are_counted() {
    let Some(host) = Host::run(
        Needs::Jdk,
        r#"
        jvm locked -Dpatient.deadlock=true
        export FAB_PARAM_N=2 INTERVAL_SECS=1
        try() {
            run dump thread-dump.sh "$(handle)" api
            dir=$(field dump dir)
            ls -ln "$dir" >"$OUT/listing"
            cat "$dir"/* >"$OUT/dumps"
            sha256sum "$dir"/* >"$OUT/digests"
            run remove remove-dump.sh "$dir"
        }
        each_shell try
        ls -A /tmp | grep fab-rs >"$HOST/left"
        :
        "#,
    ) else {
        return;
    };
    for answer in host.answers("dump") {
        let json = answer.json();
        assert_eq!(
            (&json["taken"], &json["how"], &json["problem"]),
            (&2.into(), &"jcmd".into(), &"".into()),
            "{json}"
        );
        let what = json["what"].as_str().unwrap();
        assert!(
            what.contains(" threads: ") && what.ends_with("; 1 DEADLOCK FOUND"),
            "{what}"
        );
        assert!(what.contains(" 2 BLOCKED, "), "{what}");
        let read = |name: &str| host.text(&format!("{}/{name}", answer.shell));
        assert_eq!(
            read("listing").matches("-rw------- ").count(),
            2,
            "{}",
            read("listing")
        );
        assert_eq!(read("dumps").matches("Full thread dump").count(), 2);
        assert!(
            read("dumps").contains(" cpu="),
            "no CPU times: -e was not given"
        );
        let files = json["files"].as_array().unwrap();
        for (place, file) in files.iter().enumerate() {
            let name = file["file"].as_str().unwrap();
            assert!(
                name.contains("/threaddump-api-") && name.ends_with(&format!("-{}.txt", place + 1)),
                "{name}"
            );
            assert!(
                read("digests").contains(&format!("{}  {name}", file["sha256"].as_str().unwrap()))
            );
        }
    }
    for answer in host.answers("remove") {
        assert_eq!((answer.code, answer.stderr.as_str()), (0, ""), "{answer:?}");
    }
    assert_eq!(host.text("left"), "");
}

#[test]
fn where_nothing_can_attach_the_signal_does_it_unless_it_would_kill() {
    let Some(host) = Host::run(
        Needs::Jdk,
        r#"
        mkfifo "$HOST/pipe"
        sleep 300 <"$HOST/pipe" &
        jvm deaf -XX:+DisableAttachMechanism
        jvm both -XX:+DisableAttachMechanism -Xrs
        jvm xrs -Xrs
        java -XX:+DisableAttachMechanism -cp "$HOST/classes" Patient >"$HOST/pipe" 2>&1 &
        echo $! >"$HOST/piped.pid"
        # It says that it is ready where nobody reads it: it has started when it catches SIGQUIT.
        until grep -q '^SigCgt:.*[4-7c-f]$' "/proc/$(pid_of piped)/status"; do sleep 0.1; done
        export FAB_PARAM_N=1
        try() {
            for name in deaf both xrs piped; do
                FAB_PARAM_PID=$(pid_of $name) run find find-jvm.sh
                run $name thread-dump.sh "$(field find handle)" api
            done
            FAB_PARAM_PID=$(pid_of deaf) run find find-jvm.sh
            this=$(field find handle)
            # No tools on the host: found by find-jvm.sh as an empty path.
            run bare thread-dump.sh "${this%%/*}" api
        }
        each_shell try
        for name in deaf both xrs piped; do
            kill -0 "$(pid_of $name)" && echo alive
        done >"$HOST/alive"
        "#,
    ) else {
        return;
    };
    for (key, how) in [("deaf", "SIGQUIT"), ("bare", "SIGQUIT"), ("xrs", "jcmd")] {
        for answer in host.answers(key) {
            let json = answer.json();
            assert_eq!(
                (&json["how"], &json["taken"]),
                (&how.into(), &1.into()),
                "{json}"
            );
            assert!(
                json["what"].as_str().unwrap().ends_with("; no deadlock"),
                "{json}"
            );
        }
    }
    for answer in host.answers("both") {
        answer.refused_with("does not catch SIGQUIT (started with -Xrs?): the signal would kill it, so it is not sent");
    }
    for answer in host.answers("piped") {
        answer.refused_with("from where it cannot be fetched");
    }
    assert_eq!(host.text("alive"), "alive\nalive\nalive\nalive");
}

#[test]
fn a_jvm_that_cannot_answer_costs_nothing_and_what_was_taken_is_kept() {
    let Some(host) = Host::run(
        Needs::Jdk,
        r#"
        jvm stopped
        kill -STOP "$(pid_of stopped)"
        export FAB_PARAM_N=3 INTERVAL_SECS=3
        try() {
            FAB_PARAM_PID=$(pid_of stopped) run find find-jvm.sh
            run stopped thread-dump.sh "$(field find handle)" api
            jvm brief
            FAB_PARAM_PID=$(pid_of brief) run find find-jvm.sh
            # Ends after the first dump.
            (until grep -q '^JNI global ref' /tmp/fab-rs-threads.*/*-1.txt 2>/dev/null; do sleep 0.1; done; kill -9 "$(pid_of brief)") &
            run brief thread-dump.sh "$(field find handle)" api
            rm -rf /tmp/fab-rs-threads.*
        }
        each_shell try
        "#,
    ) else {
        return;
    };
    for answer in host.answers("stopped") {
        answer.refused_with(
            "is stopped by a signal or a debugger and cannot answer; continue it with: kill -CONT",
        );
    }
    for answer in host.answers("brief") {
        let json = answer.json();
        assert_eq!(json["taken"], 1, "{json}");
        assert_eq!(json["files"].as_array().unwrap().len(), 1);
        let problem = json["problem"].as_str().unwrap();
        assert!(
            problem.starts_with("1 of 3 dumps were taken, then: PID ")
                && problem.contains(" is gone"),
            "{problem}"
        );
    }
}
