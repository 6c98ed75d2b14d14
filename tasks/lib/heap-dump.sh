#!/bin/sh
# Writes the heap of a JVM into a folder of its own, and prints what came of it as one JSON object.
#
# $1 is the JVM (find-jvm.sh), $2 its name for the file's. FAB_PARAM_DIR, FAB_PARAM_LIVE: as heap-room.sh has
# them. THE APPLICATION STANDS STILL WHILE THE JVM WRITES. What ends in failure leaves nothing behind.
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

# --- proc: the same in every script that has this block
# status_of PID KEY: what /proc/PID/status says after KEY.
status_of() {
    while read -r status_key status_rest; do
        if [ "$status_key" = "$2:" ]; then
            printf '%s' "$status_rest"
            return 0
        fi
    done 2>/dev/null <"/proc/$1/status"
    return 1
}

# start_of PID: its start time in ticks since boot. With the pid it names one process and no later one.
start_of() {
    read -r stat_line 2>/dev/null <"/proc/$1/stat" || return 1
    # The command's name stands in brackets and may hold anything; the third field follows the last bracket.
    # shellcheck disable=SC2086
    set -- ${stat_line##*) }
    shift 19
    printf '%s' "$1"
}
# --- end of proc

# --- jvm: the same in every script that has this block
unset JAVA_TOOL_OPTIONS _JAVA_OPTIONS JDK_JAVA_OPTIONS
cd / || exit 1

# What find-jvm.sh hands on: PID:START:UID:GID:INNER_PID:SPACE:MAJOR:JCMD. SPACE says where the JVM lives:
# `same` namespaces as ours, another `mount` namespace (PrivateTmp), another `pid` namespace (a container), or
# `outside`: another namespace that has no jcmd of its own.
take() {
    eval "$1=\${handle_rest%%:*}"
    handle_rest=${handle_rest#*:}
}

jvm_from() {
    handle_rest=$1
    for part in pid start uid gid inner_pid space major; do
        take "$part"
    done
    jcmd=$handle_rest
    root=
    [ "$space" = same ] || root=/proc/$pid/root
}

jvm_lives() {
    [ "$(start_of "$pid")" = "$start" ]
}

# Refuses a JVM that cannot answer, before anything is sent to it.
jvm_can_answer() {
    jvm_lives || fail "PID $pid is gone: the JVM ended or was restarted since it was found"
    case $(status_of "$pid" State) in
    T* | t*) fail "the JVM (PID $pid) is stopped by a signal or a debugger and cannot answer; continue it with: kill -CONT $pid" ;;
    Z*) fail "the JVM (PID $pid) has ended and waits for its parent to notice" ;;
    esac
}

# A JVM that does not catch SIGQUIT dies of it, and attaching sends one unless the socket is there (-Xrs).
catches_quit() {
    case $(status_of "$pid" SigCgt) in
    *[4-7c-f]) return 0 ;;
    esac
    return 1
}

# limited SECONDS COMMAND...: in our process group, so that it ends when we are ended.
limited() {
    limit=$1
    shift
    if timeout --foreground 1 true 2>/dev/null; then
        timeout --foreground -k 2 "$limit" "$@"
    elif timeout 1 true 2>/dev/null; then
        timeout "$limit" "$@"
    else
        "$@"
    fi
}

# attach SECONDS TOOL WORDS...: a tool of the JDK (jcmd, jstack) as the JVM's owner, in its namespaces.
# The answer's text counts, never the status: jcmd ends 0 on a full disk.
attach() {
    attach_limit=$1 tool=${jcmd%/*}/$2 target=$pid
    shift 2
    [ "$space" != pid ] || target=$inner_pid
    if [ "${tool##*/}" = jcmd ]; then
        set -- "$target" "$@"
    else
        set -- "$@" "$target"
    fi
    set -- "$tool" -J-Xmx64m -J-XX:+UseSerialGC -J-XX:TieredStopAtLevel=1 "$@"
    if [ "$space" = mount ]; then
        set -- nsenter -t "$pid" -m -S "$uid" -G "$gid" "$@"
    elif [ "$space" = pid ]; then
        set -- nsenter -t "$pid" -m -p -S "$uid" -G "$gid" "$@"
    elif [ "$(id -u)" = 0 ] && [ "$uid:$gid" != "0:$(id -g)" ]; then
        if setpriv --reuid "$uid" --regid "$gid" --clear-groups true 2>/dev/null; then
            set -- setpriv --reuid "$uid" --regid "$gid" --clear-groups "$@"
        elif sudo -n -u "#$uid" true 2>/dev/null; then
            set -- sudo -n -u "#$uid" "$@"
        fi
    fi
    limited "$attach_limit" "$@" 2>&1 </dev/null
}

