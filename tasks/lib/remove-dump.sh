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

dir=$1
case $dir in
/*/fab-rs-heap.?????? | /*/fab-rs-threads.??????) ;;
*) fail "$dir is no folder of ours: nothing removed" ;;
esac
[ -d "$dir" ] && [ ! -L "$dir" ] || fail "$dir is gone already"
rm -f -- "$dir"/heapdump-*.hprof* "$dir"/threaddump-*.txt
rmdir -- "$dir" || fail "$dir stays: something else is in it"
