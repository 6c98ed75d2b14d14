#!/bin/sh
# A stand-in for journalctl on hosts of the light tier: the log of one unit, by -u UNIT and -n LINES.
unit= lines=1000000
while [ $# -gt 0 ]; do
    case "$1" in
    -u | --unit) shift; unit=${1%.service} ;;
    --unit=*) unit=${1#*=}; unit=${unit%.service} ;;
    -n | --lines) shift; lines=$1 ;;
    -n*) lines=${1#-n} ;;
    --lines=*) lines=${1#*=} ;;
    -S | --since | -U | --until | -o | --output) shift ;;
    esac
    shift
done
[ -r "/run/lab-units/$unit/log" ] || { echo '-- No entries --'; exit 0; }
tail -n "$lines" "/run/lab-units/$unit/log"
