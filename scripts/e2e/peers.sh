# shellcheck shell=bash
# Sourced by scripts/e2e.sh: other programs read what careen wrote.
# shellcheck disable=SC2154 # work is e2e.sh's

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
