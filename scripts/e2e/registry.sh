# shellcheck shell=bash
# Sourced by scripts/e2e.sh: Debian's docker-registry on the loopback, plain, with TLS and a password, and with a
# token server; careen, skopeo and podman read what the others wrote.
# shellcheck disable=SC2154 # work, epoch and platforms are e2e.sh's

# Everything of the registries is below this directory; no password stands in an argument.
lay_out_registries() {
  registries=$work/registries registry_pids=() own_pid=
  trap 'stop_registries; rm -rf "$work"' EXIT
  install -d -m 755 "$registries"
  (
    cd "$registries" || exit
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
  wait_for "$registries/address"
}

# start_registry NAME: starts the registry whose further settings come on standard input; its port is in $port.
start_registry() {
  local name=$1 left=100
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

start_registries() {
  # check_registries reads plain, secured and tokens by their names.
  # shellcheck disable=SC2034
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

# Starts careen's own registry, as an ordinary user.
start_own_registry() {
  as_user careen-t1 "$work/careen" registry serve --dir "$work/careen-t1/registry" --listen 127.0.0.1:0 \
    > "$registries/own.address" 2> "$registries/own.log" &
  own_pid=$!
  wait_for "$registries/own.address" || return 1
  # check_registries reads it by its name.
  # shellcheck disable=SC2034
  own=$(cat "$registries/own.address")
}

stop_registries() {
  [ ${#registry_pids[@]} -gt 0 ] || return 0
  # The one of ours is a child of what we started; that ends with it.
  pkill -u careen-t1 -f "registry serve --dir $work/" || true
  kill "${registry_pids[@]}" 2> /dev/null || true
  wait "${registry_pids[@]}" ${own_pid:+"$own_pid"} || true
  registry_pids=() own_pid=
}

# sailor COMMAND…: as careen-t1, who trusts the authority of the test and keeps logins in a file of its own.
sailor() {
  as_user careen-t1 XDG_DATA_HOME="$work/careen-t1/registry-store" XDG_CONFIG_HOME="$work/careen-t1/config" \
    DOCKER_CONFIG="$work/careen-t1/docker" SOURCE_DATE_EPOCH="$epoch" "$@"
}

trust_authority() {
  local directory
  directory=$(certificates)
  sailor mkdir -p "$directory" "$work/careen-t1/docker"
  sailor cp "$registries/ca.crt" "$directory/ca.crt"
  # What means nothing to careen does not hinder it, and stays when it logs in.
  # shellcheck disable=SC2016 # the user's shell expands it
  sailor sh -c 'echo "{\"experimental\": \"true\"}" > "$DOCKER_CONFIG/config.json"'
}

log_in() { # REGISTRY
  # shellcheck disable=SC2016 # the user's shell expands it
  sailor sh -c '"$1" login --username careen --password-stdin "$2" < "$3"' sh "$work/careen" "$1" \
    "$registries/password" &&
    [ "$(stat --format %a "$work/careen-t1/docker/config.json")" = 600 ] &&
    [ "$(jq -r .experimental "$work/careen-t1/docker/config.json")" = true ]
}

is_refused() { # COMMAND…: fails as what a registry refuses does
  local code=0
  "$@" || code=$?
  [ "$code" = 4 ]
}

# push_hello REGISTRY: builds the example for both platforms, most of it from the cache, and pushes it.
push_hello() {
  sailor "$work/careen" build --platform "$platforms" --tag "$1/test/hello:it" --push \
    --build-context "base=oci-layout://$work/base" --metadata-file "$work/careen-t1/pushed.json" "$work/hello"
}

pushed_digest() { jq -r '."containerimage.digest"' "$work/careen-t1/pushed.json"; }

# skopeo_inspects REGISTRY: the index is there under its name, byte for byte, with both platforms.
skopeo_inspects() {
  sailor skopeo inspect --raw --tls-verify="$(verifies "$1")" --cert-dir "$(certificates)" \
    --authfile "$work/careen-t1/docker/config.json" \
    "docker://$1/test/hello:it" > "$work/index.json" &&
    [ "sha256:$(sha256sum < "$work/index.json" | cut -d ' ' -f 1)" = "$(pushed_digest)" ] &&
    [ "$(jq -r '[.manifests[].platform.architecture] | sort | join(",")' "$work/index.json")" = amd64,arm64 ]
}

# What skopeo and podman are told, which do not look into the user's directory of certificates when root calls them.
certificates() { echo "$work/careen-t1/config/containers/certs.d/$secured"; }

# verifies REGISTRY: says to skopeo and podman whether the registry has TLS.
verifies() { if [ "$1" = "$secured" ]; then echo true; else echo false; fi; }

skopeo_copies_from() { # REGISTRY
  sailor rm -rf "$work/careen-t1/from-registry"
  sailor skopeo copy --quiet --all --src-tls-verify="$(verifies "$1")" --src-cert-dir "$(certificates)" \
    --authfile "$work/careen-t1/docker/config.json" \
    "docker://$1/test/hello:it" "oci:$work/careen-t1/from-registry:it"
}

skopeo_copies_to() { # REGISTRY
  sailor skopeo copy --quiet --all --dest-tls-verify="$(verifies "$1")" --dest-cert-dir "$(certificates)" \
    --authfile "$work/careen-t1/docker/config.json" \
    "oci:$work/careen-t1/from-registry:it" "docker://$1/test/skopeo:it"
}

podman_pulls() { # REGISTRY
  podman --root "$work/podman/root" --runroot "$work/podman/run" --storage-driver vfs pull --quiet \
    --tls-verify="$(verifies "$1")" --cert-dir "$(certificates)" --authfile "$work/careen-t1/docker/config.json" \
    "docker://$1/test/hello:it"
}

podman_pushes() { # REGISTRY
  podman --root "$work/podman/root" --runroot "$work/podman/run" --storage-driver vfs push --quiet \
    --tls-verify="$(verifies "$1")" --cert-dir "$(certificates)" --authfile "$work/careen-t1/docker/config.json" \
    "$1/test/hello:it" "docker://$1/test/podman:it"
}

# careen_runs REGISTRY: what podman pushed is pulled and runs.
careen_runs() {
  sailor "$work/careen" run --rm --pull always "$1/test/podman:it" hello | grep -q .
}

# careen_reads REGISTRY: what skopeo pushed is pulled, with both platforms, and is the image that was built.
careen_reads() {
  sailor "$work/careen" pull --quiet --platform "$platforms" "$1/test/skopeo:it" &&
    sailor "$work/careen" imagetools inspect "$1/test/skopeo:it" | grep -q linux/arm64 &&
    [ "$(sailor "$work/careen" digest "$1/test/skopeo:it")" = "$(pushed_digest)" ]
}

# uploads NAME: how many blobs a registry was sent; the log has a line for each request.
uploads() {
  grep -c '\(^[0-9.:]* \|"\)PUT /v2/.*/blobs/uploads/' "$registries/$1.log" || true
}

# asks_for_one_platform NAME REGISTRY: a pull for arm64 asks for the index, one manifest and the blobs of that alone.
asks_for_one_platform() {
  local begun wanted asked
  begun=$(wc -l < "$registries/$1.log")
  as_user careen-t1 XDG_DATA_HOME="$work/careen-t1/store-of-$1" XDG_CONFIG_HOME="$work/careen-t1/config" \
    DOCKER_CONFIG="$work/careen-t1/docker" "$work/careen" pull --quiet --platform linux/arm64 "$2/test/hello:it" &&
    wanted=$(jq -r '.manifests[] | select(.platform.architecture == "arm64") | .digest' "$work/index.json") &&
    asked=$(tail -n "+$((begun + 1))" "$registries/$1.log" |
      grep -o '/v2/test/hello/[a-z]*/sha256:[0-9a-f]*' | sort -u) &&
    sailor "$work/careen" manifest inspect "$2/test/hello@$wanted" |
      jq -r --arg wanted "$wanted" '"/v2/test/hello/manifests/\($wanted)",
        (.config, .layers[] | "/v2/test/hello/blobs/\(.digest)")' | sort -u | diff - <(printf '%s\n' "$asked")
}

pushes_nothing_again() { # NAME REGISTRY
  local before
  before=$(uploads "$1")
  [ "$before" -gt 0 ] && push_hello "$2" && [ "$(uploads "$1")" = "$before" ]
}

check_registries() {
  local name registry
  lay_out_registries
  start_registries
  trust_authority
  check "an ordinary user serves a registry" start_own_registry
  check "a registry with a password refuses whoever has none" is_refused push_hello "$secured"
  check "a registry with a token server refuses whoever has none" is_refused push_hello "$tokens"
  for name in plain own secured tokens; do
    registry=${!name}
    [ "$name" = plain ] || [ "$name" = own ] || check "careen logs in to the $name registry" log_in "$registry"
    check "careen pushes two platforms to the $name registry" push_hello "$registry"
    check "skopeo inspects the index in the $name registry" skopeo_inspects "$registry"
    check "a second push to the $name registry sends no blob" pushes_nothing_again "$name" "$registry"
    check "skopeo copies it from the $name registry" skopeo_copies_from "$registry"
    check "podman pulls it from the $name registry" podman_pulls "$registry"
    check "podman pushes it to the $name registry" podman_pushes "$registry"
    check "careen runs what podman pushed to the $name registry" careen_runs "$registry"
    check "a pull for one platform asks the $name registry for no blob of another" \
      asks_for_one_platform "$name" "$registry"
    check "skopeo copies it to the $name registry" skopeo_copies_to "$registry"
    check "careen reads what skopeo wrote to the $name registry" careen_reads "$registry"
  done
  check "careen logs out" sailor "$work/careen" logout "$secured"
  check "and is refused again" is_refused push_hello "$secured"
  stop_registries
}
