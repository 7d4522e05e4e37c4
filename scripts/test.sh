#!/usr/bin/env bash
# test.sh: everything that is tested, from a fresh machine: installs what the tests need (as root; anybody else is
# told what to install), runs scripts/check.sh, and then what needs Debian's mirror, registries of packages or a second
# user: the quickstart, examples, the build cases of the corpora, scripts/e2e.sh and the short form of scripts/drills.sh.
set -euo pipefail
shopt -s inherit_errexit

top=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=scripts/setup.sh
. "$top/scripts/setup.sh"
cd "$top"

# Peers that must accept what careen writes, what looks at files and processes, and what checks the scripts.
test_packages=(apache2-utils apparmor attr bash busybox-static chromium crun docker-registry e2fsprogs fish fuse-overlayfs g++ git iproute2 jq libcap2-bin mmdebstrap
  openssl passt podman procps python3 runc shellcheck skopeo slirp4netns strace umoci zsh)
# Its version is pinned so that what it finds changes only when this line does.
cargo_deny_version=0.20.2

need_packages "${build_packages[@]}" "${test_packages[@]}"
need_cargo
command -v cargo-deny >/dev/null || cargo install --quiet --locked --version "$cargo_deny_version" cargo-deny

# The corpora of test cases lie beside the checkout where the project is developed, and nowhere else. All
# that a test may need besides is installed by now: where they are, nothing may be skipped.
export CAREEN_CORPORA=${CAREEN_CORPORA:-$top/../shared/corpora}
if [ -d "$CAREEN_CORPORA" ] || [ "${CI:-}" = true ]; then
  export CAREEN_TESTS_STRICT=1
else
  say "no corpora at $CAREEN_CORPORA: their tests are skipped"
fi

scripts/check.sh
scripts/quickstart.sh
if is_root; then
  # The one in Rust takes minutes for its base and shows nothing that these do not.
  scripts/examples.sh python node apt
  scripts/corpora.sh
  scripts/e2e.sh
  scripts/drills.sh --short --no-fuzz
  # What is thought up in ten seconds differs from run to run: a find is told with its input, and holds up no other change.
  scripts/fuzz.sh --build
  scripts/fuzz.sh || say "scripts/fuzz.sh found something, which is not of this change alone"
else
  say "scripts/examples.sh, corpora.sh, e2e.sh and drills.sh are not run: they need root to be other users"
fi
