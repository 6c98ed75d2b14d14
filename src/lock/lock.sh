# The locks of a host: one folder each in BASE/fab-rs/locks. Arguments: what to do, BASE, and, but for `list`, the lock's
# folder name and a text that its holder's note must contain to be ours; `take` and `adopt` also whether the heartbeat
# comes here, `adopt` the text that the note of the run's earlier process contains. A holder's note comes over stdin.
set -uf
umask 022
verb=$1 base=$2 name=${3-} mark=${4-} anchor=${5-} earlier=${6-}

fail() { printf '%s\n' "$1" >&2; exit 3; }

# Whether nobody but root and us can put anything else in the place of what we make in the present folder.
safe() {
  set -- $(ls -ldn .)
  case $1 in d????????[tT]*) return 0 ;; esac
  if [ "$3" = "$(id -u)" ]; then chmod 1777 . 2>/dev/null; return; fi
  case $1 in d????????w* | d???????w*) return 1 ;; esac
  [ "$3" = 0 ]
}

# Goes into the folder $1 of the present one; from then on names are looked up there, wherever it is moved.
enter() {
  here=$(pwd -P) || fail 'the present folder has no name'
  [ "$2" != make ] || [ -e "$1" ] || [ -L "$1" ] || mkdir -m 1777 "$1" 2>/dev/null || [ -e "$1" ] \
    || fail "cannot make $here/$1: $(mkdir "$1" 2>&1)"
  if [ ! -e "$1" ] && [ ! -L "$1" ]; then return 1; fi
  [ -d "$1" ] && [ ! -L "$1" ] || fail "$here/$1 is no folder: locks are not put there"
  cd -P "./$1" 2>/dev/null || fail "cannot enter $here/$1"
  [ "$(pwd -P)" = "${here%/}/$1" ] || fail "$here/$1 leads elsewhere: locks are not put there"
  # Who makes it first makes it sticky a moment later.
  safe || { sleep 1; safe; } || fail "$here/$1 can be changed by other users (\`chmod 1777\` it): locks are not put there"
}

go() {
  cd -P "$base" 2>/dev/null || fail "there is no $base"
  enter fab-rs "$1" && enter locks "$1"
}

# A number that the file $1 holds; others may have written there what they like.
number() {
  read=
  if [ -f "$1" ] && [ ! -L "$1" ]; then read -r read <"$1"; fi 2>/dev/null
  case $read in '' | 0* | *[!0-9]*) return 1 ;; esac
  [ "${#read}" -le 12 ]
}

ago() { if number "$1"; then echo $(($(date +%s) - read)); else echo -; fi; }

note() {
  if [ -f "$1/holder.json" ] && [ ! -L "$1/holder.json" ]; then
    head -c 4096 "$1/holder.json" 2>/dev/null | tr -d '\000-\037'
  fi
}

# A lock as two lines: age, time since the last heartbeat, owner and name; its holder's note.
show() {
  age=$(ago "$1/since") beat=$(ago "$1/beat") lock=$1
  set -- $(ls -ld "./$1")
  printf 'lock %s %s %s %s\n%s\n' "$age" "$beat" "${3:--}" "$lock" "$(note "$lock")"
}

# Whether the lock $1 is the one that $2 names; the empty text names one whose holder left no note.
is() {
  [ -d "$1" ] && [ ! -L "$1" ] || return 1
  there=$(note "$1")
  if [ -z "$2" ]; then [ -z "$there" ]; return; fi
  case $there in *"$2"*) ;; *) return 1 ;; esac
}

# Whether we made the lock $1. In another's folder any name may be a link to a file of ours; in the sticky folder around
# it nobody can put theirs in the place of ours.
ours() { [ -O "./$1" ] && [ ! -L "./$1" ]; }

put() { { printf '%s\n' "$2" >"$1.new"; } 2>/dev/null && mv -f "$1.new" "$1"; }

sign() {
  put "$1/since" "$(date +%s)" && { [ "$anchor" != yes ] || put "$1/beat" "$(date +%s)"; } && put "$1/holder.json" "$holder"
}

free() { [ ! -e "$1" ] && [ ! -L "$1" ]; }

# Makes the lock aside, with everything in it, and gives it its name in one go: nobody ever sees, and no death leaves,
# a lock without a holder. Whether it is ours now.
made() {
  # What deaths left of ours, a day ago; whatever has our number is not in use any more.
  find . ! -name . -prune \( -name '.new-*' -o -name '.gone-*' \) -user "$(id -u)" -mtime +0 -exec rm -rf {} + 2>/dev/null
  aside=.new-$name-$$
  rm -rf "./$aside" 2>/dev/null
  said=$(mkdir "$aside" 2>&1) || fail "$said"
  sign "$aside" || { rm -rf "./$aside"; fail "cannot write in $(pwd)/$aside: is the disk full?"; }
  # Where another's comes and goes meanwhile, it is tried again.
  for try in 1 2 3 4 5; do
    free "$name" || break
    if said=$(mv -T "./$aside" "./$name" 2>&1); then return 0; fi
  done
  rm -rf "./$aside"
  return 1
}

case $name in */* | .*) fail 'this is no name of a lock' ;; '') [ "$verb" = list ] || fail 'a lock has a name' ;; esac
case $verb in
take | adopt)
  holder=$(cat)
  go make
  if is "$name" "$mark"; then echo taken
  elif [ "$verb" = adopt ] && is "$name" "$earlier"; then
    ours "$name" || fail "$(pwd)/$name names this run and is another user's: nothing is written there"
    sign "$name" || fail "cannot write in $(pwd)/$name: is the disk full?"
    echo taken
  elif free "$name" && made; then echo taken
  elif [ -d "$name" ] && [ ! -L "$name" ]; then show "$name"
  elif ! free "$name"; then fail "$(pwd)/$name is no folder"
  else fail "cannot make $(pwd)/$name: ${said:-it comes and goes}"; fi ;;
beat)
  if go look && is "$name" "$mark" && ours "$name"; then
    put "$name/beat" "$(date +%s)" || fail "cannot write in $(pwd)/$name"
    echo ours
  else echo gone; fi ;;
mark)
  holder=$(cat)
  if go look && is "$name" "$mark" && ours "$name"; then
    put "$name/holder.json" "$holder" || fail "cannot write in $(pwd)/$name"
    echo ours
  else echo gone; fi ;;
release)
  go look && is "$name" "$mark" || { echo gone; exit 0; }
  away=.gone-$name-$$
  said=$(mv -T "./$name" "./$away" 2>&1) || fail "$said"
  # What was moved may be another's who took it between the question and the move.
  if is "$away" "$mark"; then rm -rf "./$away"; echo released; else mv -T "./$away" "./$name"; echo gone; fi ;;
list)
  go look || exit 0
  set +f
  for lock in *; do
    if [ -d "$lock" ] && [ ! -L "$lock" ]; then set -f; show "$lock"; set +f; fi
  done ;;
*) fail "no such verb: $verb" ;;
esac
