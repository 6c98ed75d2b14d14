#!/bin/sh
# Finds the one JVM that is meant, and prints what later scripts need to know about it as one JSON object.
#
# In order: PID:START (the first argument: found before, looked at again with more rights), FAB_PARAM_PID,
# FAB_PARAM_SERVICE (a systemd unit or a pid file), the only JVM of the host. FAB_PARAM_MATCH narrows by a text
# on the command line. More than one, or none, is a refusal that names what runs here. Changes nothing.
# With `list` as the first argument: every JVM in a line for people, and nothing else.
#
# `sudo` in the answer is `root` where this user may not attach to the JVM, and else empty.
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

# exe_of PID: its program, empty where it may not be read.
exe_of() {
    exe_link=$(readlink "/proc/$1/exe" 2>/dev/null) || return 0
    printf '%s' "${exe_link% (deleted)}"
}

arguments_of() {
    tr '\n\000' ' \n' 2>/dev/null <"/proc/$1/cmdline"
}

is_jvm() {
    is_exe=$(exe_of "$1")
    case $is_exe in
    */java) return 0 ;;
    ?*) grep -q '/libjvm\.so' "/proc/$1/maps" 2>/dev/null && return 0 ;;
    '')
        is_first=$(arguments_of "$1" | head -n 1)
        [ "${is_first##*/}" = java ] && return 0
        ;;
    esac
    return 1
}

# All processes that run `java`: by the program where it can be read, else by the name the kernel knows.
# Never by the command line alone: a shell that searches for a word has the word in its own.
all_jvms() {
    all_known=$(ls -l /proc/[0-9]*/exe 2>/dev/null |
        sed -n 's|.* /proc/\([0-9]*\)/exe -> .*/java\( (deleted)\)\{0,1\}$|\1|p' | tr '\n' ' ')
    for all_folder in /proc/[0-9]*; do
        all_pid=${all_folder#/proc/}
        case " $all_known " in
        *" $all_pid "*) ;;
        *)
            read -r all_name 2>/dev/null <"$all_folder/comm" || continue
            [ "$all_name" = java ] && [ -z "$(exe_of "$all_pid")" ] && is_jvm "$all_pid" || continue
            ;;
        esac
        case $(status_of "$all_pid" State) in
        Z* | X* | '') ;;
        *) printf '%s\n' "$all_pid" ;;
        esac
    done | sort -n
}

matches() {
    [ -n "$match" ] || return 0
    case $(arguments_of "$1" | tr '\n' ' ') in
    *"$match"*) return 0 ;;
    esac
    return 1
}

# below PID ANCESTOR: whether the first is the second or comes from it.
below() {
    below_pid=$1
    while [ "${below_pid:-0}" -gt 1 ]; do
        [ "$below_pid" != "$2" ] || return 0
        below_pid=$(status_of "$below_pid" PPid) || return 1
    done
    return 1
}

# The main class or jar: the first word that is neither an option nor an option's value.
program_of() {
    arguments_of "$1" | {
        read -r word || exit 0
        while read -r word; do
            case $word in
            -jar | -m | --module)
                read -r word
                printf '%s' "${word##*/}"
                exit 0
                ;;
            -cp | -classpath | --class-path | -p | --module-path | --add-modules | --add-opens | --add-exports | --add-reads | --upgrade-module-path)
                read -r word
                ;;
            -* | @*) ;;
            *)
                printf '%s' "$word"
                exit 0
                ;;
            esac
        done
    }
}

unit_of() {
    sed -n 's|.*/\([^/]*\)\.service\(/.*\)\{0,1\}$|\1|p' "/proc/$1/cgroup" 2>/dev/null | grep -v -e '^user@' -e '^ssh' | head -n 1
}

user_of() {
    # shellcheck disable=SC2046
    set -- $(status_of "$1" Uid)
    id -un "$2" 2>/dev/null || printf '%s' "$2"
}

# How long it runs, for people.
age_of() {
    read -r age_up _ </proc/uptime
    age=$((${age_up%.*} - $(start_of "$1" || echo 0) / $(getconf CLK_TCK 2>/dev/null || echo 100)))
    if [ "$age" -ge 172800 ]; then
        printf '%d days' "$((age / 86400))"
    elif [ "$age" -ge 7200 ]; then
        printf '%d h' "$((age / 3600))"
    elif [ "$age" -ge 120 ]; then
        printf '%d min' "$((age / 60))"
    else
        printf '%d s' "$age"
    fi
}