# A client that would kill the JVM, or for which there is no tool, is not started.
jvm_takes_attach() {
    jvm_can_answer
    [ -n "$jcmd" ] || fail "no jcmd on this host: only a Java runtime is installed. Install the JDK of the same version ($major)"
    case " $(tr '\000' ' ' 2>/dev/null <"/proc/$pid/cmdline") " in
    *' -XX:+DisableAttachMechanism '*) fail "$(attach_cause 'does not support the attach mechanism')" ;;
    esac
    catches_quit || [ -S "/proc/$pid/root/tmp/.java_pid$inner_pid" ] ||
        fail "the JVM (PID $pid) does not catch SIGQUIT yet: it is still starting. Attaching now would kill it"
}

# The plain cause behind what an attach said.
attach_cause() {
    case $1 in
    *'does not support the attach mechanism'*)
        printf 'the JVM was started with -XX:+DisableAttachMechanism: no tool can attach to it'
        ;;
    *"doesn't respond"* | *'not responding'* | *'Unable to open socket file'*)
        printf 'the JVM (PID %s, state %s) does not answer: it hangs in a long pause, or its socket in /tmp was deleted' "$pid" "$(status_of "$pid" State)"
        ;;
    *'not secure'* | *'Operation not permitted'* | *'must be run as'*)
        printf 'user %s may not attach to the JVM: it belongs to uid %s' "$(id -un 2>/dev/null || id -u)" "$uid"
        ;;
    *'No such process'*)
        printf 'PID %s is gone: the JVM ended or was restarted' "$pid"
        ;;
    '')
        printf 'the JVM (PID %s, state %s) gave no answer in time' "$pid" "$(status_of "$pid" State)"
        ;;
    *)
        printf 'jcmd said: %s' "$(printf '%s' "$1" | grep -v -e '^[0-9]*:$' -e '^[[:space:]]*at ' | head -n 3 | tr '\n' ' ')"
        ;;
    esac
}
# --- end of jvm

# --- way: the same in every script that has this block
# what_is NAME: device and inode, owner, permissions, links and kind of what has this name. A link is not followed.
what_is() {
    stat -c '%d:%i %u %a %h %F' -- "$1" 2>/dev/null
}

# is_here PATH: whether this path leads to the folder that we are in.
is_here() {
    seen=$(what_is "$1")
    here=$(what_is .)
    [ -n "$here" ] && [ "${seen%% *}" = "${here%% *}" ]
}

# enter NAME: goes into a folder of this folder, and never through a link: who puts one in its place is found out.
enter() {
    [ -d "./$1" ] && [ ! -L "./$1" ] || return 1
    entered=$(what_is "./$1")
    # A shell that cannot tell where it is now (in the file system of others) says so, and is there.
    cd -P "./$1" 2>/dev/null || :
    here=$(what_is .)
    [ -n "$here" ] && [ "${entered%% *}" = "${here%% *}" ]
}

# is_ours: whether nobody but us can change the folder that we are in.
is_ours() {
    case $(what_is .) in
    *" $(id -u) 700 "* | *" $(id -u) 2700 "*) ;;
    *) return 1 ;;
    esac
}

# enter_ours PATH: goes to a folder that nobody but us can change.
enter_ours() {
    cd -P "${1%/*}/" 2>/dev/null && enter "${1##*/}" && is_ours
}
# --- end of way

# --- goal: the same in every script that has this block
# go_to DIR: goes to a folder of the JVM's file system. As root name by name: a link that somebody else made, or any
# in a file system that is not ours, may lead to where the JVM's user must not write.
go_to() {
    cd -P "${root:-/}" 2>/dev/null || fail "PID $pid is gone"
    if [ "$(id -u)" != 0 ]; then
        cd -P "$1" 2>/dev/null || fail "there is no folder $1; name another with dir="
        return
    fi
    go_rest=$1/
    while [ -n "$go_rest" ]; do
        go_name=${go_rest%%/*} go_rest=${go_rest#*/}
        case $go_name in
        '' | .) continue ;;
        ..) fail "dir=$1 goes back with ..: name the folder itself" ;;
        esac
        case $root$(what_is "./$go_name") in
        [0-9]*' 0 '*' symbolic link') cd -P "./$go_name" 2>/dev/null ;;
        *' symbolic link') fail "in dir=$1, $go_name is a symbolic link, which may lead anywhere: name the folder itself" ;;
        *) enter "$go_name" ;;
        esac || fail "there is no folder $1${root:+ in the file system of the JVM}; name another with dir="
    done
}
# --- end of goal

