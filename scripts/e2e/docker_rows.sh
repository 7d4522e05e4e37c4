#!/usr/bin/env bash
# docker_rows.sh CAREEN BASE WORK [DEBIAN]: the command lines of people's posts on multi-platform builds, typed as they stand
# there, by an ordinary user with an empty home, with careen linked as `docker` and no daemon. docs/docker.md names the rows.
#
# BASE is an OCI image layout of busybox for amd64, arm64 and armhf (scripts/base-images.sh); WORK is an empty directory of the
# user's; DEBIAN has debian-amd64.tar and debian-arm64.tar (scripts/debian-images.sh), without which `apt` and `bash` are scripts
# that say what theirs say. docker_rows_hub.sh has what stands for Docker Hub. WORK/transcript is what was typed and what was said;
# the last line counts the rows. PARTS="first_steps lists" runs those alone; a row of LACKING="A9 F1" may fail.
set -uo pipefail

careen=$(readlink -f "$1") base=$(readlink -f "$2") work=$(readlink -f "$3") debian=${4:+$(readlink -f "$4")}
here=$(cd "$(dirname "$0")" && pwd)
passed=0 failed=0 lacking=0 bad=0 said=$work/said
# shellcheck source=scripts/e2e/docker_rows_hub.sh
. "$here/docker_rows_hub.sh"
export HOME=$work/home PATH=$work/bin:$PATH TERM=xterm
unset XDG_CONFIG_HOME XDG_DATA_HOME XDG_CACHE_HOME XDG_RUNTIME_DIR CAREEN_STORE DOCKER_CONFIG
mkdir -p "$work/bin" "$HOME" && ln -sf "$careen" "$work/bin/docker" || exit
trap 'stop_servers; drop_store; remove "$work/stand-ins"' EXIT

remove() { # some files of a store have other ids
  rm -rf "$1" 2> /dev/null || unshare --user --map-root-user --map-auto rm -rf "$1"
}
drop_store() { remove "$HOME/.local"; }

# row NAME: what follows belongs to it; `try`, `shows` and `fails` count against it.
row() {
  row=$1 bad=0
  : > "$said"
  printf '\n=== %s\n' "$row" >> "$work/transcript"
}
end() {
  if [ "$bad" = 0 ]; then
    passed=$((passed + 1)) && printf 'ok %s\n' "$row"
  elif [[ " ${LACKING:-} " = *" $row "* ]]; then
    lacking=$((lacking + 1)) && printf 'lacking %s\n' "$row"
  else
    failed=$((failed + 1)) && printf 'FAILED %s\n' "$row"
    tail -n 25 "$said" | sed 's/^/    /'
  fi
}
record() { # COMMAND…: what it said last goes into the transcript
  {
    printf '$ %s\n' "$*"
    cat "$said"
  } >> "$work/transcript"
}
try() { # COMMAND…: has to succeed
  "$@" > "$work/stdout" 2> "$work/stderr" < "${input:-/dev/null}" || { printf '    exit code %s: %s\n' "$?" "$*" && bad=1; }
  cat "$work/stdout" "$work/stderr" > "$said"
  record "$@"
}
typed() { # WORDS COMMAND…: has to succeed on a terminal where WORDS are typed
  local words=$1
  shift
  printf '%s\n' "$words" | python3 "$here/terminal.py" "$@" > "$said" 2>&1 || { bad=1 && printf '    exit code: %s\n' "$*"; }
  record "$@"
}
fails() { # COMMAND…: has to fail
  ! "$@" > "$said" 2>&1 < /dev/null || { bad=1 && printf '    succeeded: %s\n' "$*"; }
  record "$@"
}
shows() { # PATTERN…: each is in what was said
  local pattern
  for pattern; do
    grep -E -q -e "$pattern" "$said" || { bad=1 && printf '    not shown: %s\n' "$pattern"; }
  done
}
hides() { # PATTERN: is not in what was said
  ! grep -E -q -e "$1" "$said" || { bad=1 && printf '    shown: %s\n' "$1"; }
}
result() { # TEXT: is standard output
  [ "$(cat "$work/stdout")" = "$1" ] || { bad=1 && printf '    standard output: %s, not %s\n' "$(cat "$work/stdout")" "$1"; }
}
holds() { # SENTENCE COMMAND…: the command says whether it is so
  local sentence=$1
  shift
  "$@" || { bad=1 && printf '    not so: %s\n' "$sentence"; }
}

