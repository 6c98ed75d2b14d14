# Builds the root file system that all machines of the full tier share. Arguments: an empty folder, the suite, the
# components. LAB_MIRROR may name another mirror. The name of the cached tree is a hash of this file: see full/tree.rs.
set -eu
root=$1
suite=$2
components=$3
packages=systemd,systemd-sysv,dbus,procps,openssh-server,sudo,curl,zstd,iproute2,libstdc++6,zlib1g
# ZooKeeper without what its package pulls in: a JRE (machines have the controller's JDK) and a web server.
libraries='libzookeeper-java libslf4j-java libnetty-java libdropwizard-metrics-java libsnappy-java
libjackson2-core-java libjackson2-databind-java libjackson2-annotations-java libcommons-cli-java libcommons-io-java'

debootstrap --variant=minbase --include="$packages" --components="$components" "$suite" "$root" ${LAB_MIRROR:+"$LAB_MIRROR"}
in_root() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"; }

in_root apt-get update -q
# shellcheck disable=SC2086 # a list of names
in_root sh -ec 'mkdir /tmp/deb; chmod 777 /tmp/deb; cd /tmp/deb; apt-get download -q "$@"; for deb in *.deb; do dpkg -x "$deb" /; done
rm -r /tmp/deb; apt-get clean; rm -rf /var/lib/apt/lists/*' sh $libraries

in_root groupadd --gid 2001 deploy
in_root groupadd --gid 2002 app
in_root useradd --uid 2001 --gid 2001 --create-home --shell /bin/sh --password '*' deploy
in_root useradd --uid 2002 --gid 2002 --create-home --shell /bin/sh --password '*' app

# Each machine brings its own name, id, keys, units.
rm -f "$root"/etc/hostname "$root"/etc/machine-id "$root"/etc/ssh/ssh_host_* "$root"/etc/resolv.conf
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
    fstrim.timer systemd-tmpfiles-clean.timer getty.target console-getty.service sys-fs-fuse-connections.mount \
    dev-hugepages.mount modprobe@.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
# A journal that outlives a reboot.
mkdir -p "$root/var/log/journal" "$root/etc/systemd/journald.conf.d"
printf '[Journal]\nSystemMaxUse=16M\nRateLimitIntervalSec=0\n' > "$root/etc/systemd/journald.conf.d/lab.conf"

# Debian's own sshd_config, and this.
cat > "$root/etc/ssh/sshd_config.d/lab.conf" <<'END'
HostKey /etc/ssh/ssh_host_ed25519_key
AuthorizedKeysFile /etc/ssh/lab_authorized_keys
PasswordAuthentication no
PrintLastLog no
LogLevel VERBOSE
MaxStartups 1000
MaxSessions 1000
AllowUsers deploy
END

# What a task runs on a machine to take its service out of the load balancer, and to put it back.
for action in drain restore; do
    printf '#!/bin/sh\nexec curl -fsS --max-time 5 -X POST "http://127.0.0.1:${1:-8080}/%s"\n' "$action" > "$root/usr/local/bin/$action"
    chmod 755 "$root/usr/local/bin/$action"
done
