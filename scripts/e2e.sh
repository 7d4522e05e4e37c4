#!/usr/bin/env bash
# e2e.sh: what only whole machines show: careen as installed, run by two ordinary users that this script makes
# (`careen-t1` with a range of subordinate ids, `careen-t2` with none), on images made from Debian's packages,
# read by other programs, watched by strace, and killed. Needs root and Debian's mirror; scripts/test.sh has
# installed the programs.
#
# Each `check` is one sentence that holds or not; the last line counts them. The file systems of Debian are kept in
# CAREEN_TESTS_CACHE (default: careen-tests in XDG_CACHE_HOME or /var/cache).
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
cache=${CAREEN_TESTS_CACHE:-${XDG_CACHE_HOME:-/var/cache}/careen-tests}
passed=0 failed=0
epoch=1700000000
platforms=linux/amd64,linux/arm64
# How many moments the kill drill tries for each role, and where its random numbers begin.
moments=4 seed=1

# check SENTENCE COMMAND…: counts whether the command holds; its output is shown only where it does not.
check() {
  local sentence=$1 begun=$SECONDS
  shift
  if "$@" > "$work/output" 2>&1; then
    passed=$((passed + 1))
    say "ok: $sentence ($((SECONDS - begun)) s)"
  else
    failed=$((failed + 1))
    say "FAILED: $sentence"
    tail -n 60 "$work/output" | sed 's/^/    /'
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
  cp -r examples/hello tests/debian tests/drills/kill "$work/"
  chmod -R a+rX "$work/hello" "$work/debian" "$work/kill"
  scripts/base-images.sh "$work/base"
  # What some posts run is for a third processor.
  scripts/base-images.sh "$work/rows-base" amd64 arm64 armhf
  scripts/debian-images.sh "$cache"
  for user in careen-t1 careen-t2 root; do
    install -d -o "$user" "$work/$user"
  done
  install -d -o careen-t1 "$work/rows"
  install -d -o careen-t1 "$work/examples"
  cp -r scripts/e2e "$work/scripts"
  mkdir "$work/pages"
  cp -r README.md docs "$work/pages/"
  chmod -R a+rX "$work/scripts" "$work/pages"
}

# careen USER STORE ARGUMENT…: runs careen as a user, with a store of that name.
careen() {
  local user=$1 store=$2
  shift 2
  as_user "$user" XDG_DATA_HOME="$work/$user/$store" SOURCE_DATE_EPOCH="$epoch" "$work/careen" "$@"
}

# build USER STORE CONTEXT ARCHIVE ARGUMENT…: builds for both platforms.
build() {
  local user=$1 store=$2 context=$3 archive=$4
  shift 4
  careen "$user" "$store" build --platform "$platforms" -t "$context" "$@" \
    --build-context "base=oci-layout://$work/base" --build-context "debian=oci-layout://$work/careen-t1/debian-base" \
    --output "type=oci,dest=$work/$user/$archive,rewrite-timestamp=true" "$work/$context"
}

same_bytes() { # FILE FILE
  cmp "$1" "$2"
}

# What a build may leave on the machine: a process of the users', or of their subordinate ids; a mount; an emulator.
traces() {
  living_processes
  findmnt --noheadings --list --output TARGET | sort
  host_emulators
}

# Prints the processes that have an id of a test's user; a zombie is nobody's but its parent's.
living_processes() {
  local first
  first=$(awk -F : '$1 == "careen-t1" { print $2 }' /etc/subuid)
  ps -e -o uid=,stat=,pid=,args= | awk -v t1="$(id -u careen-t1)" -v t2="$(id -u careen-t2)" -v first="$first" \
    '($1 == t1 || $1 == t2 || $1 >= first && $1 < first + 65536) && $2 !~ /^Z/'
}

leaves_no_trace() { # FILE with the traces of before
  traces | diff "$1" -
}

