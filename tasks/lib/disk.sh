#!/bin/sh
# How full the disks of a host are, a line each, fullest first: space and inodes. Changes nothing.
#
# FAB_PARAM_OVER leaves out what is less full than that many percent.
set -u
LC_ALL=C
export LC_ALL

over=${FAB_PARAM_OVER:-0}

# A dead network disk makes df wait for ever; then only the local ones are asked.
ask() {
    if timeout 1 true 2>/dev/null; then
        timeout 10 df "$@" 2>/dev/null || timeout 10 df -l "$@" 2>/dev/null
    else
        df "$@" 2>/dev/null
    fi
}

{
    ask -Pk | sed '1d; s/^/space /'
    # Absent where df knows no inodes.
    ask -Pi | sed '1d; s/^/inodes /'
} | awk -v over="$over" '
    function human(kib) {
        if (kib >= 1048576) return sprintf("%.1f GiB", kib / 1048576)
        if (kib >= 1024) return sprintf("%.0f MiB", kib / 1024)
        return sprintf("%d KiB", kib)
    }
    # Mount points may hold spaces: everything from the seventh word on.
    {
        mount = $7
        for (i = 8; i <= NF; i++) mount = mount " " $i
    }
    $2 ~ /^(devtmpfs|udev|efivarfs|squashfs|shm|dev)$/ || $2 ~ /^\/dev\/loop/ { next }
    mount ~ /^\/(proc|sys|dev)(\/|$)/ || mount ~ /^\/run\/(user|lock|credentials)/ { next }
    # Less than 1 MiB: made by the system for itself.
    $1 == "space" && $3 < 1024 { next }
    $1 == "space" {
        used = $3 > 0 && ($4 + $5) > 0 ? 100 * $4 / ($4 + $5) : 0
        space[mount] = used; size[mount] = $3; rest[mount] = $5; device[mount] = $2
    }
    $1 == "inodes" && $3 > 0 { inodes[mount] = 100 * $4 / $3 }
    END {
        for (mount in space) {
            worst = space[mount]
            if (inodes[mount] > worst) worst = inodes[mount]
            if (worst < over) continue
            # Rounded up, as df does.
            printf "%06.2f %3d %% of %9s used, %9s free", worst, int(space[mount] + 0.999), human(size[mount]), human(rest[mount])
            if (mount in inodes) printf ", inodes %2d %%", int(inodes[mount] + 0.999)
            printf "  %s (%s)\n", mount, device[mount]
        }
    }' | sort -r | cut -d ' ' -f 2- | grep . || printf 'no disk is %s %% full or more\n' "$over"
