# What `doctor` asks a host: one line `KEY VALUE` an answer. POSIX sh; changes nothing.
LC_ALL=C
export LC_ALL
echo "system $(uname -sr), user $(id -un)"
echo "clock $(date +%s)"
if command -v sudo >/dev/null 2>&1; then
    if words=$(sudo -n true 2>&1); then echo "sudo yes"; else echo "sudo $(printf '%s' "$words" | head -n 1)"; fi
else
    echo "sudo there is no sudo"
fi
for tool in setsid timeout sha256sum mktemp dd; do
    command -v "$tool" >/dev/null 2>&1 || echo "missing $tool"
done
df -P / /tmp /var/tmp 2>/dev/null | awk 'NR > 1 && !seen[$6]++ { print "disk", $5, $4, $6 }'
exit 0
