#!/usr/bin/env bash
# docker_rows.sh CAREEN BASE WORK: the command lines of people's posts on multi-platform builds, typed as they stand there,
# by an ordinary user with an empty home, with careen linked as `docker` and no daemon. docs/docker.md names the rows.
#
# BASE is an OCI image layout of busybox for amd64 and arm64 (scripts/base-images.sh); WORK is an empty directory of the
# user's. Docker Hub is careen's own registry on the loopback, and `apk` and `apt` are scripts that say what theirs say.
# The last line counts the rows. PARTS="first_steps lists" runs those alone; a row of LACKING="A9 F1" may fail.
set -uo pipefail

careen=$(readlink -f "$1") base=$(readlink -f "$2") work=$(readlink -f "$3")
here=$(cd "$(dirname "$0")" && pwd)
passed=0 failed=0 lacking=0 server=
export HOME=$work/home PATH=$work/bin:$PATH TERM=xterm
unset XDG_CONFIG_HOME XDG_DATA_HOME XDG_CACHE_HOME XDG_RUNTIME_DIR CAREEN_STORE DOCKER_CONFIG
mkdir -p "$work/bin" "$HOME" && ln -sf "$careen" "$work/bin/docker" || exit
trap '[ -z "$server" ] || kill "$server"; drop_store' EXIT

drop_store() { # some of its files have other ids
  rm -rf "$HOME/.local" 2> /dev/null || unshare --user --map-root-user --map-auto rm -rf "$HOME/.local"
}

