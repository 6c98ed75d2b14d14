#!/bin/sh
# What a ZooKeeper member is now, as one word: leader, follower, electing, silent, down. Changes nothing.
#
# FAB_PARAM_ADDRESS and FAB_PARAM_PORT are its client port, ELECTION_SECS how long an election is waited for (20).
# `down` is a port that nobody listens on, `silent` one that accepts and does not answer. What no restart would
# mend fails with the reason: a server that does not answer `srvr`, one that stands alone, an observer.
set -u

# --- words: the same in every script that has this block
LC_ALL=C
export LC_ALL
umask 077

say() {
    printf '%s\n' "$*" >&2
}

fail() {
    say "$*"
    exit 1
}

# The text as a JSON string. Control characters become spaces: no name of ours holds any.
json_string() {
    printf '"%s"' "$(printf '%s' "$1" | tr '\000-\037\177' ' ' | sed 's/[\\"]/\\&/g')"
}
# --- end of words

# ask WORD: what the server answers; fails where nobody listens.
if command -v bash >/dev/null 2>&1; then
    ask() {
        bash -c 'exec 3<>"/dev/tcp/$1/$2" && printf %s "$3" >&3 && timeout 5 cat <&3; [ "$?" != 1 ]' \
            bash "$address" "$port" "$1" 2>/dev/null
    }
elif command -v nc >/dev/null 2>&1; then
    ask() {
        # Not every nc goes on reading once its stdin has ended.
        { printf %s "$1"; sleep 2; } | nc -w 5 "$address" "$port" 2>/dev/null
    }
else
    fail "this host has neither bash nor nc to ask ZooKeeper with: install one of them"
fi

address=${FAB_PARAM_ADDRESS:-127.0.0.1}
port=${FAB_PARAM_PORT:-2181}
left=${ELECTION_SECS:-20}
while :; do
    if ! answer=$(ask srvr); then
        echo down
        exit 0
    fi
    mode=$(printf '%s\n' "$answer" | sed -n 's/^Mode: //p')
    case $mode in
    leader | follower)
        echo "$mode"
        exit 0
        ;;
    observer) fail "this member is an observer, which has no vote: select the voting members alone, and restart observers with \`fab-rs restart\`" ;;
    standalone) fail "this server stands alone: it is no member of an ensemble; \`fab-rs restart\` restarts it" ;;
    ?*) fail "ZooKeeper on $address:$port has the unknown mode $mode" ;;
    esac
    case $answer in
    *'not in the whitelist'*)
        fail "ZooKeeper on $address:$port may not answer \`srvr\`: put 4lw.commands.whitelist=srvr into zoo.cfg on every member and restart them once by hand, the leader last"
        ;;
    '')
        echo silent
        exit 0
        ;;
    *'not currently serving requests'*) ;;
    *) fail "what listens on $address:$port is no ZooKeeper: it answers $(printf '%s' "$answer" | head -n 1 | cut -c 1-80)" ;;
    esac
    if [ "$left" -le 0 ]; then
        echo electing
        exit 0
    fi
    sleep 1
    left=$((left - 1))
done
