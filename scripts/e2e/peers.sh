# shellcheck shell=bash
# Sourced by scripts/e2e.sh: other programs read what careen wrote.
# shellcheck disable=SC2154 # work and epoch are e2e.sh's

skopeo_reads() { # ARCHIVE ARCHITECTURE
  [ "$(skopeo --override-arch "$2" inspect "oci-archive:$1" | jq -r .Architecture)" = "$2" ]
}

umoci_unpacks() { # ARCHIVE ARCHITECTURE FILE
  local layout=$work/careen-t1/umoci
  as_user careen-t1 rm -rf "$layout" "$layout.bundle"
  as_user careen-t1 skopeo copy --quiet --override-arch "$2" "oci-archive:$1" "oci:$layout:it" &&
    as_user careen-t1 umoci unpack --rootless --image "$layout:it" "$layout.bundle" &&
    [ -x "$layout.bundle/rootfs/$3" ]
}

podman_loads() { # ARCHIVE
  rm -rf "$work/podman"
  podman --root "$work/podman/root" --runroot "$work/podman/run" --storage-driver vfs load --input "$1"
}

# Builds the example for one platform once, for every kind of output that other programs read.
build_outputs() {
  as_user careen-t1 XDG_DATA_HOME="$work/careen-t1/store" SOURCE_DATE_EPOCH="$epoch" "$work/careen" build -t hello:it \
    --build-context "base=oci-layout://$work/base" --iidfile "$work/careen-t1/id" \
    --output "type=local,dest=$work/careen-t1/files" --output "type=tar,dest=$work/careen-t1/files.tar" \
    --output "type=docker,dest=$work/careen-t1/docker.tar" "$work/hello"
}

skopeo_reads_docker() { # ARCHIVE
  [ "$(skopeo inspect "docker-archive:$1:docker.io/library/hello:it" | jq -r .Os)" = linux ] &&
    skopeo copy --quiet "docker-archive:$1" "oci:$work/docker-copy:it"
}

# The image has the name and the id that careen gave it.
podman_knows_docker() {
  local image=docker.io/library/hello:it
  podman_loads "$work/careen-t1/docker.tar" &&
    [ "sha256:$(podman --root "$work/podman/root" --runroot "$work/podman/run" --storage-driver vfs \
      image inspect --format '{{.Id}}' "$image")" = "$(cat "$work/careen-t1/id")" ]
}

tar_and_directory_are_the_same() {
  rm -rf "$work/unpacked"
  mkdir "$work/unpacked"
  tar --extract --no-same-owner --preserve-permissions --file "$work/careen-t1/files.tar" --directory "$work/unpacked" &&
    diff --recursive --no-dereference "$work/unpacked" "$work/careen-t1/files"
}

files_are_the_callers() {
  [ -z "$(find "$work/careen-t1/files" ! -user careen-t1 -print -quit)" ]
}

check_outputs() {
  check "one build writes a directory, an archive of files and one for Docker" build_outputs
  check "the files of the directory are the caller's" files_are_the_callers
  check "tar unpacks the archive to what the directory has" tar_and_directory_are_the_same
  check "skopeo reads the archive for Docker" skopeo_reads_docker "$work/careen-t1/docker.tar"
  check "podman loads it under its name and id" podman_knows_docker
}

# check_peers NAME: reads the image of both platforms of an archive.
check_peers() {
  local archive=$work/careen-t1/$1.tar architecture file=usr/local/bin/hello
  [ "$1" = hello ] || file=usr/local/bin/setuid
  for architecture in amd64 arm64; do
    check "skopeo reads the $architecture image of $1" skopeo_reads "$archive" "$architecture"
    check "umoci unpacks the $architecture image of $1 as an ordinary user" \
      umoci_unpacks "$archive" "$architecture" "$file"
  done
  check "podman loads the archive of $1" podman_loads "$archive"
}
