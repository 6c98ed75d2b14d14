#!/bin/sh
# Compresses a heap dump after the fact, at the lowest priority, and prints its digest as one JSON object.
#
# $1 is the dump. FAB_PARAM_COMPRESS: `auto` (zstd, else gzip, else not), `zstd`, `gzip` or `none`. The original
# goes only when the compressed copy has been read back whole; without room for the copy it stays as it is.
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

# The application needs the machine more than we do.
gently() {
    if ionice -c 3 true 2>/dev/null; then
        nice -n 19 ionice -c 3 "$@"
    else
        nice -n 19 "$@"
    fi
}

# pack_with TOOL: makes $copy of $file, and reads it back. Not through a name that is there already.
pack_with() {
    set -C
    case $1 in
    zstd)
        gently zstd -1 -q -T2 -c -- "./$file" >"./$copy" && gently zstd -q -t -- "./$copy"
        ;;
    gzip)
        gently gzip -1 -c -- "./$file" >"./$copy" && gently gzip -t -- "./$copy"
        ;;
    esac
}

dir=${1%/*}
file=${1##*/}
copy=
trap '[ -z "$copy" ] || rm -f -- "./$copy"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

[ -d "$dir" ] || fail "$1 is gone"
enter_ours "$dir" || fail "$dir is no folder of ours: nothing packed"
case $(what_is "./$file") in
*' 1 regular'*) ;;
*) fail "$1 is gone" ;;
esac
raw=$(wc -c <"./$file" | tr -d ' ')
tool=${FAB_PARAM_COMPRESS:-auto}
note=
case $tool in
auto)
    if command -v zstd >/dev/null 2>&1; then
        tool=zstd
    elif command -v gzip >/dev/null 2>&1; then
        tool=gzip
    else
        tool=none
        note='not compressed: this host has neither zstd nor gzip'
    fi
    ;;
zstd | gzip)
    command -v "$tool" >/dev/null 2>&1 || {
        note="not compressed: this host has no $tool"
        tool=none
    }
    ;;
esac

packed=none
case $tool in
zstd | gzip)
    suffix=gz
    [ "$tool" = gzip ] || suffix=zst
    copy=$file.$suffix
    # Not through a name that is there already, a link least of all.
    if [ ! -e "./$copy" ] && [ ! -L "./$copy" ] && said=$(pack_with "$tool" 2>&1); then
        rm -f -- "./$file"
        file=$copy packed=$tool
    else
        rm -f -- "./$copy"
        note="not compressed: $tool failed: $(printf '%s' "${said:-the name is taken}" | tail -n 1)"
    fi
    copy=
    ;;
esac
chmod 0600 "./$file"
bytes=$(wc -c <"./$file" | tr -d ' ')
sha256=$(sha256_of "./$file")
[ ${#sha256} = 64 ] || fail "no tool for SHA-256 on this host (sha256sum, shasum, openssl): the dump stays in $dir/$file"

what="$(human "$raw")"
[ "$packed" = none ] || what="$what, $(human "$bytes") with $packed"
printf '{"file":%s,"bytes":%s,"raw_bytes":%s,"compression":"%s","sha256":"%s","what":%s}\n' \
    "$(json_string "$dir/$file")" "$bytes" "$raw" "$packed" "$sha256" "$(json_string "$what${note:+ ($note)}")"
