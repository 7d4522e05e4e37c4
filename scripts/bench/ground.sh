# shellcheck shell=bash
# Sourced by scale.sh and memory.sh: what both make, and how it goes away.
# shellcheck disable=SC2154 # work, careen, base and kinds are theirs

[[ -x $careen && -f $base/index.json ]] || { echo "$0: no program, or no image layout" >&2; exit 2; }

# Files of a store may have ids of the user's range: they can be removed where these are mapped.
remove() {
  rm -rf "$1" 2> /dev/null || unshare --user --map-root-user --map-auto rm -rf "$1"
}
trap 'remove "$work"' EXIT

wanted() {
  [[ " ${kinds[*]} " == *" $1 "* || " ${kinds[*]} " == *" all "* ]]
}

forget() { remove "$work/store"; }

# tree DIRECTORY NUMBER: makes that many files of a few bytes, a thousand in a directory, in `files` there.
tree() {
  mkdir "$1"
  seq 0 "$((($2 - 1) / 1000))" | awk -v top="$1/files/d" '{ print top $1 }' | xargs mkdir -p
  awk -v top="$1/files/d" -v count="$2" 'BEGIN {
    for (file = 0; file < count; file++) {
      name = top int(file / 1000) "/f" file
      print file > name
      close(name)
    }
  }'
}

# many_files DIRECTORY NUMBER: writes a Dockerfile whose `RUN` makes that many files. Some thousand in a directory: one that
# has all of them is a measure of the file system.
many_files() {
  cat > "$1/Dockerfile" << DOCKERFILE
FROM base
RUN mkdir /m && cd /m && for d in \$(seq 0 $((($2 - 1) / 1000))); do mkdir \$d && (cd \$d && seq 1 1000 | xargs touch); done
DOCKERFILE
}

# many_bytes DIRECTORY MIB: writes a Dockerfile whose `RUN` makes a file of that size, half of which can be made smaller.
many_bytes() {
  cat > "$1/Dockerfile" << DOCKERFILE
FROM base
RUN { dd if=/dev/urandom bs=1M count=$((($2 + 1) / 2)); dd if=/dev/zero bs=1M count=$(($2 / 2)); } > /data 2> /dev/null
DOCKERFILE
}
