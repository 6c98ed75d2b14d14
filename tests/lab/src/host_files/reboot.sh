#!/bin/sh
# A stand-in for reboot, and for `shutdown -r`, on hosts of the light tier. sshd, which is process 1, stays; all else is
# killed, so that connections are cut; a second later the host has another boot id, an empty /tmp and its units again.
# In between the port is open and the boot id is the old one: whoever takes an open port for a new boot is wrong.
units=/run/lab-units
tools=$(cat $units/.tools)
if [ "${1:-}" = --now-really ]; then
    sleep 0.2
    for dir in /proc/[0-9]*; do
        pid=${dir#/proc/}
        [ "$pid" = 1 ] || [ "$pid" = $$ ] || kill -KILL "$pid" 2> /dev/null
    done
    sleep 1
    cat /proc/sys/kernel/random/uuid > /run/boot_id
    # Not across mounts: the lab itself may live below /tmp.
    find /tmp -xdev -mindepth 1 -delete 2> /dev/null
    for unit in "$units"/*/; do
        unit=$(basename "$unit")
        (cd "$units/$unit" && rm -f since active sub main_pid supervisor started stop was_restarted restarts result)
        LAB_BOOT=1 systemctl start "$unit"
    done
    exit 0
fi
if [ "$(cat $units/.mode)" = root ] && [ "$(id -u)" != 0 ]; then
    echo "Failed to set wall message, ignoring: Interactive authentication required." >&2
    echo "Call to Reboot failed: Interactive authentication required." >&2
    exit 1
fi
"$tools/setsid" "$tools/reboot" --now-really < /dev/null > /dev/null 2>&1 &
