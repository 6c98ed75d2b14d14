//! `zk-mode.sh`: what a member is, told by what it answers. The answers are played; the lab's machines run
//! the real server.

use crate::host::{Host, Needs};

/// A server that gives one answer to whatever is asked, again and again, on a port of its own.
const SERVERS: &str = r#"
    ip link set lo up 2>/dev/null || ifconfig lo up 2>/dev/null
    # server PORT: answers with what stands in its file.
    server() {
        cat >"$HOST/answer.$1"
        while :; do
            perl -MIO::Socket::INET -e '
                my ($port, $file) = @ARGV;
                my $door = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => $port, Listen => 8, ReuseAddr => 1) or exit 1;
                while (my $client = $door->accept) {
                    $client->sysread(my $word, 4);
                    open my $answer, "<", $file or next;
                    local $/;
                    $client->print($word eq "srvr" ? scalar <$answer> : "");
                    close $client;
                }' "$1" "$HOST/answer.$1"
            sleep 0.2
        done &
        tries=0
        until perl -MIO::Socket::INET -e 'exit !IO::Socket::INET->new("127.0.0.1:$ARGV[0]")' "$1"; do
            sleep 0.1
            tries=$((tries + 1))
            [ "$tries" -lt 300 ] || exit 99
        done
    }
    at() {
        FAB_PARAM_PORT=$2 ELECTION_SECS=1 run "$1" zk-mode.sh
    }
    export FAB_PARAM_PORT ELECTION_SECS
"#;

#[test]
fn a_member_is_what_it_answers() {
    let Some(host) = Host::run(
        Needs::Nothing,
        &format!(
            "{SERVERS}\n{}",
            r"
        printf 'Zookeeper version: 3.8.0\nLatency min/avg/max: 0/0.5/3\nMode: leader\nNode count: 5\n' | server 21811
        printf 'Zookeeper version: 3.8.0\nMode: follower\n' | server 21812
        printf 'Mode: observer\n' | server 21813
        printf 'Mode: standalone\n' | server 21814
        printf 'srvr is not executed because it is not in the whitelist.\n' | server 21815
        printf 'This ZooKeeper instance is not currently serving requests\n' | server 21816
        printf 'HTTP/1.1 400 Bad Request\n' | server 21817
        server 21818 </dev/null
        try() {
            at leader 21811
            at follower 21812
            at observer 21813
            at alone 21814
            at forbidden 21815
            at electing 21816
            at other 21817
            at silent 21818
            at down 21819
        }
        each_shell try
        "
        ),
    ) else {
        return;
    };
    for key in ["leader", "follower", "electing", "silent", "down"] {
        for answer in host.answers(key) {
            assert_eq!(
                (answer.stdout.as_str(), answer.code),
                (format!("{key}\n").as_str(), 0),
                "{answer:?}"
            );
        }
    }
    for (key, words) in [
        ("observer", "this member is an observer, which has no vote"),
        ("alone", "this server stands alone"),
        (
            "forbidden",
            "ZooKeeper on 127.0.0.1:21815 may not answer `srvr`: put 4lw.commands.whitelist=srvr into zoo.cfg",
        ),
        (
            "other",
            "what listens on 127.0.0.1:21817 is no ZooKeeper: it answers HTTP/1.1 400 Bad Request",
        ),
    ] {
        for answer in host.answers(key) {
            answer.refused_with(words);
        }
    }
}
