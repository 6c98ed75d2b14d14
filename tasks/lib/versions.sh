#!/bin/sh
# What a host runs, a line each: system, kernel, Java, OpenSSH, and since when it is up. Changes nothing.
#
# FAB_PARAM_UPTIME `false` leaves out the line that differs on every host, so that `-b` can gather equal ones.
set -u
LC_ALL=C
export LC_ALL

os=$(sed -n 's/^PRETTY_NAME="\{0,1\}\([^"]*\)"\{0,1\}$/\1/p' /etc/os-release 2>/dev/null)
kernel=$(uname -r)
# A kernel that is installed but not booted wants a reboot.
newest=$(ls -d /lib/modules/*/kernel 2>/dev/null | sed 's|/lib/modules/||; s|/kernel$||' | sort -V 2>/dev/null | tail -n 1)
wants=
[ -z "$newest" ] || [ "$newest" = "$kernel" ] || wants=" ($newest is installed: a reboot is due)"
[ ! -e /run/reboot-required ] && [ ! -e /var/run/reboot-required ] || wants=' (the system asks for a reboot)'
java=$(java -version 2>&1 </dev/null | grep -v '^Picked up' | sed -n '1s/"//gp; 1{/"/!p;}' | head -n 1)
sshd=
for program in /usr/sbin/sshd /usr/local/sbin/sshd "$(command -v sshd 2>/dev/null)"; do
    [ -n "$program" ] && [ -x "$program" ] || continue
    sshd=$("$program" -V 2>&1 </dev/null | sed -n 's/.*\(OpenSSH_[^,]*\),.*/\1/p' | head -n 1)
    break
done
printf 'os      %s\n' "${os:-unknown}"
printf 'kernel  %s%s\n' "$kernel" "$wants"
if command -v java >/dev/null 2>&1; then
    printf 'java    %s\n' "$java"
else
    printf 'java    not on the PATH\n'
fi
printf 'sshd    %s\n' "${sshd:-unknown}"
[ "${FAB_PARAM_UPTIME:-true}" = true ] || exit 0
read -r up _ </proc/uptime
up=${up%.*}
read -r load1 load5 load15 _ </proc/loadavg
printf 'up      %d days %d h %d min, load %s %s %s\n' "$((up / 86400))" "$((up % 86400 / 3600))" "$((up % 3600 / 60))" "$load1" "$load5" "$load15"
