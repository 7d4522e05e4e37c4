# shellcheck shell=bash
# Sourced by what starts servers on the loopback.

wait_for() { # FILE: the server that writes it has ten seconds
  local left=100
  until [ -s "$1" ]; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || return 1
    sleep 0.1
  done
}

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
