# shellcheck shell=bash
# Sourced by scripts/e2e.sh: shells complete commands, flags and what there is, and each command has a page.
# shellcheck disable=SC2154 # work is e2e.sh's

# Makes what can be named: a Dockerfile with stages, an image, a builder, and a step that failed.
lay_out_completion() {
  local place=$work/careen-t1/completion
  install -d -o careen-t1 "$place" "$place/context" "$place/bin" "$place/none"
  ln -s "$work/careen" "$place/bin/careen"
  ln -s "$work/careen" "$place/bin/docker"
  printf 'FROM base AS tools\nFROM tools AS final\nRUN exit 3\n' > "$place/context/Dockerfile"
  chmod a+r "$place/context/Dockerfile"
  careen careen-t1 completion/data build --target tools -t shell-image:1 --load \
    --build-context "base=oci-layout://$work/base" "$place/context" || return
  careen careen-t1 completion/data build --on-failure keep \
    --build-context "base=oci-layout://$work/base" "$place/context" && return 1
  careen careen-t1 completion/data create --name mine
  printf '%s\t%s\n' \
    'careen debug l' 'careen debug ls' \
    'careen build --on-f' 'careen build --on-failure' \
    'careen build --on-failure k' 'careen build --on-failure keep' \
    'careen build --target to' 'careen build --target tools' \
    'docker build --target=fi' 'docker build --target=final' \
    'docker buildx build --no-cache-filter tools,f' 'docker buildx build --no-cache-filter tools,final' \
    'careen build -f Dock' 'careen build -f Dockerfile' \
    'careen build --file=Dock' 'careen build --file=Dockerfile' \
    'careen build --progress raw' 'careen build --progress rawjson' \
    'careen build --platform linux/amd64,linux/ris' 'careen build --platform linux/amd64,linux/riscv64' \
    'careen build --output type=regi' 'careen build --output type=registry' \
    'careen buildx use mi' 'careen buildx use mine' \
    'docker buildx --builder mi' 'docker buildx --builder mine' \
    'docker image inspect shell-im' 'docker image inspect shell-image:1' \
    'docker run shell-image:' 'docker run shell-image:1' \
    'careen export store:shell' 'careen export store:shell-image:1' \
    'careen debug rm ' 'careen debug rm ~[0-9a-f]{12}' > "$place/cases"
  # Two builds begin differently, and nobody knows how.
  careen careen-t1 completion/data history ls --format '{{.Ref}}' | head -n 1 | sed 's,.*/,,' | while read -r id; do
    printf 'careen history logs %s\tcareen history logs %s\n' "${id:0:8}" "$id" >> "$place/cases"
  done
}

completes_in() { # SHELL
  as_user careen-t1 XDG_DATA_HOME="$work/careen-t1/completion/data" LANG=C.UTF-8 \
    sh -c 'cd "$1/context" && exec python3 "$2" "$3" "$1/bin" "$1/cases"' - \
    "$work/careen-t1/completion" "$work/scripts/completion.py" "$1"
}

# asked WORD…: what the program answers about the last word, with nothing of the user's there.
asked() {
  as_user careen-t1 XDG_DATA_HOME="$work/careen-t1/completion/none/data" "$@"
}

# Asking makes no store, opens nothing for writing, and no socket: the whole of it is watched. What is started beside it is
# careen's own, in memory: it finds out whether 32-bit programs run.
only_looks() {
  local place=$work/careen-t1/completion word
  for word in 'image inspect' 'debug' 'history logs' 'use' 'build --target' 'build --platform'; do
    # shellcheck disable=SC2086 # several words
    asked strace -f -o "$place/none/calls" -e trace=openat,open,creat,mkdir,mkdirat,socket,connect,execve \
      "$work/careen" __complete bash "$(($(wc -w <<< "$word") + 1))" careen $word '' > "$place/none/said" || return
    grep -q '^careen-completion' "$place/none/said" || return
    if grep -E 'O_(WRONLY|RDWR|CREAT)|creat\(|mkdir|socket|connect' "$place/none/calls" | grep -v /dev/null; then
      return 1
    fi
    [ "$(grep execve "$place/none/calls" | grep -v -c '"/proc/self/fd/')" -eq 1 ] || return
  done
  [ ! -e "$place/none/data" ]
}

# Says nothing where nothing can be read, or another program's words are completed.
says_nothing_wrong() {
  local said
  said=$(cd / && asked "$work/careen" __complete bash 3 careen build --target '' 2>&1)
  [ "$said" = "$(printf 'careen-completion\tvalues\n')" ]
}

# A tab takes less than 30 ms, the start of the program with it: of twenty, that which nothing else was in the way of.
is_fast() {
  local best
  # shellcheck disable=SC2016 # the inner shell expands it
  best=$(as_user careen-t1 XDG_DATA_HOME="$work/careen-t1/completion/data" bash -c '
    cd "$2" && for _ in {1..20}; do
      begun=$(date +%s%N)
      "$1" __complete bash 3 careen build --target "" > /dev/null
      echo "$((($(date +%s%N) - begun) / 1000))"
    done' - "$work/careen" "$work/careen-t1/completion/context" | sort -n | head -n 1)
  echo "$best µs"
  [ "$best" -lt 30000 ]
}

has_pages() {
  as_user careen-t1 "$work/careen" man "$work/careen-t1/man" &&
    grep -q -F 'careen\-build' "$work/careen-t1/man/careen-build.1" &&
    [ -s "$work/careen-t1/man/careen-debug-ls.1" ]
}

check_completion() {
  local shell
  check "what can be completed is made" lay_out_completion
  for shell in bash zsh fish; do
    check "$shell completes commands, flags, values, stages, builders, images, steps and builds" completes_in "$shell"
  done
  check "completing only looks" only_looks
  check "completing says nothing where there is nothing" says_nothing_wrong
  check "completing takes less than 30 ms" is_fast
  check "each command has a page" has_pages
  # The home is there for the next run.
  as_user careen-t1 XDG_DATA_HOME="$work/careen-t1/completion/data" "$work/careen" rm mine > "$work/output" 2>&1 || true
}
