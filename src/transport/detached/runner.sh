# Runs a detached step on its host, in the step's folder (folder.sh), alone: nobody waits for it, and it reads nothing.
# Follows group.sh and fab_program, with fab_grace and fab_in as boot.sh has them, and fab_limit, the seconds
# after which the program is ended, or nothing. Lies in a folder `try.X` of its own, as $0 says, with the program's
# files; fab_home is the folder that the login began in. It leaves:
#   begun   boot id, our pid and start time, the program's pid and start time. A hard link to a file that is whole:
#           whoever makes it decides, and says all in one step, that this runs; a symbolic link, that nothing ever does
#           (detached.sh)
#   status  exit code; `n` by itself, `t` at its limit, `e` asked to; `g` its group is gone, `u` it may not be.
#           Renamed when it is whole
# Both are written into room taken before.

fab_write() { { printf '%-79s\n' "$2" 1<>"./$1"; } 2>/dev/null; }

# By the process that becomes the program: before this nothing of it was run, after it everybody knows whom to end.
fab_begin() {
  fab_f=
  fab_started self
  fab_pid=${fab_f%% *}
  # There is no /proc.
  [ -n "$fab_pid" ] || fab_pid=$(exec sh -c 'echo $PPID')
  fab_write "$fab_try/who" "$fab_me $fab_pid $fab_since" && ln "./$fab_try/who" ./begun 2>/dev/null && exec >>./out 2>>./err
}

# Whether the program was ours to run.
fab_began() {
  read -r fab_l <./begun || return
  case $fab_l in "$fab_me "*) ;; *) return 1 ;; esac
}

fab_done() {
  [ -z "$fab_t" ] || kill "$fab_t" 2>/dev/null
  fab_began 2>/dev/null || { rm -rf "./$fab_try"; exit 1; }
  mv -f "./$fab_try/status" ./status.new 2>/dev/null
  # Secrets go before anybody is told.
  rm -rf "./$fab_try"
  # As long as the word cannot be left, somebody may still make room; without the folder nobody wants it.
  until fab_write status.new "$1" && mv -f ./status.new ./status 2>/dev/null; do
    [ -e ./begun ] || break
    sleep 5
  done
  exit 0
}

# Ends the program, and says why.
fab_cut() {
  [ -z "$fab_why" ] || return 0
  fab_why=$1
  (fab_dir=; fab_stop) &
  fab_w=$!
}

# Ends the program at its limit.
fab_timer() {
  fab_c=
  trap '[ -z "$fab_c" ] || kill "$fab_c"; exit 143' TERM
  sleep "$fab_limit" &
  fab_c=$!
  wait "$fab_c"
  kill -USR1 $$
}

fab_main() {
  fab_try=${0%/run} fab_try=${fab_try#./}
  fab_dir=$(pwd -P)/$fab_try
  trap '' HUP
  # Whoever asks for the end before the program's number is known asks again.
  trap : TERM USR1
  fab_ways
  fab_why= fab_w= fab_t= fab_boot=-
  { read -r fab_boot </proc/sys/kernel/random/boot_id; } 2>/dev/null
  fab_started $$
  fab_me="$fab_boot $$ $fab_since"
  if [ -n "$fab_in" ]; then fab_in=$fab_dir/$fab_in; else fab_in=/dev/null; fi
  [ -z "$fab_jobs" ] || set -m
  (
    fab_begin || exit
    trap - HUP
    cd "$fab_home" 2>/dev/null || cd /
    unset fab_home
    fab_program
  ) <"$fab_in" &
  fab_pid=$!
  [ -z "$fab_jobs" ] || set +m
  trap 'fab_s=1; fab_cut t' USR1
  trap 'fab_s=1; fab_cut e' TERM
  if [ -n "$fab_limit" ]; then
    (fab_timer) &
    fab_t=$!
  fi
  while :; do
    fab_s=
    wait "$fab_pid"
    fab_r=$?
    [ -n "$fab_s" ] || break
  done
  # ksh says 256 and the signal.
  [ "$fab_r" -le 255 ] || fab_r=$((128 + fab_r % 128))
  trap '' TERM USR1
  [ -n "$fab_w" ] || fab_done "$fab_r n g"
  wait "$fab_w"
  case $? in
  0) fab_done "$fab_r $fab_why g" ;;
  *) fab_done "$fab_r $fab_why u" ;;
  esac
}

fab_main; exit
