# shellcheck shell=bash
# Sourced by scripts/e2e.sh: the page of `--timeline` in a browser.
# shellcheck disable=SC2154 # work is e2e.sh's

# Steps of two stages, with names that would be run by a page that took them for more than text; the last one fails.
lay_out_timeline() {
  mkdir -p "$work/timeline"
  cat > "$work/timeline/Dockerfile" <<'EOT'
FROM base AS one
RUN echo "</script><script>document.title='run'</script>"
FROM base AS two
RUN sleep 1 && : "</div><img src=x onerror=document.title='img'><script>document.title='step'</script>"
RUN <<"EOF"
echo '</title><script>document.title="heredoc"</script>'
EOF
FROM one
COPY --from=two / /two
RUN printf '\033]0;x\007' && false
EOT
  chmod -R a+rX "$work/timeline"
  ! careen careen-t1 store build --no-cache --timeline "$work/careen-t1/timeline.html" \
    --build-context "base=oci-layout://$work/base" "$work/timeline" &&
    [ -s "$work/careen-t1/timeline.html" ]
}

# is_drawn PAGE: Chromium draws it, runs nothing and asks for nothing.
is_drawn() {
  install -d -o careen-t1 "$work/careen-t1/browser"
  as_user careen-t1 python3 "$work/scripts/timeline.py" "$1" "$work/careen-t1/browser" 8
}

# The check sees a page that is executed and asks for something, or it would be worth nothing.
sees_what_is_bad() {
  sed 's,</h1>,</h1><img src="http://127.0.0.1:9/x"><script>document.title="run"</script>,; /Content-Security-Policy/d' \
    "$work/careen-t1/timeline.html" > "$work/careen-t1/bad.html"
  ! is_drawn "$work/careen-t1/bad.html" && grep -q 'asked for' "$work/output" && grep -q 'executed' "$work/output"
}

check_timeline() {
  check "a build with hostile names leaves a page of its time" lay_out_timeline
  check "a browser draws the page, runs nothing in it and asks for nothing" is_drawn "$work/careen-t1/timeline.html"
  check "a page that runs something and asks for something is seen" sees_what_is_bad
}
