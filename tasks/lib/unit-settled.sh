#!/bin/sh
# Whether a restarted systemd unit stays up. Prints one line, or fails with the reason. Changes nothing.
#
# FAB_PARAM_SERVICE is the unit, $1 its main process before the restart, SETTLE_SECS the time between two looks.
# `systemctl restart` ends 0 for a program that dies at once, and a unit in a crash loop is `activating` half of
# the time: so the process must be a new one, and the same at both looks.
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

# look: fills state, sub, main, restarts, result, since.
look() {
    shown=$(systemctl show -p Type,ActiveState,SubState,MainPID,NRestarts,Result,ActiveEnterTimestampMonotonic -- "$unit" 2>&1) ||
        fail "systemd does not answer: $(printf '%s' "$shown" | head -n 1)"
    type=$(value Type) state=$(value ActiveState) sub=$(value SubState) main=$(value MainPID)
    restarts=$(value NRestarts) result=$(value Result) since=$(value ActiveEnterTimestampMonotonic)
}

value() {
    printf '%s\n' "$shown" | sed -n "s/^$1=//p"
}

refuse_down() {
    case $state/$sub in
    */auto-restart* | activating/*) fail "$unit does not come up: it crashed and systemd starts it again (restarts: $restarts, result: $result)" ;;
    active/*) ;;
    *) fail "$unit is $state ($sub, result: $result)" ;;
    esac
}

unit=${FAB_PARAM_SERVICE:-}
old=$1
settle=${SETTLE_SECS:-10}

# `restart` of a notify or forking unit waits for it; one that is still starting gets as long as the settling.
look
waited=0
while [ "$state/$sub" = activating/start ] && [ "$waited" -lt "${settle%.*}" ]; do
    sleep 1
    waited=$((waited + 1))
    look
done
refuse_down
if [ "$type" != oneshot ] && [ "$main" = "$old" ] && [ "$old" != 0 ]; then
    fail "$unit still runs as PID $old: it was not restarted"
fi
first_main=$main first_restarts=$restarts first_since=$since
sleep "$settle"
look
refuse_down
[ "$restarts" = "$first_restarts" ] && [ "$main" = "$first_main" ] && [ "$since" = "$first_since" ] ||
    fail "$unit is in a crash loop: PID $first_main became $main within $settle s (restarts: $first_restarts, then $restarts)"
printf '%s is %s (%s), PID %s, the same after %s s\n' "$unit" "$state" "$sub" "$main" "$settle"
