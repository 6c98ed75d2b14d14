#!/bin/sh
# What a release is switched from, as one JSON object: the link's text to go back to. Changes nothing.
#
# FAB_PARAM_DIR is the service's folder, FAB_PARAM_VERSION the release that is to be active, FAB_PARAM_FILE the
# artifact's name in it, FAB_PARAM_FROM the versions that may be there now. FAB_PARAM_SERVICE is the unit.
# `back` is what `current` says or, where that is the release already, what `prev` says; `prev` is what the link
# of that name says now, `next` what it is to say after the switch.
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

release=$(cd -P "$dir/releases/$version" 2>/dev/null && pwd -P) || fail "$version is not staged: there is no $dir/releases/$version"
[ -f "$release/$file" ] || fail "$version is not staged: there is no $release/$file"
current=$(link_of current)
folder=$(folder_of "$current") || fail "$dir/current leads nowhere: it is a link to $current"
prev=$(link_of prev)
now=${folder##*/}
is_linked=false
if [ "$folder" = "$release" ]; then
    # Somebody switched and did not come to the end: only `prev` knows what was there before.
    is_linked=true
    back=$current
    next=$prev
    if before=$(folder_of "$prev") && [ "$before" != "$release" ]; then
        back=$prev
    fi
else
    case ,${FAB_PARAM_FROM:-}, in
    ,, | *",$now,"*) ;;
    *) fail "this host has $now, which is none of from=$FAB_PARAM_FROM" ;;
    esac
    back=$current
    next=$current
fi
printf '{"back":%s,"prev":%s,"next":%s,"now":%s,"linked":%s}\n' "$(json_string "$back")" "$(json_string "$prev")" \
    "$(json_string "$next")" "$(json_string "$now")" "$is_linked"
