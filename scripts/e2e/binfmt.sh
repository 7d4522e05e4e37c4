# shellcheck shell=bash
# Sourced by scripts/e2e.sh: emulators out of packages, directories and images, and those of the machine.
# shellcheck disable=SC2154 # work is e2e.sh's

# A package of emulators, a directory of them, an image that holds them, and a base of the other processor.
lay_out_binfmt() {
  local place=$work/careen-t1/binfmt
  install -d "$place" "$place/directory"
  install -d -o careen-t1 "$place/image" "$place/home"
  (cd "$place" && apt-get -q -q download qemu-user-static && mv qemu-user-static_*.deb qemu.deb) || return
  cp /usr/bin/qemu-s390x-static "$place/directory/qemu-s390x"
  cp /usr/bin/qemu-riscv64-static "$place/image/"
  printf 'FROM scratch\nCOPY qemu-riscv64-static /usr/bin/qemu-riscv64\n' > "$place/image/Dockerfile"
  printf 'FROM base\nRUN busybox uname -m || uname -m\n' > "$place/Dockerfile"
  chmod -R a+rX "$place"
  careen careen-t1 binfmt/home build -o "type=oci,tar=false,dest=$work/careen-t1/binfmt/home/oci" "$place/image"
}

# alone USER COMMAND…: runs a command as a user for whom there are no emulators in /usr/bin.
alone() {
  # shellcheck disable=SC2016 # the inner shell expands it
  unshare -m bash -c '
    for emulator in /usr/bin/qemu-*-static; do mount --bind /dev/null "$emulator"; done
    . "$1" && shift && as_user "$@"' - "$top/scripts/setup.sh" "$@"
}

# installs FROM PROCESSOR EMULATOR: careen takes the emulator from there, where there was none, and says so.
installs() {
  local user=careen-t1 place=$work/careen-t1/binfmt said
  rm -rf "$place/data"
  install -d -o "$user" "$place/data"
  said=$(alone "$user" XDG_DATA_HOME="$place/data" "$work/careen" binfmt --install "$2" --from "$1") || return
  printf '%s\n' "$said"
  [ "$(head -n 1 <<< "$said")" = "installing: $2 OK" ] &&
    [ "$(sed 1d <<< "$said" | jq -r '.emulators[]')" = "$3" ] &&
    [ "$(ls -A "$place/data/careen/emulators")" = "$3-static" ]
}

# The package has what is needed: a build for the other processor runs, with nothing else on the machine.
builds_with_package() {
  local place=$work/careen-t1/binfmt
  installs "$place/qemu.deb" arm64 qemu-aarch64 || return
  alone careen-t1 XDG_DATA_HOME="$place/data" "$work/careen" build --platform linux/arm64 --progress plain \
    --build-context "base=oci-layout://$work/base" "$work/hello"
}

refuses_from() { # MESSAGE FROM
  local said
  said=$(as_user careen-t1 XDG_DATA_HOME="$work/careen-t1/binfmt/home" "$work/careen" binfmt --install arm64 --from "$2" 2>&1) &&
    return 1
  printf '%s\n' "$said"
  grep -q -F "$1" <<< "$said" &&
    [ -z "$(ls -A "$work/careen-t1/binfmt/home/careen/emulators" 2> /dev/null)" ]
}

# Only root may change the machine's.
host_is_roots() {
  local said
  said=$(as_user careen-t1 "$work/careen" binfmt --install arm64 --host 2>&1)
  [ $? -eq 3 ] && grep -q 'cannot change the emulators of the machine' <<< "$said"
}

# Registers on a machine that is a namespace of its own (Linux 6.7): with its own handlers, and root's rights over them.
changes_host() {
  # shellcheck disable=SC2016 # the inner shell expands it
  HOME=$work/root unshare --user --map-root-user --mount bash -e -c '
    directory=/proc/sys/fs/binfmt_misc
    mount -t binfmt_misc binfmt_misc "$directory"
    "$1" binfmt --install arm64,s390x --host | tee "$2"
    [ "$(head -n 2 "$2")" = "installing: arm64 OK
installing: s390x OK" ]
    grep -x "flags: POCF" "$directory/qemu-aarch64"
    grep -x "interpreter /usr/bin/qemu-aarch64-static" "$directory/qemu-aarch64"
    "$1" binfmt --install arm64 --host | grep -x "installing: arm64 already registered"
    "$1" binfmt --uninstall "qemu-*" --host | tee "$2"
    [ "$(grep -c "^uninstalling: " "$2")" -eq 2 ]
    [ ! -e "$directory/qemu-aarch64" ] && [ ! -e "$directory/qemu-s390x" ]
    "$1" binfmt --install arm64' - "$work/careen" "$work/root/said"
}

check_binfmt() {
  local place=$work/careen-t1/binfmt
  check "emulators are there in a package, a directory and an image" lay_out_binfmt
  check "emulators of a package build for another processor" builds_with_package
  check "an emulator of a directory is installed" installs "$place/directory" s390x qemu-s390x
  check "an emulator of an image is installed" installs "oci:$place/home/oci" riscv64 qemu-riscv64
  check "a directory without the emulator is refused" refuses_from 'has no emulator of arm64' "$place/directory"
  check "a file that is no package is refused" refuses_from 'no Debian package' "$place/Dockerfile"
  check "an image that is not there is refused" refuses_from error "oci:$place/nowhere"
  check "an ordinary user changes no emulators of the machine" host_is_roots
  check "root registers emulators on the machine and takes them away" changes_host
}
