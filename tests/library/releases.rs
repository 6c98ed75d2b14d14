//! `release-*.sh`: a release is staged, switched to and back, on real files; what runs is read from real processes.

use crate::host::{Host, Needs};

/// A service with the release 1.0.0, and an artifact that is to become 1.1.0.
const SERVICE: &str = r#"
    export FAB_PARAM_DIR FAB_PARAM_VERSION=1.1.0 FAB_PARAM_FILE=app.jar FAB_PARAM_SERVICE=api
    printf 'the new one' >"$HOST/new.jar"
    SUM=$(sha256sum <"$HOST/new.jar" | cut -c 1-64)
    # service KEY: another one for each case.
    service() {
        FAB_PARAM_DIR=$OUT/$1.service
        mkdir -p "$FAB_PARAM_DIR/releases/1.0.0"
        printf 'the old one' >"$FAB_PARAM_DIR/releases/1.0.0/app.jar"
        ln -s releases/1.0.0 "$FAB_PARAM_DIR/current"
    }
    look() { run "$1" release-look.sh "$SUM" 11; }
    sent() { cp "$HOST/new.jar" "$FAB_PARAM_DIR/releases/.1.1.0.part"; }
    # tree KEY: every file and link of the service.
    tree() { (cd "$FAB_PARAM_DIR" && find . ! -type d -printf '%P %m %l\n' | sort) >"$OUT/$1.tree"; }
"#;

fn host(script: &str) -> Option<Host> {
    let script = format!("{SERVICE}\ntry() {{\n{script}\n}}\neach_shell try\n");
    Host::run(Needs::Nothing, &script)
}

fn refused(host: &Host, cases: &[(&str, &str)]) {
    for (key, words) in cases {
        for answer in host.answers(key) {
            answer.refused_with(words);
        }
    }
}

/// What stood in the service's folder under each shell.
fn trees(host: &Host, key: &str) -> Vec<String> {
    let answers = host.answers(key);
    let tree = |shell: &str| host.text(&format!("{}/{key}.tree", shell.replace(' ', "-")));
    answers.iter().map(|answer| tree(&answer.shell)).collect()
}

/// What may be sent, and what may not.
const STAGE_LOOKS: &str = r#"
        service look
        look absent
        mkdir "$FAB_PARAM_DIR/releases/1.1.0"
        look half
        cp "$HOST/new.jar" "$FAB_PARAM_DIR/releases/1.1.0/app.jar"
        look same
        printf 'a third one' >"$FAB_PARAM_DIR/releases/1.1.0/app.jar"
        look other
        FAB_PARAM_VERSION=1.2.0 FAB_PARAM_FROM=0.8.0,0.9.0 run from release-look.sh "$SUM" 11
        FAB_PARAM_VERSION=1.2.0 FAB_PARAM_FROM=0.9.0,1.0.0 run among release-look.sh "$SUM" 11
        FAB_PARAM_VERSION=../x run version release-look.sh "$SUM" 11
        FAB_PARAM_DIR=relative run relative release-look.sh "$SUM" 11
        FAB_PARAM_DIR=$OUT/absent run nowhere release-look.sh "$SUM" 11
        service plain
        rm "$FAB_PARAM_DIR/current"
        look unlinked
        mkdir "$FAB_PARAM_DIR/current"
        look folder
        rmdir "$FAB_PARAM_DIR/current"
        ln -s releases/0.1.0 "$FAB_PARAM_DIR/current"
        look broken
        mkdir "$OUT/full.service"
        mount -t tmpfs -o size=1m none "$OUT/full.service"
        service full
        run full release-look.sh "$SUM" 600000
        run fits release-look.sh "$SUM" 400000
        mkdir "$OUT/inodes.service"
        mount -t tmpfs -o nr_inodes=12 none "$OUT/inodes.service"
        service inodes
        look inodes
        mount -t tmpfs none /var/spool
        mkdir -p /var/spool/cron/crontabs
        printf '# chef-solo is off\n*/15 * * * * root /usr/bin/chef-solo -c x\n' >/var/spool/cron/crontabs/root
        service chef
        look chef
        umount /var/spool
        "#;

