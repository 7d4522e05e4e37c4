#!/usr/bin/env bash
# record_plain.sh ENTER STATE BASE: records anew what Docker Engine's BuildKit says of the Dockerfiles in tests/plain.
#
# ENTER is a command that runs another one where Docker (with buildx) is, as root and in this machine's network; STATE is
# an empty directory that both see under the same path. BASE is an OCI image layout with busybox for linux/amd64 and
# linux/arm64 (scripts/base-images.sh). Needs docker-registry, skopeo and python3; everything is started on the loopback
# and ended with the script.
set -euo pipefail
shopt -s inherit_errexit

[ $# -eq 3 ] || { echo 'usage: record_plain.sh ENTER STATE BASE' >&2; exit 2; }
enter=$1 state=$(realpath "$2") base=$(realpath "$3")
cases=$(realpath "$(dirname "$0")/../../tests/plain")
registry=127.0.0.1:5781 server=127.0.0.1:5782
pids=()
trap 'kill "${pids[@]}" || true; wait' EXIT

# Docker Hub, and a server of files.
cat > "$state/registry.yml" << YML
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $state/registry}}
http: {addr: $registry}
YML
docker-registry serve "$state/registry.yml" &
pids+=($!)
python3 -m http.server --bind "${server%:*}" --directory "$cases/add/served" "${server#*:}" &
pids+=($!)
until skopeo copy --quiet --all --dest-tls-verify=false "oci:$base:latest" "docker://$registry/library/busybox:latest"; do
  sleep 1
done

cat > "$state/daemon.json" << JSON
{ "features": { "containerd-snapshotter": true }, "registry-mirrors": ["http://$registry"] }
JSON
cat > "$state/engine.sh" << 'SH'
exec dockerd --config-file "$1/daemon.json" --iptables=false --ip6tables=false --bridge=none --data-root "$1/root" \
  --exec-root "$1/exec" --pidfile "$1/engine.pid" --host "unix://$1/engine.sock"
SH
$enter bash "$state/engine.sh" "$state" &
pids+=($!)
until [ -S "$state/engine.sock" ]; do sleep 1; done

# record CASE PROGRESS FILE: carries out the command lines of a case on an empty cache; keeps what the last one says.
cp -r "$cases" "$state/cases"
cat > "$state/record.sh" << 'SH'
set -u
export DOCKER_HOST=unix://$1/engine.sock BUILDX_NO_DEFAULT_ATTESTATIONS=1
cd "$1/cases/$2" || exit
docker builder prune --all --force > /dev/null && docker system prune --all --force > /dev/null
while read -r line; do
  line=${line//SERVER/$5}
  # shellcheck disable=SC2086 # they are words
  docker build --network host --progress "$3" ${line//DEST/$1/out} > "$1/said" 2>&1
done < commands
# The title of the warnings is in colour, even here.
sed -e 's/\x1b\[[0-9]*m//g' -e "s/$5/SERVER/g" "$1/said" > "$4"
SH
record() { $enter bash "$state/record.sh" "$state" "$1" "$2" "$state/cases/$1/$3" "$server" && cp "$state/cases/$1/$3" "$cases/$1/"; }

for case in "$cases"/*/; do
  record "$(basename "$case")" plain buildkit.txt
done
record simple rawjson buildkit.jsonl
record failing rawjson buildkit.jsonl
