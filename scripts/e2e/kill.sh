# shellcheck shell=bash
# Sourced by scripts/e2e.sh: each process of a build is killed at random moments, and all of them at once.
# shellcheck disable=SC2154 # work, moments and seed are e2e.sh's

# tree PID: prints a process and all below it, each with its role (ARCHITECTURE.md, "Processes and privileges").
tree() {
  ps -e -o pid=,ppid=,comm=,args= | awk -v first="$1" '
    { parent[$1] = $2; comm[$1] = $3; args[$1] = $0; pids[NR] = $1 }
    # What stands nearer to the first process names what stands below it.
    function role(pid, above) {
      if (pid == first) return "first"
      if (!(pid in parent) || pid <= 1) return ""
      above = role(parent[pid])
      if (above == "") return ""
      if (above == "first") return comm[pid] == "careen-builder" ? "builder" : "helper"
      if (above == "builder") return comm[pid] == "careen-init" ? "init" : "starter"
      if (above == "init") return "pid-one"
      return "command"
    }
    END { for (i in pids) { name = role(pids[i]); if (name != "") print pids[i], name } }'
}

# Starts a build in a store of its own and sets `first` to its first process.
start_build() {
  rm -rf "$work/careen-t1/drill" "$work/careen-t1/drill.tar"
  build careen-t1 drill kill drill.tar > "$work/drill.log" 2>&1 &
  job=$!
  first=
  while [ -z "$first" ] && kill -0 "$job" 2>/dev/null; do
    first=$(pgrep -u careen-t1 -f -x -n "$work/careen build .*" || true)
  done
}

# hit ROLE: kills what has this role now; fails if nothing has.
hit() {
  local victims
  if [ "$1" = group ]; then
    victims=$(tree "$first" | awk '{ print $1 }')
    # shellcheck disable=SC2086 # several numbers
    kill -KILL $victims 2>/dev/null || true
    [ -n "$victims" ]
  else
    victims=$(tree "$first" | awk -v role="$1" '$2 == role { print $1; exit }')
    # One that has ended by itself meanwhile is as good as none.
    [ -n "$victims" ] && kill -KILL "$victims" 2>/dev/null
  fi
}

# kill_once ROLE: kills the role at a random moment of a build. Where the moment has no such process, the next that
# has one is taken; where the build ends before that, another moment is tried.
kill_once() {
  local attempt part
  for attempt in $(seq 20); do
    # Here and not in the substitution: a subshell has random numbers of its own.
    part=$RANDOM
    start_build
    sleep "$(awk -v part="$part" -v whole="$drill_time" 'BEGIN { print whole * part / 32768 }')"
    while kill -0 "$job" 2>/dev/null; do
      if hit "$1"; then
        wait "$job" || true
        return 0
      fi
    done
    wait "$job" || true
  done
  say "no $1 was met in $attempt builds"
  return 1
}

# Fails if one second after a kill anything of the build is there.
is_gone() {
  sleep 1
  leaves_no_trace "$work/before"
}

drill() { # ROLE
  local moment
  RANDOM=$seed
  for moment in $(seq "$moments"); do
    kill_once "$1" || return 1
    is_gone || { say "after kill $moment of $1"; return 1; }
    build careen-t1 drill kill drill.tar || { say "after kill $moment of $1"; return 1; }
    same_bytes "$work/careen-t1/kill.tar" "$work/careen-t1/drill.tar" || { say "after kill $moment of $1"; return 1; }
  done
}

build_undisturbed() {
  local begun
  begun=$(date +%s.%N)
  build careen-t1 undisturbed kill kill.tar || return 1
  drill_time=$(awk -v begun="$begun" -v ended="$(date +%s.%N)" 'BEGIN { print ended - begun }')
}

check_kill() {
  local role
  check "the drill's build runs undisturbed" build_undisturbed
  for role in first builder starter init pid-one command group; do
    check "$moments times $role is killed, and the next build gives what an undisturbed one gives" drill "$role"
  done
}
