# shellcheck shell=bash
# Sourced by scripts/e2e.sh: root in a container as Docker starts one by default, whose filter of system calls allows
# neither namespaces nor mounts. runc starts it, on a file system of Debian; once that is a plain directory, once an
# overlay, as Docker has it.
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
  cp -r "$work/careen-t1/debian-base" "$container/lower/builds/debian"
  cat > "$container/lower/builds/apt/Dockerfile" <<'EOT'
FROM debian
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends adduser cron man-db \
    && rm -rf /var/lib/apt/lists/*
RUN adduser --disabled-password --gecos '' joe && su joe -c id
EOT
}

# contained STORE COMMAND…: runs a command in the container, with a store of that name.
contained() {
  local store=$1
  shift
  python3 "$top/scripts/e2e/container_config.py" "$top/runtime/seccomp/docker-default.tsv" 0 default \
    env CAREEN_STORE="/builds/$store" SOURCE_DATE_EPOCH="$epoch" "$@" \
    > "$container/bundle/config.json"
  runc run --bundle "$container/bundle" "careen-e2e-$$"
}

# build_contained STORE CONTEXT: builds in the container.
build_contained() {
  contained "$1" careen build --progress plain --build-context base=oci-layout:///builds/base \
    --build-context debian=oci-layout:///builds/debian --output "type=oci,dest=/builds/$2.tar" \
    "/builds/$2"
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
  python3 scripts/e2e/same_trees.py "$work/careen-t1/outside.tar" "$container/bundle/rootfs/builds/$1.tar"
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
  check "the container allows neither namespaces nor mounts" no_namespaces
  check "root in a container builds the quickstart" build_contained plain hello
  check "and installs packages" build_contained plain apt
  check "the files are those of a build with a range of ids" same_as_outside apt
  umount "$container/bundle/rootfs"
  mount -t overlay overlay -o "lowerdir=$container/lower,upperdir=$container/upper,workdir=$container/work" \
    "$container/bundle/rootfs"
  check "and it does so where the store is in an overlay" build_contained overlay apt
  check "without a filter root builds there in namespaces" on_copies 0
  check "and so does user 1000" on_copies 1000
  umount "$container/bundle/rootfs"
}
