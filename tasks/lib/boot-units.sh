#!/bin/sh
# Which of systemd's services run and which failed, as one JSON object. Changes nothing.
#
# `after FAILED RUNNING` is for the time after a reboot, with the words printed before it: waits until systemd has
# started everything (LIMIT_SECS at most), then fails for a unit that failed and had not, and names what ran and does
# not now. `sudo` in the answer is `root` unless this user is root.
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

# units STATE: services that are in it, without those that come and go with logins and timers.
units() {
    systemctl list-units --type=service --state="$1" --no-legend --no-pager --plain 2>/dev/null |
        awk '$1 !~ /^(user@|user-runtime-dir@|run-|session-)/ { printf "%s%s", sep, $1; sep = " " }'
}

# missing OLD NEW: words of OLD that are not in NEW.
missing() {
    for missing_word in $1; do
        case " $2 " in
        *" $missing_word "*) ;;
        *) printf ' %s' "$missing_word" ;;
        esac
    done
}

command -v systemctl >/dev/null 2>&1 || fail "this host has no systemd: nothing could say whether it is back whole"
left=${LIMIT_SECS:-900}
left=${left%.*}
state=$(systemctl is-system-running 2>/dev/null)
while [ "${1:-}" = after ]; do
    case $state in
    running | degraded | maintenance) break ;;
    esac
    [ "$left" -gt 0 ] ||
        fail "systemd is still ${state:-silent} after ${LIMIT_SECS:-900} s; it waits for: $(systemctl list-jobs --no-legend --plain 2>/dev/null | awk '{ printf "%s%s", sep, $2; sep = " " }')"
    sleep 1
    left=$((left - 1))
    state=$(systemctl is-system-running 2>/dev/null)
done
failed=$(units failed)
running=$(units running)
if [ "${1:-}" = after ]; then
    new=$(missing "$failed" "$2")
    [ -z "$new" ] || fail "failed since the reboot:$new; systemctl status$new says why"
    gone=$(missing "$3" "$running")
    [ -z "$gone" ] || printf 'ran before the reboot, does not now:%s\n' "$gone"
    printf 'up since %s, systemd is %s\n' "$(uptime -s 2>/dev/null || date)" "$state"
    exit 0
fi
sudo=root
[ "$(id -u)" != 0 ] || sudo=
printf '{"sudo":"%s","failed":%s,"running":%s,"what":%s}\n' "$sudo" "$(json_string "$failed")" "$(json_string "$running")" \
    "$(json_string "systemd is ${state:-silent}, failed units: ${failed:-none}, up since $(uptime -s 2>/dev/null)")"
