# Process 1 of a host, inside its new pid, mount and uts namespaces (and user namespace, where the lab is not root).
# Makes the host's private file system, starts its units, then becomes sshd. Argument: the host's folder.
set -eu
cd "$1"
. ./host.env
if [ "$LAB_MODE" = root ]; then
    hostname "$LAB_NAME"
else
    hostname "$LAB_NAME" 2>/dev/null || echo "$LAB_NAME" > /proc/sys/kernel/hostname
fi

tmpfs() { mount -t tmpfs -o "mode=$1,size=$2" tmpfs "$3"; }

# As root: an overlay over the machine's own root, so that nothing a task writes on the host reaches the machine.
root_fs() {
    top="$PWD/mnt"
    tmpfs 0755 1g "$top"
    mkdir "$top/up" "$top/work" "$top/root"
    mount -t overlay overlay -o "lowerdir=/,upperdir=$top/up,workdir=$top/work" "$top/root"
    root="$top/root"
    # Other disks of the machine (a separate /usr or /home), read-only.
    while read -r _ _ _ _ point _ rest; do
        case "$point" in / | /proc* | /sys* | /dev* | /run* | /tmp* | /mnt/* | "$PWD"/*) continue ;; esac
        case "$rest" in *' - ext'* | *' - xfs '* | *' - btrfs '* | *' - zfs '*) ;; *) continue ;; esac
        [ ! -d "$root$point" ] || mount -o bind,ro "$point" "$root$point" 2>/dev/null || true
    done < /proc/self/mountinfo
    for dir in proc dev sys; do mount --rbind "/$dir" "$root/$dir"; done
    tmpfs 0755 64m "$root/run"
    tmpfs 1777 512m "$root/tmp"
    tmpfs 1777 "$LAB_VAR_TMP" "$root/var/tmp"
    tmpfs 0755 256m "$root/home"
    mkdir -p "$root$PWD"
    mount --bind "$PWD" "$root$PWD"
    mkdir -p "$root$LAB_TOOLS"
    cp -R "$LAB_SOURCE/." "$root$LAB_TOOLS"
    chmod -R a+rX "$root$LAB_TOOLS"
    mkdir -p "$root/.old"
    cd "$root"
    pivot_root . .old
    cd "$1"
    umount -l /.old
    rmdir /.old
    accounts
    for tool in systemctl journalctl; do
        cp "$LAB_TOOLS/$tool" /usr/local/bin/
        ln -sf "../bin/$tool" "/usr/local/sbin/$tool"
    done
    for tool in reboot shutdown; do
        rm -f "/usr/sbin/$tool"
        cp "$LAB_TOOLS/reboot" "/usr/sbin/$tool"
        ln -sf "../../sbin/$tool" "/usr/local/bin/$tool"
    done
    for command in $LAB_WITHOUT; do rm -f "/usr/bin/$command" "/usr/sbin/$command" "/bin/$command" "/sbin/$command"; done
    ln -sf "$LAB_SHELL" /usr/bin/sh
    cp hosts /etc/hosts
    echo "$LAB_NAME" > /etc/hostname
    mkdir -p /run/sshd /run/lock /run/lab-units
    chmod 1777 /run/lock
}

accounts() {
    printf 'deploy:x:2001:2001::/home/deploy:%s\napp:x:2002:2002::/home/app:/bin/sh\n' "$LAB_LOGIN_SHELL" >> /etc/passwd
    printf 'deploy:x:2001:\napp:x:2002:\n' >> /etc/group
    printf 'deploy:%s:19000:0:99999:7:::\napp:*:19000:0:99999:7:::\n' "$LAB_PASSWORD" >> /etc/shadow
    rm -rf /etc/sudoers
    {
        echo 'Defaults env_reset'
        echo 'Defaults secure_path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"'
        echo 'root ALL=(ALL:ALL) ALL'
        case "$LAB_SUDO" in
        yes) echo 'deploy ALL=(ALL:ALL) NOPASSWD: ALL' ;;
        password) echo 'deploy ALL=(ALL:ALL) ALL' ;;
        esac
    } > /etc/sudoers
    chmod 0440 /etc/sudoers
    for user in deploy app; do
        mkdir -m 0755 "/home/$user"
        if [ -n "$LAB_NOISE" ]; then shell_noise "/home/$user"; fi
        chown -R "$user:$user" "/home/$user"
    done
    cp authorized_keys /etc/ssh/lab_authorized_keys
    chmod 0644 /etc/ssh/lab_authorized_keys
}

shell_noise() {
    for file in .bashrc .profile .bash_profile; do
        printf 'echo "noise from %s"\necho "noise from %s on stderr" >&2\n' "$file" "$file" > "$1/$file"
    done
}

# Without root: private temporary folders, a home, and single files bound over the machine's.
user_fs() {
    # The lab may live below /tmp: it is kept aside and put back.
    mount --bind "$LAB_BASE" /mnt
    tmpfs 1777 512m /tmp
    tmpfs 1777 "$LAB_VAR_TMP" /var/tmp
    tmpfs 0755 64m /run
    if [ -d "$1" ]; then
        umount /mnt
    else
        mkdir -p "$LAB_BASE"
        mount --bind /mnt "$LAB_BASE"
        umount /mnt
        cd "$1"
    fi
    mkdir -p /run/lock /run/lab-units
    chmod 1777 /run/lock
    tmpfs 0755 256m home
    if [ -n "$LAB_NOISE" ]; then shell_noise home; fi
    mount --bind hosts /etc/hosts
    me=$(getent passwd "$LAB_UID")
    user=${me%%:*}
    { grep -v "^$user:" /etc/passwd; echo "$user:x:$LAB_UID:$LAB_GID::$PWD/home:$LAB_LOGIN_SHELL"; } > passwd
    mount --bind passwd /etc/passwd
    for command in $LAB_WITHOUT; do
        for path in "/usr/bin/$command" "/usr/sbin/$command"; do
            [ ! -e "$path" ] || mount --bind /dev/null "$path"
        done
    done
    if [ "$(readlink -f /bin/sh)" != "$(readlink -f "$LAB_SHELL")" ]; then mount --bind "$LAB_SHELL" "$(readlink -f /bin/sh)"; fi
}

if [ "$LAB_MODE" = root ]; then root_fs "$1"; else user_fs "$1"; fi
# Every host has a boot id of its own, new each time it starts.
cat /proc/sys/kernel/random/uuid > /run/boot_id
mount --bind /run/boot_id /proc/sys/kernel/random/boot_id

if [ "$LAB_MODE" = root ]; then
    . "$LAB_TOOLS/become.sh"
else
    exec unshare -U "--map-user=$LAB_UID" "--map-group=$LAB_GID" sh "$LAB_TOOLS/become.sh"
fi
