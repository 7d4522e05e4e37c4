# shellcheck shell=bash
# Sourced by the scripts beside it: what a machine needs before careen can be built and tried.

# What building careen and running it takes, beside a Rust toolchain: a C compiler, cmake and OpenSSL for
# the libraries that are compiled in, newuidmap for the range of ids, the QEMU user emulators for foreign
# platforms, and what fetches and unpacks Debian's packages. The emulators come without what apt
# recommends beside them, since that registers them on the host, which careen does not need.
# shellcheck disable=SC2034 # read by the scripts that source this file
build_packages=(ca-certificates cmake curl g++ gcc libc6-dev libssl-dev make pkg-config qemu-user-static uidmap xz-utils)

say() { printf '%s\n' "$*"; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }
is_root() { [ "$(id -u)" -eq 0 ]; }

# need_cargo: ends the script with the command to run where no Rust toolchain is found.
need_cargo() {
  # A toolchain that was just installed is not on the PATH of a shell that is older than it.
  PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
  command -v cargo >/dev/null && return
  say "careen is written in Rust, and there is no cargo here. Install it with"
  say "    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal"
  say "and run this command again."
  exit 1
}

# need_packages PACKAGE…: installs those of Debian's packages that are missing; an ordinary user is told how.
need_packages() {
  command -v apt-get >/dev/null || die "needs apt (Debian); elsewhere install what these packages hold: $*"
  local package state
  local -a missing=()
  for package in "$@"; do
    state=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null) || state=unknown
    [ "$state" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if ! is_root; then
    say "These packages are missing. Install them with"
    say "    sudo apt-get update && sudo apt-get install --no-install-recommends ${missing[*]}"
    say "and run this command again."
    exit 1
  fi
  say "installing ${missing[*]}"
  apt-get -q -q update
  DEBIAN_FRONTEND=noninteractive apt-get -q -q install -y --no-install-recommends "${missing[@]}" >/dev/null
}

# need_user NAME: makes an ordinary user with a home directory, if there is none of that name.
need_user() {
  id "$1" >/dev/null 2>&1 || useradd --create-home --shell /bin/bash "$1"
}

# need_id_range NAME: gives a user 65536 subordinate user and group ids, unless it has some. useradd gives
# them by itself where the tables are there and the machine is set up so.
need_id_range() {
  local table option start
  for table in /etc/subuid /etc/subgid; do
    touch "$table"
    grep -q "^$1:" "$table" && continue
    option=--add-subuids
    [ "$table" = /etc/subuid ] || option=--add-subgids
    start=$(awk -F : -v start=100000 '{ if ($2 + $3 > start) start = $2 + $3 } END { print start }' "$table")
    usermod "$option" "$start-$((start + 65535))" "$1"
  done
}

# drop_id_range NAME: takes away a user's subordinate ids.
drop_id_range() {
  sed -i "/^$1:/d" /etc/subuid /etc/subgid
}

# as_user NAME COMMAND…: runs a command as that user, with its own home and nothing of ours in its environment.
as_user() {
  local user=$1 home
  shift
  home=$(getent passwd "$user" | cut -d : -f 6)
  runuser -u "$user" -- env --ignore-environment --chdir="$home" \
    HOME="$home" USER="$user" LANG=C.UTF-8 PATH=/usr/local/bin:/usr/bin:/bin "$@"
}

# target_directory: prints where cargo puts what it builds for the checkout in the current directory.
target_directory() {
  cargo metadata --format-version 1 --no-deps --locked | sed 's/.*"target_directory":"\([^"]*\)".*/\1/'
}

# host_emulators: prints what the host's binfmt_misc holds.
host_emulators() {
  local directory=/proc/sys/fs/binfmt_misc entry
  if [ ! -e "$directory/register" ]; then
    say "not mounted"
    return
  fi
  say "mounted, with these entries:"
  for entry in "$directory"/*; do
    case ${entry##*/} in
      register | status) ;;
      *) say "  ${entry##*/}: $(tr '\n' ' ' < "$entry")" ;;
    esac
  done
}
