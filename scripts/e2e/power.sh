# shellcheck shell=bash
# Sourced by scripts/e2e.sh: the power is cut below builds (tests/drills/power), a few times; the long form is the
# program's own.
# shellcheck disable=SC2154 # work and seed are e2e.sh's

# Tells whether files can be made disks here.
has_loop_devices() {
  truncate -s 1M "$work/loop" && losetup --find --show "$work/loop" > "$work/loop.device" &&
    losetup --detach "$(cat "$work/loop.device")"
}

cut_power() { # USER
  "$work/power/power.py" --careen "$work/careen" --user "$1" --base "$work/base" --work "$work/power-$1" --count 3 --seed "$seed"
}

check_power() {
  local user
  if ! has_loop_devices 2> "$work/loop.error"; then
    say "not tried: the power is cut (no loop device: $(cat "$work/loop.error"))"
    return
  fi
  for user in careen-t1 careen-t2; do
    check "three times the power is cut below builds of $user, and what was said is there" cut_power "$user"
  done
}
