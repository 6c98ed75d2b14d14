#!/bin/sh
# Makes a release of an artifact that has arrived as releases/.VERSION.part. Prints one line. What is active stays as it is.
#
# $1 is the artifact's SHA-256. FAB_PARAM_DIR is the service's folder, FAB_PARAM_VERSION the release's name,
# FAB_PARAM_FILE the artifact's name in it, FAB_PARAM_OWNER who is to own it (empty: who owns the current one).
# RELEASE_GIT, RELEASE_WHO and RELEASE_RUN go into the file VERSION beside it. The folder gets its name last: one
# of that name is whole, also after a crash. Can be run again.
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

# durable NAME...: on disk for good.
durable() {
    sync -- "$@" 2>/dev/null || sync
}

sha256=$1
cd -P "$dir/releases" 2>/dev/null || fail "there is no $dir/releases"
part=./.$version.part
new=.$version.new
if [ -f "./$version/$file" ]; then
    [ "$(sha256_of "./$version/$file")" = "$sha256" ] || fail "$dir/releases/$version is there with another content"
    rm -f -- "$part"
    printf '%s is there\n' "$version"
    exit 0
fi
[ ! -e "./$version" ] && [ ! -L "./$version" ] || fail "$dir/releases/$version is there without $file"

owner=${FAB_PARAM_OWNER:-}
[ -n "$owner" ] || owner=$(stat -Lc %u:%g -- "../current/$file" 2>/dev/null) || owner=
# What a run that was cut off left.
[ -f "$part" ] || [ ! -f "./$new/$file" ] || mv -f -- "./$new/$file" "$part"
rm -rf -- "./$new"
[ -f "$part" ] && [ ! -L "$part" ] || fail "the artifact has not arrived: there is no $dir/releases/.$version.part"
mkdir -- "./$new" && enter "$new" && is_ours || fail "somebody else changes $dir/releases: nothing was made"
mv -- "../.$version.part" "./$file" || fail "cannot move the artifact to $dir/releases/$new"
arrived=$(sha256_of "./$file")
if [ "$arrived" != "$sha256" ]; then
    rm -f -- "./$file"
    fail "what arrived has the SHA-256 $arrived, not $sha256: it was removed, nothing was made"
fi
printf 'version=%s\nsha256=%s\ngit=%s\nwho=%s\nwhen=%s\nrun=%s\n' "$version" "$sha256" \
    "${RELEASE_GIT:-}" "${RELEASE_WHO:-}" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "${RELEASE_RUN:-}" >./VERSION ||
    fail "cannot write $dir/releases/$new/VERSION"
chmod 0644 "./$file" ./VERSION || fail "cannot set the mode of $dir/releases/$new/$file"
[ -z "$owner" ] || chown "$owner" "./$file" 2>/dev/null || [ "$(id -u)" != 0 ] || fail "cannot give $file to $owner"
durable "./$file" ./VERSION .
cd -P .. 2>/dev/null || fail "cannot leave $dir/releases/$new"
chmod 0755 "./$new" && mv -T -- "./$new" "./$version" || fail "cannot rename $dir/releases/$new"
durable .
printf '%s is there: %s/releases/%s/%s\n' "$version" "$dir" "$version" "$file"
