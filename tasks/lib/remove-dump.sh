#!/bin/sh
# Removes a folder that heap-dump.sh or thread-dump.sh made, and says so if something else is in it.
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

dir=$1
case $dir in
/*/fab-rs-heap.?????? | /*/fab-rs-threads.??????) ;;
*) fail "$dir is no folder of ours: nothing removed" ;;
esac
[ -d "$dir" ] && [ ! -L "$dir" ] || fail "$dir is gone already"
enter_ours "$dir" || fail "$dir is no folder of ours: nothing removed"
rm -f -- ./heapdump-*.hprof* ./threaddump-*.txt
cd -P .. 2>/dev/null
rmdir -- "./${dir##*/}" || fail "$dir stays: something else is in it"
