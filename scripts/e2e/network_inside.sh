#!/usr/bin/env bash
# network_inside.sh DIRECTORY ADDRESS: within namespaces of the network and of mounts, makes what scripts/e2e/network.sh
# says, prints `ready`, and ends with its standard input.
set -euo pipefail

directory=$1 address=$2
ip link set lo up
ip link add outside type veth peer name far
ip addr add "$address/24" dev outside
ip link set outside up
ip link set far up
ip route add default via "${address%.*}.1"
printf 'nameserver %s\n' "$address" > "$directory/resolv.conf"
mount --bind "$directory/resolv.conf" /etc/resolv.conf
mount --bind "$directory/tun" /dev/net/tun
here=$(dirname "$0")
exec python3 "$here/name_server.py" careen.test 203.0.113.9 127.0.0.53 "$address"
