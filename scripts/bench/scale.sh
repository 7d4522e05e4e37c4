#!/usr/bin/env bash
# scale.sh CAREEN BASE [KIND…]: time and memory of builds against the number of steps, the number of files and the size of a
# layer, as Markdown tables. CAREEN is the program (a release build), BASE an OCI image layout with /bin/sh, seq, awk and dd
# (busybox). The kinds are `steps`, `files`, `layers` and `unpack`; without one, all. An ordinary user calls it.
#
# SCALE_DIR is where the stores and contexts are, by default a new directory below TMPDIR: some 15 GiB and three million
# files for all of it. SCALE_STEPS, SCALE_FILES and SCALE_GIB say where to end: the most steps (1000) and files (1000000),
# the largest layer (4). It needs GNU time. What cannot be built is said on standard error and in the table.
#
# A time is the median of N builds (3), but where the build takes longer than twenty seconds: then it is that of one.
# With SCALE_CPU=1 it is the processor's time, which says more on a machine that has other work. Memory is the largest resident size of any one process in any of them.
# shellcheck disable=SC2016 # Backticks of Markdown.
set -euo pipefail
shopt -s inherit_errexit

careen=$(realpath "${1:?the program}")
base=$(realpath "${2:?an image layout}")
shift 2
kinds=("${@:-all}")
work=$(mktemp -d "${SCALE_DIR:-${TMPDIR:-/tmp}}/scale.XXXXXX")
most_steps=${SCALE_STEPS:-1000}
most_files=${SCALE_FILES:-1000000}
most_gib=${SCALE_GIB:-4}
runs=${N:-3}
long_seconds=20

here=$(dirname "$(realpath "$0")")
# shellcheck source=scripts/bench/ground.sh
. "$here/ground.sh"
[[ $runs =~ ^[1-9][0-9]*$ ]] || { echo "$0: N is how many builds are timed" >&2; exit 2; }
time=$(type -P time) || { echo "$0: GNU time is missing" >&2; exit 2; }
for kind in "${kinds[@]}"; do
  [[ $kind == @(all|steps|files|layers|unpack) ]] || { echo "$0: there is no kind \`$kind\`" >&2; exit 2; }
done

# once CONTEXT OUTPUT [ARGUMENT…]: builds, and prints seconds and KiB.
once() {
  local context=$1 output=$2
  shift 2
  local format='%e 0 %M'
  [[ ${SCALE_CPU:-} != 1 ]] || format='%U %S %M'
  CAREEN_STORE=$work/store "$time" -q -f "$format" -o "$work/time" \
    "$careen" build --progress none --build-context "base=oci-layout://$base" --output "$output" "$@" "$context" >&2
  awk '{ printf "%.2f %d\n", $1 + $2, $3 }' "$work/time"
}

# median PREPARE CONTEXT OUTPUT [ARGUMENT…]: prints the median of the times of several builds, and the most memory. PREPARE
# is run before each of them.
median() {
  local prepare=$1 times=$work/times took
  shift
  : > "$times"
  for _ in $(seq "$runs"); do
    "$prepare"
    if ! took=$(once "$@"); then
      printf 'not built'
      return
    fi
    echo "$took" >> "$times"
    [[ ${took%%.*} -lt $long_seconds ]] || break
  done
  sort -n "$times" | awk '
    { seconds[NR] = $1; if ($2 > most) most = $2 }
    END { printf "%.2f s, %.0f MB", seconds[int((NR + 1) / 2)], most * 1024 / 1e6 }'
}

nothing() { :; }

# row NAME CELL…: prints a row of a table.
row() {
  printf '|'
  printf ' %s |' "$@"
  printf '\n'
}

# dockerfile COUNT FORMAT: prints a Dockerfile of that many steps, each with its number at `@`.
dockerfile() {
  echo 'FROM base'
  seq "$1" | while read -r number; do printf '%s\n' "${2//@/$number}"; done
}

steps() {
  printf '\n| Steps | `RUN :`, nothing reused | the same again, cached | `COPY` of one file, nothing reused | cached |\n'
  printf '| --- | --- | --- | --- | --- |\n'
  local context=$work/steps count fresh again copied
  mkdir "$context"
  echo 'one file' > "$context/file"
  for ((count = 10; count <= most_steps; count *= 10)); do
    dockerfile "$count" 'RUN : @' > "$context/Dockerfile"
    fresh=$(median forget "$context" type=cacheonly)
    again=$(median nothing "$context" type=cacheonly)
    dockerfile "$count" 'COPY file /files/@' > "$context/Dockerfile"
    copied=$(median forget "$context" type=cacheonly)
    row "$count" "$fresh" "$again" "$copied" "$(median nothing "$context" type=cacheonly)"
  done
  forget
}

files() {
  printf '\n| Files | `COPY`, written to an archive | the same again, nothing changed | `RUN` makes them, written to an archive |\n'
  printf '| --- | --- | --- | --- |\n'
  local context=$work/made count copied again
  mkdir "$context"
  for ((count = 1000; count <= most_files; count *= 10)); do
    tree "$work/tree-$count" "$count"
    printf 'FROM scratch\nCOPY files /files\n' > "$work/tree-$count/Dockerfile"
    copied=$(median forget "$work/tree-$count" "type=oci,dest=$work/out.tar")
    again=$(median nothing "$work/tree-$count" "type=oci,dest=$work/out.tar")
    remove "$work/tree-$count"
    many_files "$context" "$count"
    row "$count" "$copied" "$again" "$(median forget "$context" "type=oci,dest=$work/out.tar")"
  done
  forget
}

layers() {
  printf '\n| A layer of | `RUN` writes it, packed as gzip into an archive | the same again, cached |\n| --- | --- | --- |\n'
  local context=$work/layer size fresh
  mkdir "$context"
  for size in 1 4 16 64 1024 2048 4096; do
    ((size <= most_gib * 1024)) || break
    many_bytes "$context" "$size"
    fresh=$(median forget "$context" "type=oci,dest=$work/out.tar")
    row "$size MiB" "$fresh" "$(median nothing "$context" "type=oci,dest=$work/out.tar")"
  done
  forget
}

# unpacked TITLE LAYOUT: builds on the image of a layout from an empty store, and removes it.
unpacked() {
  local context=$work/on
  mkdir -p "$context"
  printf 'FROM big\nRUN :\n' > "$context/Dockerfile"
  row "$1" "$(median forget "$context" type=cacheonly --build-context "big=oci-layout://$2")"
  forget
  remove "$2"
}

unpack() {
  printf '\n| A base of one layer with | unpacked from gzip, and a `RUN :` |\n| --- | --- |\n'
  local context=$work/base count size
  mkdir "$context"
  for ((count = 1000; count <= most_files; count *= 10)); do
    tree "$work/tree-$count" "$count"
    printf 'FROM base\nCOPY files /files\n' > "$work/tree-$count/Dockerfile"
    once "$work/tree-$count" "type=oci,tar=false,dest=$work/big" > /dev/null
    remove "$work/tree-$count"
    unpacked "$count files" "$work/big"
  done
  for size in 64 1024 2048 4096; do
    ((size <= most_gib * 1024)) || break
    head -c "$((size / 2))M" /dev/urandom > "$context/data"
    truncate -s "${size}M" "$context/data"
    printf 'FROM base\nCOPY data /data\n' > "$context/Dockerfile"
    once "$context" "type=oci,tar=false,dest=$work/big" > /dev/null
    rm "$context/data"
    unpacked "a file of $size MiB" "$work/big"
  done
}

for kind in steps files layers unpack; do
  if wanted "$kind"; then "$kind"; fi
done
