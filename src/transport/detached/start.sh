# Starts a detached step: read by the loader in the place of boot.sh, with talk.sh, group.sh, folder.sh, fab_parts and
#   fab_base fab_run fab_name  the step's folder
#   fab_dir                    "need": fab_parts writes `run` (runner.sh and the program) and the step's files
# Prints `started`, or `there` where it had begun. Every start that finds it not begun prepares and launches a runner
# in a folder of its own, `try.X`, whatever an earlier one left: which of them runs the program, and that only one
# does, is decided by `begun`, which the runner makes (runner.sh). Ends with 4 where it was decided that it never is.

fab_refuse() {
  printf '%s\n' "$1" >&2
  fab_end '3 n'
}

# Takes away what this start made.
fab_clear() {
  rm -rf "./$fab_dir"
  fab_dir=
  fab_at=$(pwd)
  cd .. && rmdir "./$fab_name" 2>/dev/null
}

# Whoever began meanwhile needs no room of ours.
fab_full() {
  fab_settled
  fab_clear
  fab_refuse "cannot write in $fab_at: its disk is full, read-only or without hard links"
}

fab_settled() {
  [ ! -L ./begun ] || fab_end '4 n'
  [ ! -e ./begun ] || { echo there; fab_end '0 n'; }
}

# The room for the runner's words is taken now, as it may be gone later.
fab_prepare() {
  fab_parts && : >>./out && : >>./err || return
  for fab_f in who status; do
    printf '%-79s\n' . >"./$fab_dir/$fab_f" || return
  done
  ln "./$fab_dir/who" "./$fab_dir/linked"
}

# In a group of its own and, for root under systemd, out of the login's scope, which may be ended with the login.
# The program starts once, however often a runner is launched.
fab_launch() {
  [ -n "$fab_setsid" ] || trap '' HUP
  if [ "$(id -u)" = 0 ] && [ -d /run/systemd/system ] && command -v systemd-run >/dev/null; then
    exec $fab_setsid sh -c 'systemd-run --scope --quiet -- sh "$1/run" || exec sh "$1/run"' sh "./$fab_dir"
  fi
  exec $fab_setsid sh "./$fab_dir/run"
}

fab_main() {
  exec 3<&0 4>&2 </dev/null
  fab_ways
  fab_say start
  fab_say start >&4
  fab_dir=
  fab_home=$(pwd -P 2>/dev/null) || fab_home=/
  export fab_home
  fab_tries=
  while :; do
    fab_go make && fab_into "$fab_name" make && break
    # The last step of the run that ended here takes the run's folder away.
    [ $? = 1 ] && [ "$fab_tries" != ... ] || fab_refuse "$fab_why"
    fab_tries=$fab_tries.
  done
  fab_settled
  fab_dir=$(umask 077 && mktemp -d ./try.XXXXXX 2>/dev/null) || fab_full
  fab_dir=${fab_dir#./}
  (umask 077 && fab_prepare) 2>/dev/null || fab_full
  # The last line of the preamble: without it the sender died in the middle, and nothing may run.
  IFS= read -r fab_l <&3 && [ "$fab_l" = "$fab_nonce" ] || { fab_clear; fab_end '126 c'; }
  [ -z "$fab_jobs" ] || set -m
  (fab_launch) </dev/null >/dev/null 2>&1 3<&- 4>&- &
  [ -z "$fab_jobs" ] || set +m
  # The runner removes it.
  fab_dir=
  echo started
  fab_end '0 n'
}

fab_main
