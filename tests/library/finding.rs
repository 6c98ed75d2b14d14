//! `find-jvm.sh`: the one JVM that is meant, or a refusal that names what runs.

use crate::host::{Host, Needs};

#[test]
fn the_only_jvm_is_found_beside_decoys() {
    let Some(host) = Host::run(
        Needs::Jdk,
        r#"
        # A shell whose command line says java, a program named nearly so, and one named just so.
        sh -c 'sleep 300; : java -jar Patient' java -jar Patient &
        cp "$(command -v sleep)" "$HOST/java-notes" && "$HOST/java-notes" 300 &
        jvm only -Dweight='a "quoted" \word' -XX:+UseSerialGC
        look() { run find find-jvm.sh; run again find-jvm.sh "$(field find found)"; }
        each_shell look
        "#,
    ) else {
        return;
    };
    let pid = host.text("only.pid");
    for key in ["find", "again"] {
        for answer in host.answers(key) {
            let json = answer.json();
            assert_eq!(json["pid"], pid.as_str(), "{json}");
            assert_eq!(json["sudo"], "", "{json}");
            assert_eq!(json["name"], "Patient", "{json}");
            assert_eq!(json["space"], "same", "{json}");
            assert_eq!(json["flags"], "-Xmx64m -XX:+UseSerialGC ", "{json}");
            let what = json["what"].as_str().unwrap();
            assert!(
                what.starts_with(&format!("PID {pid} Patient (user ")),
                "{what}"
            );
            let handle = json["handle"].as_str().unwrap();
            assert!(
                handle.starts_with(&format!("{pid}:")) && handle.ends_with("/bin/jcmd"),
                "{handle}"
            );
        }
    }
}

#[test]
fn of_two_jvms_neither_is_taken_and_both_are_named() {
    let Some(host) = Host::run(
        Needs::Jdk,
        r#"
        jvm one -Dname=first
        jvm two -Dname=second
        look() {
            run plain find-jvm.sh
            FAB_PARAM_MATCH=name=second run matched find-jvm.sh
            FAB_PARAM_MATCH='$(touch '"$HOST"'/pwned)"; x' run nothing find-jvm.sh
            FAB_PARAM_PID=$(pid_of one) run pinned find-jvm.sh
            FAB_PARAM_PID=$$ run shell find-jvm.sh
            FAB_PARAM_PID=999999 run absent find-jvm.sh
            run list find-jvm.sh list
        }
        each_shell look
        "#,
    ) else {
        return;
    };
    let (one, two) = (host.text("one.pid"), host.text("two.pid"));
    for answer in host.answers("plain") {
        answer.refused_with("2 JVMs run here; name one with pid=, match= or service=:");
        answer.refused_with(&format!("PID {one} Patient (user"));
        answer.refused_with(&format!("PID {two} Patient (user"));
    }
    for (key, pid) in [("matched", &two), ("pinned", &one)] {
        for answer in host.answers(key) {
            assert_eq!(answer.json()["pid"], pid.as_str());
        }
    }
    for answer in host.answers("nothing") {
        answer.refused_with("on its command line; there are:");
        answer.refused_with(&format!("PID {one} Patient"));
    }
    assert!(!host.file("pwned").exists());
    for answer in host.answers("shell") {
        answer.refused_with("is no JVM: it runs /");
    }
    for answer in host.answers("absent") {
        answer.refused_with("no process 999999 runs here");
    }
    for answer in host.answers("list") {
        assert_eq!(answer.stdout.lines().count(), 2, "{answer:?}");
        assert!(
            answer
                .stdout
                .starts_with(&format!("PID {one} Patient (user")),
            "{answer:?}"
        );
        assert!(
            answer.stdout.contains("MiB in memory, -Xmx64m"),
            "{answer:?}"
        );
    }
}

#[test]
fn no_jvm_is_said_plainly() {
    let Some(host) = Host::run(
        Needs::Nothing,
        r"
        look() {
            run plain find-jvm.sh
            run list find-jvm.sh list
            FAB_PARAM_SERVICE=api run service find-jvm.sh
            FAB_PARAM_SERVICE='-H x;y' run option find-jvm.sh
            run gone find-jvm.sh 1:1
        }
        each_shell look
        ",
    ) else {
        return;
    };
    for answer in host.answers("plain") {
        answer.refused_with("no JVM runs here");
    }
    for answer in host.answers("list") {
        assert_eq!(
            (answer.stdout.as_str(), answer.code),
            ("no JVM runs here\n", 0)
        );
    }
    for answer in host.answers("service") {
        answer.refused_with("no unit and no pid file named api here");
    }
    for answer in host.answers("option") {
        answer.refused_with("is no name of a unit");
    }
    for answer in host.answers("gone") {
        answer.refused_with("PID 1 is gone");
    }
}

