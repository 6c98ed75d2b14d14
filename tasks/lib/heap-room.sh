#!/bin/sh
# Whether a heap dump fits where it is to go, before anything is written. Prints one JSON object.
#
# $1 is the JVM (find-jvm.sh). FAB_PARAM_DIR is the folder as the JVM sees it, FAB_PARAM_LIVE `true` for
# reachable objects alone, FAB_PARAM_KEEP_FREE what must stay free (`auto`: 5 %, from 1 to 4 GiB, on small
# disks a fifth), FAB_PARAM_COMPRESS `none` where no second copy is made. Changes nothing.
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

# --- room: the same in every script that has this block
# Bytes for people.
human() {
    if [ "$1" -ge 1073741824 ]; then
        printf '%d.%d GiB' "$(($1 / 1073741824))" "$(($1 % 1073741824 * 10 / 1073741824))"
    elif [ "$1" -ge 1048576 ]; then
        printf '%d MiB' "$(($1 / 1048576))"
    else
        printf '%d KiB' "$(($1 / 1024))"
    fi
}

# free_in DIR: bytes free there for its owner.
free_in() {
    df -Pk "$1" 2>/dev/null | awk 'NR > 1 { free = $4 } END { printf "%.0f", free * 1024 }'
}
# --- end of room

# used_and_committed: bytes, from what GC.heap_info says for any collector. Metaspace is not in a dump.
used_and_committed() {
    awk '
        function bytes(text) {
            sub(/,$/, "", text)
            unit = substr(text, length(text), 1)
            return text * (unit == "K" ? 1024 : unit == "M" ? 1048576 : unit == "G" ? 1073741824 : 1)
        }
        /[Mm]etaspace|class space|region size/ { next }
        {
            size = 0
            for (i = 2; i <= NF; i++) {
                if ($i == "used") used += bytes($(i + 1) ~ /^[0-9]/ ? $(i + 1) : $(i - 1))
                if ($(i - 1) == "total" && $i ~ /^[0-9]/ && !size) size = bytes($i)
                if ($i == "capacity" && $(i - 1) != "max") size = bytes($(i + 1))
                if ($i == "committed") size = bytes($(i + 1))
                if ($i == "committed,") size = bytes($(i - 1))
            }
            committed += size
        }
        END { printf "%.0f %.0f", used, committed }'
}

# What must stay free on a disk of $1 bytes.
keep_of() {
    case $keep_free in
    auto)
        keep_part=$(($1 / 20))
        [ "$keep_part" -ge 1073741824 ] || keep_part=1073741824
        [ "$keep_part" -le 4294967296 ] || keep_part=4294967296
        [ "$keep_part" -le "$(($1 / 5))" ] || keep_part=$(($1 / 5))
        printf '%s' "$keep_part"
        ;;
    *KiB) printf '%s' "$((${keep_free%KiB} * 1024))" ;;
    *MiB) printf '%s' "$((${keep_free%MiB} * 1048576))" ;;
    *GiB) printf '%s' "$((${keep_free%GiB} * 1073741824))" ;;
    esac
}

jvm_from "$1"
dir=${FAB_PARAM_DIR:-/var/tmp}
keep_free=${FAB_PARAM_KEEP_FREE:-auto}
case $dir in
/*) ;;
*) fail "dir=$dir is no absolute path: the JVM would read it from its own working directory" ;;
esac
case $keep_free in
auto) ;;
[0-9]*[KMG]iB)
    case ${keep_free%?iB} in *[!0-9]*) fail "keep_free=$keep_free is no size such as 500MiB" ;; esac
    ;;
*) fail "keep_free=$keep_free is no size such as 500MiB" ;;
esac
jvm_takes_attach
(go_to "$dir") || exit 1

options=$(attach 20 jcmd help GC.heap_dump)
case $options in
*GC.heap_dump*) ;;
*) fail "$(attach_cause "$options")" ;;
esac
heap=$(attach 20 jcmd GC.heap_info)
# shellcheck disable=SC2046
set -- $(printf '%s\n' "$heap" | used_and_committed)
used=$1 committed=$2
if [ "$used" = 0 ]; then
    # A JVM too old to say it: what it has in memory is the upper bound.
    rss=$(status_of "$pid" VmRSS)
    used=$((${rss%% *} * 1024)) committed=$used
fi
[ "$committed" -ge "$used" ] || committed=$used

# A dump is about 1.24 times the heap, since references are written in full. From 22 on it is written in parts
# that are merged after, with 1.9 times that at the peak; before, the compressed copy stands beside it.
measure=$committed scope='all objects'
if [ "${FAB_PARAM_LIVE:-true}" = true ]; then
    measure=$used scope='reachable objects'
fi
if [ "$major" -ge 22 ]; then
    need=$((measure * 5 / 2))
elif [ "${FAB_PARAM_COMPRESS:-auto}" = none ]; then
    need=$((measure * 3 / 2))
else
    need=$((measure * 2))
fi
# Classes and names take their share however small the heap is.
need=$((need + 16777216))

free=$(free_in "$root$dir")
disk=$(df -Pk "$root$dir" | awk 'NR > 1 { size = $2 } END { printf "%.0f", size * 1024 }')
keep=$(keep_of "$disk")
if [ "$((free - keep))" -lt "$need" ]; then
    say "not enough room in $dir: the dump ($scope, $(human "$measure") of heap) may take $(human "$need") and $(human "$keep") must stay free, but only $(human "$free") is free"
    fail "name another disk with dir=, allow less rest with keep_free=, or take compress=none"
fi
inodes=$(df -Pi "$root$dir" 2>/dev/null | awk 'NR > 1 { size = $2; free = $4 } END { if (size + 0 > 0) print free }')
[ "${inodes:-100}" -ge 20 ] || fail "no inodes left in $dir ($inodes free)"
memory=
case $(stat -f -c %T "$root$dir" 2>/dev/null) in
tmpfs | ramfs) memory="$dir is in memory: the dump takes RAM until it is removed" ;;
esac

# Measured: a second of pause for each 150 MiB or so, on a quiet machine.
pause=$((measure / 157286400 + 1))
printf '{"used":%s,"committed":%s,"need":%s,"free":%s,"keep":%s,"pause_s":%s,"what":%s}\n' \
    "$used" "$committed" "$need" "$free" "$keep" "$pause" \
    "$(json_string "$(human "$measure") of heap ($scope); the dump may take $(human "$need") in $dir, $(human "$free") is free${memory:+; $memory}")"
