#!/usr/bin/env bash
# fuzz.sh: what strangers write is thought up by libFuzzer: each target of tests/fuzz runs for a while on seeds of the
# corpora and on what it makes of them.
#
#   fuzz.sh [--seconds N] [--seed S] [--jobs J] [--keep DIRECTORY] [TARGET…]
#   fuzz.sh --build    builds all targets and runs none
#
#   --seconds N        how long each target runs; 10 where it is not said
#   --seed S           another seed than 1: of the seeds and of libFuzzer
#   --jobs J           how many run at a time; 2
#   --keep DIRECTORY   begins with the inputs that lie there, and leaves there what is new
#   TARGET…            f1-dockerfile, f3-apply, …; all where none is named
#
# It ends with 1 where an input was found that something fails on; that lies below the target directory, and
#     TARGET FILE
# runs it again. Needs no nightly toolchain and no cargo-fuzz: the compiler is told to count what is reached.
set -euo pipefail
shopt -s inherit_errexit

top=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=scripts/setup.sh
. "$top/scripts/setup.sh"
cd "$top"

usage() { die "usage: fuzz.sh [--seconds N] [--seed S] [--jobs J] [--keep DIRECTORY] [TARGET…]"; }

seconds=10 seed=1 jobs=2 keep='' build_only=''
while [ $# -gt 0 ]; do
  case $1 in
    --seconds) [ $# -ge 2 ] || usage; seconds=$2; shift ;;
    --seed) [ $# -ge 2 ] || usage; seed=$2; shift ;;
    --jobs) [ $# -ge 2 ] || usage; jobs=$2; shift ;;
    --keep) [ $# -ge 2 ] || usage; keep=$2; shift ;;
    --build) build_only=yes ;;
    -*) usage ;;
    *) break ;;
  esac
  shift
done

[ -z "$keep" ] || keep=$(realpath -m "$keep")

# An input that takes more is a failure: the time is far above what any takes on a machine that does other things too.
memory_mib=768 input_seconds=20 input_bytes=16384

need_cargo
all=$(sed -n 's/^name = "\(f[0-9]*-.*\)"$/\1/p' tests/fuzz/Cargo.toml)
if [ $# -eq 0 ]; then
  # shellcheck disable=SC2086 # names without spaces, one a line
  set -- $all
fi
for target in "$@"; do
  grep -qxF -e "$target" <<< "$all" || die "no target $target; there are: $(tr '\n' ' ' <<< "$all")"
done

work=$(mktemp -d /var/tmp/careen-fuzz.XXXXXX)
trap 'rm -rf "$work"' EXIT

host=$(rustc -vV | sed -n 's/^host: //p')
built=$(target_directory)/fuzz
failures=$built/failures

# Only a target named on the command line keeps build scripts and macros free of what is inserted here.
build() {
  local inserted="-Cpasses=sancov-module -Ccodegen-units=1"
  local level
  for level in level=4 inline-8bit-counters pc-table trace-compares; do
    inserted+=" -Cllvm-args=-sanitizer-coverage-$level"
  done
  local -a programs=()
  for target in "$@"; do programs+=(--bin "$target"); done
  RUSTFLAGS="--cfg fuzzing $inserted" cargo build --release --locked --quiet \
    --manifest-path tests/fuzz/Cargo.toml --target-dir "$built" --target "$host" "${programs[@]}"
}

# run TARGET: runs one for its time. What it prints is in $work/TARGET.log, how it ended in $work/TARGET.status.
run() {
  local target=$1 status=0
  local inputs=${keep:+$keep/$target}
  inputs=${inputs:-$work/inputs/$target}
  mkdir -p "$inputs" "$failures/$target" "$work/tmp/$target"
  local -a options=(
    -max_total_time="$seconds" -seed="$seed" -rss_limit_mb="$memory_mib" -timeout="$input_seconds"
    -max_len="$input_bytes" -artifact_prefix="$failures/$target/" -print_final_stats=1
  )
  local words=tests/fuzz/words/$target
  [ ! -e "$words" ] || options+=(-dict="$words")
  TMPDIR=$work/tmp/$target "$built/$host/release/$target" "${options[@]}" "$inputs" "$work/seeds/$target" \
    > "$work/$target.log" 2>&1 || status=$?
  printf '%s\n' "$status" > "$work/$target.status"
}

# said TARGET: prints what became of one and adds to the sum.
said() {
  local target=$1 status count reached
  status=$(< "$work/$target.status")
  count=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/$target.log")
  reached=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$work/$target.log" | tail -n 1)
  sum=$((sum + ${count:-0}))
  say "$target: ${count:-0} inputs, ${reached:-0} places reached"
  [ "$status" -ne 0 ] || return 0
  failed=$((failed + 1))
  grep -a -A 3 -e 'panicked at' -e 'ERROR: libFuzzer' "$work/$target.log" | head -n 12 || true
  say "$target: FAILED with seed $seed: $(sed -n 's/.*Test unit written to //p' "$work/$target.log" | tail -n 1)"
}

build "$@"
[ -z "$build_only" ] || exit 0
python3 tests/fuzz/seeds.py "${CAREEN_CORPORA:-$top/../shared/corpora}" "$work/seeds" "$seed"
for target in "$@"; do
  while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n || true; done
  run "$target" &
done
wait

sum=0 failed=0
for target in "$@"; do said "$target"; done
say "fuzz: $sum inputs in $# targets, seed $seed, $seconds s each, $failed failed"
[ "$failed" -eq 0 ]
