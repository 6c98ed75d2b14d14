# What a test's host script may use. $HOST is the test's folder, $LIB the library's scripts, $SHELLS the shells
# to try them with. This shell is the host's first process: when it ends, everything on the host ends.
set -u
export HOST LIB
# Process ids are small and the same on every host: their sockets must not meet.
mount --bind "$HOST" /mnt
mount -t tmpfs -o mode=1777 none /tmp
mkdir -p "$HOST"
mount --move /mnt "$HOST"

# jvm NAME OPTIONS...: starts one, waits until it works, leaves its process id in $NAME.pid.
jvm() {
    jvm_name=$1
    shift
    # shellcheck disable=SC2086
    ${AS:-} "${JAVA:-java}" -Xmx64m "$@" -cp "$HOST/classes" Patient >"$HOST/$jvm_name.log" 2>&1 &
    echo $! >"$HOST/$jvm_name.pid"
    wait_for "$HOST/$jvm_name.log"
}

wait_for() {
    wait_tries=0
    until grep -q ready "$1" 2>/dev/null; do
        sleep 0.1
        wait_tries=$((wait_tries + 1))
        [ "$wait_tries" -lt 1200 ] || { echo "no JVM started: $(cat "$1")" >&2; exit 99; }
    done
}

pid_of() {
    cat "$HOST/$1.pid"
}

# The start time of a process, as the library takes it.
started() {
    cut -d ' ' -f 22 "/proc/$1/stat"
}

# run KEY SCRIPT WORDS...: a script of the library under $SHELL_NOW; leaves KEY.out, KEY.err, KEY.rc.
run() {
    run_key=$1 run_script=$2
    shift 2
    # shellcheck disable=SC2086
    ${AS_LOGIN:-} $SHELL_NOW "$LIB/$run_script" "$@" >"$OUT/$run_key.out" 2>"$OUT/$run_key.err" </dev/null
    echo $? >"$OUT/$run_key.rc"
}

# field KEY NAME: a text of the JSON that a script printed.
field() {
    sed -n "s/.*\"$2\":\"\{0,1\}\([^\",}]*\).*/\1/p" "$OUT/$1.out"
}

# The JVM's handle, found under $SHELL_NOW.
handle() {
    run find find-jvm.sh
    field find handle
}

for SHELL_NOW in $SHELLS; do
    SHELL_NOW=$(printf '%s' "$SHELL_NOW" | tr '+' ' ')
    OUT=$HOST/$(printf '%s' "$SHELL_NOW" | tr ' ' '-')
    mkdir -p "$OUT"
    chmod 0777 "$OUT"
    export OUT SHELL_NOW
done
each_shell() {
    for SHELL_NOW in $SHELLS; do
        SHELL_NOW=$(printf '%s' "$SHELL_NOW" | tr '+' ' ')
        OUT=$HOST/$(printf '%s' "$SHELL_NOW" | tr ' ' '-')
        "$1"
    done
}