#[test]
fn only_what_is_not_there_and_has_room_is_sent() {
    let Some(host) = host(STAGE_LOOKS) else {
        return;
    };
    for (key, staged, what) in [
        ("absent", false, "1.0.0 is current, "),
        ("same", true, "1.1.0 is there already; 1.0.0 is current"),
        ("among", false, "1.0.0 is current, "),
        ("fits", false, "1.0.0 is current, "),
    ] {
        for answer in host.answers(key) {
            let json = answer.json();
            assert_eq!(json["staged"], staged, "{answer:?}");
            assert!(json["what"].as_str().unwrap().starts_with(what), "{json}");
            assert_eq!((&json["now"], &json["chef"]), (&"1.0.0".into(), &"".into()));
        }
    }
    for answer in host.answers("chef") {
        assert_eq!(answer.json()["chef"], "/var/spool/cron/crontabs/root");
    }
    refused(
        &host,
        &[
            ("half", "1.1.0 is there without app.jar"),
            ("other", "1.1.0 is there with another content: "),
            (
                "from",
                "this host has 1.0.0, which is none of from=0.8.0,0.9.0",
            ),
            ("version", "version=../x cannot name a folder"),
            ("relative", "dir=relative is no absolute path"),
            ("nowhere", "dir= names the folder of the service"),
            ("unlinked", "there is no link "),
            ("folder", "current is no link"),
            (
                "broken",
                "current leads nowhere: it is a link to releases/0.1.0",
            ),
            ("full", "twice the artifact is 1 MiB"),
            ("inodes", "inodes are free"),
        ],
    );
}

/// What arrived, and what a cut-off run left.
const PLACINGS: &str = r#"
        place() { run "$1" release-place.sh "$SUM"; tree "$1"; }
        export RELEASE_GIT=c0ffee RELEASE_WHO=ann RELEASE_RUN=run-1
        service whole
        place nothing
        sent
        chmod 600 "$FAB_PARAM_DIR/releases/.1.1.0.part"
        place whole
        cp "$FAB_PARAM_DIR/releases/1.1.0/VERSION" "$OUT/note"
        sent
        place again
        service bad
        printf 'half of i' >"$FAB_PARAM_DIR/releases/.1.1.0.part"
        place bad
        # Cut off after the artifact was moved.
        service cut
        mkdir "$FAB_PARAM_DIR/releases/.1.1.0.new"
        cp "$HOST/new.jar" "$FAB_PARAM_DIR/releases/.1.1.0.new/app.jar"
        place cut
        # Somebody else's link is no way out.
        service link
        mkdir "$OUT/outside"
        ln -s "$OUT/outside" "$FAB_PARAM_DIR/releases/.1.1.0.new"
        sent
        place link
        ls "$OUT/outside" >"$OUT/outside.ls"
        "#;

#[test]
fn a_release_is_whole_or_not_there() {
    let Some(host) = host(PLACINGS) else {
        return;
    };
    let old = "current 777 releases/1.0.0\n";
    let old_jar = "releases/1.0.0/app.jar 644";
    let whole = format!("{old}{old_jar} \nreleases/1.1.0/VERSION 644 \nreleases/1.1.0/app.jar 644");
    for key in ["whole", "again", "cut", "link"] {
        for answer in host.answers(key) {
            assert_eq!(answer.code, 0, "{answer:?}");
            assert!(answer.stdout.starts_with("1.1.0 is there"), "{answer:?}");
        }
        for tree in trees(&host, key) {
            assert_eq!(tree, whole, "{key}");
        }
    }
    refused(
        &host,
        &[
            ("nothing", "the artifact has not arrived"),
            ("bad", "it was removed, nothing was made"),
        ],
    );
    for key in ["nothing", "bad"] {
        for tree in trees(&host, key) {
            assert_eq!(tree, format!("{old}{old_jar}"), "{key}");
        }
    }
    for answer in host.answers("whole") {
        let shell = answer.shell.replace(' ', "-");
        let note = host.text(&format!("{shell}/note"));
        let lines: Vec<_> = note.lines().collect();
        assert_eq!(lines[0], "version=1.1.0");
        assert!(
            lines[1].starts_with("sha256=") && lines[4].starts_with("when=2"),
            "{note}"
        );
        assert_eq!(
            (lines[2], lines[3], lines[5]),
            ("git=c0ffee", "who=ann", "run=run-1")
        );
        assert_eq!(host.text(&format!("{shell}/outside.ls")), "");
    }
}

/// Forth, cut off, back.
const SWITCHES: &str = r#"
        now() { run "$1" release-now.sh; }
        switch() { run "$@"; tree "$1"; }
        service links
        now unstaged
        sent
        run placed release-place.sh "$SUM"
        now before
        # With it `cd` says where it went, or goes elsewhere.
        mkdir -p "$OUT/elsewhere/releases/1.0.0"
        CDPATH=$OUT/elsewhere:$FAB_PARAM_DIR run cdpath release-now.sh
        FAB_PARAM_FROM=0.9.0 run drifted release-now.sh
        switch forth release-switch.sh releases/1.1.0 releases/1.0.0
        # Cut off here, another run finds what was there before.
        now after
        switch twice release-switch.sh releases/1.1.0 releases/1.0.0
        switch absent release-switch.sh releases/9.9.9 releases/1.1.0
        switch back release-switch.sh releases/1.0.0 ''
        rm "$FAB_PARAM_DIR/current"
        cp -R "$FAB_PARAM_DIR/releases/1.0.0" "$FAB_PARAM_DIR/current"
        switch folder release-switch.sh releases/1.1.0 releases/1.0.0
        "#;

