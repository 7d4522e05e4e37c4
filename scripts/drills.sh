#!/usr/bin/env bash
# drills.sh: what must not be lost is put at risk: builds are killed, crowded and stopped, their calls fail, disks are full,
# the files of a store are damaged, clocks, file systems and versions are odd, and what strangers write is made up.
#
#   drills.sh --short          a few of each, with the seed 1
#   drills.sh --hours H        one round after another for H hours, each with the next seed
#   --seed N                   begins with another seed
#   --careen FILE              takes this program and not the checkout's, which is built
#   --no-fuzz                  leaves the fuzz targets out
#
# Each drill is a program in tests/drills/NAME/drill.py, which says its seed and how often it did what. A drill needs
# no root unless its row in the table below says so; root is careen-t1 for the others. The base comes from Debian's mirror, or from BASE, an image layout.
# What is made up is scripts/fuzz.sh's, with its seed and its sum.
set -euo pipefail
shopt -s inherit_errexit

top=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=scripts/setup.sh
. "$top/scripts/setup.sh"
cd "$top"

usage() { die "usage: drills.sh --short | --hours H [--seed N] [--careen FILE] [--no-fuzz]"; }

hours='' seed=1 program='' fuzzing=yes
while [ $# -gt 0 ]; do
  case $1 in
    --short) hours=0 ;;
    --hours) [ $# -ge 2 ] || usage; hours=$2; shift ;;
    --seed) [ $# -ge 2 ] || usage; seed=$2; shift ;;
    --no-fuzz) fuzzing='' ;;
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

# remove DIRECTORY: files of a store may have ids that only careen's namespace reaches.
remove() {
  if is_root; then
    rm -rf "$1"
  else
    unshare --map-auto --map-root-user rm -rf "$1" 2>/dev/null || rm -rf "$1"
  fi
}

clean_up() {
  remove "$work"
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
    need_user careen-t2
    drop_id_range careen-t2
    export CAREEN_DRILL_SINGLE=careen-t2
  fi
}

# Each drill: who runs it (`user`, or `root` for what has to mount or to trace), its name, how often in the short form,
# and how often in a round of the long form. One line each; a drill is alone while it runs.
drills=(
  'user kill       10  60'
  'user corruption 40 250'
  'root points     12 150'
  'root errno      12 150'
  'root full       20 100'
  'user load       20 1800'
  'root oddities   1  5'
  'root determinism 8 50'
  'user formats    1  1'
  'user registry    4 120'
  'user canary      1   5'
  'root power       4 100'
)

# drill WHO NAME SEED COUNT: one drill in a directory of its own, which goes when it ends.
drill() {
  local who=$1 name=$2 seed=$3 count=$4 status=0
  local place=$work/$name-$seed
  mkdir "$place"
  cp -r "$work/base" "$place/base"
  local -a command=(python3 "$work/drills/$name/drill.py" "$work/careen" "$place" "$seed" "$count")
  if [ "$who" = user ]; then
    is_root && chown -R careen-t1 "$place"
    as_ordinary "${command[@]}" || status=$?
  elif is_root; then
    "${command[@]}" || status=$?
  else
    say "$name: not run, it needs root"
  fi
  remove "$place"
  return "$status"
}

# fuzz SEED FORM: all fuzz targets, 10 s each in the short form and 60 s in the long one. They are built from the checkout.
fuzz() {
  local seconds=10
  [ "$2" = short ] || seconds=60
  if ! (need_cargo) >/dev/null; then
    say "fuzz: not run, it needs cargo"
    return
  fi
  scripts/fuzz.sh --seconds "$seconds" --seed "$1"
}

# round SEED FORM: each drill once, with its count of that form (`short` or `long`). All are done, whatever becomes
# of one.
round() {
  local row who name short long count begun status=0
  for row in "${drills[@]}"; do
    read -r who name short long <<< "$row"
    count=$short
    [ "$2" = short ] || count=$long
    begun=$SECONDS
    drill "$who" "$name" "$1" "$count" || { status=1; say "$name: FAILED with seed $1"; }
    say "$name: $((SECONDS - begun)) s"
  done
  [ -n "$fuzzing" ] || return "$status"
  begun=$SECONDS
  fuzz "$1" "$2" || { status=1; say "fuzz: FAILED with seed $1"; }
  say "fuzz: $((SECONDS - begun)) s"
  return "$status"
}

lay_out
failed=0 rounds=0
begun=$SECONDS
if [ "$seconds" -eq 0 ]; then
  rounds=1
  round "$seed" short || failed=1
else
  while [ $((SECONDS - begun)) -lt "$seconds" ]; do
    rounds=$((rounds + 1))
    round $((seed + rounds - 1)) long || failed=$((failed + 1))
  done
fi
say "drills: $rounds rounds from seed $seed in $((SECONDS - begun)) s, $failed with failures"
[ "$failed" -eq 0 ]
