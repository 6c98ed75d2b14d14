# Where a detached step lies on its host: BASE/fab-rs/runs/RUN/NAME. The three above NAME are everybody's and sticky;
# NAME is 0700 and ours. It is entered before anything in it is touched, and everything in it is reached from within,
# so that nobody can put another in its place. The read-only half of start.sh, and the first half of detached.sh.
# Whatever is refused says why in fab_why.

# Whether nobody but root and us can put anything else in the place of what we make in the present folder.
fab_safe() {
  set -- $(ls -ldn .)
  case $1 in d????????[tT]*) return 0 ;; esac
  if [ "$3" = "$(id -u)" ]; then chmod 1777 . 2>/dev/null; return; fi
  case $1 in d????????w* | d???????w*) return 1 ;; esac
  [ "$3" = 0 ]
}

# Goes into the folder $1 of the present one; from then on names are looked up there, wherever it is moved. 1 where
# it is not there, 2 where it is refused.
fab_into() {
  fab_here=$(pwd -P) || { fab_why='the present folder has no name'; return 2; }
  if [ ! -e "./$1" ] && [ ! -L "./$1" ]; then fab_why="there is no $fab_here/$1"; return 1; fi
  if [ ! -d "./$1" ] || [ -L "./$1" ]; then
    fab_why="$fab_here/$1 is no folder of ours: nothing is run from there"
    return 2
  fi
  cd -P "./$1" 2>/dev/null || { fab_why="cannot enter $fab_here/$1: it belongs to another user"; return 2; }
  [ "$(pwd -P)" = "${fab_here%/}/$1" ] || { fab_why="$fab_here/$1 leads elsewhere"; return 2; }
}

# The same for one that is everybody's; `make` makes it.
fab_public() {
  if [ "$2" = make ] && [ ! -e "./$1" ] && [ ! -L "./$1" ]; then
    fab_said=$(mkdir -m 1777 "./$1" 2>&1) || [ -e "./$1" ] || { fab_why="cannot make $(pwd)/$1: $fab_said"; return 2; }
  fi
  fab_into "$1" || return
  # Who makes it first makes it sticky a moment later.
  fab_safe || { sleep 1; fab_safe; } || {
    fab_why="$(pwd) can be changed by other users (\`chmod 1777\` it): nothing is run from there"
    return 2
  }
}

# Goes to the run's folder.
fab_go() {
  cd -P "$fab_base" 2>/dev/null || { fab_why="there is no $fab_base"; return 2; }
  fab_public fab-rs "$1" && fab_public runs "$1" && fab_public "$fab_run" "$1"
}

# Goes into the step's own folder.
fab_own() {
  fab_into "$fab_name" || return
  set -- $(ls -ldn .)
  case $1 in
  drwx------*) [ "$3" != "$(id -u)" ] || return 0 ;;
  esac
  fab_why="$(pwd) is not ours (uid $3, $1): nothing is run from there"
  return 2
}
