# How a supervisor reads what it is sent, on descriptor 3, and says how it ended, on its two streams (the second is
# descriptor 4 too). fab_nonce, fab_full and fab_dir are as boot.sh has them.

# Exactly $1 bytes of the preamble. busybox's `head -c` would read ahead and lose what follows.
fab_take() {
  if [ -n "$fab_full" ]; then dd bs="$1" count=1 iflag=fullblock <&3 2>/dev/null
  else dd bs=1 count="$1" <&3 2>/dev/null; fi
}

fab_say() { printf '\036%s %s\n' "$fab_nonce" "$1"; }

# The marker is the last thing on both streams, so that each is known to be complete.
fab_end() {
  [ -z "$fab_dir" ] || rm -rf "$fab_dir"
  fab_say "$1" >&4
  fab_say "$1"
  exit 0
}
