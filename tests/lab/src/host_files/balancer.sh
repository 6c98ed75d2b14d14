#!/bin/bash
# leave-balancer SERVICE, join-balancer SERVICE: has HAProxy send this machine no more requests, or some again, and
# returns when that is so: no session is open, or its health check has passed.
set -eu

ask() {
    exec 3<>/dev/tcp/balancer/9999
    printf '%s\n' "$1" >&3
    cat <&3
    exec 3>&-
}

# sessions, state of this machine as HAProxy sees it.
look() {
    ask 'show stat' | awk -F, -v service="$service" -v server="$(hostname)" '
        NR == 1 { sub(/^# /, ""); for (i = 1; i <= NF; i++) column[$i] = i }
        $1 == service && $2 == server { print $column["scur"], $column["status"] }'
}

service=$1
case ${0##*/} in
leave-balancer)
    ask "set server $service/$(hostname) state drain" >/dev/null
    # More than once: a request may be on its way from the door to us.
    idle=0
    while [ "$idle" -lt 3 ]; do
        sleep 0.1
        case $(look) in
        '0 '*) idle=$((idle + 1)) ;;
        *) idle=0 ;;
        esac
    done
    echo "left the load balancer"
    ;;
join-balancer)
    ask "set server $service/$(hostname) state ready" >/dev/null
    until case $(look) in *' UP') true ;; *) false ;; esac do
        sleep 0.1
    done
    echo "joined the load balancer"
    ;;
esac
