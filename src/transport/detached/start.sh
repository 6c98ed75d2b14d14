# Starts a detached step: read by the loader in the place of boot.sh, with talk.sh, group.sh, folder.sh, fab_parts and
#   fab_base fab_run fab_name  the step's folder
#   fab_dir                    "need": fab_parts writes `run` (runner.sh and the program) and the step's files
# Prints `started`, or `there` where the folder is: whoever makes it starts the step, once, however often this is
# sent. Whether the program was really begun is what `begun` in the folder says: runner.sh.

fab_refuse() {
  printf '%s\n' "$1" >&2
  fab_end '3 n'
}

# The program's own folder for its files is removed with the rest where nothing was launched.
fab_full() {
  cd .. && rm -rf "./$fab_name"
  fab_refuse "cannot write in $fab_base/fab-rs/runs: its disk is full or read-only"
}

# The room for the runner's words is taken now, as it may be gone later. `dir` leads to the program's files.
fab_prepare() {
  umask 077
  : >./out && : >./err && printf '%s\n' "$fab_dir" >./dir || return
  for fab_f in who.1 who.2 status.new; do
    printf '%-79s\n' . >"./$fab_f" || return
  done
}

# In a group of its own and, for root under systemd, out of the login's scope, which may be ended with the login.
# The runner starts once, however often it is launched.
fab_launch() {
  [ -n "$fab_setsid" ] || trap '' HUP
  if [ "$(id -u)" = 0 ] && [ -d /run/systemd/system ] && command -v systemd-run >/dev/null; then
    exec $fab_setsid sh -c 'systemd-run --scope --quiet -- sh "$1/run" || exec sh "$1/run"' sh "$fab_dir"
  fi
  exec $fab_setsid sh "$fab_dir/run"
}

fab_main() {
  exec 3<&0 4>&2 </dev/null
  fab_ways
  fab_say start
  fab_say start >&4
  fab_dir=
  fab_home=$(pwd -P 2>/dev/null) || fab_home=/
  export fab_home
  fab_go make || fab_refuse "$fab_why"
  if [ -e "./$fab_name" ] || [ -L "./$fab_name" ]; then
    fab_own || fab_refuse "$fab_why"
    echo there
    fab_end '0 n'
  fi
  fab_dir=$(umask 077 && mktemp -d "${TMPDIR:-/tmp}/fab-rs.XXXXXX") || fab_end '126 f'
  (umask 077 && fab_parts) 2>/dev/null || fab_end '126 f'
  # The last line of the preamble: without it the sender died in the middle, and nothing may run.
  IFS= read -r fab_l <&3 && [ "$fab_l" = "$fab_nonce" ] || fab_end '126 c'
  fab_tries=
  until fab_said=$(mkdir -m 0700 "./$fab_name" 2>&1); do
    if [ -e "./$fab_name" ] || [ -L "./$fab_name" ]; then
      fab_own || fab_refuse "$fab_why"
      echo there
      fab_end '0 n'
    fi
    # The last step of the run that ended here takes the run's folder away.
    [ "$fab_tries" != ... ] || fab_refuse "$fab_said"
    fab_tries=$fab_tries.
    fab_go make || fab_refuse "$fab_why"
  done
  fab_own || fab_refuse "$fab_why"
  (fab_prepare) 2>/dev/null || fab_full
  [ -z "$fab_jobs" ] || set -m
  (fab_launch) </dev/null >/dev/null 2>&1 3<&- 4>&- &
  [ -z "$fab_jobs" ] || set +m
  # The runner removes it.
  fab_dir=
  echo started
  fab_end '0 n'
}

fab_main
