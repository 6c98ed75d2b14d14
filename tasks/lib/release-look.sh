#!/bin/sh
# Whether a release can be put beside the present one, and whether it is there already, as one JSON object.
# Changes nothing.
#
# $1 and $2 are the SHA-256 and the size of the artifact. FAB_PARAM_DIR is the service's folder, FAB_PARAM_VERSION the
# release's name, FAB_PARAM_FILE the artifact's name in it, FAB_PARAM_FROM the versions that may be there now (any,
# where it is empty). The same version with another content is refused: what a host runs must be what it says.
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

sha256=$1
size=$2

[ -d "$dir" ] || fail "there is no $dir on this host: dir= names the folder of the service"
[ -L "$dir/current" ] || [ ! -e "$dir/current" ] ||
    fail "$dir/current is no link: a release is switched by such a link, to a folder in $dir/releases"
[ -L "$dir/current" ] || fail "there is no link $dir/current: a release is switched by such a link, to a folder in $dir/releases"
current=$(folder_of "$(link_of current)") || fail "$dir/current leads nowhere: it is a link to $(link_of current)"
now=${current##*/}
if [ -n "${FAB_PARAM_FROM:-}" ] && [ "$now" != "$version" ]; then
    case ,$FAB_PARAM_FROM, in
    *",$now,"*) ;;
    *) fail "this host has $now, which is none of from=$FAB_PARAM_FROM" ;;
    esac
fi

# What starts chef by the clock may put back what it knows.
chef=
for place in /etc/crontab /etc/cron.d/* /var/spool/cron/* /var/spool/cron/crontabs/*; do
    if [ -f "$place" ] && grep -Eq '^[^#]*chef-(client|solo)' "$place" 2>/dev/null; then
        chef=$place
    fi
done
for unit in chef-client.timer chef-solo.timer chef-client.service; do
    if [ -z "$chef" ] && systemctl is-active --quiet "$unit" >/dev/null 2>&1; then
        chef=$unit
    fi
done

answer() {
    printf '{"staged":%s,"now":%s,"chef":%s,"what":%s}\n' "$1" "$(json_string "$now")" "$(json_string "$chef")" "$(json_string "$2")"
    exit 0
}

release=$dir/releases/$version
if [ -e "$release" ] || [ -L "$release" ]; then
    [ -f "$release/$file" ] ||
        fail "$release is there without $file: somebody else's; remove it, or give another version"
    there=$(sha256_of "$release/$file")
    [ "$there" = "$sha256" ] ||
        fail "$version is there with another content: $release/$file has the SHA-256 $there, not $sha256; give another version"
    answer true "$version is there already; $now is current"
fi

place=$dir
[ ! -d "$dir/releases" ] || place=$dir/releases
# Twice: while it arrives, and for what the service then writes.
wanted=$((size * 2))
free=$(free_in "$place")
[ "${free:-0}" -ge "$wanted" ] ||
    fail "no room in $place: $(human "${free:-0}") are free, twice the artifact is $(human "$wanted")"
inodes=$(df -Pi "$place" 2>/dev/null | awk 'NR > 1 { total = $2; free = $4 } END { print (total + 0 > 0 ? free + 0 : "") }')
[ -z "$inodes" ] || [ "$inodes" -ge 16 ] || fail "no room in $place: only $inodes inodes are free"
answer false "$now is current, $(human "$free") are free"
