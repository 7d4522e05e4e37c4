# shellcheck shell=bash
# Sourced by scripts/e2e.sh: a real Dockerfile on a real base, tests/debian.
# shellcheck disable=SC2154 # work, cache, epoch and platforms are e2e.sh's

# Makes the base image of both platforms with careen itself, as a layout.
build_debian_base() {
  local context=$work/debian-base architecture
  mkdir "$context"
  for architecture in amd64 arm64; do
    ln "$cache/debian-$architecture.tar" "$context/" || cp "$cache/debian-$architecture.tar" "$context/"
  done
  # shellcheck disable=SC2016 # the variable is the Dockerfile's
  printf '%s\n' 'FROM scratch' 'ARG TARGETARCH' 'ADD debian-$TARGETARCH.tar /' 'CMD ["bash"]' > "$context/Dockerfile"
  chmod -R a+rX "$context"
  careen careen-t1 store build --platform "$platforms" -t debian:latest \
    --output "type=oci,dest=$work/careen-t1/debian-base,tar=false" "$context"
}

# Unpacks an archive's layout, once, and prints the files of the layers of one platform, the bottom one first.
layers() { # ARCHIVE ARCHITECTURE
  local layout=$1.layout index manifest
  if [ ! -d "$layout" ]; then
    mkdir "$layout"
    tar --extract --file "$1" --directory "$layout"
  fi
  blob() { printf '%s/blobs/%s' "$layout" "${1/://}"; }
  index=$(jq -r '.manifests[0].digest' "$layout/index.json")
  manifest=$(jq -r --arg architecture "$2" \
    '.manifests[] | select(.platform.architecture == $architecture) | .digest' "$(blob "$index")")
  jq -r '.layers[].digest' "$(blob "$manifest")" | while read -r digest; do
    printf '%s\n' "$(blob "$digest")"
  done
}

# Lists the files of all layers of one platform: mode, owner and path of each, as the layers have them.
list() { # ARCHIVE ARCHITECTURE
  local layer
  layers "$1" "$2" | while read -r layer; do
    tar --list --verbose --numeric-owner --file "$layer" | awk '{ print $1, $2, $6 }'
  done
}

# Succeeds if the last layer that has a path has it with this mode and owner.
is_owned() { # LISTING MODE OWNER PATH
  local found
  found=$(awk -v path="$4" '$3 == path || $3 == path "/" { print $1, $2 }' "$1" | tail -n 1)
  printf '%s: %s\n' "$4" "$found"
  [ "$found" = "$2 $3" ]
}

owners_are_right() { # ARCHITECTURE
  local listing=$work/listing apt
  list "$work/careen-t1/tools.tar" "$1" > "$listing"
  # _apt has a fixed number in Debian's base-passwd since trixie, and another before.
  apt=$(tar --extract --to-stdout --file "$cache/debian-$1.tar" ./etc/passwd | awk -F : '$1 == "_apt" { print $3 }')
  is_owned "$listing" drwx------ "$apt/0" var/lib/apt/lists/partial &&
    is_owned "$listing" -rwxr-xr-x 0/0 usr/bin/git &&
    is_owned "$listing" -rw-r----- 0/42 etc/shadow &&
    is_owned "$listing" drwx------ 1234/1234 home/ana &&
    is_owned "$listing" -rw-r--r-- 1234/1234 home/ana/project/.git/HEAD &&
    is_owned "$listing" -rwsr-xr-x 1234/0 usr/local/bin/setuid &&
    is_owned "$listing" -rw-r--r-- 0/0 home/ana/greeting &&
    is_owned "$listing" -rw-r--r-- 1234/1234 home/ana/hers
}

second_stage_kept_the_owners() { # ARCHITECTURE
  local listing=$work/listing
  list "$work/careen-t1/debian.tar" "$1" > "$listing"
  is_owned "$listing" drwx------ 1234/1234 home/ana &&
    is_owned "$listing" -rwsr-xr-x 1234/0 usr/local/bin/setuid &&
    is_owned "$listing" -rw-r--r-- 1234/1234 home/ana/machine
}

# Succeeds if the file capability is of version 2 (capabilities(7)): one without the id of a namespace's root.
capability_is_of_version_2() { # ARCHIVE ARCHITECTURE
  local layer directory=$work/capability value
  rm -rf "$directory"
  mkdir "$directory"
  layers "$1" "$2" | while read -r layer; do
    # Most layers do not have the file.
    tar --extract --xattrs --xattrs-include=security.capability --file "$layer" --directory "$directory" \
      usr/local/bin/capable 2>/dev/null || true
  done
  value=$(getfattr --only-values --name security.capability "$directory/usr/local/bin/capable" | od -A n -t x1 | tr -d ' \n')
  printf 'security.capability: %s\n' "$value"
  # cap_net_raw is bit 13.
  [ "$value" = 0100000200200000000000000000000000000000 ]
}

says_its_machine() { # ARCHITECTURE MACHINE
  local layer
  layer=$(layers "$work/careen-t1/debian.tar" "$1" | tail -n 1)
  [ "$(tar --extract --to-stdout --file "$layer" home/ana/machine)" = "$2" ]
}

# Builds again under strace. Its log names the file behind each descriptor.
build_debian_watched() {
  HOME=$work/careen-t1 XDG_DATA_HOME=$work/careen-t1/store SOURCE_DATE_EPOCH=$epoch strace -f -y -u careen-t1 -o "$work/strace" \
    -e trace=execve,execveat,open,openat,openat2 "$work/careen" build --platform "$platforms" -t debian \
    --build-context "base=oci-layout://$work/base" --build-context "debian=oci-layout://$work/careen-t1/debian-base" \
    --output "type=oci,dest=$work/careen-t1/debian.tar,rewrite-timestamp=true" "$work/debian"
}

runs_nothing_but_helpers() {
  local others
  others=$(grep -E 'execve(at)?\(.* = 0$' "$work/strace" | sed 1d | grep -v -E '"[^"]*/new[ug]idmap"' || true)
  printf '%s\n' "$others"
  grep -q "execve.*$work/careen" "$work/strace" && [ -z "$others" ]
}

opens_no_blob() {
  # By a path in the store or a layout, or by a name in the directory of blobs.
  ! grep -E 'open(at2?)?\(.*blobs/[a-z0-9]+(/|>, ")[0-9a-f]{64}' "$work/strace"
}

check_debian() {
  local architecture
  check "careen makes the base images from Debian's file systems" build_debian_base
  check "an ordinary user builds on Debian for two platforms" build careen-t1 store debian debian.tar
  check "the first stage alone comes from the cache" build careen-t1 store debian tools.tar --target tools
  for architecture in amd64 arm64; do
    check "files of $architecture have the owners that commands gave them" owners_are_right "$architecture"
    check "files of $architecture keep them in the second stage" second_stage_kept_the_owners "$architecture"
    check "the file capability of $architecture is of version 2" \
      capability_is_of_version_2 "$work/careen-t1/tools.tar" "$architecture"
    check "the file capability of $architecture is kept in the second stage" \
      capability_is_of_version_2 "$work/careen-t1/debian.tar" "$architecture"
  done
  check "a command of the amd64 image ran on x86_64" says_its_machine amd64 x86_64
  check "a command of the arm64 image ran on aarch64" says_its_machine arm64 aarch64
  check "the second build on Debian succeeds" build_debian_watched
  check "it starts no process after the builder" runs_nothing_but_helpers
  check "it opens no blob" opens_no_blob
}
