#!/bin/sh
# A stand-in for systemd's command on hosts of the light tier: real processes, a small part of the semantics.
# The supervisor of a unit is `unitd`; its state is files below /run/lab-units/UNIT/.
units=/run/lab-units
tools=$(cat $units/.tools)
value= properties= verb= names=
while [ $# -gt 0 ]; do
    case "$1" in
    --value) value=yes ;;
    -p) shift; properties="$properties,$1" ;;
    -p*) properties="$properties,${1#-p}" ;;
    --property=*) properties="$properties,${1#*=}" ;;
    --property) shift; properties="$properties,$1" ;;
    --version) echo 'systemd 252 (stand-in of the lab)'; exit 0 ;;
    -n | --lines | -o | -t | --type) shift ;;
    -*) ;;
    *) if [ -z "$verb" ]; then verb=$1; else names="$names ${1%.service}"; fi ;;
    esac
    shift
done
read_state() { if [ -r "$units/$1/$2" ]; then cat "$units/$1/$2"; else echo "$3"; fi; }
known() { [ -d "$units/$1" ]; }
need_root() {
    if [ "$(cat $units/.mode)" != root ] || [ "$(id -u)" = 0 ] || [ -n "${LAB_BOOT:-}" ]; then return; fi
    echo "Failed to $verb $1.service: Interactive authentication required." >&2
    exit 1
}
start() {
    case "$(read_state "$1" active inactive)" in active | activating) return ;; esac
    rm -f "$units/$1/stop"
    echo 0 > "$units/$1/restarts"
    [ "$verb" != restart ] || : > "$units/$1/was_restarted"
    rm -f "$units/$1/started"
    "$tools/setsid" "$tools/unitd" "$1" < /dev/null > /dev/null 2>&1 &
    i=0
    while [ ! -e "$units/$1/started" ] && [ $i -lt 100 ]; do sleep 0.02; i=$((i + 1)); done
}
stop() {
    supervisor=$(read_state "$1" supervisor '')
    : > "$units/$1/stop"
    [ -n "$supervisor" ] || return 0
    main=$(read_state "$1" main_pid 0)
    [ "$main" = 0 ] || kill -TERM "$main" 2>/dev/null
    i=0
    while [ -d "/proc/$supervisor" ] && [ -e "$units/$1/supervisor" ]; do
        sleep 0.05
        i=$((i + 1))
        if [ $i -gt 200 ]; then kill -KILL "$main" "$supervisor" 2>/dev/null; echo timeout > "$units/$1/result"; break; fi
    done
    rm -f "$units/$1/supervisor"
    echo inactive > "$units/$1/active"
    echo dead > "$units/$1/sub"
    echo 0 > "$units/$1/main_pid"
}
property() {
    case "$2" in
    Id) echo "$1.service" ;;
    LoadState) if known "$1"; then echo loaded; else echo not-found; fi ;;
    ActiveState) read_state "$1" active inactive ;;
    SubState) read_state "$1" sub dead ;;
    Result) read_state "$1" result success ;;
    NRestarts) read_state "$1" restarts 0 ;;
    MainPID | ExecMainPID) read_state "$1" main_pid 0 ;;
    ExecMainStatus) read_state "$1" status 0 ;;
    ActiveEnterTimestampMonotonic | ExecMainStartTimestampMonotonic) read_state "$1" since 0 ;;
    User) read_state "$1" owner '' ;;
    Type) echo simple ;;
    Restart) echo always ;;
    FragmentPath) if known "$1"; then echo "$units/$1/exec"; else echo; fi ;;
    UnitFileState) if known "$1"; then echo enabled; else echo; fi ;;
    *) return 1 ;;
    esac
}
show() {
    [ -n "$properties" ] || properties=Id,LoadState,ActiveState,SubState,Result,NRestarts,MainPID,ExecMainStatus,ActiveEnterTimestampMonotonic,Type,Restart,User,FragmentPath,UnitFileState
    IFS=,
    for p in $properties; do
        [ -n "$p" ] || continue
        v=$(property "$1" "$p") || continue
        if [ -n "$value" ]; then echo "$v"; else echo "$p=$v"; fi
    done
    unset IFS
}
one() {
    case "$verb" in
    start | stop | restart | try-restart | reload-or-restart | kill | reload)
        if ! known "$1"; then
            echo "Failed to $verb $1.service: Unit $1.service not found." >&2
            return 5
        fi
        need_root "$1"
        ;;
    esac
    case "$verb" in
    start) start "$1" ;;
    stop) stop "$1" ;;
    restart | reload-or-restart) verb=restart; stop "$1"; start "$1" ;;
    try-restart) if [ "$(read_state "$1" active inactive)" = active ]; then verb=restart; stop "$1"; start "$1"; fi ;;
    kill) kill -TERM "$(read_state "$1" main_pid 0)" ;;
    show) show "$1" ;;
    cat) known "$1" && cat "$units/$1/exec" ;;
    is-active)
        state=$(read_state "$1" active inactive)
        echo "$state"
        [ "$state" = active ] || return 3
        ;;
    is-failed) state=$(read_state "$1" active inactive); echo "$state"; [ "$state" = failed ] ;;
    is-enabled) if known "$1"; then echo enabled; else return 1; fi ;;
    reset-failed) [ "$(read_state "$1" active inactive)" != failed ] || echo inactive > "$units/$1/active" ;;
    status)
        if ! known "$1"; then echo "Unit $1.service could not be found." >&2; return 4; fi
        state=$(read_state "$1" active inactive)
        echo "* $1.service - a unit of the lab"
        echo "     Active: $state ($(read_state "$1" sub dead))"
        echo "   Main PID: $(read_state "$1" main_pid 0)"
        [ "$state" = active ] || return 3
        ;;
    *) echo "Unknown command verb $verb (this is the lab's stand-in for systemctl)." >&2; return 1 ;;
    esac
}
case "$verb" in
daemon-reload | enable | disable | daemon-reexec) exit 0 ;;
reboot) exec "$tools/reboot" ;;
is-system-running) echo running; exit 0 ;;
'' | list-units | list-unit-files)
    for dir in "$units"/*/; do
        name=$(basename "$dir")
        known "$name" && echo "$name.service loaded $(read_state "$name" active inactive) $(read_state "$name" sub dead) a unit of the lab"
    done
    exit 0
    ;;
esac
result=0
for name in $names; do one "$name" || result=$?; done
exit $result
