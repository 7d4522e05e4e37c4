#!/usr/bin/env bash
# bench.sh NAME [ARGUMENT…]: measures one thing; without a name, says what there is. What NAME measures is at the top
# of scripts/bench/NAME.sh or scripts/bench/NAME.py.
set -euo pipefail
shopt -s inherit_errexit nullglob

here=$(dirname "$(realpath "$0")")/bench

if [ $# -eq 0 ]; then
  for script in "$here"/*.sh "$here"/*.py; do
    sed -n 's/^# *\([a-z_]*\.\(sh\|py\) .*\)$/\1/p; s/^"""\([a-z_]*\.py .*\)$/\1/p' "$script" | head -1
  done
  exit 0
fi
name=$1; shift
[ ! -e "$here/$name.sh" ] || exec bash "$here/$name.sh" "$@"
[ ! -e "$here/$name.py" ] || exec python3 "$here/$name.py" "$@"
printf 'bench.sh: there is no %s\n' "$name" >&2
exit 2
