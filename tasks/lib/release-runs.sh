#!/bin/sh
# Which release the processes of a unit have open: what runs, whatever a link says. Changes nothing.
#
# $1 is what the link to the release says. FAB_PARAM_DIR is the service's folder, FAB_PARAM_SERVICE the unit. With $2
# `look` it prints one JSON object; with `must` it fails unless that release and no other is open. A program
# that keeps no file of its release open cannot be told this way: that is said, and is a failure only where
# RELEASE_ASKS is empty, as then nobody asks it for its version either.
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

# --- release: the same in every script that has this block
# The folder of a service: releases/VERSION/FILE, the link `current` to one of these folders, and `prev` to the
# one before.
dir=${FAB_PARAM_DIR:-}
version=${FAB_PARAM_VERSION:-}
file=${FAB_PARAM_FILE:-}
case $dir in
/*[!/]*) ;;
*) fail "dir=$dir is no absolute path" ;;
esac
case /$dir/ in
*/../*) fail "dir=$dir is no plain path" ;;
esac
case $version in
[0-9A-Za-z]*) ;;
*) fail "version=$version cannot name a folder" ;;
esac
case $version in
*[!0-9A-Za-z._+~-]*) fail "version=$version cannot name a folder" ;;
esac
case $file in
[0-9A-Za-z_]*) ;;
*) fail "file=$file is no name of a file" ;;
esac
case $file in
*/*) fail "file=$file is no name of a file" ;;
esac
while [ "$dir" != "${dir%/}" ]; do
    dir=${dir%/}
done

# link_of NAME: what the link of this name in the folder says; nothing where there is none.
link_of() {
    readlink "$dir/$1" 2>/dev/null || :
}

# folder_of TEXT: the folder that a link with this text leads to; fails where there is none.
folder_of() {
    [ -n "$1" ] && (unset CDPATH && cd -P "$dir" && cd -P "$1" && pwd -P) 2>/dev/null
}
# --- end of release

# processes: the numbers of the unit's.
processes() {
    group=$(systemctl show -p ControlGroup -- "$FAB_PARAM_SERVICE" 2>/dev/null | sed -n 's/^ControlGroup=//p')
    [ -n "$group" ] || return 0
    for process in /proc/[0-9]*; do
        while IFS= read -r line; do
            case $line in
            *":$group" | *":$group/"*)
                printf '%s\n' "${process#/proc/}"
                break
                ;;
            esac
        done 2>/dev/null <"$process/cgroup"
    done
}

# open_in PID: every file that it has open, runs, or has mapped.
open_in() {
    ls -l "/proc/$1/fd" "/proc/$1/exe" 2>/dev/null | sed -n 's/.* -> //p'
    sed -n 's/^[^/]*//p' "/proc/$1/maps" 2>/dev/null
}

back=$(folder_of "$1") || back=
releases=$(cd -P "$dir/releases" 2>/dev/null && pwd -P) || fail "there is no $dir/releases"
wanted=
others=
for pid in $(processes); do
    # A folder of releases, or the one that the link leads to wherever it is.
    found=$(open_in "$pid" | while IFS= read -r path; do
        case $path in
        "${back:-/}"/*) printf '/\n' ;;
        "$releases"/*/*)
            path=${path#"$releases/"}
            printf '%s\n' "${path%%/*}"
            ;;
        esac
    done | sort -u)
    while IFS= read -r name; do
        case $name in
        '') ;;
        /) wanted=$pid ;;
        *) others=$name ;;
        esac
    done <<END
$found
END
done

name=${back##*/}
linked=false
[ -z "$back" ] || [ "$(folder_of "$(link_of current)")" != "$back" ] || linked=true
runs=unseen
[ -z "$wanted" ] || runs=yes
[ -z "$others" ] || runs=no
if [ "$2" = look ]; then
    printf '{"linked":%s,"runs":"%s","others":%s}\n' "$linked" "$runs" "$(json_string "$others")"
    exit 0
fi
[ "$linked" = true ] || fail "$dir/current is $(link_of current), not $1: somebody switched it meanwhile"
case $runs in
yes) printf '%s runs %s (PID %s has it open)\n' "$FAB_PARAM_SERVICE" "$name" "$wanted" ;;
no) fail "$FAB_PARAM_SERVICE still has $others open, not $name alone: it does not run what $dir/current says" ;;
*)
    [ -n "${RELEASE_ASKS:-}" ] ||
        fail "$FAB_PARAM_SERVICE has no file of any release open: what it runs cannot be seen; give version_path"
    printf '%s has no file of a release open; its own word counts\n' "$FAB_PARAM_SERVICE"
    ;;
esac