# context NAME LINE…: an empty directory with this Dockerfile, to work in.
context() {
  mkdir -p "$work/$1" && cd "$work/$1" || exit
  shift
  printf '%s\n' "$@" > Dockerfile
}

# log_in: as the posts do before they push.
log_in() {
  printf 'secret\n' > "$work/password"
  input=$work/password try docker login -u me --password-stdin
}

# platforms NAME TEXT: an image of a registry has these platforms and no others.
platforms() {
  [ "$(docker manifest inspect "$1" | jq -r '[.manifests[].platform | .os + "/" + .architecture] | sort | join(" ")')" = "$2" ]
}

# child NAME ARCHITECTURE: the digest of an index's image.
child() {
  docker manifest inspect "$1" | jq -r --arg wanted "$2" '.manifests[] | select(.platform.architecture == $wanted).digest'
}

# layers NAME ARCHITECTURE: the files of the layers of an image of a registry, the bottom one first.
layers() {
  local layout=$work/layout digest
  rm -rf "$layout"
  "$careen" copy --quiet --store "$work/stand-ins" --platform "linux/$2" "$1" "oci:$layout:it" > /dev/null || return
  digest=$(jq -r '.manifests[0].digest' "$layout/index.json")
  jq -r '.layers[].digest' "$layout/blobs/${digest/://}" | while read -r digest; do echo "$layout/blobs/${digest/://}"; done
}

# machine NAME ARCHITECTURE FILE: the machine of a program of an image's last layer, as its ELF header has it (elf(5)).
machine() {
  tar -xOf "$(layers "$1" "$2" | tail -n 1)" "$3" | od -A n -t x2 -j 18 -N 2 | tr -d ' '
}

# steps PATTERN: how many steps of what was said are called so; one that goes on later is named again.
steps() { grep "^#[0-9]* .*$1" "$said" | sort -u | wc -l; }

emulators_of_host() { ls /proc/sys/fs/binfmt_misc 2> /dev/null; }

first_steps() {
  context cdecl 'FROM alpine' 'uname -a'
  row A1
  fails docker build . -t cdecl/alpine
  shows 'Dockerfile:2' 'unknown instruction.*uname' 'RUN uname -a'
  end

  context cdecl 'FROM alpine' 'RUN uname -a'
  row A2
  try docker build . -t cdecl/alpine --no-cache --progress=plain
  shows '^#[0-9]+ \[2/2\] RUN uname -a$' '^#[0-9]+ [0-9]+\.[0-9]{3} Linux buildkitsandbox .*x86_64 .*Linux$' '^#[0-9]+ DONE [0-9]+\.[0-9]s$'
  try docker images && shows '^cdecl/alpine +latest '
  end

  row A3
  try docker image inspect cdecl/alpine -f '{{.Architecture}}' && result amd64
  end

  row A4
  local flag architecture machine
  while read -r flag architecture machine; do
    [ "$flag" != none ] || flag=
    try docker build . -t cdecl/alpine --no-cache --progress=plain ${flag:+"$flag"} && shows " $machine .*Linux$"
    try docker image inspect cdecl/alpine -f '{{.Architecture}}' && result "$architecture"
  done << EOT
--platform=linux/amd64 amd64 x86_64
--platform=linux/arm64 arm64 aarch64
none amd64 x86_64
EOT
  end

  row A5
  try docker buildx ls
  shows '^NAME/NODE +DRIVER/ENDPOINT +STATUS +BUILDKIT +PLATFORMS' '^default ?\* +docker' 'running .*linux/amd64.*linux/arm64.*linux/arm/v7'
  end

  row A6
  try docker buildx create --name cdeclx && result cdeclx
  try docker buildx use cdeclx
  try docker buildx ls && shows '^cdeclx ?\* +docker-container' 'cdeclx0'
  end

  row A7
  try docker buildx inspect --bootstrap
  shows '^Name: +cdeclx$' '^Driver: +docker-container$' '^Nodes:$' '^Status: +running$' '^Platforms: +linux/amd64'
  end

  row A8
  try docker buildx build . -t cdecl/alpine --platform=linux/arm64,linux/amd64
  shows '--push' '--load' '\[linux/arm64 2/2\] RUN uname -a' '\[linux/amd64 2/2\] RUN uname -a'
  end

  row A9
  fails docker buildx build . -t cdecl/alpine --platform=linux/arm64,linux/amd64 --push && shows 'docker login|careen login'
  log_in
  try docker buildx build . -t cdecl/alpine --platform=linux/arm64,linux/amd64 --push
  shows '\[auth\] cdecl/alpine:pull,push token for '
  holds 'an index of two' platforms cdecl/alpine 'linux/amd64 linux/arm64'
  typed '' docker buildx build . -t cdecl/alpine --platform=linux/arm64,linux/amd64 --push
  shows '\[\+\] Building [0-9.]+s \([0-9]+/[0-9]+\) FINISHED' '\[auth\] cdecl/alpine:pull,push token for '
  end

  row A10
  try docker buildx rm cdeclx
  try docker buildx create --name cdeclx --use && result cdeclx
  try docker buildx ls && shows '^cdeclx ?\* '
  try docker buildx create --use && shows '^[a-z0-9_-]+$' && hides cdeclx
  end

  row A11
  try docker buildx use default
  try docker buildx build --platform linux/amd64,linux/arm64 -t cdecl/alpine:both .
  try docker run --rm --platform linux/arm64 cdecl/alpine:both uname -m && result aarch64
  end
}

