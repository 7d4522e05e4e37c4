# shellcheck shell=bash
# Sourced by scripts/e2e.sh: the escape probe (tests/it/escapes/probe.sh) in each mode, natively and under emulation, as
# root and as user 1000 of the image.
# shellcheck disable=SC2154 # work and top are e2e.sh's

# lay_out_probe DIRECTORY PATH: makes a context with the probe, and what it must not get hold of. PATH is where the
# directory is when careen runs.
lay_out_probe() {
  mkdir -p "$1/victim/directory"
  install -m 755 "$top/tests/it/escapes/probe.sh" "$1/probe"
  printf '#!/bin/sh\n' | tee "$1/victim/file" > "$1/victim/program"
  chmod -R 777 "$1/victim"
  cat > "$1/Dockerfile" <<EOT
FROM base
COPY probe /probe
ARG WALL STORE OUTSIDE
ENV CONTEXT=$2 VICTIM=$2/victim SECRET=canary-of-the-caller[s]
RUN /probe
USER 1000
RUN /probe
EOT
  chmod -R a+rX "$1"
}

# said_by_probe: reads the log of a build, prints what the probe said; all of it is on one line.
said_by_probe() {
  tee -a /dev/stderr | sed -n 's/^#[0-9]* [0-9.]* \(FAIL: .*\|OPEN: .*\|tried as .*\)$/\1/p' | paste -s -d , -
}

# finds_only EXPECTED USER STORE ARGUMENT…: builds with the probe, which says what is expected and nothing else.
finds_only() {
  local expected=$1 user=$2 store=$3 said
  shift 3
  said=$(as_user "$user" XDG_DATA_HOME="$work/$user/$store" CANARY=canary-of-the-callers "$work/careen" build \
    --no-cache --progress plain --build-context "base=oci-layout://$work/base" --build-arg OUTSIDE=$$ \
    --build-arg "STORE=$work/$user/$store" "$@" "$work/probe" 2>&1 | said_by_probe)
  printf '%s\n' "$said"
  [ "$said" = "$expected" ]
}

# The machine's `binfmt_misc`, and a program of arm64 as it knows one (binfmt-misc.rst).
machines_emulators=/proc/sys/fs/binfmt_misc
arm64_programs=':\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
arm64_programs+=':\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'

# with_registered COMMAND…: runs a command while the machine has an emulator of arm64 registered: without namespaces there is
# none but the machine's.
with_registered() {
  local status=0 mounted=
  if [ ! -e "$machines_emulators/register" ]; then
    mount -t binfmt_misc binfmt_misc "$machines_emulators"
    mounted=yes
  fi
  printf ':careen-e2e:M:%s:/usr/bin/qemu-aarch64-static:POCF' "$arm64_programs" > "$machines_emulators/register"
  "$@" || status=$?
  echo -1 > "$machines_emulators/careen-e2e"
  [ -z "$mounted" ] || umount "$machines_emulators"
  return "$status"
}

check_probe() {
  local both="tried as 0,tried as 1000" shared="OPEN: fills shared memory" platform
  local single=(--executor userns-single)
  lay_out_probe "$work/probe" "$work/probe"
  for platform in linux/amd64 linux/arm64; do
    check "the probe finds no way out with a range, on $platform" \
      finds_only "$both" careen-t1 store --platform "$platform"
    check "nor with one id where there is a range" \
      finds_only "$both" careen-t1 store --platform "$platform" "${single[@]}"
    check "nor with one id where there is no range" finds_only "$both" careen-t2 store --platform "$platform"
    check "nor when root builds" finds_only "$both" root store --platform "$platform"
  done
  check "it finds what is known to be open without namespaces, and nothing else" \
    finds_only "$shared,tried as 0,$shared,tried as 1000" root store --executor chroot --build-arg WALL=landlock
  check "and by the machine's emulator, too" with_registered finds_only "$shared,tried as 0,$shared,tried as 1000" \
    root store --executor chroot --build-arg WALL=landlock --platform linux/arm64
}
