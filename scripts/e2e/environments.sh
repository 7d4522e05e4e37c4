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
}
