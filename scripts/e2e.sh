#!/usr/bin/env bash
# e2e.sh: what only whole machines show: careen as installed, run by two ordinary users that this script makes
# (`careen-t1` with a range of subordinate ids, `careen-t2` with none), on images made from Debian's packages,
# and read by other programs. Needs root for the users; scripts/test.sh has installed the programs.
#
# Each `check` is one sentence that holds or not; the last line counts them.
set -euo pipefail
shopt -s inherit_errexit

top=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=scripts/setup.sh
. "$top/scripts/setup.sh"
cd "$top"
is_root || die "needs root, to make the users that run careen"

work=$(mktemp -d /var/tmp/careen-e2e.XXXXXX)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
passed=0 failed=0
epoch=1700000000
# shellcheck disable=SC2054 # the comma is the flag's own
hello_flags=(--platform linux/amd64,linux/arm64 --build-context "base=oci-layout://$work/base" -t hello)

# check SENTENCE COMMAND…: counts whether the command holds; its output is shown only where it does not.
check() {
  local sentence=$1
  shift
  if "$@" > "$work/output" 2>&1; then
    passed=$((passed + 1))
    say "ok: $sentence"
  else
    failed=$((failed + 1))
    say "FAILED: $sentence"
    sed 's/^/    /' "$work/output"
  fi
}

# Makes the users and all that they read, each in a directory of its own: the checkout may be root's alone.
lay_out() {
  local user
  need_user careen-t1
  need_id_range careen-t1
  need_user careen-t2
  drop_id_range careen-t2
  install -m 755 "$(target_directory)/release/careen" "$work/careen"
  cp -r --preserve=mode examples/hello "$work/hello"
  chmod -R a+rX "$work/hello"
  scripts/base-images.sh "$work/base"
  for user in careen-t1 careen-t2; do
    install -d -o "$user" "$work/$user"
  done
}

# careen USER STORE ARGUMENT…: runs careen as a user, with a store of that name.
careen() {
  local user=$1 store=$2
  shift 2
  as_user "$user" XDG_DATA_HOME="$work/$user/$store" SOURCE_DATE_EPOCH="$epoch" "$work/careen" "$@"
}

# build_hello USER STORE ARCHIVE: builds the example for both platforms.
build_hello() {
  careen "$1" "$2" build "${hello_flags[@]}" \
    --output "type=oci,dest=$work/$1/$3,rewrite-timestamp=true" "$work/hello"
}

skopeo_reads() { # ARCHIVE ARCHITECTURE
  [ "$(skopeo --override-arch "$2" inspect "oci-archive:$1" | jq -r .Architecture)" = "$2" ]
}

umoci_unpacks() { # ARCHIVE ARCHITECTURE
  local layout=$work/careen-t1/umoci-$2
  as_user careen-t1 skopeo copy --quiet --override-arch "$2" "oci-archive:$1" "oci:$layout:hello" &&
    as_user careen-t1 umoci unpack --rootless --image "$layout:hello" "$layout.bundle" &&
    [ -x "$layout.bundle/rootfs/usr/local/bin/hello" ]
}

podman_loads() { # ARCHIVE
  local storage=$work/podman
  podman --root "$storage/root" --runroot "$storage/run" --storage-driver vfs load --input "$1"
}

same_bytes() { # FILE FILE
  cmp "$1" "$2"
}

# The same build in an empty store, with all that must not matter changed: the number of jobs, the time zone, the
# umask and the path of the context.
build_hello_elsewhere() {
  cp -r --preserve=mode "$work/hello" "$work/elsewhere" &&
    (umask 077 && as_user careen-t1 TZ=Asia/Kathmandu XDG_DATA_HOME="$work/careen-t1/other" SOURCE_DATE_EPOCH="$epoch" \
      "$work/careen" build -j 1 "${hello_flags[@]}" \
      --output "type=oci,dest=$work/careen-t1/other.tar,rewrite-timestamp=true" "$work/elsewhere")
}

# What a build may leave on the machine: a process of the user's, a mount, an emulator.
traces() {
  pgrep -l -u careen-t1,careen-t2 || true
  findmnt --noheadings --list --output TARGET | sort
  host_emulators
}

leaves_no_trace() { # FILE with the traces of before
  traces | diff "$1" -
}

lay_out
archive=$work/careen-t1/hello.tar
traces > "$work/before"
check "a user with a range of ids builds the example for two platforms" build_hello careen-t1 store hello.tar
check "skopeo reads the amd64 image" skopeo_reads "$archive" amd64
check "skopeo reads the arm64 image" skopeo_reads "$archive" arm64
check "umoci unpacks the amd64 image as an ordinary user" umoci_unpacks "$archive" amd64
check "umoci unpacks the arm64 image as an ordinary user" umoci_unpacks "$archive" arm64
check "podman loads the archive" podman_loads "$archive"
check "a second build gives the archive again" build_hello careen-t1 store again.tar
check "the second archive has the same bytes" same_bytes "$archive" "$work/careen-t1/again.tar"
check "a build in an empty store from another path runs" build_hello_elsewhere
check "it gives the same bytes" same_bytes "$archive" "$work/careen-t1/other.tar"
check "a user without a range of ids builds the example" build_hello careen-t2 store hello.tar
check "nothing is left of any build" leaves_no_trace "$work/before"

say "e2e: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
