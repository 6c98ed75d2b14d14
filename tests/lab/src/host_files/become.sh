# Second half of a host's process 1: starts the units, then becomes sshd, or what a fault puts in its place.
. ./host.env
cp -R units/. /run/lab-units/
echo "$LAB_TOOLS" > /run/lab-units/.tools
echo "$LAB_MODE" > /run/lab-units/.mode
PATH="$LAB_PATH"
export PATH
for unit in $LAB_UNITS; do
    LAB_BOOT=1 systemctl start "$unit"
done
case "$LAB_TCP" in
'') exec "$LAB_SSHD" -D -e -f "$PWD/sshd_config" ;;
refuses) echo "ready: $LAB_TCP" >&2; exec sleep infinity ;;
*) exec perl "$LAB_TOOLS/tcp.pl" "$LAB_TCP" "$LAB_ADDRESS" "$LAB_PORT" ;;
esac