# shellcheck source=scripts/e2e/peers.sh
. "$top/scripts/e2e/peers.sh"
# shellcheck source=scripts/e2e/debian.sh
. "$top/scripts/e2e/debian.sh"
# shellcheck source=scripts/e2e/layers.sh
. "$top/scripts/e2e/layers.sh"
# shellcheck source=scripts/e2e/probe.sh
. "$top/scripts/e2e/probe.sh"
# shellcheck source=scripts/e2e/reproducible.sh
. "$top/scripts/e2e/reproducible.sh"
# shellcheck source=scripts/e2e/nested.sh
. "$top/scripts/e2e/nested.sh"
# shellcheck source=scripts/e2e/secrets.sh
. "$top/scripts/e2e/secrets.sh"
# shellcheck source=scripts/e2e/servers.sh
. "$top/scripts/e2e/servers.sh"
# shellcheck source=scripts/e2e/registry.sh
. "$top/scripts/e2e/registry.sh"
# shellcheck source=scripts/e2e/completion.sh
. "$top/scripts/e2e/completion.sh"
# shellcheck source=scripts/e2e/timeline.sh
. "$top/scripts/e2e/timeline.sh"
# shellcheck source=scripts/e2e/binfmt.sh
. "$top/scripts/e2e/binfmt.sh"
# shellcheck source=scripts/e2e/authorities.sh
. "$top/scripts/e2e/authorities.sh"
# shellcheck source=scripts/e2e/container.sh
. "$top/scripts/e2e/container.sh"
# shellcheck source=scripts/e2e/environments.sh
. "$top/scripts/e2e/environments.sh"
# shellcheck source=scripts/e2e/limits.sh
. "$top/scripts/e2e/limits.sh"
# shellcheck source=scripts/e2e/network.sh
. "$top/scripts/e2e/network.sh"
# shellcheck source=scripts/e2e/kill.sh
. "$top/scripts/e2e/kill.sh"

cargo build --release --locked
lay_out
traces > "$work/before"

check "a user with a range of ids builds the example for two platforms" build careen-t1 store hello hello.tar
check_peers hello
check_outputs
check_reproducible
check "a user without a range of ids builds the example" build careen-t2 store hello hello.tar
check "nothing is left of any of these builds" leaves_no_trace "$work/before"

check_environments
check "nothing is left of these environments" leaves_no_trace "$work/before"

check_limits
check "nothing is left of the limits" leaves_no_trace "$work/before"

check_network
check "nothing is left of the networks" leaves_no_trace "$work/before"

check_debian
check_peers debian
check "nothing is left of the builds of Debian" leaves_no_trace "$work/before"

check_nested
check "nothing is left of a build in a build" leaves_no_trace "$work/before"

check_layers
check "nothing is left of the builds in all modes" leaves_no_trace "$work/before"

check_probe
check "nothing is left of the probe" leaves_no_trace "$work/before"

check_secrets
check "nothing is left of the builds with secrets" leaves_no_trace "$work/before"

check_registries
check "nothing is left of what went to registries" leaves_no_trace "$work/before"

check "what people's posts type for docker works" as_user careen-t1 \
  "$work/scripts/docker_rows.sh" "$work/careen" "$work/rows-base" "$work/rows" "$cache"
check "nothing is left of the posts' command lines" leaves_no_trace "$work/before"

check "the examples of README.md and docs do what the pages say" as_user careen-t1 \
  python3 "$work/scripts/examples_docs.py" "$work/careen" "$work/base" "$work/examples" "$work/pages"
check "nothing is left of the examples" leaves_no_trace "$work/before"

check_completion

check_timeline

check_binfmt
check "nothing is left of emulators that were installed" leaves_no_trace "$work/before"

check_authorities
check "nothing is left of what trusted an authority" leaves_no_trace "$work/before"

check_container
check "nothing is left of what was built in a container" leaves_no_trace "$work/before"

check_kill
check "nothing is left of what was killed" leaves_no_trace "$work/before"

say "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
