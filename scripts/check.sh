#!/usr/bin/env bash
# check.sh: what must hold before a commit (CONTRIBUTING.md, "What machines check"). Needs no network, no
# root and no Docker; scripts/test.sh runs it first.
set -euo pipefail
cd "$(dirname "$0")/.."

# step COMMAND…: says what is run, and runs it.
step() {
  printf '== %s\n' "$*"
  "$@"
}

step cargo fmt --all --check
step cargo fmt --manifest-path tests/fuzz/Cargo.toml --check
step cargo clippy --workspace --all-targets --all-features --locked -- -D warnings
step cargo test --workspace --locked
# Once more with their counts shown: how many cases of each corpus pass.
step cargo test --workspace --lib --locked corpora -- --nocapture
RUSTDOCFLAGS="-D warnings" step cargo doc --workspace --no-deps --document-private-items --locked
step cargo xtask layers
step cargo xtask tidy

# Two programs that not every desk has; the CI does.
if command -v shellcheck >/dev/null || [ "${CI:-}" = true ]; then
  step shellcheck -x scripts/*.sh scripts/bench/*.sh .ci/run examples/hello/hello tests/it/escapes/probe.sh src/cli/completion/script.bash
fi
if command -v cargo-deny >/dev/null || [ "${CI:-}" = true ]; then
  step cargo deny check bans licenses sources
fi
