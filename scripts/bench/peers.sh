#!/usr/bin/env bash
# peers.sh HARNESS [WORKLOADS [RUNS [PEERS]]]: careen beside its peers, in one run; renews the table of docs/performance.md.
#
# HARNESS is a copy of the benchmark harness whose setup scripts have run (its README.md says how); it needs root, and
# careen and the rootless peers run as its own ordinary user. WORKLOADS and PEERS are lists with commas. Results of
# workloads that are not asked for stay what they were. The harness does not count the entries of layers: it reads only
# the first member of a gzip file.
set -euo pipefail
shopt -s inherit_errexit

harness=$(realpath "${1:?usage: peers.sh HARNESS [WORKLOADS [RUNS [PEERS]]]}")
workloads=${2:-w1,w1x,w2e,w2x,w3,w3r,w3x,w3n,w3c,w4,w4z,w5d,w5b}
runs=${3:-5}
peers=${4:-docker,docker-cstore,buildah-rootless}
top=$(realpath "$(dirname "$0")/../..")

# The user of the harness must be able to start it, wherever this checkout lies.
install -D -m 755 "${CAREEN:-$top/target/release/careen}" "$harness/bin/careen"
cat > "$harness/careen.json" <<JSON
{ "name": "careen", "rootless": true, "prefix": "host", "multi": true, "oci": true, "env": {},
  "build": "$harness/bin/careen build --progress none --store {store} -f {file} -t {tag} {nocache} {platform} {output} {ctx}",
  "nocache": "--no-cache", "platform": "--platform {p}",
  "out_none": "--output type=cacheonly",
  "out_oci": "--output type=oci,tar=false,dest={out},compression={comp}",
  "out_push": "--output type=registry,compression={comp}" }
JSON
(cd "$harness" && ./compare.py --tool careen.json --peers "$peers" --w "$workloads" --runs "$runs" --noverify --json run.json)

python3 - "$harness/run.json" "$top/docs/performance/peers.json" <<'PYTHON'
"""Puts the results of a run in the place of the older ones of the same workloads."""
import json, sys
run, kept = (json.load(open(path)) for path in sys.argv[1:])
renewed = {entry["w"] for entry in run}
for entry in run:
    # What a failed builder printed has paths of the machine.
    if "error" in entry:
        entry["error"] = "failed"
    for one in entry.get("runs", []):
        one.pop("bad", None)
entries = [entry for entry in kept if entry["w"] not in renewed] + run
with open(sys.argv[2], "w") as out:
    json.dump(entries, out, indent=1)
    out.write("\n")
PYTHON
cargo --quiet xtask performance
