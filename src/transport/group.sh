# How a program is started in a group of its own, and how that group is ended: the part of the supervisor that
# boot.sh, detached/runner.sh and detached/detached.sh share. fab_grace (tenths of a second between TERM and KILL) and fab_dir (what is removed at
# the end, or nothing) are theirs. POSIX sh: dash, bash and busybox run it; every name begins with fab_.

# Finds out what this host has to make a group with.
fab_ways() {
  fab_setsid=$(command -v setsid 2>/dev/null)
  fab_env=$(command -v env 2>/dev/null)
  "$fab_env" --default-signal true 2>/dev/null || fab_env=
  # Shells ignore INT and QUIT for what they start in the background, and only a newer env undoes it.
  # With job control bash does not, and makes the group too; dash and busybox want a terminal for that.
  fab_jobs=
  if [ -n "$BASH_VERSION" ] && { [ -z "$fab_env" ] || [ -z "$fab_setsid" ]; }; then
    fab_jobs=1
    fab_setsid=
  fi
  fab_group=$fab_setsid$fab_jobs
}

# Starts the program: `exec`, so that its pid is the one that fab_main knows.
fab_exec() {
  if [ -n "$fab_env" ]; then
    case $1 in
    *=*) ;;
    *) exec $fab_setsid "$fab_env" --default-signal -- "$@" ;;
    esac
  fi
  [ -z "$fab_setsid" ] || exec $fab_setsid -- "$@"
  exec "$@"
}

# True while a process of the program's group is there, as far as kill can tell.
fab_there() {
  if [ -n "$fab_group" ]; then kill -0 "-$fab_pid" 2>/dev/null; else kill -0 "$fab_pid" 2>/dev/null; fi
}

# Lists the living processes of the program's session or group in fab_live; true if there is any. Zombies
# whose parent does not reap them are dead. grep, as shells read /proc byte by byte: seconds on a busy host.
fab_members() {
  fab_live=
  if [ -n "$fab_group" ] && [ -r /proc/self/stat ] && command -v grep >/dev/null; then
    fab_e="\\) [^ZX] [0-9]+ ($fab_pid [0-9]+|[0-9]+ $fab_pid) "
    for fab_p in $(grep -lsE "$fab_e" /proc/[0-9]*/stat); do
      fab_p=${fab_p#/proc/}
      fab_live="$fab_live ${fab_p%/stat}"
    done
  elif fab_there; then
    fab_live=$fab_pid
  fi
  # EPERM: somebody else's process is in the group, such as one that sudo started.
  case $(LC_ALL=C kill -0 "-$fab_pid" 2>&1) in
  *ermitted*) fab_live=${fab_live:-$fab_pid} ;;
  esac
  [ -n "$fab_live" ]
}

fab_signal() {
  if [ -n "$fab_group" ]; then
    # `kill -TERM -- -PGID` is refused by dash. The leader alone where setsid has not run yet.
    kill "-$1" "-$fab_pid" 2>/dev/null || kill "-$1" "$fab_pid" 2>/dev/null
    for fab_p in $fab_live; do kill "-$1" "$fab_p" 2>/dev/null; done
  else
    kill "-$1" "$fab_pid" 2>/dev/null
  fi
}

# Waits until the session is empty, $1 tenths of a second at most. The members are listed when the group has
# gone, and once a second for the sake of zombies.
fab_gone() {
  fab_i=0
  while :; do
    if ! fab_there || [ $((fab_i % 10)) -eq 9 ]; then
      fab_members || return 0
      # Those in groups of their own have not been told yet.
      [ -n "$fab_told" ] || fab_signal TERM
      fab_told=1
    fi
    [ "$fab_i" -lt "$1" ] || return 1
    if sleep 0.1 2>/dev/null; then fab_i=$((fab_i + 1)); else
      sleep 1
      fab_i=$((fab_i + 10))
    fi
  done
}

# Ends the program's session. 0 where its end is proved, 9 where it is not.
fab_stop() {
  trap '' TERM HUP INT
  fab_live=
  fab_told=
  fab_signal TERM
  if fab_gone "$fab_grace"; then fab_r=0; else
    fab_members
    fab_signal KILL
    if fab_gone 20; then fab_r=0; else fab_r=9; fi
  fi
  [ -n "$fab_group" ] || fab_r=9
  [ -z "$fab_dir" ] || rm -rf "$fab_dir"
  exit "$fab_r"
}

# When process $1 started, in fab_since, and its state, in fab_stat: with its number and the boot it names one
# process and no later one.
fab_started() {
  fab_since=- fab_stat=-
  { read -r fab_f <"/proc/$1/stat"; } 2>/dev/null || return 0
  set -- ${fab_f##*) }
  fab_stat=$1 fab_since=${20}
}
