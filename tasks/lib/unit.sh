#!/bin/sh
# Whether a systemd unit can be restarted, and what it is now, as one JSON object. Changes nothing.
#
# FAB_PARAM_SERVICE is the unit. `sudo` in the answer is `root` unless this user is root.
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

# property NAME: of what systemctl show said.
property() {
    printf '%s\n' "$shown" | sed -n "s/^$1=//p"
}

unit=${FAB_PARAM_SERVICE:-}
case $unit in
'' | -* | *[!A-Za-z0-9@._:\\-]*) fail "service=$unit is no name of a unit" ;;
esac
command -v systemctl >/dev/null 2>&1 || fail "this host has no systemd: there is no unit $unit to restart"
shown=$(systemctl show -p LoadState,ActiveState,SubState,MainPID,NRestarts,FragmentPath,Type -- "$unit" 2>&1) ||
    fail "systemd does not answer: $(printf '%s' "$shown" | head -n 1)"
case $(property LoadState) in
loaded) ;;
not-found) fail "there is no unit $unit on this host; systemctl list-units --type=service names them" ;;
masked) fail "unit $unit is masked: systemd will not start it" ;;
*) fail "unit $unit cannot be loaded ($(property LoadState)): systemctl status $unit says why" ;;
esac
sudo=root
[ "$(id -u)" != 0 ] || sudo=
printf '{"sudo":"%s","active":"%s","sub":"%s","main_pid":"%s","restarts":"%s","what":%s}\n' \
    "$sudo" "$(property ActiveState)" "$(property SubState)" "$(property MainPID)" "$(property NRestarts)" \
    "$(json_string "$unit is $(property ActiveState) ($(property SubState)), PID $(property MainPID)")"
