#!/usr/bin/env bash
# drills.sh: what must not be lost is put at risk: builds are killed, and the files of a store are damaged.
#
#   drills.sh --short          a few of each, with the seed 1
#   drills.sh --hours H        one round after another for H hours, each with the next seed
#   --seed N                   begins with another seed
#   --careen FILE              takes this program and not the checkout's, which is built
#
# Each drill is a program in tests/drills/NAME/drill.py, which says its seed and how often it did what. It needs no
# root; root is careen-t1 meanwhile. The base comes from Debian's mirror, or from BASE, an image layout.
set -euo pipefail
shopt -s inherit_errexit

top=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=scripts/setup.sh
. "$top/scripts/setup.sh"
cd "$top"

usage() { die "usage: drills.sh --short | --hours H [--seed N] [--careen FILE]"; }

hours='' seed=1 program=''
while [ $# -gt 0 ]; do
  case $1 in
    --short) hours=0 ;;
    --hours) [ $# -ge 2 ] || usage; hours=$2; shift ;;
    --seed) [ $# -ge 2 ] || usage; seed=$2; shift ;;
    --careen) [ $# -ge 2 ] || usage; program=$2; shift ;;
    *) usage ;;
  esac
  shift
done
[ -n "$hours" ] || usage
seconds=$(awk -v hours="$hours" 'BEGIN { printf "%d", hours * 3600 }')

work=$(mktemp -d /var/tmp/careen-drills.XXXXXX)
chmod 755 "$work"

# as_ordinary COMMAND…: runs a command as an ordinary user.
as_ordinary() {
  if is_root; then as_user careen-t1 "$@"; else "$@"; fi
}

# Files of a store may have ids that only careen's namespace reaches.
clean_up() {
  if is_root; then
    rm -rf "$work"
  else
    unshare --map-auto --map-root-user rm -rf "$work" 2>/dev/null || rm -rf "$work"
  fi
}
trap clean_up EXIT

lay_out() {
  if [ -z "$program" ]; then
    need_cargo
    cargo build --release --locked --quiet
    program=$(target_directory)/release/careen
  fi
  install -m 755 "$program" "$work/careen"
  cp -r tests/drills "$work/drills"
  if [ -n "${BASE:-}" ]; then cp -r "$BASE" "$work/base"; else scripts/base-images.sh "$work/base"; fi
  chmod -R a+rX "$work/drills" "$work/base"
  if is_root; then
    need_user careen-t1
    need_id_range careen-t1
  fi
}

# round SEED KILLS FILES: each drill once. All are done, whatever becomes of one.
round() {
  local name count status=0
  for name in kill corruption; do
    count=$2
    [ "$name" = kill ] || count=$3
    mkdir "$work/$name-$1"
    cp -r "$work/base" "$work/$name-$1/base"
    is_root && chown -R careen-t1 "$work/$name-$1"
    as_ordinary python3 "$work/drills/$name/drill.py" "$work/careen" "$work/$name-$1" "$1" "$count" || status=1
  done
  return "$status"
}

lay_out
failed=0 rounds=0
begun=$SECONDS
if [ "$seconds" -eq 0 ]; then
  rounds=1
  round "$seed" 20 60 || failed=1
else
  while [ $((SECONDS - begun)) -lt "$seconds" ]; do
    rounds=$((rounds + 1))
    round $((seed + rounds - 1)) 60 250 || failed=$((failed + 1))
  done
fi
say "drills: $rounds rounds from seed $seed in $((SECONDS - begun)) s, $failed with failures"
[ "$failed" -eq 0 ]
