# Says what is left of a command that was ended: of its session and group, $1, and of whatever carries its mark, $2, in
# its environment, also where that went into a session of its own. A line each, "PID COMMAND"; the last is "end".
# POSIX sh: dash, bash and busybox run it.

# Living members of the session or group. Zombies are dead; grep, as shells read /proc byte by byte.
members() {
  found=
  if [ -r /proc/self/stat ] && command -v grep >/dev/null; then
    found=$(grep -lsE "\\) [^ZX] [0-9]+ ($1 [0-9]+|[0-9]+ $1) " /proc/[0-9]*/stat | cut -d/ -f3)
  elif kill -0 "-$1" 2>/dev/null; then
    found=$1
  fi
  # EPERM: somebody else's process is in the group, and /proc does not show it to us.
  case $(LC_ALL=C kill -0 "-$1" 2>&1) in
  *ermitted*) found=${found:-$1} ;;
  esac
  [ -n "$found" ]
}

# What is about to end is waited for.
tries=3
while members "$1" && [ "$tries" -gt 0 ]; do
  tries=$((tries - 1))
  sleep 1
done
marked=
if [ -r /proc/self/environ ] && command -v grep >/dev/null; then
  marked=$(grep -lsF "FAB_MARK=$2" /proc/[0-9]*/environ | cut -d/ -f3)
fi
for pid in $(printf '%s\n' $found $marked | sort -un | head -n 20); do
  # It may have ended meanwhile.
  [ -d "/proc/$pid" ] || [ ! -d /proc/self ] || continue
  words=$(tr '\0\n' '  ' <"/proc/$pid/cmdline" 2>/dev/null | cut -c1-100)
  printf '%s %s\n' "$pid" "$words"
done
echo end