jvm_from "$1"
name=$2
dir=${FAB_PARAM_DIR:-/var/tmp}
work=
inside=
kept=no

# At every end but a good one. The JVM may still be writing: it then writes into a file without a name, which
# the system takes back when it closes it.
sweep() {
    if [ -n "$inside" ] && [ "$kept" = no ]; then
        rm -f -- ./.*.hprof.part* ./*.hprof
        cd -P .. 2>/dev/null && rmdir -- "./$name_of_work"
    fi
}
trap sweep EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

dump_cause() {
    case $1 in
    *'No space left'*) printf 'the disk of %s filled up; the JVM goes on, what was written is removed' "$dir" ;;
    *'Permission denied'*) printf 'the JVM (uid %s) may not write into %s; name another folder with dir=' "$uid" "$dir" ;;
    *'File exists'*) printf 'the JVM found the file there already: somebody else writes into %s' "$work" ;;
    *) attach_cause "$1" ;;
    esac
}

jvm_takes_attach
go_to "$dir"
work=$(mktemp -d ./fab-rs-heap.XXXXXX) || fail "cannot make a folder in $dir"
# From here on by names in the folder that we are in: its path may be somebody else's to change.
name_of_work=${work#./} work=$root${dir%/}/${work#./}
enter "$name_of_work" && is_ours || fail "somebody else changes $dir: $work is not what was made there"
inside=yes
if [ "$(id -u)" = 0 ]; then
    chown -h "$uid:$gid" . || fail "cannot hand $work to uid $uid"
fi
file=heapdump-$name-$pid-$(date -u +%Y%m%dT%H%M%SZ).hprof
part=.$file.part
scope=
[ "${FAB_PARAM_LIVE:-true}" = true ] || scope=-all

# The step's own limit ends this: a large heap takes its time. The path is the JVM's, not ours.
# shellcheck disable=SC2086
text=$(cd / && attach 86400 jcmd GC.heap_dump $scope "${work#"$root"}/$part")
written=$(printf '%s\n' "$text" | sed -n 's/^Heap dump file created \[\([0-9]*\) bytes in .*/\1/p')
seconds=$(printf '%s\n' "$text" | sed -n 's/^Heap dump file created \[[0-9]* bytes in \([0-9.]*\) secs.*/\1/p')
if ! jvm_lives; then
    fail "THE JVM (PID $pid) DIED WHILE ITS HEAP WAS DUMPED. It was not restarted, so that its logs can be read first. jcmd said: $text"
fi
case $text in
*'Heap dump file created'*) ;;
*) fail "no heap dump: $(dump_cause "$text")" ;;
esac

# From here on the folder is ours: its old owner cannot put another file in the place of this one.
if [ "$(id -u)" = 0 ]; then
    chown -h 0:0 .
fi
[ -f "./$part" ] && [ ! -L "./$part" ] || fail "no heap dump: the JVM says that it wrote $work/$part, but there is no such file"
case $(what_is "./$part") in
*' 1 regular'*) ;;
*) fail "no heap dump: $work/$part has another name somewhere: it may be somebody else's file" ;;
esac
bytes=$(wc -c <"./$part" | tr -d ' ')
[ -n "$written" ] || [ "$major" -le 8 ] || fail "no heap dump: jcmd said: $text"
[ "${written:-$bytes}" = "$bytes" ] ||
    fail "no heap dump: the JVM says $written bytes, the file has $bytes"
chmod 0600 "./$part" && mv -- "./$part" "./$file" || fail "cannot rename $part"
# Whoever comes next goes by the path.
is_here "$work" || fail "somebody else changes $dir: $work is no longer what was made there"

answers=true
case $(cd / && attach 20 jcmd VM.uptime) in
*[0-9].[0-9]*' s'*) ;;
*) answers=false ;;
esac
kept=yes
# Thousandths: 3.8 and 3.812 are both written.
pause_ms=$(printf '%s' "${seconds:-0}" | awk '{ printf "%.0f", $1 * 1000 }')
printf '{"dir":%s,"file":%s,"bytes":%s,"pause_ms":%s,"answers":%s}\n' \
    "$(json_string "$work")" "$(json_string "$work/$file")" "$bytes" "$pause_ms" "$answers"
