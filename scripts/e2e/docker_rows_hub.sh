# shellcheck shell=bash
# Sourced by docker_rows.sh: what stands for Docker Hub, and for its images.
# shellcheck disable=SC2154 # work, here, base and debian are docker_rows.sh's
#
# Docker Hub is Debian's docker-registry on the loopback with a token server: anybody pulls, and who is logged in pushes. The
# user's hosts.toml leads there. Beside it is a registry of somebody else's, which asks for nothing.

# shellcheck source=scripts/e2e/servers.sh
. "$here/servers.sh"

servers=()

stop_servers() { # careen's own is a child of what was started, and ends with it
  [ ${#servers[@]} = 0 ] || kill "${servers[@]}" 2> /dev/null
  wait "${servers[@]}" 2> /dev/null
}

start_tokens() {
  mkdir -p "$work/hub" || return
  printf 'me:secret\n' > "$work/hub/users"
  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=token -keyout "$work/hub/token.key" -out "$work/hub/token.crt" \
    2> "$work/hub/openssl.log" || return
  python3 "$here/token_server.py" "$work/hub" '' 2> "$work/hub/token.err" &
  servers+=($!)
  wait_for "$work/hub/address"
}

start_hub() {
  local left=100 port
  start_tokens || return
  port=$(free_port) hub=127.0.0.1:$port
  cat > "$work/hub/config.yml" << EOT
version: 0.1
log: {level: info, accesslog: {disabled: false}}
storage: {filesystem: {rootdirectory: "$work/hub/data"}}
auth:
  token:
    realm: "http://$(cat "$work/hub/address")/token"
    service: registry.test
    issuer: issuer.test
    rootcertbundle: "$work/hub/token.crt"
http: {addr: "$hub"}
EOT
  : > "$work/hub.log"
  OTEL_TRACES_EXPORTER=none docker-registry serve "$work/hub/config.yml" > "$work/hub.log" 2>&1 &
  servers+=($!)
  until grep -q 'listening on' "$work/hub.log"; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || return 1
    sleep 0.1
  done
}

lead_to_hub() {
  local certs=$HOME/.config/containerd/certs.d/docker.io
  mkdir -p "$certs"
  printf '[host."http://%s"]\n  capabilities = ["pull", "resolve", "push"]\n' "$hub" > "$certs/hosts.toml"
}

start_other_registry() {
  "$careen" registry serve --dir "$work/other" --listen 127.0.0.1:0 > "$work/other.address" 2> "$work/other.log" &
  servers+=($!)
  wait_for "$work/other.address" && other=$(cat "$work/other.address")
}

# requests METHOD WORDS: how many requests Docker Hub was sent so far whose path has these words.
requests() {
  grep -c "\"$1 /v2/[^ ]*$2" "$work/hub.log"
}

stand_in() { # NAME PLATFORMS [CONTEXT]: an image of Docker Hub, of a context and the Dockerfile on standard input
  "$careen" build --quiet --store "$work/stand-ins" --platform "$2" -t "$1" --push \
    --build-context "base=oci-layout://$base" -f - "${3:-$work/stand-in}" > /dev/null || exit
}

# of_debian NAME: an image of Debian's own files where there are any, and else of busybox with an `apt` that says what theirs does.
of_debian() {
  if [ -n "$debian" ]; then
    # shellcheck disable=SC2016 # the variable is the Dockerfile's
    printf '%s\n' 'FROM scratch' 'ARG TARGETARCH' 'ADD debian-$TARGETARCH.tar /' 'CMD ["bash"]' | stand_in "$1" "$both" "$debian"
  else
    printf '%s\n' 'FROM base' 'RUN mkdir -p /opt' 'COPY --chmod=755 apt bash /bin/' 'CMD ["bash"]' | stand_in "$1" "$both"
  fi
}

stand_ins() {
  local both=linux/amd64,linux/arm64 all=linux/amd64,linux/arm64,linux/arm/v7 name architecture
  mkdir -p "$work/stand-in"
  cp "$here/docker_rows_apk.sh" "$work/stand-in/apk"
  cp "$here/docker_rows_apt.sh" "$work/stand-in/apt"
  printf '#!/bin/sh\nexec sh "$@"\n' > "$work/stand-in/bash"
  printf secret | "$careen" login --username me --password-stdin docker.io > "$work/login" 2>&1 || exit
  for name in alpine:latest alpine:3.16; do
    printf 'FROM base\nCOPY --chmod=755 apk /sbin/\nENV PATH=/usr/bin:/bin:/sbin\nCMD ["/bin/sh"]\n' | stand_in "$name" "$both"
  done
  for name in python:3.10-slim debian:buster-20221114-slim; do of_debian "$name"; done
  for name in hello-world:linux diamol/base:linux; do
    printf 'FROM base\nCMD ["echo","Hello from Docker!"]\n' | stand_in "$name" "$all"
    python3 "$here/docker_rows_windows.py" "$hub" "${name%:*}" "$work/hub/users" || exit
  done
  for architecture in amd64 arm64 arm; do
    printf 'FROM base\n' | stand_in "diamol/ch16-folder-list:linux-$architecture" "linux/$architecture"
  done
  # The rows are typed by somebody with an empty home.
  rm -rf "$HOME/.docker"
}