# row NAME: what follows belongs to it; `try`, `shows` and `fails` count against it.
row() { row=$1 bad=0 said=$work/said; : > "$said"; }
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
try() { # COMMAND…: has to succeed
  "$@" > "$work/stdout" 2> "$work/stderr" < /dev/null || { printf '    exit code %s: %s\n' "$?" "$*" && bad=1; }
  cat "$work/stdout" "$work/stderr" > "$said"
}
typed() { # WORDS COMMAND…: has to succeed on a terminal where WORDS are typed
  local words=$1
  shift
  printf '%s\n' "$words" | python3 "$here/terminal.py" "$@" > "$said" 2>&1 || { bad=1 && printf '    exit code: %s\n' "$*"; }
}
fails() { # COMMAND…: has to fail
  ! "$@" > "$said" 2>&1 < /dev/null || { bad=1 && printf '    succeeded: %s\n' "$*"; }
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

hub() { # the registry that stands for Docker Hub
  "$careen" registry serve --dir "$work/hub" --listen 127.0.0.1:0 > "$work/hub.log" 2>&1 &
  server=$!
  local left=100
  until hub=$(grep -o -m 1 '127.0.0.1:[0-9]*' "$work/hub.log"); do
    left=$((left - 1))
    [ "$left" -gt 0 ] || return 1
    sleep 0.1
  done
  local certs=$HOME/.config/containerd/certs.d/docker.io
  mkdir -p "$certs"
  printf '[host."http://%s"]\n  capabilities = ["pull", "resolve", "push"]\n' "$hub" > "$certs/hosts.toml"
}
careen() { "$careen" "$@"; }

# context NAME LINE…: an empty directory with this Dockerfile, to work in.
context() {
  mkdir -p "$work/$1" && cd "$work/$1" || exit
  shift
  printf '%s\n' "$@" > Dockerfile
}

stand_in() { # NAME PLATFORMS: an image of Docker Hub, of busybox and what the Dockerfile on standard input adds
  mkdir -p "$work/stand-in"
  cp "$here/docker_rows_apk.sh" "$work/stand-in/apk"
  cp "$here/docker_rows_apt.sh" "$work/stand-in/apt"
  printf '#!/bin/sh\nexec sh "$@"\n' > "$work/stand-in/bash"
  careen build --quiet --store "$work/stand-ins" --platform "$2" -t "$1" --push --build-context "base=oci-layout://$base" \
    -f - "$work/stand-in" > /dev/null || exit
}

stand_ins() {
  local both=linux/amd64,linux/arm64 name architecture
  for name in alpine:latest alpine:3.16; do
    printf 'FROM base\nCOPY --chmod=755 apk /sbin/\nENV PATH=/usr/bin:/bin:/sbin\n' | stand_in "$name" "$both"
  done
  for name in python:3.10-slim debian:buster-20221114-slim; do
    printf 'FROM base\nCOPY --chmod=755 apt /bin/\nCOPY --chmod=755 bash /bin/\n' | stand_in "$name" "$both"
  done
  for name in hello-world:linux diamol/base:linux; do
    printf 'FROM base\nCMD ["echo","Hello from Docker!"]\n' | stand_in "$name" "$both"
    python3 "$here/docker_rows_windows.py" "$hub" "${name%:*}"
  done
  for architecture in amd64 arm64; do
    printf 'FROM base\n' | stand_in "diamol/ch16-folder-list:linux-$architecture" "linux/$architecture"
  done
}

platforms_of() { docker manifest inspect "$1"; }

first_steps() {
  context cdecl 'FROM alpine' 'uname -a'
  row A1
  fails docker build . -t cdecl/alpine
  shows 'Dockerfile:2' 'uname' 'RUN uname'
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
  shows '^NAME/NODE +DRIVER/ENDPOINT +STATUS +BUILDKIT +PLATFORMS' '^default ?\* +docker' 'running .*linux/amd64.*linux/arm64'
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
  shows '--push' '--load' 'linux/arm64.*RUN' 'linux/amd64.*RUN'
  end

  row A9
  try docker buildx build . -t cdecl/alpine --platform=linux/arm64,linux/amd64 --push
  try platforms_of cdecl/alpine && shows amd64 arm64
  [ "$(grep -c '"digest"' "$work/stdout")" = 2 ] || bad=1
  typed '' docker buildx build . -t cdecl/alpine --platform=linux/arm64,linux/amd64 --push
  shows '\[\+\] Building [0-9.]+s \([0-9]+/[0-9]+\) FINISHED'
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
  try docker buildx build --platform linux/arm64,linux/amd64 -t "$hub/buildx-test" --push .
  try platforms_of "$hub/buildx-test" && shows amd64 arm64
  end

  try docker buildx build --platform linux/arm64,linux/amd64 -t briankim/buildx-test --push .
  row B6
  drop_store
  try docker pull alpine:3.16
  try docker pull briankim/buildx-test
  shows '^Using default tag: latest$' '^latest: Pulling from briankim/buildx-test$' ': Already exists$' ': Pull complete$' \
    '^Digest: sha256:' '^Status: Downloaded newer image for briankim/buildx-test:latest$' '^docker.io/briankim/buildx-test:latest$'
  end

  row B7
  typed $'arch\nexit' docker run --rm -it briankim/buildx-test && shows x86_64
  end

  row B8
  printf 'secret\n' > "$work/password"
  docker login -u me --password-stdin "$hub" < "$work/password" > "$said" 2>&1 || bad=1
  [ "$(stat -c %a "$HOME/.docker/config.json")" = 600 ] || bad=1
  typed $'me\nsecret' docker login "$hub" && shows 'Password'
  end
}

emulators() {
  row C1
  try docker buildx create --name mybuilder --driver docker-container --bootstrap --use
  try docker buildx ls && shows '^mybuilder ?\* '
  try docker buildx inspect mybuilder
  shows '^Last Activity:' '^Nodes:' '^Endpoint:' '^Status:' '^Platforms:.*linux/amd64/v2' '^Labels:' '^GC Policy rule#0:'
  try docker buildx inspect default && shows '^Name: +default' && hides '^Last Activity:'
  end

  row C2
  try docker run --privileged --rm tonistiigi/binfmt --install linux/arm64,linux/amd64
  shows 'installing: arm64' '"supported"' '"emulators"'
  end

  context binfmt 'FROM alpine' 'RUN uname -m'
  row C3
  try docker run --privileged --rm tonistiigi/binfmt --uninstall 'qemu-*' && shows 'uninstalling:'
  fails docker buildx build --no-cache --platform linux/arm64 . && shows 'uninstalled'
  try docker run --privileged --rm tonistiigi/binfmt --install all
  end

  # shellcheck disable=SC1003 # the backslash is the Dockerfile's
  context apt 'FROM python:3.10-slim' \
    'RUN --mount=type=cache,target=/var/cache/apt,sharing=locked --mount=type=cache,target=l,sharing=locked \' \
    'apt update && apt install -y git'
  row C4
  try docker buildx build --platform linux/amd64,linux/arm64 -t wangjunjian/test:apt --push .
  end

  row C5
  try docker buildx imagetools inspect wangjunjian/test:apt
  shows '^Name: +docker.io/wangjunjian/test:apt$' '^MediaType:' '^Digest: +sha256:' '^Manifests:' 'Platform: +linux/amd64' 'Platform: +linux/arm64'
  end

  row C6
  local digest
  digest=$(docker manifest inspect wangjunjian/test:apt | jq -r '.manifests[] | select(.platform.architecture == "arm64").digest')
  try docker run --rm "docker.io/wangjunjian/test:apt@$digest" uname -m && result aarch64
  end

  row C7
  try docker pull wangjunjian/test:apt
  try docker image inspect wangjunjian/test:apt --format '{{.Os}}/{{.Architecture}}' && result linux/amd64
  end

  row C8
  try docker buildx use desktop-linux
  try docker buildx use default
  end

  row C9
  local architecture
  for architecture in amd64 arm64; do
    try docker buildx build --platform "linux/$architecture" -t "wangjunjian/apt:$architecture" .
    try docker push "wangjunjian/apt:$architecture"
  done
  end

  row C10
  try docker manifest create wangjunjian/apt:latest wangjunjian/apt:amd64 wangjunjian/apt:arm64
  shows '^Created manifest list docker.io/wangjunjian/apt:latest$'
  try docker manifest push wangjunjian/apt:latest && shows '^sha256:[0-9a-f]{64}$'
  end

  row C11
  try docker buildx use default
  try docker buildx rm mybuilder
  fails docker buildx inspect mybuilder && shows 'mybuilder' 'default'
  end
}

lists() {
  local dockerId=careener architecture
  row D1
  for architecture in amd64 arm64; do
    try docker pull "diamol/ch16-folder-list:linux-$architecture"
  done
  end

  row D2
  for architecture in amd64 arm64; do
    try docker image tag "diamol/ch16-folder-list:linux-$architecture" "$dockerId/ch16-folder-list:linux-$architecture"
  done
  try docker image push "$dockerId/ch16-folder-list" && shows 'linux-amd64' 'linux-arm64' '[Aa]ll tags'
  end

  row D3
  try docker push -a "$dockerId/ch16-folder-list" && shows 'linux-amd64' 'linux-arm64'
  end

  row D4
  try docker manifest inspect diamol/base && shows '"windows"' '"os.version"' '"amd64"' '"arm64"'
  end

  context lists 'FROM alpine' 'RUN uname -m'
  row D5
  fails docker build --platform windows/amd64 . && shows 'windows' '[Ll]inux'
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
  try docker images && hides 'warning|error'
  end

  row E2
  try docker run hello-world && result 'Hello from Docker!'
  try docker manifest inspect hello-world && shows '"windows"'
  fails docker manifest insepct hello-world && shows "'inspect'"
  end

  context ma 'FROM debian:buster-20221114-slim' 'RUN mkdir /opt && echo "1234" >> /opt/ma'
  row E3
  local architecture
  for architecture in arm64 amd64; do
    try docker build -t "ysheee/test:linux-$architecture" --platform "linux/$architecture" .
  done
  try docker image inspect ysheee/test:linux-arm64 -f '{{.Os}}/{{.Architecture}}' && result linux/arm64
  end

  row E4
  typed $'cat opt/ma\nexit' docker run -it ysheee/test:linux-arm64 /bin/bash
  shows "WARNING: The requested image's platform \(linux/arm64(/v8)?\) does not match the detected host platform \(linux/amd64(/v[234])?\) and no specific platform was requested" 1234
  end

  row E5
  try docker run --privileged --rm tonistiigi/binfmt --uninstall arm64
  fails docker run ysheee/test:linux-arm64 true
  shows 'WARNING: The requested image' 'emulator for arm64' 'binfmt --install arm64'
  try docker run --privileged --rm tonistiigi/binfmt --install arm64
  end

  row E6
  try docker push ysheee/test -a
  try docker manifest create ysheee/test ysheee/test:linux-arm64 ysheee/test:linux-amd64
  try docker manifest push ysheee/test && shows '^sha256:'
  end

  row E7
  drop_store
  try docker pull ysheee/test:latest
  try docker run ysheee/test:latest true && hides WARNING
  end

  row E8
  try docker buildx && shows 'imagetools' 'inspect'
  try docker buildx create --name new_builder --driver docker-container --use && result new_builder
  try docker buildx build -t ysheee/test:buildx --platform linux/amd64,linux/arm64 --push .
  try platforms_of ysheee/test:buildx && shows amd64 arm64
  end

  row E9
  try docker buildx create --driver docker
  fails docker buildx create --driver kubernetes && shows kubernetes
  fails docker service ls && shows 'service ls'
  end
}

pointed_to() {
  try docker buildx use default
  row F1
  try docker buildx du && shows '[Rr]eclaimable'
  try docker buildx prune -f
  try docker system df
  end

  # shellcheck disable=SC2016 # the variables are the Dockerfile's
  context cross 'FROM --platform=$BUILDPLATFORM alpine AS build' 'ARG TARGETOS TARGETARCH' \
    'RUN echo "$(uname -m) makes $TARGETOS/$TARGETARCH" > /program' 'FROM alpine' 'COPY --from=build /program /'
  row F2
  try docker buildx build --platform linux/arm64,linux/amd64 -o out . --progress plain
  [ "$(cat out/linux_arm64/program)" = 'x86_64 makes linux/arm64' ] || bad=1
  end

  row F3
  try docker buildx build --platform linux/arm64,linux/amd64 --output type=oci,dest=out.tar .
  tar -xOf out.tar index.json > /dev/null || bad=1
  end
}

hub || { echo 'no registry'; exit 1; }
stand_ins
for part in ${PARTS:-first_steps one_image emulators lists long_way pointed_to}; do
  "$part"
done
echo "$passed rows passed, $failed failed, $lacking known to lack something"
[ "$failed" = 0 ]