one_image() {
  row B1
  try docker buildx create --name multi-arch-builder --driver docker-container --bootstrap --use
  result multi-arch-builder
  end

  context buildx-test 'FROM alpine:3.16' 'RUN apk add curl'
  row B2
  try docker buildx build --platform linux/arm64,linux/amd64 -t buildx-test .
  try docker buildx build --platform linux/arm64,linux/amd64 -t buildx-test . --progress plain
  local number
  number=$(sed -n 's|^\(#[0-9]*\) \[linux/amd64 2/2\] RUN apk add curl$|\1|p' "$said")
  shows "^$number CACHED$"
  typed '' docker buildx build --platform linux/arm64,linux/amd64 -t buildx-test .
  shows 'CACHED \[linux/amd64 2/2\] RUN apk add curl' 'CACHED \[linux/arm64 2/2\] RUN apk add curl' FINISHED
  end

  row B3
  try docker images && shows '^REPOSITORY +TAG +IMAGE ID +CREATED +SIZE' && hides '^buildx-test'
  try docker buildx build --load -t buildx-test . --progress plain && hides 'Installing'
  try docker images && shows '^buildx-test +latest '
  end

  row B4
  try docker buildx build --platform linux/arm64,linux/amd64 --load -t buildx-test .
  try docker run --rm --platform linux/arm64 buildx-test uname -m && result aarch64
  end

  row B5
  try docker buildx build --platform linux/arm64,linux/amd64 -t "$other/buildx-test" --push .
  holds 'an index of two' platforms "$other/buildx-test" 'linux/amd64 linux/arm64'
  holds 'a curl of amd64' [ "$(machine "$other/buildx-test" amd64 usr/bin/curl)" = 003e ]
  holds 'a curl of arm64' [ "$(machine "$other/buildx-test" arm64 usr/bin/curl)" = 00b7 ]
  end

  log_in
  try docker buildx build --platform linux/arm64,linux/amd64 -t briankim/buildx-test --push .
  row B6
  drop_store
  try docker pull alpine:3.16
  local index layer
  index=$(docker buildx imagetools inspect briankim/buildx-test --format '{{.Manifest.Digest}}')
  try docker pull briankim/buildx-test
  shows '^Using default tag: latest$' '^latest: Pulling from briankim/buildx-test$' ': Already exists$' ': Pull complete$' \
    "^Digest: $index$" '^Status: Downloaded newer image for briankim/buildx-test:latest$' '^docker.io/briankim/buildx-test:latest$'
  layer=$(layers briankim/buildx-test arm64 | tail -n 1)
  holds 'no layer of arm64 was asked for' [ "$(requests GET "briankim/buildx-test/blobs/sha256:$(basename "$layer")")" -le 1 ]
  end

  row B7
  typed $'arch\nexit' docker run --rm -it briankim/buildx-test && shows '^x86_64'
  end

  row B8
  rm -f "$HOME/.docker/config.json"
  log_in && shows 'Login Succeeded'
  holds 'the file is the user'"'"'s alone' [ "$(stat -c %a "$HOME/.docker/config.json")" = 600 ]
  rm -f "$HOME/.docker/config.json"
  typed $'me\nsecret' docker login && shows 'Username' 'Password' 'Login Succeeded' && hides secret
  holds 'the file is the user'"'"'s alone' [ "$(stat -c %a "$HOME/.docker/config.json")" = 600 ]
  fails docker login -u me -p wrong && hides wrong
  end
}

