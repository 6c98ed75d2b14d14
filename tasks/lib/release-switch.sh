#!/bin/sh
# Makes a release the current one, by one rename. Prints one line. Can be run again.
#
# $1 is what the link `current` is to say, $2 what `prev` is to say; nothing takes that link away. FAB_PARAM_DIR is
# the service's folder, FAB_PARAM_FILE the artifact's name in a release.
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

# point NAME TEXT: `ln -sfn` alone would remove the link first, and for a moment there would be none.
point() {
    [ -L "$dir/$1" ] || [ ! -e "$dir/$1" ] || fail "$dir/$1 is no link: nothing was switched"
    ln -sfn -- "$2" "$dir/.$1.new" && mv -T -- "$dir/.$1.new" "$dir/$1" || fail "cannot switch $dir/$1"
}

wanted=$(folder_of "$1") || fail "there is no $1 in $dir: nothing was switched"
[ -f "$wanted/$file" ] || fail "there is no $wanted/$file: nothing was switched"
# First: whoever finds `current` switched finds here what it was.
if [ -n "$2" ]; then
    point prev "$2"
elif [ -L "$dir/prev" ]; then
    rm -f -- "$dir/prev"
fi
point current "$1"
sync -- "$dir" 2>/dev/null || sync
printf '%s/current is %s\n' "$dir" "$1"