#[test]
fn a_service_is_followed_to_the_jvm_that_its_wrapper_started() {
    let Some(host) = Host::run(
        Needs::Jdk,
        r#"
        mount -t tmpfs none /run
        jvm other
        # A wrapper script, as many services have: the pid file names the shell.
        cat >"$HOST/wrapper" <<END
        echo \$\$ >/run/api.pid
        java -Xmx64m -cp "$HOST/classes" Patient >"$HOST/api.log" 2>&1 &
        echo \$! >"$HOST/api.pid"
        wait
END
        sh "$HOST/wrapper" &
        wait_for "$HOST/api.log"
        mkdir "$HOST/bin"
        cat >"$HOST/bin/systemctl" <<'END'
#!/bin/sh
case $* in
*'-- web') printf 'MainPID=%s\nLoadState=loaded\nActiveState=active\n' "$(cat /run/api.pid)" ;;
*'-- down') printf 'MainPID=0\nLoadState=loaded\nActiveState=failed\n' ;;
*) printf 'MainPID=0\nLoadState=not-found\nActiveState=inactive\n' ;;
esac
END
        chmod +x "$HOST/bin/systemctl"
        echo 999999 >/run/stale.pid
        look() {
            FAB_PARAM_SERVICE=api run pidfile find-jvm.sh
            FAB_PARAM_SERVICE=stale run stale find-jvm.sh
            PATH=$HOST/bin:$PATH
            FAB_PARAM_SERVICE=web run unit find-jvm.sh
            FAB_PARAM_SERVICE=down run down find-jvm.sh
        }
        each_shell look
        "#,
    ) else {
        return;
    };
    let pid = host.text("api.pid");
    for (key, name) in [("pidfile", "api"), ("unit", "web")] {
        for answer in host.answers(key) {
            let json = answer.json();
            assert_eq!(
                (&json["pid"], &json["name"]),
                (&pid.as_str().into(), &name.into())
            );
        }
    }
    for answer in host.answers("stale") {
        answer.refused_with("/run/stale.pid names PID 999999, which does not run");
    }
    for answer in host.answers("down") {
        answer.refused_with("unit down is not running (failed)");
    }
}

#[test]
fn a_login_that_may_not_attach_asks_for_root() {
    let Some(host) = Host::run(
        Needs::JdkAndRoot,
        r#"
        AS='setpriv --reuid 2002 --regid 2002 --clear-groups'
        jvm theirs
        look() {
            AS_LOGIN='setpriv --reuid 2003 --regid 2003 --clear-groups'
            run stranger find-jvm.sh
            AS_LOGIN='setpriv --reuid 2002 --regid 2002 --clear-groups'
            run owner find-jvm.sh
            AS_LOGIN=
            run root find-jvm.sh "$(field stranger found)"
        }
        each_shell look
        # Where a login sees its own processes alone it cannot say that there is no JVM.
        mount -o remount,hidepid=2 /proc
        hidden() {
            AS_LOGIN='setpriv --reuid 2003 --regid 2003 --clear-groups'
            run hidden find-jvm.sh
        }
        each_shell hidden
        "#,
    ) else {
        return;
    };
    for answer in host.answers("stranger") {
        let json = answer.json();
        assert_eq!(
            (&json["sudo"], &json["uid"]),
            (&"root".into(), &"2002".into()),
            "{json}"
        );
    }
    for key in ["owner", "root"] {
        for answer in host.answers(key) {
            let json = answer.json();
            assert_eq!(
                (&json["sudo"], &json["user"]),
                (&"".into(), &"2002".into()),
                "{json}"
            );
            assert!(
                json["handle"].as_str().unwrap().contains(":2002:2002:"),
                "{json}"
            );
        }
    }
    for answer in host.answers("hidden") {
        let json = answer.json();
        assert_eq!(
            (&json["sudo"], &json["found"]),
            (&"root".into(), &"".into()),
            "{json}"
        );
    }
}