emulators() {
  row C1
  try docker buildx create --name mybuilder --driver docker-container --bootstrap --use
  try docker buildx ls && shows '^mybuilder ?\* +docker-container'
  try docker buildx inspect mybuilder
  shows '^Name: +mybuilder$' '^Driver: +docker-container$' '^Last Activity:' '^Nodes:' '^Endpoint:' '^Status: +running$' \
    '^Platforms:.*linux/amd64.*linux/amd64/v2' '^Platforms:.*linux/arm64' '^Labels:' '^GC Policy rule#0:'
  [ ! -x /usr/bin/qemu-mips64-static ] || shows '^Platforms:.*linux/mips64(,|$)'
  try docker buildx inspect default && shows '^Name: +default' && hides '^Last Activity:'
  end

  local registered
  registered=$(emulators_of_host)
  row C2
  try docker run --privileged --rm tonistiigi/binfmt --install linux/arm64,linux/amd64
  shows 'installing: arm64 OK' '"supported"' '"emulators"' 'linux/arm64' 'qemu-aarch64'
  try docker run --privileged --rm tonistiigi/binfmt --install all && shows 'installing: arm64 OK'
  holds 'nothing is registered on the host' [ "$(emulators_of_host)" = "$registered" ]
  end

  context binfmt 'FROM alpine' 'RUN uname -m'
  row C3
  try docker run --privileged --rm tonistiigi/binfmt --uninstall 'qemu-*' && shows 'uninstalling: ' '"supported"'
  fails docker buildx build --no-cache --platform linux/arm64 . && shows 'uninstalled' 'binfmt --install'
  try docker run --privileged --rm tonistiigi/binfmt --install all
  try docker buildx build --no-cache --platform linux/arm64 .
  end

  log_in
  # shellcheck disable=SC1003 # the backslash is the Dockerfile's
  context apt 'FROM python:3.10-slim' \
    'RUN --mount=type=cache,target=/var/cache/apt,sharing=locked --mount=type=cache,target=l,sharing=locked \' \
    'apt update && apt install -y git'
  row C4
  try docker buildx build --platform linux/amd64,linux/arm64 -t wangjunjian/test:apt --push .
  shows '\[linux/amd64 (stage-0 )?2/2\] RUN --mount=type=cache,target=/var/cache/apt' 'Setting up git'
  holds 'the commands took turns' takes_turns
  local architecture
  for architecture in amd64 arm64; do
    holds "nothing of the caches of $architecture is in a layer" leaves_caches_out "$architecture"
  done
  end

  local amd64 arm64
  amd64=$(child wangjunjian/test:apt amd64) arm64=$(child wangjunjian/test:apt arm64)
  row C5
  try docker buildx imagetools inspect wangjunjian/test:apt
  shows '^Name: +docker.io/wangjunjian/test:apt$' '^MediaType: +application/' '^Digest: +sha256:' '^Manifests:' \
    "^ *Name: +docker.io/wangjunjian/test:apt@$amd64$" "^ *Name: +docker.io/wangjunjian/test:apt@$arm64$" \
    'Platform: +linux/amd64$' 'Platform: +linux/arm64'
  end

  row C6
  try docker run --rm "docker.io/wangjunjian/test:apt@$arm64" uname -m && result aarch64
  try docker run --rm "docker.io/wangjunjian/test:apt@$amd64" uname -m && result x86_64
  end

  row C7
  try docker pull wangjunjian/test:apt
  try docker image inspect wangjunjian/test:apt --format '{{.Os}}/{{.Architecture}}' && result linux/amd64
  end

  row C8
  try docker buildx use desktop-linux
  try docker buildx use default
  try docker buildx ls && shows '^default ?\* '
  end

  row C9
  for architecture in amd64 arm64; do
    try docker buildx build --platform "linux/$architecture" -t "wangjunjian/apt:$architecture" .
    try docker push "wangjunjian/apt:$architecture" && shows 'The push refers to repository \[docker.io/wangjunjian/apt\]' \
      "^$architecture: digest: sha256:[0-9a-f]{64} size: [0-9]+$"
    eval "$architecture=$(sed -n "s/^$architecture: digest: \\(sha256:[0-9a-f]*\\) .*/\\1/p" "$said")"
    try docker manifest inspect "wangjunjian/apt:$architecture"
  done
  end

  row C10
  try docker manifest create wangjunjian/apt:latest wangjunjian/apt:amd64 wangjunjian/apt:arm64
  shows '^Created manifest list docker.io/wangjunjian/apt:latest$'
  try docker manifest push wangjunjian/apt:latest && shows '^sha256:[0-9a-f]{64}$'
  holds 'two children with the pushed digests' \
    [ "$(child wangjunjian/apt:latest amd64) $(child wangjunjian/apt:latest arm64)" = "$amd64 $arm64" ]
  end

  row C11
  try docker buildx use default
  try docker buildx rm mybuilder && shows 'mybuilder removed'
  fails docker buildx inspect mybuilder && shows 'mybuilder' 'default'
  end
}

