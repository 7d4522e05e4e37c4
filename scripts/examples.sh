#!/usr/bin/env bash
# examples.sh [EXAMPLE…]: builds the examples (python, node, rust, apt; by default all) as an ordinary user, and runs
# what was built. Root installs what is missing and makes the user `careen-demo` for the rest; anybody else does it as
# who they are, once root has made the file systems of Debian.
#
# The images that the examples start from are made from Debian's packages by careen itself (examples/bases) and put
# into the store under the names that they have in a registry. They are kept in CAREEN_TESTS_CACHE (default:
# careen-tests in XDG_CACHE_HOME, or in /var/cache). What the examples install comes from the registries of their
# languages. What this machine needs to reach those is given on the command line and stands in no Dockerfile: its
# proxies (http_proxy and its kin), its certificates and its pip.conf.
set -euo pipefail
shopt -s inherit_errexit

top=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=scripts/setup.sh
. "$top/scripts/setup.sh"
cd "$top"

cache=${CAREEN_TESTS_CACHE:-${XDG_CACHE_HOME:-/var/cache}/careen-tests}
native=linux/$(dpkg --print-architecture)
both=linux/amd64,linux/arm64
user='careen-demo'

# example NAME: sets what is known of an example: its base beside Debian, its platforms, what runs it, and what each
# platform's image has to say.
example() {
  case $1 in
    python) base=python tag=python:3-slim platforms=$native command='python app.py' says='Hello from Python 3.* on *' ;;
    node) base=node tag=node:lts-slim platforms=$native command='PORT=0 node server.js --once' says='Hello from Node.js * on *' ;;
    rust) base=rust tag=rust:1-slim platforms=$both command=greeting says='{"greeting":"Hello from Rust","machine":"MACHINE"}' ;;
    apt) base='' tag='' platforms=$both command='jq --compact-output . /greeting' says='{"greeting":"Hello from Debian","machine":"ARCHITECTURE"}' ;;
    *) die "there is no example \`$1\`: python, node, rust and apt are" ;;
  esac
}

# run COMMAND…: runs a command as the ordinary user.
if is_root; then
  run() { as_user "$user" "$@"; }
else
  run() { "$@"; }
fi

# Puts the program and the examples where the ordinary user can read them. Sets `place` and `careen`.
lay_out() {
  local target
  target=$(target_directory)
  place=$target/examples-of-scripts
  ! is_root || place=$(getent passwd "$user" | cut -d : -f 6)/examples
  run mkdir -p "$place"
  install -m 755 "$target/release/careen" "$place/careen.new"
  mv -f "$place/careen.new" "$place/careen"
  rm -rf "$place/contexts"
  cp -r examples "$place/contexts"
  chmod -R a+rX "$place/contexts"
  careen=$place/careen
}

# Sets `reach`: the arguments with which commands reach the registries as this machine does.
find_reach() {
  local name file
  reach=()
  for name in {http,https,ftp,no,all}_proxy {HTTP,HTTPS,FTP,NO,ALL}_PROXY; do
    [ -z "${!name:-}" ] || reach+=(--build-arg "$name=${!name}")
  done
  for file in /etc/ssl/certs/ca-certificates.crt /etc/pip.conf; do
    [ ! -f "$file" ] || reach+=(--volume "$file:$file:ro")
  done
}

# build NAME ARCHIVE ARGUMENT…: builds with what reaches the registries.
build() {
  local name=$1 archive=$2
  shift 2
  run "$careen" build --progress plain -t "$name" "${reach[@]}" --output "type=oci,dest=$archive" "$@" \
    > "$place/log" 2>&1 || { tail -n 40 "$place/log"; die "cannot build $name"; }
}

# stored NAME TAG PLATFORMS: puts a stand-in into the store, made now if it is not kept.
stored() {
  local name=$1 tag=$2 made=$place/made.tar version kept
  version=$(sha256sum examples/bases/Dockerfile | cut -c 1-12)
  kept=$cache/example-$name-$version.tar
  if [ ! -e "$kept" ]; then
    build "$tag" "$made" --target "$name" --platform "$3" "$place/contexts/bases"
    mkdir -p "$cache"
    cp "$made" "$kept.part"
    chmod 644 "$kept.part"
    mv "$kept.part" "$kept"
    rm -f "$made"
  fi
  # The cache may be where the user cannot go.
  run "$careen" load < "$kept"
}

# Makes Debian itself, which all the others start from.
store_debian() {
  local architecture
  if is_root; then
    scripts/debian-images.sh "$cache"
  fi
  for architecture in amd64 arm64; do
    [ -e "$cache/debian-$architecture.tar" ] || die "needs the file systems that root makes with: scripts/debian-images.sh $cache"
    ln -f "$cache/debian-$architecture.tar" "$place/contexts/bases/" 2>/dev/null ||
      cp "$cache/debian-$architecture.tar" "$place/contexts/bases/"
  done
  stored debian debian:stable-slim "$both"
}

# Prints what the command of an example says in the image of one platform, run as a step of a build on it.
said() {
  local name=$1 platform=$2
  run mkdir -p "$place/run"
  # shellcheck disable=SC2016 # the sandbox's shell expands it
  printf 'FROM example-%s\nRUN %s > /tmp/said && echo "SAID $(cat /tmp/said)"\n' "$name" "$command" |
    run tee "$place/run/Dockerfile" >/dev/null
  # Never from the cache: what is shown is run.
  run "$careen" build --platform "$platform" --no-cache --progress plain --output type=cacheonly "$place/run" \
    > "$place/log" 2>&1 || { tail -n 40 "$place/log" >&2; die "the command of $name failed"; }
  sed -n 's/^#[0-9]* [0-9.]* SAID //p' "$place/log"
}

# Fails unless the image of each platform of an example says what it should.
show() {
  local name=$1 platform expected text
  for platform in ${platforms//,/ }; do
    expected=${says//ARCHITECTURE/${platform#*/}}
    case $platform in
      */amd64) expected=${expected//MACHINE/x86_64} ;;
      */arm64) expected=${expected//MACHINE/aarch64} ;;
    esac
    text=$(said "$name" "$platform")
    # shellcheck disable=SC2254 # the stars are patterns
    case $text in
      $expected) say "$platform says: $text" ;;
      *) die "the image of $name for $platform should say: $expected; it said: $text" ;;
    esac
  done
}

need_packages "${build_packages[@]}" mmdebstrap
need_cargo
[ $# -gt 0 ] || set -- python node rust apt
for name in "$@"; do
  example "$name"
done
cargo build --release --locked
if is_root; then
  need_user "$user"
  need_id_range "$user"
fi
lay_out
find_reach
store_debian
for name in "$@"; do
  example "$name"
  [ -z "$base" ] || stored "$base" "$tag" "$native"
  begun=$SECONDS
  say "== examples/$name for $platforms as $(run id -un)"
  build "example-$name" "$place/$name.tar" --platform "$platforms" "$place/contexts/$name"
  run "$careen" load -i "$place/$name.tar"
  say "built in $((SECONDS - begun)) s"
  show "$name"
done
say "examples: $# built and run: $*"
