#!/usr/bin/env bash
# prune_loop.sh CAREEN BASE WORK [SECONDS]: several builds at once on one store, again and again, with a loop of `prune -af`
# beside them and a limit that each build goes over. All of them have to succeed, with the bytes that each gives alone.
# BASE is an image layout with a shell; WORK is a directory that this user may write to. The last line counts.
set -euo pipefail
careen=$1 base=$2 work=$3 seconds=${4:-60}
workers=4
export HOME=$work/home SOURCE_DATE_EPOCH=1700000000
mkdir -p "$HOME/.config/careen"

# steps WORKER: prints a Dockerfile; the first steps are the same for all.
steps() {
  printf '%s\n' 'FROM base' 'COPY file /file' 'RUN cat /file /file > /twice' \
    'RUN --mount=type=cache,target=/cache cp /twice /cache/twice && cp /cache/twice /thrice' \
    "RUN echo $1 > /own && head -c 2000000 /dev/zero > /zero"
}

# build STORE WORKER ARCHIVE
build() {
  "$careen" --store "$1" build --progress plain --build-context "base=oci-layout://$base" \
    --output "type=oci,rewrite-timestamp=true,dest=$3" "$work/context$2" > "$work/log$2" 2>&1
}

# Each worker builds until the time is over, now with and now without what is there.
worker() {
  local count=0
  while [ "$SECONDS" -lt "$end" ]; do
    if ! build "$work/store" "$1" "$work/out$1.tar"; then
      echo "worker $1: build $count failed" >> "$work/faults"
      tail -n 20 "$work/log$1" >> "$work/faults"
    elif ! cmp -s "$work/out$1.tar" "$work/alone$1.tar"; then
      echo "worker $1: build $count gave other bytes" >> "$work/faults"
    fi
    rm -f "$work/out$1.tar"
    count=$((count + 1))
  done
  echo "$count" > "$work/count$1"
}

pruner() {
  local count=0 longest=0 begun took
  while [ "$SECONDS" -lt "$end" ]; do
    begun=$(date +%s%N)
    if ! "$careen" --store "$work/store" prune -af > "$work/pruned" 2>&1; then
      echo "prune $count failed" >> "$work/faults"
      cat "$work/pruned" >> "$work/faults"
    fi
    took=$((($(date +%s%N) - begun) / 1000000))
    [ "$took" -le "$longest" ] || longest=$took
    count=$((count + 1))
  done
  echo "$count prunes, the longest of $longest ms" > "$work/prunes"
}

: > "$work/faults"
for worker in $(seq "$workers"); do
  mkdir -p "$work/context$worker"
  steps "$worker" > "$work/context$worker/Dockerfile"
  head -c 200000 /dev/zero | tr '\0' x > "$work/context$worker/file"
  build "$work/serial" "$worker" "$work/alone$worker.tar"
done
printf '[[gc.policy]]\nmax-used-space = "3MB"\n' > "$HOME/.config/careen/config.toml"
end=$((SECONDS + seconds))
for worker in $(seq "$workers"); do
  worker "$worker" &
done
pruner &
wait
builds=0
for worker in $(seq "$workers"); do
  builds=$((builds + $(cat "$work/count$worker")))
done
cat "$work/faults"
"$careen" --store "$work/store" prune -af > /dev/null
left=$("$careen" --store "$work/store" du --format '{{.ID}}' | grep -vc '^hints' || true)
echo "$builds builds, $(cat "$work/prunes"), $left objects left"
[ ! -s "$work/faults" ] && [ "$left" -eq 0 ]
