# What is asked about a detached step: follows group.sh and folder.sh. Arguments: the verb, and the step's folder as
# BASE RUN NAME. Answers are one line; `follow` prints nothing but the program's output, and ends with 4 where it
# is decided that the step is never begun there.
set -u
verb=$1 fab_base=$2 fab_run=$3 fab_name=$4
fab_dir= fab_group= fab_told= fab_grace=20

fail() { printf '%s\n' "$1" >&2; exit 3; }

# Goes into the step's folder, if it is there; `run` is set where the run's is.
find_it() {
  state=absent run=
  fab_go look && run=yes && fab_into "$fab_name" look && return
  [ $? = 1 ] || fail "$fab_why"
  return 1
}

# Whether process $1 lives that started at $2.
lives() {
  case $1 in '' | - | *[!0-9]*) return 1 ;; esac
  case $(LC_ALL=C kill -0 "$1" 2>&1) in '' | *ermitted*) ;; *) return 1 ;; esac
  fab_started "$1"
  # A zombie that its parent does not reap is dead.
  case $fab_stat in Z | X) return 1 ;; esac
  [ "$fab_since" = "$2" ]
}

ended() {
  [ -f ./status ] || return 1
  read -r code why proof <./status || return 1
  state="ended $code $why $proof"
}

# How it stands, in state. No process is started for what is mostly asked.
look() {
  ended && return
  if [ -L ./begun ]; then state=void; return; fi
  if [ ! -e ./begun ]; then state=waiting; return; fi
  boot=- runner=- runner_at=- program=- program_at=-
  read -r boot runner runner_at program program_at <./begun
  now=-
  { read -r now </proc/sys/kernel/random/boot_id; } 2>/dev/null
  if [ "$boot" != "$now" ]; then state=rebooted
  elif lives "$runner" "$runner_at"; then state=runs
  # It may have left its word between the two looks.
  elif ended; then :
  elif lives "$program" "${program_at:--}"; then state='died runs'
  else state='died gone'; fi
}

# Decides that nothing is ever run here, where nothing was yet.
void() {
  [ "$state" = waiting ] || return
  ln -s void ./begun 2>/dev/null
  look
}

nap() { sleep "$1" 2>/dev/null || sleep 1; }

# Prints what file $1 holds from byte $2 on; how far that went, in size.
copy() {
  size=$(wc -c <"./$1" 2>/dev/null) || size=0
  size=$((size))
  if [ "$size" -gt "$2" ]; then tail -c "+$(($2 + 1))" "./$1" | head -c "$((size - $2))"; else size=$2; fi
}

case $verb in
look)
  find_it && look
  echo "$state" ;;
follow)
  out=$5 err=$6 ticks=0
  find_it || exit 0
  while :; do
    # First: what is there after the end was seen is all there is.
    look
    # Whoever was to start it is gone.
    [ "$ticks" -lt 100 ] || void
    copy out "$out" 2>/dev/null
    out=$size
    copy err "$err" >&2 2>/dev/null
    err=$size
    case $state in runs | waiting) ;; void) exit 4 ;; *) exit 0 ;; esac
    ticks=$((ticks + 1))
    if [ "$ticks" -lt 25 ]; then nap 0.2; else nap 0.5; fi
  done ;;
end)
  if find_it; then
    look
    void
    ticks=0
    # What was asked for before it could hear us is asked for again.
    while [ "$state" = runs ] && [ "$ticks" -lt 10 ]; do
      [ $((ticks % 5)) -ne 0 ] || kill -TERM "$runner" 2>/dev/null
      nap 0.5
      look
      ticks=$((ticks + 1))
    done
    [ "$state" != runs ] || { kill -KILL "$runner" 2>/dev/null; look; }
    if [ "$state" = 'died runs' ]; then
      fab_pid=$program fab_group=yes
      (fab_stop)
      look
    fi
  fi
  echo "$state" ;;
remove)
  if find_it; then
    look
    case $state in runs | waiting | 'died runs') echo "$state"; exit 0 ;; esac
    # Gone at once: what is half removed would not say how it ended.
    cd .. && mv "./$fab_name" "./.gone-$fab_name.$$" || fail "cannot remove $(pwd)/$fab_name"
  fi
  if [ -n "$run" ]; then
    rm -rf "./.gone-$fab_name".*
    cd .. && rmdir "./$fab_run" 2>/dev/null
  fi
  echo absent ;;
*) fail "no such verb: $verb" ;;
esac
