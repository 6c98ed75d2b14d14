//! `boot-units.sh`: whether a booted host is whole again. systemd's answers are played from files; the lab's machines
//! boot a real one.

use crate::host::{Host, Needs};

const SYSTEMCTL: &str = r#"
    mkdir "$HOST/bin"
    cat >"$HOST/bin/systemctl" <<'END'
#!/bin/sh
case $1 in
is-system-running)
    # The first looks find it on its way.
    [ ! -s "$PLAY/starting" ] || { sed -i 1d "$PLAY/starting"; echo starting; exit 1; }
    cat "$PLAY/state" ;;
list-units)
    case $* in
    *--state=failed*) cat "$PLAY/failed" ;;
    *--state=running*) cat "$PLAY/running" ;;
    esac ;;
list-jobs) echo "12 slow.service start running" ;;
esac
END
    chmod +x "$HOST/bin/systemctl"
    PATH=$HOST/bin:$PATH
    export PLAY LIMIT_SECS=2
    # play KEY STARTING STATE FAILED RUNNING: looks until it is up, its state, units.
    play() {
        PLAY=$OUT/$1
        mkdir "$PLAY"
        yes | head -n "$2" >"$PLAY/starting"
        echo "$3" >"$PLAY/state"
        for unit in $4; do echo "$unit loaded failed failed A unit"; done >"$PLAY/failed"
        for unit in $5; do echo "$unit loaded active running A unit"; done >"$PLAY/running"
    }
"#;

#[test]
fn a_host_is_whole_when_nothing_new_failed() {
    let Some(host) = Host::run(
        Needs::Nothing,
        &format!(
            "{SYSTEMCTL}\n{}",
            r#"
        try() {
            play before 0 degraded old.service "api.service user@1000.service cron.service session-1.service"
            run before boot-units.sh
            play well 1 degraded old.service "api.service cron.service"
            run well boot-units.sh after old.service "api.service cron.service"
            play gone 0 running "" "cron.service"
            run gone boot-units.sh after "" "api.service cron.service"
            play failed 1 degraded "old.service api.service" ""
            run failed boot-units.sh after old.service api.service
            play stuck 100 running "" ""
            run stuck boot-units.sh after "" ""
        }
        each_shell try
        "#
        ),
    ) else {
        return;
    };
    for answer in host.answers("before") {
        let json = answer.json();
        assert_eq!(json["failed"], "old.service", "{json}");
        assert_eq!(json["running"], "api.service cron.service", "{json}");
    }
    for answer in host.answers("well") {
        assert_eq!(answer.code, 0, "{answer:?}");
        assert!(
            answer.stdout.starts_with("up since ")
                && answer.stdout.ends_with("systemd is degraded\n"),
            "{answer:?}"
        );
    }
    for answer in host.answers("gone") {
        assert_eq!(answer.code, 0, "{answer:?}");
        assert!(
            answer
                .stdout
                .starts_with("ran before the reboot, does not now: api.service\n"),
            "{answer:?}"
        );
    }
    for answer in host.answers("failed") {
        answer.refused_with(
            "failed since the reboot: api.service; systemctl status api.service says why",
        );
    }
    for answer in host.answers("stuck") {
        answer.refused_with("systemd is still starting after 2 s; it waits for: slow.service");
    }
}
