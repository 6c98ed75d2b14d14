#!/bin/sh
# Supervises one unit of a host as systemd would with Type=simple, Restart=always, RestartSec=500ms: starts it, counts
# its restarts, gives up after 5 starts in 10 s. Ends when the file `stop` is there. Argument: the unit's name.
unit=/run/lab-units/$1
put() { echo "$2" > "$unit/.$1" && mv -f "$unit/.$1" "$unit/$1"; }
now() { cut -d' ' -f1 /proc/uptime | tr -d .; }
trap '' HUP INT
put supervisor $$
put result success
starts=
while :; do
    put since "$(now)0000"
    sh "$unit/exec" < /dev/null >> "$unit/log" 2>&1 &
    main=$!
    put main_pid $main
    put active active
    put sub running
    : > "$unit/started"
    wait $main
    status=$?
    put main_pid 0
    put status $status
    if [ -e "$unit/stop" ]; then break; fi
    if [ $status -gt 128 ]; then put result signal; elif [ $status -gt 0 ]; then put result exit-code; fi
    second=$(($(now) / 100))
    recent=1
    for s in $starts; do [ $((second - s)) -ge 10 ] || recent=$((recent + 1)); done
    starts="$starts $second"
    if [ $recent -ge 5 ]; then
        put active failed
        put sub failed
        rm -f "$unit/supervisor"
        exit 0
    fi
    put active activating
    put sub auto-restart
    put restarts $(($(cat "$unit/restarts") + 1))
    sleep 0.5
    if [ -e "$unit/stop" ]; then break; fi
done
put active inactive
put sub dead
rm -f "$unit/supervisor"
