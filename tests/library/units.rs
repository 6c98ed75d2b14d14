//! `unit.sh` and `unit-settled.sh`: what can be restarted, and whether it stays up. systemd's answers are played
//! from a file, one a look; the lab's hosts have real processes behind them.

use crate::host::{Host, Needs};

/// Answers of `systemctl show`, one file a look, the last one for ever.
const SYSTEMCTL: &str = r#"
    mkdir "$HOST/bin"
    cat >"$HOST/bin/systemctl" <<'END'
#!/bin/sh
case $* in
*'-- api') ;;
*) echo "unexpected: $*" >&2; exit 1 ;;
esac
look=$(($(cat "$PLAY/look" 2>/dev/null || echo 0) + 1))
[ ! -e "$PLAY/$look" ] || echo "$look" >"$PLAY/look"
cat "$PLAY/$(cat "$PLAY/look")"
END
    chmod +x "$HOST/bin/systemctl"
    PATH=$HOST/bin:$PATH
    export PLAY FAB_PARAM_SERVICE=api SETTLE_SECS=1
    # play KEY, then SCRIPT WORDS...; a look of: active sub pid restarts [type]
    play() {
        PLAY=$OUT/$1
        mkdir "$PLAY"
        play_number=0
        while read -r active sub pid restarts type; do
            play_number=$((play_number + 1))
            printf 'LoadState=%s\nType=%s\nActiveState=%s\nSubState=%s\nMainPID=%s\nNRestarts=%s\nResult=exit-code\nActiveEnterTimestampMonotonic=%s\n' \
                "${LOAD:-loaded}" "${type:-simple}" "$active" "$sub" "$pid" "$restarts" "$pid" >"$PLAY/$play_number"
        done
    }
"#;

fn host(script: &str) -> Option<Host> {
    Host::run(Needs::Nothing, &format!("{SYSTEMCTL}\n{script}"))
}

#[test]
fn a_unit_is_described_or_refused() {
    let Some(host) = host(
        r"
        try() {
            play loaded <<END
active running 100 2
END
            run loaded unit.sh
            LOAD=not-found
            play absent <<END
inactive dead 0 0
END
            run absent unit.sh
            LOAD=masked
            play masked <<END
inactive dead 0 0
END
            run masked unit.sh
            LOAD=
            FAB_PARAM_SERVICE='--all' run option unit.sh
            FAB_PARAM_SERVICE='' run none unit.sh
        }
        each_shell try
        ",
    ) else {
        return;
    };
    for answer in host.answers("loaded") {
        let json = answer.json();
        assert_eq!(
            (&json["main_pid"], &json["sudo"]),
            (&"100".into(), &"".into()),
            "{json}"
        );
        assert_eq!(json["what"], "api is active (running), PID 100");
    }
    for (key, words) in [
        ("absent", "there is no unit api on this host"),
        ("masked", "unit api is masked: systemd will not start it"),
        ("option", "service=--all is no name of a unit"),
        ("none", "service= is no name of a unit"),
    ] {
        for answer in host.answers(key) {
            answer.refused_with(words);
        }
    }
}

const LOOKS: &str = r"
        try() {
            play stays <<END
activating start 200 0
active running 200 0
active running 200 0
END
            run stays unit-settled.sh 100
            play oneshot <<END
active exited 0 0 oneshot
END
            run oneshot unit-settled.sh 0
            play loops <<END
active running 200 0
active running 300 1
END
            run loops unit-settled.sh 100
            play waits <<END
activating auto-restart 0 3
END
            run waits unit-settled.sh 100
            play later <<END
active running 200 0
activating auto-restart 0 1
END
            run later unit-settled.sh 100
            play failed <<END
failed failed 0 5
END
            run failed unit-settled.sh 100
            play same <<END
active running 100 0
END
            run same unit-settled.sh 100
        }
        each_shell try
        ";

#[test]
fn only_a_unit_that_stays_up_has_settled() {
    let Some(host) = host(LOOKS) else {
        return;
    };
    for answer in host.answers("stays") {
        assert_eq!(
            answer.stdout, "api is active (running), PID 200, the same after 1 s\n",
            "{answer:?}"
        );
        assert_eq!(answer.code, 0);
    }
    for answer in host.answers("oneshot") {
        assert_eq!(answer.code, 0, "{answer:?}");
    }
    for (key, words) in [
        (
            "loops",
            "api is in a crash loop: PID 200 became 300 within 1 s (restarts: 0, then 1)",
        ),
        (
            "waits",
            "it crashed and systemd starts it again (restarts: 3, result: exit-code)",
        ),
        (
            "later",
            "it crashed and systemd starts it again (restarts: 1, result: exit-code)",
        ),
        ("failed", "api is failed (failed, result: exit-code)"),
        ("same", "api still runs as PID 100: it was not restarted"),
    ] {
        for answer in host.answers(key) {
            answer.refused_with(words);
        }
    }
}

#[test]
fn disks_and_versions_read_well_everywhere() {
    let Some(host) = Host::run(
        Needs::Nothing,
        r#"
        mkdir "$HOST/full disk"
        mount -t tmpfs -o size=1m none "$HOST/full disk"
        head -c 1000000 /dev/zero >"$HOST/full disk/zeros"
        try() {
            run disk disk.sh
            FAB_PARAM_OVER=90 run over disk.sh
            rm -f "$HOST/full disk/zeros"
            FAB_PARAM_OVER=100 run none disk.sh
            head -c 1000000 /dev/zero >"$HOST/full disk/zeros"
            run versions versions.sh
            FAB_PARAM_UPTIME=false run same versions.sh
        }
        each_shell try
        "#,
    ) else {
        return;
    };
    for key in ["disk", "over"] {
        for answer in host.answers(key) {
            let first = answer.stdout.lines().next().unwrap();
            assert!(
                first.starts_with(" 96 % of     1 MiB used,    44 KiB free, inodes "),
                "{answer:?}"
            );
            assert!(first.ends_with("full disk (none)"), "{answer:?}");
            assert_eq!(answer.code, 0);
        }
    }
    for answer in host.answers("none") {
        assert_eq!(
            answer.stdout, "no disk is 100 % full or more\n",
            "{answer:?}"
        );
    }
    for answer in host.answers("versions") {
        let keys: Vec<_> = answer
            .stdout
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        assert_eq!(keys, ["os", "kernel", "java", "sshd", "up"], "{answer:?}");
    }
    for answer in host.answers("same") {
        assert_eq!(answer.stdout.lines().count(), 4, "{answer:?}");
    }
}
