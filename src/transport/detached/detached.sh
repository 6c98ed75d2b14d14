# What is asked about a detached step: follows group.sh and folder.sh. Arguments: the verb, and the step's folder as
# BASE RUN NAME. Answers are one line; `follow` prints nothing but the program's output, and ends with 4 where it
# decided that the step is never begun there.
set -u
verb=$1 fab_base=$2 fab_run=$3 fab_name=$4
fab_dir= fab_group= fab_told= fab_grace=20

fail() { printf '%s\n' "$1" >&2; exit 3; }

# 0 in the step's folder; ends with `absent` where there is none.
find_it() {
  { fab_go look && fab_own; } || { [ $? = 1 ] || fail "$fab_why"; echo absent; exit 0; }
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
  if [ ! -d ./begun ]; then state=waiting; return; fi
  boot=- runner=- runner_at=- program=- program_at=-
  if [ -f ./who ]; then read -r boot runner runner_at program program_at <./who; fi
  now=-
  { read -r now </proc/sys/kernel/random/boot_id; } 2>/dev/null
  if [ "$boot" = - ] && [ "$runner" = - ]; then state=waiting
  elif [ "$boot" != "$now" ]; then state=rebooted
  elif lives "$runner" "$runner_at"; then state=runs
  # It may have left its word between the two looks.
  elif ended; then :
  elif lives "${program:--}" "${program_at:--}"; then state='died runs'
  else state='died gone'; fi
}

nap() { sleep "$1" 2>/dev/null || sleep 1; }

# Removes the folder that we are in, and the program's own files.
remove() {
  files=
  if [ -f ./dir ]; then read -r files <./dir; fi
  case $files in
  /*/fab-rs.??????)
    if [ -d "$files" ] && [ ! -L "$files" ] && [ -O "$files" ]; then rm -rf -- "$files"; fi ;;
  esac
  cd .. && rm -rf "./$fab_name" || fail "cannot remove $(pwd)/$fab_name"
  cd .. && rmdir "./$fab_run" 2>/dev/null
  return 0
}

# Decides that nothing is ever run here, where nothing was yet.
void() { [ "$state" = waiting ] && mkdir -m 0700 ./begun 2>/dev/null && remove; }

# Prints what file $1 holds from byte $2 on; how far that went, in size.
copy() {
  size=$(wc -c <"./$1" 2>/dev/null) || size=0
  size=$((size))
  if [ "$size" -gt "$2" ]; then tail -c "+$(($2 + 1))" "./$1" | head -c "$((size - $2))"; else size=$2; fi
}

case $verb in
look)
  find_it
  look
  echo "$state" ;;
follow)
  out=$5 err=$6 ticks=0
  find_it >/dev/null
  while :; do
    # First: what is there after the end was seen is all there is.
    look
    copy out "$out" 2>/dev/null
    out=$size
    copy err "$err" >&2 2>/dev/null
    err=$size
    case $state in runs | waiting) ;; *) exit 0 ;; esac
    ticks=$((ticks + 1))
    # Whoever was to start it is gone.
    [ "$state" != waiting ] || [ "$ticks" -lt 100 ] || { void && exit 4; exit 0; }
    if [ "$ticks" -lt 25 ]; then nap 0.2; else nap 0.5; fi
  done ;;
end)
  find_it
  look
  if void; then echo absent; exit 0; fi
  case $state in
  runs | waiting)
    ticks=0
    # What was asked for before it could hear us is asked for again.
    while [ "$ticks" -lt 10 ]; do
      [ "$state" != runs ] || [ "${program:--}" = - ] || [ $((ticks % 5)) -ne 0 ] || kill -TERM "$runner" 2>/dev/null
      nap 0.5
      look
      case $state in runs | waiting) ;; *) break ;; esac
      ticks=$((ticks + 1))
    done
    [ "$state" != runs ] || kill -KILL "$runner" 2>/dev/null
    look ;;
  esac
  if [ "$state" = 'died runs' ]; then
    fab_pid=$program fab_group=yes
    (fab_stop)
    look
  fi
  echo "$state" ;;
remove)
  find_it
  look
  case $state in runs | waiting | 'died runs') echo "$state" ;; *) remove; echo absent ;; esac ;;
*) fail "no such verb: $verb" ;;
esac
