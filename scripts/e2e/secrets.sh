# shellcheck shell=bash
# Sourced by scripts/e2e.sh: what a build is told in secret is nowhere but in its step.
#
# A step with secrets of every form stands still while all processes of the machine are looked at; then all that the
# build leaves behind is. Each scan first has to find what it is known to find there: a canary in a layer, and the
# variables of the step itself.
# shellcheck disable=SC2154 # work is e2e.sh's

# Makes the secrets and the context. No secret is ever in a variable or an argument of this script: files alone have
# them, in $vault, which is not scanned.
lay_out_secrets() {
  local name
  vault=$work/vault secrets=$work/vault/all canary=$work/vault/canary
  install -d -o careen-t1 "$vault" "$work/careen-t1/gate" "$work/careen-t1/tmp"
  for name in file elsewhere variable plain canary; do
    head -c 30 /dev/urandom | od -A n -t x1 | tr -d ' \n' > "$vault/$name"
    echo >> "$vault/$name"
  done
  (cd "$vault" && cat file elsewhere variable plain > all)
  # What a user's shell would have in its environment.
  (cd "$vault" && printf 'export SECRET_VARIABLE=%s PLAIN_VARIABLE=%s\n' "$(cat variable)" "$(cat plain)" > environment)
  mkfifo "$work/careen-t1/gate/ready" "$work/careen-t1/gate/go"
  chown careen-t1: "$vault"/*
  # The step's root is another of the user's ids.
  chmod 777 "$work"/careen-t1/gate "$work"/careen-t1/gate/*
  mkdir "$work/secrets"
  cp "$canary" "$work/secrets/canary"
  cat > "$work/secrets/Dockerfile" <<'EOT'
FROM base AS whole
COPY canary /canary
RUN --mount=type=secret,id=file \
    --mount=type=secret,id=elsewhere,target=/etc/elsewhere,mode=0444,uid=1000,gid=1000,required=true \
    --mount=type=secret,id=variable,env=TOKEN \
    --mount=type=secret,id=PLAIN_VARIABLE,env=PLAIN,required=true <<EOR
  set -eu
  { cat /run/secrets/file /etc/elsewhere; echo "$TOKEN"; echo "$PLAIN"; } | sha256sum > /seen
  echo ready > /gate/ready
  read -r _ < /gate/go
EOR

FROM whole AS failing
RUN --mount=type=secret,id=file --mount=type=secret,id=variable,env=TOKEN test -s /run/secrets/file -a -z "$TOKEN"
EOT
  chmod -R a+rX "$work/secrets"
}

# build_with_secrets TARGET: builds with secrets of every form; some come from the environment.
build_with_secrets() {
  # shellcheck disable=SC2016 # the user's shell expands it
  as_user careen-t1 TMPDIR="$work/careen-t1/tmp" XDG_DATA_HOME="$work/careen-t1/secret-store" \
    sh -c '. "$1"; shift; exec "$@"' sh "$vault/environment" \
    "$work/careen" build --progress plain --target "$1" -t secrets --build-context "base=oci-layout://$work/base" \
    --secret "id=file,src=$vault/file" --secret "type=file,id=elsewhere,source=$vault/elsewhere" \
    --secret id=variable,env=SECRET_VARIABLE --secret id=PLAIN_VARIABLE --volume "$work/careen-t1/gate:/gate" \
    --output "type=oci,dest=$work/careen-t1/secrets.tar" "$work/secrets" > "$work/careen-t1/$1.log" 2>&1
}

# Builds, and looks at all processes while the step stands still.
build_and_watch() {
  local builder
  build_with_secrets whole &
  builder=$!
  if timeout 60 cat "$work/careen-t1/gate/ready"; then
    processes_with_secrets > "$work/careen-t1/processes"
    echo go > "$work/careen-t1/gate/go"
  fi
  wait "$builder" || { cat "$work/careen-t1/whole.log"; return 1; }
}

# Prints `own` or `other`, and what it is, for each process that shows a secret in its environment or its arguments.
processes_with_secrets() {
  local process inner
  for process in /proc/[0-9]*; do
    # One that has ended since shows nothing.
    cat "$process/environ" "$process/cmdline" 2>/dev/null | grep -a -q -F -f "$secrets" || continue
    # Its ids, from the outer namespace to its own: the first process of a sandbox is careen's, the others the step's.
    inner=$(awk '$1 == "NSpid:" && NF > 2 { print $NF }' "$process/status")
    if [ "${inner:-1}" = 1 ]; then
      printf 'other %s %s\n' "$process" "$(tr '\0' ' ' < "$process/cmdline" | cut -c 1-100)"
    else
      printf 'own %s\n' "$process"
    fi
  done
}

step_shows_its_variables() {
  grep '^own ' "$work/careen-t1/processes"
}

no_other_process_shows_a_secret() {
  [ -s "$work/careen-t1/processes" ] && ! grep '^other ' "$work/careen-t1/processes"
}

# holders VALUES PATH…: prints the files below the paths that hold one of the values, in their bytes, in what they are
# compressed from, or in their name.
holders() {
  local values=$1 file
  shift
  find "$@" | grep -a -F -f "$values" || true
  find "$@" -type f -print0 | while IFS= read -r -d '' file; do
    { cat "$file"; gzip -d -c < "$file" 2>/dev/null; } | grep -a -q -F -f "$values" && printf '%s\n' "$file"
  done
}

# Unpacks the archive, whose blobs are compressed one by one.
unpack_secrets() {
  mkdir "$work/careen-t1/unpacked" && tar --extract --file "$work/careen-t1/secrets.tar" --directory "$work/careen-t1/unpacked"
}

canary_is_found() { # PATH…
  local found
  found=$(holders "$canary" "$@")
  printf '%s\n' "$found"
  [ -n "$found" ]
}

no_secret_is_found() { # PATH…
  local found
  ls -d "$@" || return 1
  found=$(holders "$secrets" "$@")
  printf '%s\n' "$found"
  [ -z "$found" ]
}

step_saw_the_secrets() {
  local layer expected
  expected=$(sha256sum < "$secrets")
  for layer in "$work"/careen-t1/unpacked/blobs/sha256/*; do
    [ "$(tar --extract --gzip --to-stdout --file "$layer" seen 2>/dev/null)" != "$expected" ] || return 0
  done
  return 1
}

fails_and_says_so() {
  ! build_with_secrets failing && grep 'ERROR: failed to build: failed to solve: process' "$work/careen-t1/failing.log"
}

check_secrets() {
  local home=$work/careen-t1
  lay_out_secrets
  check "a build with secrets of every form runs" build_and_watch
  check "its archive can be unpacked" unpack_secrets
  check "the step saw the secrets" step_saw_the_secrets
  check "the scan of processes finds the step's own variables" step_shows_its_variables
  check "no process but the step's own shows a secret" no_other_process_shows_a_secret
  check "a step with secrets that fails says so" fails_and_says_so
  check "the scan of the store finds a canary in a layer" canary_is_found "$home/secret-store"
  check "the scan of the output finds the canary" canary_is_found "$home/unpacked"
  check "no secret is in the store" no_secret_is_found "$home/secret-store"
  check "no secret is in the output, nor in its history" no_secret_is_found "$home/secrets.tar" "$home/unpacked"
  check "no secret is in what the builds said, or in a temporary file" \
    no_secret_is_found "$home/whole.log" "$home/failing.log" "$home/tmp"
}
