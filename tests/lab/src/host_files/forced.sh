#!/bin/sh
# The forced command of a host with a fault. Arguments: what to do, and a number.
command() {
    if [ -n "${SSH_ORIGINAL_COMMAND:-}" ]; then exec "$SHELL" -c "$SSH_ORIGINAL_COMMAND"; fi
    exec "$SHELL"
}
case "$1" in
fails) exit "$2" ;;
hangs) exec sleep infinity ;;
floods) exec yes "a line of a flood, one of very many" ;;
slow) sleep "$2" && command ;;
drops)
    session=$PPID
    while read -r name < "/proc/$session/comm" && [ "$name" != sshd ] && [ "$name" != sshd-session ]; do
        session=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$session/status")
    done
    (sleep "$2"; kill -KILL "$session") < /dev/null > /dev/null 2>&1 &
    command
    ;;
esac
