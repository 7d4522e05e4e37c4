#!/usr/bin/env bash
# corpora.sh: runs the build cases of the corpora as an ordinary user with a range of ids, and holds what passes
# against the least that must. The corpora lie beside the checkout where the project is developed; elsewhere there
# is nothing to run. As root, on Debian (the bases are made from its packages).
set -euo pipefail
shopt -s inherit_errexit

top=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=scripts/setup.sh
. "$top/scripts/setup.sh"
cd "$top"

# corpus, least number of cases that run, least number that pass: both may only rise.
least='
buildkit-lint       102 102
buildkit-dockerfile 199 199
tables-as-builds    248 248
buildah-conformance 107 107
buildah-bud         123 123
kaniko-integration   51  50
oci-bases            48  48
'

# What the cases may ask for that the runner does not take for granted. docs/dockerfile.md says what is not run, and why.
have=insecure,git-sha256,xattr,syntax-ignored

corpora=${CAREEN_CORPORA:-$top/../shared/corpora}
if [ ! -d "$corpora" ]; then
  [ "${CI:-}" != true ] || die "no corpora at $corpora"
  say "no corpora at $corpora: their build cases are not run"
  exit 0
fi
is_root || die "needs root, to be another user"

user=careen-t1
need_user "$user"
need_id_range "$user"
# The user may not be able to enter the checkout, nor what is beside it.
place=$(mktemp -d /tmp/careen-corpora.XXXXXX)
trap 'rm -rf "$place"' EXIT
cp -r "$corpora" "$place/corpora"
"$corpora/../images/make.sh" "$place/bases" --debian >/dev/null
install "$(target_directory)/release/careen" "$place/careen"
mkdir "$place/scratch"
chmod -R a+rX "$place"
chown "$user:" "$place/scratch"

passed=0
failed=0
while read -r corpus least_run least_passed; do
  [ -n "$corpus" ] || continue
  log=$place/$corpus.log
  # The runner ends with 1 when any case fails; the counts decide here.
  as_user "$user" CAREEN_STORE="$place/scratch/store" python3 "$place/corpora/run_cases.py" \
    --cmd "$place/careen build {flags} -f {file} --output {output} {context}" \
    --bases "$place/bases" --have "$have" --work "$place/scratch" "$place/corpora/$corpus" > "$log" || true
  summary=$(tail -n 1 "$log")
  read -r now_passed now_failed < <(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed.*/\1 \2/p' <<< "$summary") \
    || die "$corpus: the runner ended with: $summary"
  say "$corpus: $summary (at least $least_passed of $least_run must pass)"
  if [ $((now_passed + now_failed)) -ge "$least_run" ] && [ "$now_passed" -ge "$least_passed" ]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    grep '^FAIL' "$log" | cut -c 1-300
  fi
done <<< "$least"
# A store has files of other ids, which its user can remove only through careen's own namespace.
say "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
