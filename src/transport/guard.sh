# Ends every ssh master of a run when its fab-rs is gone, however it went: stdin is a pipe that fab-rs
# holds, so its end is fab-rs's end. $1 is the run's socket folder.
trap '' HUP INT QUIT TERM PIPE
l=' ' d=
while read -r o p; do
  case $o in
  +) l="$l$p " ;;
  -) case $l in *" $p "*) l="${l%% $p *} ${l#* $p }" ;; esac ;;
  .) d=1 ;;
  esac
done
[ "$l" = ' ' ] || kill $l 2>/dev/null
# A master that was started in fab-rs's last moment, before its pid could be told. There is none where it
# said goodbye, which saves reading of every process of the machine.
[ -n "$d" ] || [ ! -d /proc/self ] || for f in $(grep -lsF -e "$1/" /proc/[0-9]*/cmdline); do
  p=${f#/proc/}
  p=${p%/cmdline}
  [ "$p" = "$$" ] || kill "$p" 2>/dev/null
done
rm -rf "$1"
