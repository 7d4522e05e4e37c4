#!/usr/bin/env bash
# debian-images.sh OUT [ARCHITECTURE…]: makes the file system of a small Debian for each architecture (Debian's
# names; default: amd64 and arm64), as OUT/debian-ARCHITECTURE.tar. Needs root.
#
# The packages of a foreign architecture are configured by programs of that architecture. QEMU runs them, and is
# registered in a binfmt_misc of our own: the machine's stays as it is. What is there already is left alone.
set -euo pipefail
shopt -s inherit_errexit
umask 022

die() { printf 'debian-images.sh: %s\n' "$*" >&2; exit 1; }

# Mounts a binfmt_misc in the namespaces that this process has entered and registers the emulator of an
# architecture. The masks are those of its ELF header (elf(5): class, byte order, kind of file, machine).
register() {
  local machine emulator any=000000000000000000
  case $1 in
    amd64) machine=3e emulator=qemu-x86_64-static ;;
    arm64) machine=b7 emulator=qemu-aarch64-static ;;
    riscv64) machine=f3 emulator=qemu-riscv64-static ;;
    *) die "no emulator is known for Debian's architecture \`$1\`" ;;
  esac
  mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
  escaped() { printf '%s' "$1" | sed 's/../\\x&/g'; }
  printf ':%s:M::%s:%s:/usr/bin/%s:POCF' "$emulator" "$(escaped "7f454c46020101${any}0200${machine}00")" \
    "$(escaped "ffffffffffffff${any}feffffff")" "$emulator" > /proc/sys/fs/binfmt_misc/register
}

# bootstrap ARCHITECTURE TAR: makes one file system. /sys is not mounted: only the owner of the network may.
bootstrap() {
  local mirror suite
  # shellcheck disable=SC2016 # apt expands it
  mirror=$(apt-get indextargets --format '$(REPO_URI)' | head -n 1)
  # shellcheck source=/dev/null
  suite=$(. /etc/os-release && printf '%s' "$VERSION_CODENAME")
  mmdebstrap --quiet --mode=root --architectures="$1" --variant=minbase --include=ca-certificates \
    --skip=check/qemu,chroot/mount/sys "$suite" "$2" "${mirror%/}"
}

# Does the same in a user namespace of its own that has all ids, since a binfmt_misc belongs to such a namespace
# (Linux 6.7). Its ids can be mapped only from outside, and only a program that is started after that has the
# capabilities of root in it.
bootstrap_in_namespaces() {
  local map
  coproc inside {
    exec unshare --user bash -c 'echo ready && read -r _ && exec unshare --mount --pid --fork --kill-child \
      --mount-proc "$@"' bash "$0" --inside "$@"
  }
  read -r _ <&"${inside[0]}"
  for map in uid_map gid_map; do
    # shellcheck disable=SC2154 # coproc sets it
    echo "0 0 4294967295" > "/proc/$inside_PID/$map"
  done
  echo mapped >&"${inside[1]}"
  wait "$inside_PID"
}

if [ "${1:-}" = --inside ]; then
  register "$2"
  bootstrap "$2" "$3"
  exit
fi

[ $# -ge 1 ] || die "usage: debian-images.sh OUT [ARCHITECTURE…]"
[ "$(id -u)" -eq 0 ] || die "needs root"
out=$1; shift
[ $# -gt 0 ] || set -- amd64 arm64
mkdir -p "$out"
for architecture in "$@"; do
  tar=$out/debian-$architecture.tar
  [ ! -e "$tar" ] || continue
  # Made beside its place, so that it appears there whole or not at all.
  part=$(mktemp "$out/debian-$architecture.XXXXXX.tar")
  trap 'rm -f "$part"' EXIT
  if [ "$architecture" = "$(dpkg --print-architecture)" ]; then
    bootstrap "$architecture" "$part"
  else
    bootstrap_in_namespaces "$architecture" "$part"
  fi
  chmod 644 "$part"
  mv "$part" "$tar"
  printf 'made %s\n' "$tar"
done
