#!/usr/bin/env bash
# quickstart.sh: builds careen, then shows what it does: examples/hello for two platforms, made by an ordinary
# user, and what each platform's image prints when its command runs.
#
# Root installs what is missing, and a user `careen-demo` does the rest; anybody else is told what to install
# and does the rest as who they are. Nothing outside the checkout is needed but Debian's packages. It can be
# run again at any time, and is quick then.
set -euo pipefail
shopt -s inherit_errexit

top=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=scripts/setup.sh
. "$top/scripts/setup.sh"
platforms=linux/amd64,linux/arm64

# run COMMAND…: runs a command as the ordinary user.
if is_root; then
  run() { as_user careen-demo "$@"; }
else
  run() { "$@"; }
fi

# Puts the program and the example where the ordinary user can read them: only root may be able to enter the
# checkout. Sets `place`, the directory, and `careen`, the program in it.
lay_out() {
  local target
  target=$(target_directory)
  place=$target/quickstart
  ! is_root || place=$(getent passwd careen-demo | cut -d : -f 6)/quickstart
  run mkdir -p "$place/hello" "$place/run"
  # By rename, since a careen that still runs there cannot be written over.
  install -m 755 "$target/release/careen" "$place/careen.new"
  mv -f "$place/careen.new" "$place/careen"
  install -m 644 "$top/examples/hello/Dockerfile" "$place/hello/"
  install -m 755 "$top/examples/hello/hello" "$place/hello/"
  careen=$place/careen
}

# Builds the example for all platforms into one archive, and puts that into the store under the name `hello`.
build_hello() {
  run "$careen" build --platform "$platforms" --build-context "base=oci-layout://$place/base" \
    -t hello --output "type=oci,dest=$place/hello.tar" "$place/hello"
  run "$careen" load -i "$place/hello.tar"
  run "$careen" image ls
}

# Prints the command that the image of one architecture has in its configuration.
image_command() {
  local blobs=$place/layout/blobs/sha256 config
  run rm -rf "$place/layout"
  run mkdir "$place/layout"
  run tar --extract --file "$place/hello.tar" --directory "$place/layout"
  # The one document that names an architecture and has layers: not the index, and no layer.
  config=$(grep --text --files-with-matches '"rootfs"' "$blobs"/* |
    xargs grep --text --files-with-matches "\"architecture\":\"$1\"")
  sed 's/.*"Cmd":\(\[[^]]*\]\).*/\1/' "$config"
}

# Runs the command of one platform's image, as a step of a build that starts from the image, and prints what it
# said. Fails unless it said which machine it ran on, and that is the platform's.
show() {
  local platform=$1 machine=$2 said
  printf 'FROM hello\nRUN %s\n' "$(image_command "${platform#*/}")" | run tee "$place/run/Dockerfile" >/dev/null
  # Never from the cache: what is shown is run.
  run "$careen" build --platform "$platform" --no-cache --progress plain \
    --output type=cacheonly "$place/run" 2>&1 | run tee "$place/run.log" >/dev/null ||
    die "the command of the image failed; see $place/run.log"
  said=$(sed -n 's/.*\(Hello from \)/\1/p' "$place/run.log")
  case $said in
    "Hello from $machine: made for $platform"*) say "$platform says: $said" ;;
    *) die "the image for $platform should say that it runs on $machine; it said: $said" ;;
  esac
}

cd "$top"
need_packages "${build_packages[@]}"
need_cargo
say "== building careen"
cargo build --release --locked
if is_root; then
  need_user careen-demo
  need_id_range careen-demo
fi
lay_out

say "== base images from Debian's packages"
# By root where root is here, which alone may read what apt needs to know of its mirrors; anybody can read them.
"$top/scripts/base-images.sh" "$place/base"

say "== building examples/hello for $platforms as $(run id -un) (user id $(run id -u))"
before=$(host_emulators)
build_hello

say "== running the command of each image"
show linux/amd64 x86_64
show linux/arm64 aarch64
after=$(host_emulators)
say "binfmt_misc of the host before: $before"
say "binfmt_misc of the host after:  $after"
[ "$before" = "$after" ] || die "the host's binfmt_misc has changed"
say "quickstart: one archive with two platforms ($place/hello.tar), made and run by $(run id -un), with no daemon, no root and no change to the host's binfmt_misc"