# takes_turns: of the commands of the two platforms one says its last word before the other its first.
takes_turns() {
  local numbers
  numbers=$(sed -n -E 's,^#([0-9]*) \[linux/[a-z0-9]* (stage-0 )?2/2\] RUN .*,\1,p' "$said" | sort -u | paste -s -d '|')
  [ "$(sed -n -E "s/^#($numbers) [0-9]+\.[0-9]+ .*/\\1/p" "$said" | uniq | wc -l)" = 2 ]
}

leaves_caches_out() { # ARCHITECTURE
  local layer
  layer=$(layers wangjunjian/test:apt "$1" | tail -n 1)
  ! tar -tf "$layer" | grep -E '^(\./)?(var/cache/apt/.|l(/|$))'
}

lists() {
  local dockerId=careener architecture
  log_in
  row D1
  for architecture in arm64 amd64 arm; do
    try docker pull "diamol/ch16-folder-list:linux-$architecture" && shows 'Status: Downloaded newer image'
    try docker image inspect "diamol/ch16-folder-list:linux-$architecture" -f '{{.Architecture}}' && result "$architecture"
  done
  end

  row D2
  for architecture in amd64 arm64 arm; do
    try docker image tag "diamol/ch16-folder-list:linux-$architecture" "$dockerId/ch16-folder-list:linux-$architecture"
  done
  try docker image push "$dockerId/ch16-folder-list" && shows 'linux-amd64: digest' 'linux-arm64: digest' 'linux-arm: digest' '[Aa]ll (its )?tags'
  end

  row D3
  try docker push -a "$dockerId/ch16-folder-list" && shows 'linux-amd64: digest' 'linux-arm64: digest' 'linux-arm: digest'
  end

  local before
  before=$(requests GET diamol/base/blobs/)
  row D4
  try docker manifest inspect diamol/base && shows '"windows"' '"os.version"' '"amd64"' '"arm64"' '"arm"'
  holds 'it is JSON' jq -e '.manifests | length == 5' "$work/stdout"
  holds 'no blob is fetched' [ "$(requests GET diamol/base/blobs/)" = "$before" ]
  end

  context lists 'FROM alpine' 'RUN uname -m'
  row D5
  fails docker build --platform windows/amd64 . && shows 'no image for windows/amd64' 'careen builds Linux images'
  end

  row D6
  fails docker build --platform linux/s390x . && shows 'linux/amd64' 'linux/arm64'
  end

  row D7
  try docker buildx create --append --name b --node n1 --platform linux/arm64 ssh://host
  try docker buildx inspect b && shows 'ssh://host' 'n1'
  fails docker buildx build --builder b . && shows 'n1' 'ssh://host'
  try docker buildx rm b
  end
}

long_way() {
  row E1
  mkdir -p "$HOME/.docker" && printf '{"experimental":"true"}' > "$HOME/.docker/config.json"
  try docker images && hides '[Ww]arning|[Ee]rror'
  log_in
  holds 'it stays' grep -q '"experimental": *"true"' "$HOME/.docker/config.json"
  end

  row E2
  try docker run hello-world && result 'Hello from Docker!'
  try docker manifest inspect hello-world && shows '"windows"' '"unknown"'
  fails docker manifest insepct hello-world && shows "'?inspect'?"
  end

  context ma 'FROM debian:buster-20221114-slim' 'RUN echo "1234" >> /opt/ma'
  row E3
  local architecture
  for architecture in arm64 amd64; do
    try docker build -t "ysheee/test:linux-$architecture" --platform "linux/$architecture" .
    try docker image inspect "ysheee/test:linux-$architecture" -f '{{.Os}}/{{.Architecture}}' && result "linux/$architecture"
  done
  end

  row E4
  typed $'cat opt/ma\nexit' docker run -it ysheee/test:linux-arm64 /bin/bash
  shows "WARNING: The requested image's platform \(linux/arm64(/v8)?\) does not match the detected host platform \(linux/amd64(/v[234])?\) and no specific platform was requested" '1234$'
  end

  row E5
  try docker run --privileged --rm tonistiigi/binfmt --uninstall arm64
  fails python3 "$here/terminal.py" docker run -it ysheee/test:linux-arm64 /bin/bash
  shows 'WARNING: The requested image' 'emulator for arm64' 'binfmt --install arm64'
  try docker run --privileged --rm tonistiigi/binfmt --install arm64
  end

  row E6
  try docker push ysheee/test -a && shows '^linux-arm64: digest: sha256:' '^linux-amd64: digest: sha256:'
  try docker manifest create ysheee/test ysheee/test:linux-arm64 ysheee/test:linux-amd64
  shows '^Created manifest list docker.io/ysheee/test:latest$'
  try docker manifest push ysheee/test && shows '^sha256:[0-9a-f]{64}$'
  holds 'a list of two' platforms ysheee/test 'linux/amd64 linux/arm64'
  end

  row E7
  drop_store
  try docker pull ysheee/test:latest
  try docker run ysheee/test:latest && hides WARNING
  end

  row E8
  try docker buildx && shows 'imagetools' 'inspect'
  try docker buildx create --name new_builder --driver docker-container --use && result new_builder
  try docker buildx build -t ysheee/test:buildx --platform linux/amd64,linux/arm64 --push .
  holds 'an index of two' platforms ysheee/test:buildx 'linux/amd64 linux/arm64'
  end

  row E9
  try docker buildx create --driver docker
  fails docker buildx create --driver kubernetes && shows kubernetes
  fails docker service ls && shows 'service'
  end
}

pointed_to() {
  try docker buildx use default
  context disk 'FROM alpine' 'RUN echo unused > /file'
  try docker build -q .
  row F1
  try docker buildx du && shows '^ID +RECLAIMABLE +SIZE +LAST ACCESSED' '^Reclaimable:' '^Total:'
  try docker buildx prune -f && shows '^Total:[[:space:]]+[0-9.]+[kMG]?B'
  try docker system df && shows '^TYPE +TOTAL +ACTIVE +SIZE +RECLAIMABLE' '^Images ' '^Build Cache '
  end

  # shellcheck disable=SC2016 # the variables are the Dockerfile's
  context cross 'FROM --platform=$BUILDPLATFORM alpine AS build' 'RUN echo "for all" > /source' 'ARG TARGETOS TARGETARCH' \
    'RUN echo "$(cat /source): $(uname -m) makes $TARGETOS/$TARGETARCH" > /program' 'FROM alpine' 'COPY --from=build /program /'
  row F2
  try docker run --privileged --rm tonistiigi/binfmt --uninstall 'qemu-*'
  try docker buildx build --platform linux/arm64,linux/amd64 -o out . --progress plain
  holds 'what is the same for all targets runs once' [ "$(steps ' RUN echo "for all"')" = 1 ]
  holds 'what is for a target runs once for it' [ "$(steps ' RUN echo "[$](cat')" = 2 ]
  holds 'the compiler ran on this machine' [ "$(cat out/linux_arm64/program)" = 'for all: x86_64 makes linux/arm64' ]
  try docker run --privileged --rm tonistiigi/binfmt --install all
  end

  row F3
  try docker buildx build --platform linux/arm64,linux/amd64 --output type=oci,dest=out.tar .
  mkdir -p layout && tar -xf out.tar -C layout
  holds 'both platforms are there' [ "$(jq -r '[.manifests[].platform | .os + "/" + .architecture] | sort | join(" ")' \
    "layout/blobs/$(jq -r '.manifests[0].digest' layout/index.json | tr : /)")" = 'linux/amd64 linux/arm64' ]
  end
}

if ! { start_hub && lead_to_hub && start_other_registry; }; then
  echo 'no registry'
  exit 1
fi
stand_ins
for part in ${PARTS:-first_steps one_image emulators lists long_way pointed_to}; do
  "$part"
done
echo "$passed rows passed, $failed failed, $lacking known to lack something"
[ "$failed" = 0 ]
