# Where a detached step lies on its host: BASE/fab-rs-USER/RUN/NAME. BASE is root's, as /var/tmp is; the three in it are
# 0700 and ours: whoever owns a folder can take away and replace all that is in it, a sticky one too, so none of them is
# shared with another user. Each is entered before it is looked at, and what is in it is reached from within, so that
# nobody can put another in its place. The first part of start.sh and detached.sh. What is refused says why in fab_why.

# Whether nobody but root and us can take away what we make in the present folder.
fab_safe() {
  set -- $(ls -ldn .)
  [ "$3" = 0 ] || [ "$3" = "$(id -u)" ] || return 1
  case $1 in
  d????????[tT]*) ;;
  d????w* | d???????w*) return 1 ;;
  esac
}

# Goes into the folder $1 of the present one, which is ours alone; `make` makes it. From then on names are looked up
# there, wherever it is moved. 1 where it is not there, 2 where it is refused.
fab_into() {
  fab_here=$(pwd -P) || { fab_why='the present folder has no name'; return 2; }
  fab_said=
  if [ ! -e "./$1" ] && [ ! -L "./$1" ]; then
    fab_why="there is no $fab_here/$1"
    [ "$2" = make ] || return 1
    # Somebody else may have made it just now; no moment shows it with other rights.
    fab_said=$(umask 077 && mkdir "./$1" 2>&1) || [ -e "./$1" ] || { fab_why="cannot make $fab_here/$1: $fab_said"; return 1; }
  fi
  if [ ! -d "./$1" ] || [ -L "./$1" ]; then
    fab_why="$fab_here/$1 is no folder of ours: nothing is run from there"
    return 2
  fi
  cd -P "./$1" 2>/dev/null || { fab_why="cannot enter $fab_here/$1: it belongs to another user"; return 2; }
  [ "$(pwd -P)" = "${fab_here%/}/$1" ] || { fab_why="$fab_here/$1 leads elsewhere"; return 2; }
  set -- $(ls -ldn .)
  case $1 in
  drwx--[-S]---*) [ "$3" != "$(id -u)" ] || return 0 ;;
  esac
  fab_why="$(pwd) is not ours alone (uid $3, $1): nothing is run from there"
  return 2
}

# Goes to the run's folder.
fab_go() {
  cd -P "$fab_base" 2>/dev/null || { fab_why="there is no $fab_base"; return 2; }
  fab_safe || {
    fab_why="other users can change what is in $fab_base (it has to be root's, and sticky): nothing is run from there"
    return 2
  }
  fab_user=$(id -un 2>/dev/null) || fab_user=$(id -u)
  fab_into "fab-rs-$fab_user" "$1" && fab_into "$fab_run" "$1"
}
