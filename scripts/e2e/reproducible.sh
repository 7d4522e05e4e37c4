# shellcheck shell=bash
# Sourced by scripts/e2e.sh: the same sources give the same bytes.
# shellcheck disable=SC2154 # work, epoch and platforms are e2e.sh's

# Builds in an empty store with all that must not matter changed: the number of jobs, the time zone, the umask and
# the path of the context.
build_hello_elsewhere() {
  mkdir -p "$work/else/where" && cp -r "$work/hello" "$work/else/where" && chmod -R a+rX "$work/else" &&
    find "$work/else" -exec touch -d 2030-01-01 {} + &&
    (umask 077 && as_user careen-t1 TZ=Asia/Kathmandu XDG_DATA_HOME="$work/careen-t1/other" \
      SOURCE_DATE_EPOCH="$epoch" "$work/careen" build -j 1 --platform "$platforms" -t hello \
      --build-context "base=oci-layout://$work/base" \
      --output "type=oci,dest=$work/careen-t1/other.tar,rewrite-timestamp=true" "$work/else/where/hello")
}

check_reproducible() {
  local archive=$work/careen-t1/hello.tar
  check "a second build gives the archive again" build careen-t1 store hello again.tar
  check "the second archive has the same bytes" same_bytes "$archive" "$work/careen-t1/again.tar"
  check "a build in an empty store, with other jobs, time zone, umask and path, runs" build_hello_elsewhere
  check "it gives the same bytes" same_bytes "$archive" "$work/careen-t1/other.tar"
}
