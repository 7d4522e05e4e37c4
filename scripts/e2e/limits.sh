# shellcheck shell=bash
# Sourced by scripts/e2e.sh: limits by control groups of version 2, in a group that the user may divide. Where the kernel has
# given memory and processes to version 1, which it does for the whole machine, that is said and nothing is tried.
# shellcheck disable=SC2154 # work is e2e.sh's

# Finds the hierarchy, or mounts it; fails where it has not both controllers.
find_hierarchy() {
  hierarchy=$(findmnt --noheadings --first-only --types cgroup2 --output TARGET) || hierarchy=
  if [ -z "$hierarchy" ]; then
    hierarchy=$work/groups
    mkdir "$hierarchy"
    mount -t cgroup2 none "$hierarchy" || return
  fi
  grep -qw memory "$hierarchy/cgroup.controllers" && grep -qw pids "$hierarchy/cgroup.controllers"
}

# Makes a group of the user's, with one for the process that careen is started by: a group with processes is not divided.
lay_out_limits() { # USER
  local group=$hierarchy/careen-e2e
  echo '+memory +pids' > "$hierarchy/cgroup.subtree_control"
  mkdir -p "$group/leaf" "$work/limits"
  chown "$1" "$group" "$group"/cgroup.{procs,subtree_control} "$group/leaf" "$group/leaf/cgroup.procs"
  cat > "$work/limits/Dockerfile" <<'EOT'
FROM base AS memory
RUN head -c 400000000 /dev/zero | tail -c 300000000 | wc -c
FROM base AS processes
RUN (for i in $(seq 200); do sleep 1000 & done) 2> /dev/null || echo held
EOT
}

# build_limited USER ARGUMENT…: builds in the group; what it says is in a file.
build_limited() {
  local user=$1
  shift
  (
    echo "$BASHPID" > "$hierarchy/careen-e2e/leaf/cgroup.procs"
    as_user "$user" XDG_DATA_HOME="$work/$user/store" "$work/careen" build --no-cache --progress plain \
      --build-context "base=oci-layout://$work/base" "$@" "$work/limits"
  ) > "$work/limited" 2>&1
}

runs_out_of_memory() { # USER
  ! build_limited "$1" --target memory --memory 64m || return
  cat "$work/limited"
  grep -q 'it had used up the memory that `--memory` gives' "$work/limited"
}

holds_processes() { # USER
  build_limited "$1" --target processes --pids-limit 50 || return
  cat "$work/limited"
  grep -q '^#[0-9]* [0-9.]* held$' "$work/limited" && ! grep -q '^warning: `--pids-limit`' "$work/limited"
}

# Succeeds where the groups of the commands are gone; takes the user's own away.
groups_are_gone() {
  rmdir "$hierarchy/careen-e2e/leaf" "$hierarchy/careen-e2e"
}

check_limits() {
  if find_hierarchy; then
    for user in careen-t1 careen-t2; do
      lay_out_limits "$user"
      check "a command of $user that takes more memory than it may is ended, and that is said" runs_out_of_memory "$user"
      check "a fork bomb of $user is held by its group" holds_processes "$user"
      check "no group is left" groups_are_gone
    done
  else
    say "limits by control groups are not tried: ${hierarchy:-no hierarchy of version 2} has no memory and pids here"
  fi
  [ "$hierarchy" != "$work/groups" ] || umount "$hierarchy"
}
