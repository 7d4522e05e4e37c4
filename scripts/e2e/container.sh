# shellcheck shell=bash
# Sourced by scripts/e2e.sh: careen in containers. runc starts them, on a file system of Debian: as Docker does by default,
# with a filter of system calls that allows root neither namespaces nor mounts; and with no filter, as uid 1000, who has
# one id and no program that maps more. The file system is a plain directory, and once an overlay, as Docker has it.
# shellcheck disable=SC2154 # work, top and epoch are e2e.sh's

# Makes the file system of the container, with careen and what it builds.
lay_out_container() {
  container=$work/container
  mkdir -p "$container/lower" "$container/upper" "$container/work" "$container/bundle/rootfs" "$work/unpacked"
  skopeo copy --quiet "oci:$work/careen-t1/debian-base" "oci:$work/unpacked/layout:base"
  umoci unpack --image "$work/unpacked/layout:base" "$work/unpacked/bundle" > "$work/output" 2>&1
  mv "$work/unpacked/bundle/rootfs"/* "$container/lower/"
  mkdir -p "$container/lower/builds/apt"
  install -m 755 "$work/careen" "$container/lower/usr/bin/careen"
  cp "$(ldconfig -p | awk '/libgcc_s.so.1/ { print $NF; exit }')" "$container/lower/usr/lib/"
  cp /etc/resolv.conf "$container/lower/etc/resolv.conf"
  cp -r "$work/hello" "$work/base" "$container/lower/builds/"
  lay_out_probe "$container/lower/builds/probe" /builds/probe
  install -d -o 1000 -g 1000 "$container/lower/builds/own"
  cp -r "$work/careen-t1/debian-base" "$container/lower/builds/debian"
  cat > "$container/lower/builds/apt/Dockerfile" <<'EOT'
FROM debian
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends adduser cron man-db \
    && rm -rf /var/lib/apt/lists/*
RUN adduser --disabled-password --gecos '' joe && su joe -c id
EOT
}

# The user and the filter of the container, and the directory that the user writes to.
container_user=0 container_filter=default container_place=/builds

# contained STORE COMMAND…: runs a command in the container, with a store of that name.
contained() {
  local store=$1
  shift
  python3 "$top/scripts/e2e/container_config.py" "$top/runtime/seccomp/docker-default.tsv" "$container_user" \
    "$container_filter" env CAREEN_STORE="$container_place/$store" SOURCE_DATE_EPOCH="$epoch" "$@" \
    > "$container/bundle/config.json"
  runc run --bundle "$container/bundle" "careen-e2e-$$"
}

# build_contained STORE CONTEXT: builds in the container.
build_contained() {
  contained "$1" careen build --progress plain --build-context base=oci-layout:///builds/base \
    --build-context debian=oci-layout:///builds/debian --output "type=oci,dest=$container_place/$2.tar" \
    "/builds/$2"
}

# The disk that the machine's root directory is on, as `mknod` is told it; nothing where that is no disk.
disk_of_the_machine() {
  local device
  device=$(findmnt --noheadings --output SOURCE --target / | sed 's/\[.*//')
  [ ! -b "$device" ] || stat --format 'b %Hr %Lr' "$device"
}

# finds_only_contained EXPECTED STORE ARGUMENT…: the probe in the container says what is expected, and nothing else.
finds_only_contained() {
  local expected=$1 store=$2 said
  shift 2
  said=$(contained "$store" env CANARY=canary-of-the-callers careen build --no-cache --progress plain \
    --build-context base=oci-layout:///builds/base --build-arg OUTSIDE=1 \
    --build-arg "STORE=$container_place/$store" "$@" /builds/probe 2>&1 | said_by_probe)
  printf '%s\n' "$said"
  [ "$said" = "$expected" ]
}

# cannot_read_disk: a device node that a command makes is one that the container's own limits keep closed.
cannot_read_disk() {
  local disk
  disk=$(disk_of_the_machine)
  mkdir -p "$container/lower/builds/disk"
  printf 'FROM base\nRUN mknod /disk %s && ! head -c 1 /disk && echo closed\n' "${disk:-b 8 0}" \
    > "$container/lower/builds/disk/Dockerfile"
  build_contained plain disk
}

# no_namespaces: the container is one that allows nothing.
no_namespaces() {
  ! contained store unshare --user true && ! contained store unshare --mount true &&
    ! contained store mount -t tmpfs none /mnt
}

# same_as_outside CONTEXT: the image of the container has the same files as that of an ordinary user with a range.
same_as_outside() {
  careen careen-t1 contained build --build-context "base=oci-layout://$work/base" \
    --build-context "debian=oci-layout://$work/careen-t1/debian-base" \
    --output "type=oci,dest=$work/careen-t1/outside.tar" "$container/lower/builds/$1"
  python3 scripts/e2e/same_trees.py "$work/careen-t1/outside.tar" "$container/bundle/rootfs$container_place/$1.tar"
}

runs_contained_with() { # EXECUTOR
  [ "$(contained plain careen doctor --json | jq -r .executor)" = "$1" ]
}

# Root, with Docker's filter.
check_default_container() {
  local shared="OPEN: fills shared memory"
  check "the container allows neither namespaces nor mounts" no_namespaces
  check "root in a container builds the quickstart" build_contained plain hello
  check "and installs packages" build_contained plain apt
  check "the files are those of a build with a range of ids" same_as_outside apt
  check "a command there cannot read the machine's disk" cannot_read_disk
  check "the probe finds what is known to be open there, and nothing else" \
    finds_only_contained "$shared,tried as 0,$shared,tried as 1000" plain --build-arg WALL=landlock
}

# Uid 1000, without a filter: user namespaces, with one id.
check_unfiltered_container() {
  local container_user=1000 container_filter=unconfined container_place=/builds/own others="OPEN: sees other processes"
  check "without a filter uid 1000 of a container runs commands with one id" runs_contained_with userns-single
  check "it builds the quickstart" build_contained plain hello
  check "and installs packages" build_contained plain apt
  check "the files are those of a build with a range of ids" same_as_outside apt
  check "the probe sees that there are other processes, and finds nothing else" \
    finds_only_contained "$others,tried as 0,$others,tried as 1000" plain --build-arg WALL=proc
}

# on_copies UID: builds the quickstart in namespaces, in a container without a filter whose store is in its root directory.
on_copies() {
  python3 "$top/scripts/e2e/container_config.py" "$top/runtime/seccomp/docker-default.tsv" "$1" unconfined \
    env HOME=/tmp CAREEN_STORE="/tmp/copies-$1" SOURCE_DATE_EPOCH="$epoch" careen build --progress plain \
    --build-context base=oci-layout:///builds/base --output "type=oci,dest=/tmp/hello-$1.tar" /builds/hello \
    > "$container/bundle/config.json"
  runc run --bundle "$container/bundle" "careen-e2e-$$" > "$work/copies" 2>&1 || { cat "$work/copies"; return 1; }
  grep -q "^warning: each command runs on a copy of its files" "$work/copies"
}

check_container() {
  lay_out_container
  mount --bind "$container/lower" "$container/bundle/rootfs"
  check_default_container
  check_unfiltered_container
  umount "$container/bundle/rootfs"
  mount -t overlay overlay -o "lowerdir=$container/lower,upperdir=$container/upper,workdir=$container/work" \
    "$container/bundle/rootfs"
  check "root in a container installs packages where the store is in an overlay" build_contained overlay apt
  check "without a filter root builds there in namespaces" on_copies 0
  check "and so does user 1000" on_copies 1000
  umount "$container/bundle/rootfs"
}
