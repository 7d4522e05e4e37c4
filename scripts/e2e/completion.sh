# shellcheck shell=bash
# Sourced by scripts/e2e.sh: a shell completes commands, flags and values, and each command has a page.
# shellcheck disable=SC2154 # work is e2e.sh's

# completed WORD…: prints what bash makes of a line whose last word is not whole.
completed() {
  # shellcheck disable=SC2016 # the inner shell expands it
  as_user careen-t1 bash -c '
    . <("$0" completion bash)
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
    _careen careen "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
    echo "${COMPREPLY[*]}"' "$work/careen" "$@"
}

completes() { # EXPECTED WORD…
  local expected=$1
  shift
  [ "$(completed "$@")" = "$expected" ]
}

has_pages() {
  as_user careen-t1 "$work/careen" man "$work/careen-t1/man" &&
    grep -q -F 'careen\-build' "$work/careen-t1/man/careen-build.1" &&
    [ -s "$work/careen-t1/man/careen-debug-ls.1" ]
}

check_completion() {
  check "bash completes a command" completes debug careen deb
  check "bash completes a command below another" completes rm careen debug r
  check "bash completes a flag" completes --on-failure careen build --on-f
  check "bash completes a value" completes "remove keep shell" careen build --on-failure ''
  check "each command has a page" has_pages
}