#[test]
fn a_switch_remembers_what_was_there() {
    let Some(host) = host(SWITCHES) else {
        return;
    };
    let json = |key: &str| host.answers(key)[0].json();
    for (key, back, prev, next, linked) in [
        ("before", "releases/1.0.0", "", "releases/1.0.0", false),
        ("cdpath", "releases/1.0.0", "", "releases/1.0.0", false),
        (
            "after",
            "releases/1.0.0",
            "releases/1.0.0",
            "releases/1.0.0",
            true,
        ),
    ] {
        for answer in host.answers(key) {
            let json = answer.json();
            let found = (&json["back"], &json["prev"], &json["next"], &json["linked"]);
            let wanted = (&back.into(), &prev.into(), &next.into(), &linked.into());
            assert_eq!(found, wanted, "{key}: {answer:?}");
        }
    }
    assert_eq!(
        (json("before")["now"].clone(), json("after")["now"].clone()),
        ("1.0.0".into(), "1.1.0".into())
    );
    for key in ["forth", "twice", "absent"] {
        for tree in trees(&host, key) {
            let links: Vec<_> = tree.lines().filter(|line| line.contains(" 777 ")).collect();
            assert_eq!(
                links,
                ["current 777 releases/1.1.0", "prev 777 releases/1.0.0"],
                "{key}"
            );
        }
    }
    for tree in trees(&host, "back") {
        assert!(
            tree.starts_with("current 777 releases/1.0.0\nreleases/"),
            "{tree}"
        );
    }
    refused(
        &host,
        &[
            ("unstaged", "1.1.0 is not staged"),
            (
                "drifted",
                "this host has 1.0.0, which is none of from=0.9.0",
            ),
            ("absent", "there is no releases/9.9.9 in "),
            ("folder", "current is no link: nothing was switched"),
        ],
    );
}

/// Processes that have a release open.
const PROCESSES: &str = r#"
        mkdir -p "$OUT/bin"
        printf '#!/bin/sh\nsed -n "s/^[0-9]*:[^:]*:/ControlGroup=/p" /proc/self/cgroup | tail -n 1\n' >"$OUT/bin/systemctl"
        chmod +x "$OUT/bin/systemctl"
        PATH=$OUT/bin:$PATH
        runs() { run "$1" release-runs.sh "$2" "$3"; }
        service runs
        sent
        run placed release-place.sh "$SUM"
        runs unseen releases/1.0.0 must
        RELEASE_ASKS=/version run asked release-runs.sh releases/1.0.0 must
        sleep 1000 3<"$FAB_PARAM_DIR/current/app.jar" &
        old=$!
        runs old releases/1.0.0 must
        runs old_look releases/1.0.0 look
        run switched release-switch.sh releases/1.1.0 releases/1.0.0
        runs stale releases/1.1.0 must
        runs stale_look releases/1.1.0 look
        runs unlinked releases/1.0.0 must
        sleep 1000 3<"$FAB_PARAM_DIR/current/app.jar" &
        new=$!
        runs both releases/1.1.0 must
        kill "$old"
        wait "$old" 2>/dev/null
        runs new releases/1.1.0 must
        runs new_look releases/1.1.0 look
        kill "$new"
        wait "$new" 2>/dev/null
        :
        "#;

#[test]
fn what_runs_is_what_is_open() {
    let Some(host) = host(PROCESSES) else {
        return;
    };
    for (key, words) in [
        (
            "asked",
            "api has no file of a release open; its own word counts",
        ),
        ("old", "api runs 1.0.0 (PID "),
        ("new", "api runs 1.1.0 (PID "),
    ] {
        for answer in host.answers(key) {
            assert!(
                answer.code == 0 && answer.stdout.starts_with(words),
                "{answer:?}"
            );
        }
    }
    for (key, linked, runs) in [
        ("old_look", true, "yes"),
        ("stale_look", true, "no"),
        ("new_look", true, "yes"),
    ] {
        for answer in host.answers(key) {
            let json = answer.json();
            assert_eq!(
                (&json["linked"], &json["runs"]),
                (&linked.into(), &runs.into()),
                "{answer:?}"
            );
        }
    }
    refused(
        &host,
        &[
            ("unseen", "what it runs cannot be seen; give version_path"),
            ("stale", "api still has 1.0.0 open"),
            ("both", "api still has 1.0.0 open"),
            ("unlinked", "somebody switched it meanwhile"),
        ],
    );
}