describe() {
    describe_unit=$(unit_of "$1")
    printf 'PID %s %s (user %s%s, up %s)' "$1" "$(program_of "$1" | cut -c 1-120)" "$(user_of "$1")" \
        "${describe_unit:+, unit $describe_unit}" "$(age_of "$1")"
}

list() {
    for list_pid in "$@"; do
        say "  $(describe "$list_pid")"
    done
}

# Exactly one of the pids given that matches, or a refusal.
only() {
    only_where=$1
    shift
    only_here=$*
    only_count=0
    for only_pid in "$@"; do
        if matches "$only_pid"; then
            only_count=$((only_count + 1))
            pid=$only_pid
            only_found="${only_found:-} $only_pid"
        fi
    done
    # shellcheck disable=SC2086
    case $only_count in
    1) ;;
    0)
        [ -n "$only_here" ] || fail "no JVM runs $only_where"
        say "no JVM $only_where has \`$match\` on its command line; there are:"
        list $only_here
        exit 1
        ;;
    *)
        say "$only_count JVMs run $only_where; name one with pid=, match= or service=:"
        list $only_found
        exit 1
        ;;
    esac
}

by_unit() {
    unit_state=$(systemctl show -p LoadState,ActiveState,MainPID -- "$service" 2>/dev/null)
    case $unit_state in
    *LoadState=loaded*) ;;
    *) return 1 ;;
    esac
    unit_main=$(printf '%s\n' "$unit_state" | sed -n 's/^MainPID=//p')
    [ "${unit_main:-0}" -gt 0 ] ||
        fail "unit $service is not running ($(printf '%s\n' "$unit_state" | sed -n 's/^ActiveState=//p'))"
    below_main "$unit_main" "in unit $service"
}

by_pid_file() {
    for file in "/run/$service.pid" "/run/$service/$service.pid" "/var/run/$service.pid"; do
        read -r file_pid 2>/dev/null <"$file" || continue
        case $file_pid in
        '' | *[!0-9]*) continue ;;
        esac
        [ -d "/proc/$file_pid" ] || fail "$file names PID $file_pid, which does not run"
        below_main "$file_pid" "below PID $file_pid ($file)"
        return 0
    done
    return 1
}

# The main process itself where it is a JVM, else the JVM that it started.
below_main() {
    if is_jvm "$1"; then
        pid=$1
        return 0
    fi
    main_found=
    for main_pid in $(all_jvms); do
        if below "$main_pid" "$1"; then
            main_found="$main_found $main_pid"
        fi
    done
    # shellcheck disable=SC2086
    only "$2" $main_found
}

find_pid() {
    if [ "${FAB_PARAM_PID:-0}" != 0 ]; then
        pid=$FAB_PARAM_PID
        [ -d "/proc/$pid" ] || fail "no process $pid runs here"
        is_jvm "$pid" || fail "PID $pid is no JVM: it runs $(exe_of "$pid")"
        matches "$pid" || fail "PID $pid has no \`$match\` on its command line: $(describe "$pid")"
    elif [ -n "$service" ]; then
        by_unit || by_pid_file ||
            fail "no unit and no pid file named $service here; name the JVM with match= or pid="
    else
        find_all=$(all_jvms)
        # A login that sees its own processes alone cannot say that there is no other JVM.
        if [ "$(id -u)" != 0 ] && [ ! -r /proc/1/status ]; then
            printf '{"pid":"","found":"","sudo":"root"}\n'
            exit 0
        fi
        # shellcheck disable=SC2086
        only here $find_all
    fi
}

