# shellcheck shell=bash
# Sourced by scripts/e2e.sh: a server with a certificate of an authority that nobody knows, reached by Debian's own programs.
# shellcheck disable=SC2154 # work is e2e.sh's

# Makes an authority and a server of it. Sets `server` to the process of the latter, and `port`.
start_server() {
  local directory=$work/authority
  mkdir "$directory"
  (
    cd "$directory"
    new_key() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "$@"; }
    new_key -x509 -days 2 -keyout ca.key -out ca.crt -subj '/CN=authority of the tests of careen' \
      -addext basicConstraints=critical,CA:TRUE
    new_key -keyout server.key -out server.csr -subj /CN=localhost
    printf 'subjectAltName=DNS:localhost\n' > names
    openssl x509 -req -days 2 -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server.crt -extfile names
  ) > "$directory/log" 2>&1
  chmod 755 "$directory"
  chmod 644 "$directory/ca.crt"
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  openssl s_server -accept "127.0.0.1:$port" -cert "$directory/server.crt" -key "$directory/server.key" -www -quiet \
    > /dev/null 2>&1 &
  server=$!
}

# The image is Debian without a bundle, which the first command installs.
write_trusting() { # CONTEXT
  local url=https://localhost:$port/
  mkdir "$1"
  cat > "$1/Dockerfile" << END
FROM debian AS installs
RUN dpkg --purge --force-depends ca-certificates && rm -rf /etc/ssl/certs
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates curl wget && curl -sSf $url > /dev/null
FROM installs AS uses
RUN curl -sSf $url > /dev/null && wget -q -O /dev/null $url && env -i curl -sSf $url > /dev/null
RUN update-ca-certificates --fresh && curl -sSf $url > /dev/null
USER www-data
RUN curl -sSf $url > /dev/null && wget -q -O /dev/null $url
FROM scratch AS fetched
ADD $url /page
END
  chmod -R a+rX "$1"
}

# trusting USER TARGET ARGUMENT…: builds a stage of it anew.
trusting() {
  local user=$1 target=$2
  shift 2
  careen "$user" store build --no-cache-filter "$target" --network host --target "$target" "$@" \
    --build-context "debian=oci-layout://$work/careen-t1/debian-base" "$work/trusting"
}

# Builds a stage into a layout, and looks for a line of the certificate in all of its layers.
is_in_no_layer() { # USER
  local line blob layout=$work/$1/trusting
  line=$(sed -n 3p "$work/authority/ca.crt")
  trusting "$1" uses --ca "$work/authority/ca.crt" --output "type=oci,dest=$layout,tar=false,compression=uncompressed" || return
  for blob in "$layout"/blobs/sha256/*; do
    ! grep --text --quiet --fixed-strings "$line" "$blob" || return 1
  done
}

has_failed() { # COMMAND…
  ! "$@"
}

check_authorities() {
  local user port server given=(--ca "$work/authority/ca.crt")
  start_server
  write_trusting "$work/trusting"
  for user in careen-t1 careen-t2; do
    check "$user: Debian installs its bundle, and uses and renews it, with an authority that is in no layer" is_in_no_layer "$user"
    check "$user: without it nobody trusts the server" has_failed trusting "$user" uses
    check "$user: careen itself trusts it to fetch a file" trusting "$user" fetched "${given[@]}"
    check "$user: and does not without it" has_failed trusting "$user" fetched
  done
  kill "$server"
}
