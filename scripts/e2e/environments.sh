# shellcheck shell=bash
# Sourced by scripts/e2e.sh: machines that allow less, as far as this one can be made to (docs/environments.md).
# shellcheck disable=SC2154 # work and epoch are e2e.sh's

# within USER COMMAND… -- ARGUMENT…: careen as a user, within what COMMAND makes.
within() {
  local user=$1 command=()
  shift
  while [ "$1" != -- ]; do
    command+=("$1")
    shift
  done
  shift
  as_user "$user" XDG_DATA_HOME="$work/$user/within" SOURCE_DATE_EPOCH="$epoch" "${command[@]}" "$work/careen" "$@"
}

# Builds the example once more, whatever the cache has.
build_within() { # USER COMMAND…
  within "$@" -- build --no-cache --build-context "base=oci-layout://$work/base" "$work/hello"
}

# Succeeds if commands would be run with this: what `careen doctor` says first.
runs_with() { # EXECUTOR USER COMMAND…
  local executor=$1 said
  shift
  said=$(within "$@" -- doctor --json | jq -r .executor)
  printf '%s\n' "$said"
  [ "$said" = "$executor" ]
}

# A parser before AppArmor 4 does not know the rule that the profile is for: then the rest of it is read.
profile_is_read() {
  local profile
  profile=$("$work/careen" doctor --apparmor-profile)
  if [ ! -e /etc/apparmor.d/abi/4.0 ]; then
    profile=$(sed 's,abi/4\.0,abi/3.0,; /^ *userns,$/d' <<< "$profile")
  fi
  apparmor_parser --skip-kernel-load --skip-cache <<< "$profile"
}

# Makes a context in which steps remove and replace what their base has.
lay_out_removals() {
  mkdir -p "$work/removals"
  cat > "$work/removals/Dockerfile" <<'EOT'
FROM base
RUN rm /etc/group && mkdir -p /kept/d && echo 1 > /kept/x && cp /kept/x /kept/d/y
RUN rm -r /kept && mkdir /kept && echo 2 > /kept/z && ln -s x /link
RUN rm -r /kept/z /link && echo 3 > /link
RUN rm -r /kept && echo 4 > /kept
EOT
  chmod -R a+rX "$work/removals"
  mknod "$work/fuse" c 10 229
  chmod 666 "$work/fuse"
}

# as_user_with_fuse USER COMMAND…: as `as_user`. Where udev does not run, `/dev/fuse` is closed to ordinary users: it is one
# that is open to them there.
as_user_with_fuse() (
  export -f as_user
  # shellcheck disable=SC2016 # what is there is for the inner shell
  unshare --mount --propagation private bash -euc 'mount --bind "$0" /dev/fuse; as_user "$@"' "$work/fuse" "$@"
)

# same_on_fuse_overlayfs USER ARGUMENT…: the files of a build by that user are the same where the store lies in
# `fuse-overlayfs`, as the root directory of a container may; the arguments are `unshare`'s.
same_on_fuse_overlayfs() {
  local user=$1 place=$work/$1/fuse
  shift
  rm -rf "$place"
  install -d -o "$user" "$place"
  as_user_with_fuse "$user" SOURCE_DATE_EPOCH="$epoch" unshare --mount "$@" bash -euc 'cd "$1"
    mkdir lower upper work top
    fuse-overlayfs -o lowerdir=lower,upperdir=upper,workdir=work top
    for store in plain top/store; do
      CAREEN_STORE=$PWD/$store "$0" build --progress plain --build-context "base=oci-layout://$2" \
        --output "type=oci,dest=${store%/*}.tar" "$3"
    done 2>&1 | tee log
    umount top
    grep -q "^warning: each command runs on a copy of its files" log
    rm -rf plain upper' "$work/careen" "$place" "$work/base" "$work/removals"
  # A directory that was replaced may be told by what it lacks there: its number can be that of the one before.
  python3 scripts/e2e/same_trees.py "$place/plain.tar" "$place/top.tar"
}

check_environments() {
  local one=(unshare --map-root-user)
  # shellcheck disable=SC2016 # what is there is for the inner shell
  local hidden=(unshare --map-root-user --mount sh -ec 'mount -t tmpfs none /proc/tty; exec "$0" "$@"')
  check "a user with a range runs commands with it" runs_with userns-multi careen-t1 env
  check "a user without a range runs commands with one id" runs_with userns-single careen-t2 env
  check "without new privileges there is one id" runs_with userns-single careen-t1 setpriv --no-new-privs
  check "the example is built so" build_within careen-t1 setpriv --no-new-privs
  check "a namespace with a range is used as it is" runs_with userns-multi careen-t1 unshare --map-auto --map-root-user
  check "the example is built so" build_within careen-t1 unshare --map-auto --map-root-user
  check "so is that of podman" build_within careen-t1 podman unshare
  # podman keeps a process for its namespace.
  check "podman gives its namespace up" as_user careen-t1 podman system migrate
  check "a namespace with one id is used as it is" runs_with userns-single careen-t1 "${one[@]}"
  check "the example is built so" build_within careen-t1 "${one[@]}"
  check "the example is built where a part of /proc is hidden" build_within careen-t1 "${hidden[@]}"
  check "the profile for AppArmor is one" profile_is_read
  lay_out_removals
  check "what is removed in a store on fuse-overlayfs is removed in the image" \
    same_on_fuse_overlayfs careen-t1 --map-root-user --map-auto
  check "with one id too" same_on_fuse_overlayfs careen-t2 --map-root-user
}
