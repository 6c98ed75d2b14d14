#!/bin/sh
# Takes thread dumps of a JVM into a folder of its own, and prints what came of it as one JSON object.
#
# $1 is the JVM (find-jvm.sh), $2 its name for the files'. FAB_PARAM_N dumps, INTERVAL_SECS apart. By jcmd, by
# jstack where jcmd has no such command, by SIGQUIT where nothing can attach: then the JVM writes to its own
# standard output, from where it is fetched. `problem` in the answer is empty when every dump is whole.
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

# --- digest: the same in every script that has this block
sha256_of() {
    if command -v sha256sum >/dev/null 2>&1; then
        sha256sum <"$1" | cut -c 1-64
    elif command -v shasum >/dev/null 2>&1; then
        shasum -a 256 <"$1" | cut -c 1-64
    else
        openssl dgst -sha256 -r <"$1" | cut -c 1-64
    fi
}
# --- end of digest

jvm_from "$1"
name=$2
count=${FAB_PARAM_N:-3}
interval=${INTERVAL_SECS:-5}
work=
kept=no
sweep() {
    if [ -n "$work" ] && [ "$kept" = no ]; then
        rm -f -- "$work"/threaddump-*
        rmdir -- "$work"
    fi
}
trap sweep EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# A dump is whole when it has its first and its last part.
whole() {
    grep -q '^Full thread dump' "$1" && grep -q '^JNI global ref' "$1"
}

# The end of a file, as far as it tells why there is no dump.
words_of() {
    head -c 2000 "$1"
}

by_tool() {
    # -l: locks of java.util.concurrent; -e: CPU time, allocations (11 and later).
    extra=-e
    [ "$major" = 0 ] || [ "$major" -ge 11 ] || extra=
    # shellcheck disable=SC2086
    attach 20 jcmd Thread.print -l $extra >"$1"
    if ! whole "$1" && grep -q -e 'Unknown argument' -e 'IllegalArgument' "$1"; then
        attach 20 jcmd Thread.print -l >"$1"
    fi
    how=jcmd
    if ! whole "$1" && grep -q 'Unknown diagnostic command' "$1" && [ -x "$root${jcmd%/*}/jstack" ]; then
        attach 20 jstack -l >"$1"
        how=jstack
    fi
    whole "$1"
}

# Where the JVM's standard output can be read back from: `file`, `journal`, or nothing.
output_kind() {
    case $(readlink "/proc/$pid/fd/1" 2>/dev/null) in
    /dev/null | /dev/tty* | /dev/pts/* | pipe:* | '') ;;
    socket:*) command -v journalctl >/dev/null 2>&1 && printf journal ;;
    *) [ -f "/proc/$pid/fd/1" ] && printf file ;;
    esac
}

# Asks the JVM to write the dump itself. SIGQUIT ends a process that does not catch it.
by_signal() {
    catches_quit ||
        { why="the JVM (PID $pid) does not catch SIGQUIT (started with -Xrs?): the signal would kill it, so it is not sent"; return 1; }
    kind=$(output_kind)
    [ -n "$kind" ] ||
        { why="SIGQUIT would work, but the dump would go to the JVM's standard output, $(readlink "/proc/$pid/fd/1"), from where it cannot be fetched"; return 1; }
    before=$(wc -c 2>/dev/null <"/proc/$pid/fd/1" | tr -d ' ')
    since=$(date +%s)
    kill -3 "$pid" || { why="cannot signal PID $pid"; return 1; }
    how='SIGQUIT'
    tries=0
    while [ "$tries" -lt 15 ]; do
        sleep 1
        if [ "$kind" = file ]; then
            tail -c "+$((before + 1))" "/proc/$pid/fd/1" >"$1"
        else
            journalctl -q -o cat --no-pager --since "@$since" "_PID=$pid" >"$1" 2>/dev/null
        fi
        if whole "$1"; then
            return 0
        fi
        tries=$((tries + 1))
    done
    why="the JVM (PID $pid) wrote no whole dump to its standard output within 15 s of SIGQUIT"
    return 1
}

# One dump into the file $1; `why` says why there is none.
dump_to() {
    why=
    if [ -n "$jcmd" ] && [ "$by" = tool ]; then
        if why=$(jvm_takes_attach 2>&1); then
            by_tool "$1" && return 0
            why=$(attach_cause "$(words_of "$1")")
        fi
        # A JVM that did not answer has the signal of the attach pending already, and dumps when it wakes.
        case $why in
        *DisableAttachMechanism*) ;;
        *) return 1 ;;
        esac
    fi
    by=signal
    by_signal "$1"
}

# Threads by state and deadlocks of the dump $1, in a line.
headline() {
    awk '
        /^"/ { threads++ }
        /^ *java\.lang\.Thread\.State: / { states[$2]++ }
        /^Found [0-9]+ deadlock/ { deadlocks += $2 }
        END {
            printf "%d threads:", threads
            n = split("RUNNABLE BLOCKED WAITING TIMED_WAITING", order, " ")
            comma = ""
            for (i = 1; i <= n; i++) if (states[order[i]]) {
                printf "%s %d %s", comma, states[order[i]], order[i]
                comma = ","
            }
            if (deadlocks) printf "; %d DEADLOCK%s FOUND", deadlocks, (deadlocks > 1 ? "S" : "")
            else printf "; no deadlock"
        }' "$1"
}

jvm_can_answer
work=$(mktemp -d /tmp/fab-rs-threads.XXXXXX 2>/dev/null || mktemp -d /var/tmp/fab-rs-threads.XXXXXX) ||
    fail "cannot make a folder in /tmp or /var/tmp"
stamp=$(date -u +%Y%m%dT%H%M%SZ)
by=tool how='' why='' files='' last='' taken=0
while [ "$taken" -lt "$count" ]; do
    [ "$taken" = 0 ] || sleep "$interval"
    file=$work/threaddump-$name-$pid-$stamp-$((taken + 1)).txt
    if ! (umask 077 && : >"$file") || ! dump_to "$file"; then
        [ -n "$why" ] || why="cannot write to $work"
        rm -f -- "$file"
        break
    fi
    sha256=$(sha256_of "$file")
    files="$files${files:+,}{\"file\":$(json_string "$file"),\"sha256\":\"$sha256\"}"
    last=$file
    taken=$((taken + 1))
done
[ -n "$last" ] || fail "no thread dump: $why"
kept=yes
problem=
[ "$taken" = "$count" ] || problem="$taken of $count dumps were taken, then: $why"
printf '{"dir":%s,"files":[%s],"taken":%s,"how":"%s","what":%s,"problem":%s}\n' \
    "$(json_string "$work")" "$files" "$taken" "$how" "$(json_string "$(headline "$last")")" "$(json_string "$problem")"
