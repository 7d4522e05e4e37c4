# shellcheck shell=bash
# Sourced by scripts/e2e.sh: names and the machine's loop-back in each network that a command can have. It runs on a
# machine of its own as far as networks go: a namespace with an interface, a name server that knows one name, on the
# loop-back as systemd's is and on the interface's address, and a service on the loop-back. `/dev/net/tun`, which is
# closed to ordinary users on some machines, is one that is open to them there.
# shellcheck disable=SC2154 # work, top and epoch are e2e.sh's

# An address on the loop-back, and one of the interface's network (RFC 5737).
own_stub=127.0.0.53 own_address=198.51.100.2

# Makes the namespaces; a process keeps them until its standard input ends.
lay_out_network() {
  local program
  network=$work/network
  mkdir -p "$network/names" "$network/pasta" "$network/slirp4netns"
  for program in pasta slirp4netns; do
    ln -s "$(command -v "$program")" "$(command -v newuidmap)" "$(command -v newgidmap)" "$network/$program/"
  done
  mknod "$network/tun" c 10 200
  chmod 666 "$network/tun"
  cat > "$network/names/Dockerfile" <<'EOT'
FROM base
RUN began=$(date +%s); if nslookup careen.test > /said 2>&1; then echo "name: $(sed -n 's/^Address: *//p' /said | tail -n 1)"; \
    elif [ $(($(date +%s) - began)) -le 1 ]; then cat /said && echo "name: none at once"; else echo "name: none late"; fi
RUN echo "service: $(nc -w 2 127.0.0.1 4999 < /dev/null || echo closed)"
EOT
  mkfifo "$network/end"
  unshare --net --mount --propagation private bash "$work/scripts/network_inside.sh" "$network" "$own_address" \
    < "$network/end" > "$network/ready" 2>&1 &
  network_process=$!
  exec 8> "$network/end"
  until grep -q ready "$network/ready"; do
    kill -0 "$network_process" || { cat "$network/ready"; return 1; }
    sleep 0.1
  done
}

# asks EXPECTED SERVER PROGRAM USER ARGUMENT…: a build on that machine, whose name server is at SERVER and which has
# PROGRAM to connect networks, prints what is expected of a name and of the service.
asks() {
  local expected=$1 server=$2 program=$3 user=$4 said
  shift 4
  # The file is mounted there: it is written to and not replaced.
  printf 'nameserver %s\n' "$server" > "$network/resolv.conf"
  said=$(nsenter --target "$network_process" --net --mount runuser -u "$user" -- env --ignore-environment \
    PATH="$network/$program" HOME="$work/$user" XDG_DATA_HOME="$work/$user/store" "$work/careen" build --no-cache \
    --progress plain --build-context "base=oci-layout://$work/base" "$@" "$network/names" 2>&1 |
    tee -a /dev/stderr | sed -n 's/^#[0-9]* [0-9.]* \(name: .*\|service: .*\)$/\1/p' | paste -s -d , -)
  printf '%s\n' "$said"
  [ "$said" = "$expected" ]
}

check_network() {
  local user server program open="name: 203.0.113.9,service: closed"
  check "a machine with a network of its own is laid out" lay_out_network
  for server in "$own_stub" "$own_address"; do
    for user in careen-t1 careen-t2 root; do
      for program in pasta slirp4netns; do
        check "$user finds a name of $server by $program, and nothing of the machine's loop-back" \
          asks "$open" "$server" "$program" "$user" --network sandbox
      done
      check "$user finds it in the machine's network, with what is on its loop-back" \
        asks "name: 203.0.113.9,service: local" "$server" pasta "$user" --network host
      check "$user finds none without a network, and is told at once" \
        asks "name: none at once,service: closed" "$server" pasta "$user" --network none
    done
    check "without namespaces a name of $server is found too" \
      asks "name: 203.0.113.9,service: local" "$server" pasta root --executor chroot
  done
  # It waits for the end of this.
  exec 8>&-
  wait "$network_process" || true
}
