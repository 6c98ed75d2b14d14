# Runs a detached step on its host, in the step's folder (folder.sh), alone: nobody waits for it, and it reads nothing.
# Follows group.sh and fab_program, with fab_grace and fab_in as boot.sh has them, and fab_limit, the seconds
# after which the program is ended, or nothing. fab_home is the folder that the login began in. It leaves:
#   begun   a folder; whoever makes it decides: this, or that nothing is ever run (detached.sh)
#   who     boot id, our pid and start time, the program's pid and start time
#   status  exit code; `n` by itself, `t` at its limit, `e` asked to, `f` nothing was run; `g` its group is gone,
#           `u` it may not be
# Both are written into room taken before, and renamed when they are whole.

fab_keep() {
  { printf '%-79s\n' "$3" 1<>"./$1"; } 2>/dev/null && mv -f "./$1" "./$2" 2>/dev/null
}

fab_done() {
  rm -rf "$fab_dir"
  # As long as the word cannot be left, somebody may still make room; without the folder nobody wants it.
  until fab_keep status.new status "$1"; do
    [ -d ./begun ] || break
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
  # The program's files lie beside this one.
  fab_dir=${0%/run}
  mkdir -m 0700 ./begun 2>/dev/null || exit 1
  trap '' HUP
  fab_ways
  fab_why= fab_w= fab_t= fab_boot=-
  { read -r fab_boot </proc/sys/kernel/random/boot_id; } 2>/dev/null
  fab_started $$
  fab_me="$fab_boot $$ $fab_since"
  fab_keep who.1 who "$fab_me" || fab_done '126 f g'
  if [ -n "$fab_in" ]; then fab_in=$fab_dir/$fab_in; else fab_in=/dev/null; fi
  [ -z "$fab_jobs" ] || set -m
  (
    trap - HUP
    cd "$fab_home" 2>/dev/null || cd /
    unset fab_home
    fab_program
  ) <"$fab_in" >>./out 2>>./err &
  fab_pid=$!
  [ -z "$fab_jobs" ] || set +m
  fab_started "$fab_pid"
  trap 'fab_s=1; fab_cut e' TERM
  trap 'fab_s=1; fab_cut t' USR1
  # From here on it is known whom to end.
  fab_keep who.2 who "$fab_me $fab_pid $fab_since"
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
  [ -z "$fab_t" ] || kill "$fab_t" 2>/dev/null
  [ -n "$fab_w" ] || fab_done "$fab_r n g"
  wait "$fab_w"
  case $? in
  0) fab_done "$fab_r $fab_why g" ;;
  *) fab_done "$fab_r $fab_why u" ;;
  esac
}

fab_main; exit