# jcmd: the JVM's own JDK first, then any other.
find_jcmd() {
    jcmd=
    java_bin=${java%/*}
    for folder in "$java_bin" "${java_bin%/jre/bin}/bin"; do
        if [ -n "$java" ] && [ -x "$root$folder/jcmd" ]; then
            jcmd=$folder/jcmd
            return 0
        fi
    done
    [ "$space" = same ] || space=outside
    for file in "${JAVA_HOME:-/nonexistent}/bin/jcmd" "$(command -v jcmd 2>/dev/null)" /usr/lib/jvm/*/bin/jcmd /opt/*/bin/jcmd; do
        if [ -n "$file" ] && [ -x "$file" ]; then
            jcmd=$file
            return 0
        fi
    done
}

# Everything about the JVM $pid that can be seen from outside.
look_at() {
    # shellcheck disable=SC2046
    set -- $(status_of "$pid" Uid)
    uid=$2
    # shellcheck disable=SC2046
    set -- $(status_of "$pid" Gid)
    gid=$2
    # shellcheck disable=SC2046
    set -- $(status_of "$pid" NSpid)
    inner_pids=$#
    inner_pid=$pid
    for inner_pid in "$@"; do :; done
    java=$(exe_of "$pid")
    space=same root=
    if [ "$inner_pids" -gt 1 ]; then
        space=pid
    elif [ "$(readlink "/proc/$pid/ns/mnt" 2>/dev/null || echo unknown)" != "$(readlink /proc/self/ns/mnt)" ]; then
        space=mount
    fi
    [ "$space" = same ] || root=/proc/$pid/root
    home=${java%/bin/*}
    version=
    for file in "$root$home/release" "$root${home%/jre}/release"; do
        [ -n "$version" ] || version=$(sed -n 's/^JAVA_VERSION="\(.*\)"/\1/p' "$file" 2>/dev/null | head -n 1)
    done
    major=${version#1.}
    major=${major%%[!0-9]*}
    flags=$(arguments_of "$pid" | grep -e '^-XX:' -e '^-Xm' -e '^-Xrs' | grep -v '[^ -~]' | head -n 40 | tr '\n' ' ')
    find_jcmd
    sudo=
    if [ "$(id -u)" != 0 ] && { [ "$uid:$gid" != "$(id -u):$(id -g)" ] || [ -z "$java" ] || [ "$space" != same ]; }; then
        sudo=root
    fi
}

# Every JVM, a line each.
table() {
    table_any=
    for pid in $(all_jvms); do
        matches "$pid" || continue
        look_at
        table_any=yes
        table_rss=$(status_of "$pid" VmRSS)
        table_heap=$(printf '%s\n' "$flags" | tr ' ' '\n' | grep -e '^-Xmx' -e '^-XX:MaxRAMPercentage' | tail -n 1)
        printf '%s, java %s, %s MiB in memory%s\n' "$(describe "$pid")" "${version:-unknown}" \
            "$((${table_rss%% *} / 1024))" "${table_heap:+, $table_heap}"
    done
    [ -n "$table_any" ] || printf 'no JVM runs here\n'
}

service=${FAB_PARAM_SERVICE:-}
match=${FAB_PARAM_MATCH:-}
case $service in
-* | *[!A-Za-z0-9@._:\\-]*) fail "service=$service is no name of a unit" ;;
esac

if [ "${1:-}" = list ]; then
    table
    exit 0
fi
if [ -n "${1:-}" ]; then
    pid=${1%%:*}
    [ "$(start_of "$pid")" = "${1#*:}" ] || fail "PID $pid is gone: the JVM ended or was restarted since it was found"
else
    find_pid
fi
look_at
start=$(start_of "$pid") || fail "PID $pid ended while it was looked at"
name=${service:-$(unit_of "$pid")}
if [ -n "$name" ]; then
    name=${name%.service}
else
    name=$(program_of "$pid")
    case $name in
    *.jar | *.war) name=${name%.?ar} ;;
    *) name=${name##*[./]} ;;
    esac
fi
# Part of file names.
name=$(printf '%s' "$name" | tr -c 'A-Za-z0-9._-' '_' | cut -c 1-40)

printf '{"pid":"%s","found":"%s","sudo":"%s","uid":"%s","user":%s,"name":%s,"version":%s,"java":%s,"flags":%s,"space":"%s","what":%s,"handle":%s}\n' \
    "$pid" "$pid:$start" "$sudo" "$uid" "$(json_string "$(user_of "$pid")")" "$(json_string "${name:-jvm}")" \
    "$(json_string "${version:-unknown}")" "$(json_string "$java")" "$(json_string "$flags")" "$space" \
    "$(json_string "$(describe "$pid")")" \
    "$(json_string "$pid:$start:$uid:$gid:$inner_pid:$space:${major:-0}:$jcmd")"
