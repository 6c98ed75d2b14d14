# The supervisor: read from stdin by the loader (supervise.rs) together with the functions fab_parts and
# fab_program, which are composed for one command, and these values:
#   fab_nonce    marks our own lines among the program's output
#   fab_grace    tenths of a second between TERM and KILL
#   fab_silence  seconds without a byte on stdin after which the program is ended
#   fab_dir      "need" where fab_parts writes files, else empty
#   fab_in       the program's stdin: "" (/dev/null) or a file name below fab_dir
#   fab_full     set by the loader where `dd iflag=fullblock` works
# POSIX sh: dash, bash and busybox run it. Every name begins with fab_, as an exported variable of the
# same name would change for the program too.

# Exactly $1 bytes of the preamble. busybox's `head -c` would read ahead and lose what follows.
fab_take() {
  if [ -n "$fab_full" ]; then dd bs="$1" count=1 iflag=fullblock <&3 2>/dev/null
  else dd bs=1 count="$1" <&3 2>/dev/null; fi
}

fab_say() { printf '\036%s %s\n' "$fab_nonce" "$1"; }

# The marker is the last thing on both streams, so that each is known to be complete.
fab_end() {
  [ -z "$fab_dir" ] || rm -rf "$fab_dir"
  fab_say "$1" >&4
  fab_say "$1"
  exit 0
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

# Blocks on the lifeline and ends the program at its end, or after fab_silence seconds without a byte. Holds
# none of the program's streams. Ended by TERM when the program ends first.
fab_watch() {
  exec >/dev/null 2>&1
  # The first byte comes after a second: a shorter program costs no process but this one.
  read -r fab_l <&3 || fab_stop
  (read -t 1 fab_l </dev/null)
  if [ $? -eq 1 ]; then
    # bash and busybox can wait so long by themselves.
    while read -t "$fab_silence" -r fab_l <&3; do :; done
    fab_stop
  fi
  fab_c=
  trap '[ -z "$fab_c" ] || kill "$fab_c"; exit 143' TERM
  while :; do
    timeout "$fab_silence" sh -c 'read -r fab_l || exit 41; exit 40' <&3 3<&- 4>&- &
    fab_c=$!
    wait "$fab_c"
    case $? in
    40) ;;
    41 | 124 | 137 | 143) break ;;
    # There is no timeout, or it is an old busybox's, which takes the seconds for a program.
    *)
      cat <&3 3<&- 4>&- &
      fab_c=$!
      wait "$fab_c"
      break
      ;;
    esac
  done
  fab_c=
  fab_stop
}

fab_main() {
  exec 3<&0 4>&2 </dev/null
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
  fab_say start
  fab_say start >&4
  if [ -n "$fab_dir" ]; then
    fab_dir=
    fab_dir=$(umask 077 && mktemp -d "${TMPDIR:-/tmp}/fab-rs.XXXXXX") || fab_end '126 f'
    (umask 077 && fab_parts) || fab_end '126 f'
  fi
  # The last line of the preamble: without it the sender died in the middle, and nothing may run.
  IFS= read -r fab_l <&3 && [ "$fab_l" = "$fab_nonce" ] || fab_end '126 c'
  if [ -n "$fab_in" ]; then fab_in=$fab_dir/$fab_in; else fab_in=/dev/null; fi
  [ -z "$fab_jobs" ] || set -m
  (fab_program) <"$fab_in" 3<&- 4>&- &
  fab_pid=$!
  [ -z "$fab_jobs" ] || set +m
  [ -z "$fab_group" ] || fab_say "pid $fab_pid"
  # What some shells say when a job is killed is not the program's output.
  exec 2>/dev/null
  (fab_watch) </dev/null &
  fab_w=$!
  # Not before: a fresh subshell would lose a TERM that arrives before it has put the trap off.
  trap 'fab_s=1; fab_signal TERM' TERM HUP INT
  while :; do
    fab_s=
    wait "$fab_pid"
    fab_r=$?
    [ -n "$fab_s" ] || break
  done
  # ksh says 256 and the signal.
  [ "$fab_r" -le 255 ] || fab_r=$((128 + fab_r % 128))
  kill "$fab_w"
  wait "$fab_w"
  case $? in
  0) fab_end "$fab_r g" ;;
  9) fab_end "$fab_r u" ;;
  *) fab_end "$fab_r n" ;;
  esac
}

fab_main
