# shellcheck shell=bash
# Sourced by scripts/e2e.sh: Debian's docker-registry on the loopback, plain, with TLS and a password, and with a
# token server; careen, skopeo and podman read what the others wrote.
# shellcheck disable=SC2154 # work, epoch and platforms are e2e.sh's

# Everything of the registries is below this directory; no password stands in an argument.
lay_out_registries() {
  registries=$work/registries registry_pids=()
  install -d -m 755 "$registries"
  (
    cd "$registries"
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=careen-test-ca -keyout ca.key -out ca.crt
    openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr
    printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\n' > names
    openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.crt
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=token -keyout token.key -out token.crt
  ) 2> "$registries/openssl.log"
  printf 'sailor' > "$registries/password"
  htpasswd -B -i -c "$registries/htpasswd" careen < "$registries/password" 2> /dev/null
  printf 'careen:%s\n' "$(cat "$registries/password")" > "$registries/users"
  chmod 644 "$registries"/*.crt "$registries/password"
  python3 scripts/e2e/token_server.py "$registries" &
  registry_pids+=($!)
  wait_for_file "$registries/address"
}

wait_for_file() { # FILE: the server that writes it has ten seconds
  local left=100
  until [ -s "$1" ]; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || return 1
    sleep 0.1
  done
}

# start_registry NAME: starts the registry whose further settings come on standard input; its port is in $port.
start_registry() {
  local name=$1 left=100 tls=()
  port=$(free_port)
  {
    printf 'version: 0.1\nlog: {level: info, accesslog: {disabled: false}}\n'
    printf 'storage: {filesystem: {rootdirectory: "%s"}, delete: {enabled: true}}\n' "$registries/$name"
    cat
    printf '  addr: 127.0.0.1:%s\n' "$port"
  } > "$registries/$name.yml"
  OTEL_TRACES_EXPORTER=none docker-registry serve "$registries/$name.yml" > "$registries/$name.log" 2>&1 &
  registry_pids+=($!)
  until curl --silent --insecure --output /dev/null "http://127.0.0.1:$port/v2/"; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || return 1
    sleep 0.1
  done
}

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

start_registries() {
  start_registry plain <<< 'http:' && plain=127.0.0.1:$port
  start_registry secured << EOT && secured=127.0.0.1:$port
auth: {htpasswd: {realm: test, path: "$registries/htpasswd"}}
http:
  tls: {certificate: "$registries/server.crt", key: "$registries/server.key"}
EOT
  start_registry tokens << EOT && tokens=127.0.0.1:$port
auth:
  token:
    realm: "http://$(cat "$registries/address")/token"
    service: registry.test
    issuer: issuer.test
    rootcertbundle: "$registries/token.crt"
http:
EOT
}

stop_registries() {
  kill "${registry_pids[@]}"
  wait "${registry_pids[@]}" || true
}
