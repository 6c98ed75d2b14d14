# The supervisor: read from stdin by the loader (supervise.rs) together with talk.sh, group.sh, and the functions fab_parts and
# fab_program, which are composed for one command, and these values:
#   fab_nonce    marks our own lines among the program's output
#   fab_grace    tenths of a second between TERM and KILL
#   fab_silence  seconds without a byte on stdin after which the program is ended
#   fab_dir      "need" where fab_parts writes files, else empty
#   fab_in       the program's stdin: "" (/dev/null) or a file name below fab_dir
#   fab_full     set by the loader where `dd iflag=fullblock` works
# POSIX sh: dash, bash and busybox run it. Every name begins with fab_, as an exported variable of the
# same name would change for the program too.

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
  fab_ways
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
