# shellcheck shell=bash
# Sourced by scripts/e2e.sh: careen in a RUN of careen. The outer one lets its commands make no namespaces.
# shellcheck disable=SC2154 # work is e2e.sh's

# Makes the context: careen, what it is linked with, and what it is to build.
lay_out_nested() {
  local context=$work/nested
  mkdir "$context"
  install -m 755 "$work/careen" "$context/careen"
  cp "$(ldconfig -p | awk '/libgcc_s.so.1/ { print $NF; exit }')" "$context/"
  cp -r "$work/base" "$context/"
  mkdir "$context/inner"
  cat > "$context/inner/Dockerfile" <<'EOT'
FROM base
RUN adduser -D joe && su joe -c 'touch /tmp/own' && touch /other && chown 12:13 /other && chmod 4755 /other
USER joe
WORKDIR /home/joe
RUN id -u > uid
EOT
  cat > "$context/Dockerfile" <<'EOT'
FROM debian
COPY careen /usr/bin/
COPY libgcc_s.so.1 /usr/lib/
COPY base /builds/base
COPY inner /builds/inner
RUN careen build --progress plain --build-context base=oci-layout:///builds/base \
      --output type=tar,dest=/inner.tar /builds/inner \
    && careen doctor | grep '^executor  *chroot'
FROM scratch
COPY --from=0 /inner.tar /
EOT
  chmod -R a+rX "$context"
}

# build_nested USER: builds it in a build of the user's, and once more outside: the same files come out.
build_nested() {
  local user=$1
  careen "$user" nested build --no-cache --progress plain \
    --build-context "debian=oci-layout://$work/careen-t1/debian-base" --output "$work/$user/nested" "$work/nested"
  careen "$user" nested build --build-context "base=oci-layout://$work/base" \
    --output "type=tar,dest=$work/$user/inner.tar" "$work/nested/inner"
  diff <(listing "$work/$user/inner.tar") <(listing "$work/$user/nested/inner.tar")
}

# listing TAR: which files it has, with type, mode and owner of each.
listing() {
  tar --list --verbose --numeric-owner --file "$1" | awk '{ $3 = $4 = $5 = ""; print }' | sort
}

# refuses_node USER: a device node that the inner build makes is an error that names it.
refuses_node() {
  local user=$1 said
  printf 'FROM base\nRUN mknod /null c 1 3\n' > "$work/nested/inner/Dockerfile"
  if said=$(careen "$user" nested build --no-cache --progress plain \
    --build-context "debian=oci-layout://$work/careen-t1/debian-base" "$work/nested" 2>&1); then
    return 1
  fi
  printf '%s\n' "$said"
  grep -q 'caused by: keep the device node `/null` of the image: this build runs in a step of another one' <<< "$said"
}

check_nested() {
  lay_out_nested
  check "careen builds in a RUN of careen with a range of ids" build_nested careen-t1
  check "and in one with one id" build_nested careen-t2
  check "a device node that the inner one makes is refused by name" refuses_node careen-t1
  check "with one id too" refuses_node careen-t2
}
