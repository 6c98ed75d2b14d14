#!/bin/sh
# NOT sudo: a stand-in for hosts that run without root. It takes sudo's usual flags and runs the command as the login user.
while [ $# -gt 0 ]; do
    case "$1" in
    --) shift; break ;;
    -u | -g | -p | -U | --user | --prompt) shift ;;
    -S | -kS | -Sk) stdin=yes ;;
    -k | -K) [ $# -gt 1 ] || exit 0 ;;
    -V | --version) echo 'Sudo version 0 (stand-in of the lab)'; exit 0 ;;
    -*) ;;
    *=*) export "${1?}" ;;
    *) break ;;
    esac
    shift
done
case "${LAB_SUDO:-yes}" in
no) echo "sudo: a password is required" >&2; exit 1 ;;
esac
if [ "${LAB_SUDO:-yes}" = password ]; then
    if [ "${stdin:-}" != yes ]; then echo "sudo: a password is required" >&2; exit 1; fi
    read -r given
    if [ "$given" != lab-sudo ]; then echo "Sorry, try again." >&2; exit 1; fi
fi
[ $# -gt 0 ] || exec "$SHELL"
exec "$@"
