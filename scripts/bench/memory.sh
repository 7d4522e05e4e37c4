#!/usr/bin/env bash
# memory.sh CAREEN BASE [KIND…]: how much memory builds take that have a large layer, many files or a large context, as
# a Markdown table; exits 1 if one takes more than the bound. CAREEN is the program (a release build), BASE an OCI image
# layout with /bin/sh, seq, xargs and dd (busybox). The kinds are `bytes`, `files` and `context`; without one, all. An
# ordinary user calls it.
#
# MEMORY_DIR is where the stores and contexts are, by default a new directory below TMPDIR: some 15 GiB and three million
# files. MEMORY_GIB, MEMORY_FILES and MEMORY_CONTEXT are the sizes: of the layer (4), the files of a layer (1000000) and of
# a context (200000). MEMORY_BOUND is the bound in MiB (256).
#
# Two figures: the largest process, and all processes of the build together at one moment (resident.py). Both count what is
# resident: also pages of files that several processes share.
# shellcheck disable=SC2016,SC2317 # Backticks of Markdown; the kinds are functions that are called by their names.
set -euo pipefail
shopt -s inherit_errexit

careen=$(realpath "${1:?the program}")
base=$(realpath "${2:?an image layout}")
shift 2
kinds=("${@:-all}")
here=$(dirname "$(realpath "$0")")
work=$(mktemp -d "${MEMORY_DIR:-${TMPDIR:-/tmp}}/memory.XXXXXX")
gib=${MEMORY_GIB:-4}
many=${MEMORY_FILES:-1000000}
context=${MEMORY_CONTEXT:-200000}
bound=${MEMORY_BOUND:-256}
over=0

# shellcheck source=scripts/bench/ground.sh
. "$here/ground.sh"
for kind in "${kinds[@]}"; do
  [[ $kind == @(all|bytes|files|context) ]] || { echo "$0: there is no kind \`$kind\`" >&2; exit 2; }
done

# built TITLE CONTEXT OUTPUT [ARGUMENT…]: builds, and prints a row.
built() {
  local title=$1 directory=$2 output=$3 took seconds largest together
  shift 3
  if ! took=$(CAREEN_STORE=$work/store "$here/resident.py" "$careen" build --progress plain \
    --build-context "base=oci-layout://$base" --output "$output" "$@" "$directory" 2> "$work/log"); then
    tail -n 20 "$work/log" >&2
    printf '| %s | not built | | |\n' "$title"
    over=1
    return
  fi
  read -r seconds largest together <<< "$took"
  printf '| %s | %d MiB | %d MiB | %.0f s |\n' "$title" "$((largest / 1024))" "$((together / 1024))" "$seconds"
  ((together <= bound * 1024)) || { echo "$0: over $bound MiB: $title" >&2; over=1; }
}

# on TITLE CONTEXT: writes the image of a context as a layout and builds on that from an empty store.
on() {
  forget
  built "the same by \`COPY\`, written to an image layout" "$2" "type=oci,tar=false,dest=$work/big"
  forget
  remove "$2"
  mkdir "$work/on"
  printf 'FROM big\nRUN :\n' > "$work/on/Dockerfile"
  built "$1, unpacked from gzip, and \`RUN :\`" "$work/on" type=cacheonly --build-context "big=oci-layout://$work/big"
  forget
  built "the same written to an archive, nothing unpacked" "$work/on" "type=oci,dest=$work/out.tar" \
    --build-context "big=oci-layout://$work/big"
  forget
  remove "$work/big"
  remove "$work/on"
}

bytes() {
  local directory=$work/bytes mib=$((gib * 1024))
  mkdir "$directory"
  many_bytes "$directory" "$mib"
  built "a layer of $gib GiB that \`RUN\` writes, packed as gzip into an archive" "$directory" "type=oci,dest=$work/out.tar"
  built 'the same again, packed as zstd' "$directory" "type=oci,dest=$work/out.tar,compression=zstd,force-compression=true"
  head -c "$((mib / 2))M" /dev/urandom > "$directory/data"
  truncate -s "${mib}M" "$directory/data"
  printf 'FROM base\nCOPY data /data\n' > "$directory/Dockerfile"
  on "a base with a layer of $gib GiB" "$directory"
}

files() {
  local directory=$work/files
  mkdir "$directory"
  many_files "$directory" "$many"
  built "a layer of $many files that \`RUN\` makes, packed into an archive" "$directory" "type=oci,dest=$work/out.tar"
  remove "$directory"
  tree "$directory" "$many"
  printf 'FROM base\nCOPY files /files\n' > "$directory/Dockerfile"
  on "a base with a layer of $many files" "$directory"
}

context() {
  local directory=$work/context
  tree "$directory" "$context"
  printf 'FROM base\nCOPY . /files\n' > "$directory/Dockerfile"
  built "a context of $context files, copied, written to an archive" "$directory" "type=oci,dest=$work/out.tar"
  built 'the same again, nothing changed' "$directory" "type=oci,dest=$work/out.tar"
  echo changed > "$directory/files/d0/f0"
  built 'the same with one file changed' "$directory" "type=oci,dest=$work/out.tar"
  printf 'FROM base\nCOPY . /files\nRUN find /files | wc -l\n' > "$directory/Dockerfile"
  built 'the same with a `RUN` on it' "$directory" "type=oci,dest=$work/out.tar"
  forget
  remove "$directory"
}

printf '| Build | The largest process | All together | Time |\n| --- | --- | --- | --- |\n'
for kind in bytes files context; do
  if wanted "$kind"; then "$kind"; fi
done
exit "$over"
