#!/usr/bin/env bash
# context.sh [CAREEN]: how long a build takes that does nothing but walk its context, for numbers of files and of
# ignore patterns: the table of docs/performance.md. CAREEN is the program, by default the release build.
#
# Nothing of the context is copied but the Dockerfile: every other file is walked, asked about and left out. A time is
# the median of five builds, in milliseconds.
set -euo pipefail
shopt -s inherit_errexit

careen=${1:-$(dirname "$0")/../../target/release/careen}
careen=$(realpath "$careen")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CAREEN_STORE=$work/store
runs=5

# files NUMBER: makes a context of that many empty files, a hundred in a directory.
files() {
  local context=$work/files-$1
  mkdir "$context"
  printf 'FROM scratch\nCOPY . /\n' > "$context/Dockerfile"
  seq 0 "$(($1 / 100 - 1))" | awk -v top="$context" '{ print top "/part" int($1 / 20) "/directory" $1 }' | xargs mkdir -p
  seq 0 "$(($1 - 1))" |
    awk -v top="$context" '{ d = int($1 / 100); print top "/part" int(d / 20) "/directory" d "/file" $1 ".data" }' |
    xargs touch
}

# patterns NUMBER: prints that many patterns, of all kinds. Only the last matches the files: all are asked.
patterns() {
  seq 1 "$(($1 - 1))" | awk '
    $1 % 6 == 0 { print "part" $1 "/directory" $1 "/**" }
    $1 % 6 == 1 { print "**/*.kind" $1 }
    $1 % 6 == 2 { print "**/name" $1 }
    $1 % 6 == 3 { print "part*/directory" $1 "/*.o" }
    $1 % 6 == 4 { print "**/left" $1 "-*" }
    $1 % 6 == 5 { print "!**/kept" $1 "*" }'
  echo '**/*.data'
}

# walk FILES PATTERNS: prints the median time of a build, in milliseconds.
walk() {
  local context=$work/files-$1 begun ended
  patterns "$2" > "$context/.dockerignore"
  # The first build fills the store and the page cache.
  "$careen" build --progress none --output type=cacheonly "$context"
  for _ in $(seq "$runs"); do
    begun=${EPOCHREALTIME/./}
    "$careen" build --progress none --output type=cacheonly "$context"
    ended=${EPOCHREALTIME/./}
    echo $(((ended - begun) / 1000))
  done | sort -n | sed -n "$((runs / 2 + 1))p"
}

printf '| Files | 1 pattern | 200 patterns | 2,000 patterns | 20,000 patterns |\n| --- | --- | --- | --- | --- |\n'
for files in 5000 50000; do
  files "$files"
  printf '| %d |' "$files"
  for patterns in 1 200 2000 20000; do
    printf ' %s |' "$(walk "$files" "$patterns") ms"
  done
  printf '\n'
done
