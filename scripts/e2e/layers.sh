# shellcheck shell=bash
# Sourced by scripts/e2e.sh: every mode gives the layers of one Dockerfile, tests/owners, the same objects, line by line:
# path, kind, mode, owner, group, link, device number and extended attributes.
# shellcheck disable=SC2154 # work, top, cache and epoch are e2e.sh's

# Makes the context, and fetches Debian's packages, which are kept: one set for one file system of Debian.
lay_out_layers() {
  local kept
  kept=$cache/packages-$(cat "$work/careen-t1/debian-base/index.json" "$top/tests/owners/Dockerfile" | sha256sum | cut -c 1-12)
  cp -r "$top/tests/owners" "$work/"
  python3 "$top/scripts/e2e/nodes.py" "$work/owners/nodes.tar"
  chmod -R a+rX "$work/owners"
  if [ ! -d "$kept" ]; then
    careen careen-t1 store build --target packages --build-context "debian=oci-layout://$work/careen-t1/debian-base" \
      --output "type=local,dest=$work/careen-t1/packages" "$work/owners" || return
    cp -r "$work/careen-t1/packages" "$kept.part" && mv "$kept.part" "$kept" || return
  fi
  cp -r "$kept" "$work/packages"
  chmod -R a+rX "$work/packages"
}

# build_target TARGET USER ARGUMENT…: builds a stage.
build_target() {
  local target=$1 user=$2
  shift 2
  careen "$user" store build --progress plain --target "$target" \
    --build-context "debian=oci-layout://$work/careen-t1/debian-base" --build-context "packages=$work/packages" "$@" \
    "$work/owners"
}

# build_layers USER ARGUMENT…: builds, and lists the objects in a file of the user's name.
build_layers() {
  local user=$1
  shift
  build_target owners "$user" --output "type=oci,dest=$work/$user/owners.tar" "$@" &&
    python3 "$top/scripts/e2e/layer_lines.py" "$work/$user/owners.tar" > "$work/$user/owners.txt"
}

same_lines() { # USER
  wc -l "$work/careen-t1/owners.txt" && diff "$work/careen-t1/owners.txt" "$work/$1/owners.txt"
}

# There is something to compare: objects of others, set-user-id programs, devices, pipes and capabilities.
has_all_kinds() {
  local pattern
  for pattern in 'srv/both\tfile\t6755\t1234:' 'opt/nodes/disk\tblock\t660\t0:6\t-\t8:0\t' \
    'opt/nodes/large\tcharacter\t600\t65534:65534\t-\t4095:1048575\t' 'opt/nodes/link\tlink\t777\t12:13\t' \
    'srv/capable\tfile\t.*security.capability=' 'srv/apt/a/pipe\tpipe\t644\t[1-9][0-9]*:65534\t' \
    'var/lib/postgresql/[0-9]*/main/PG_VERSION\tfile\t600\t[1-9]' 'srv/handed/root\tfile\t644\t0:4321\t' \
    'srv/listed/below\tdirectory\t775\t' 'srv/listed/file\tfile\t664\t' 'srv/listed/pipe\tpipe\t664\t' \
    'home/ana/.wh.mine\t' 'opt/nodes/closed\tfile\t0\t60000:60000\t'; do
    grep -P -q "$pattern" "$work/careen-t1/owners.txt" || { printf 'none: %s\n' "$pattern"; return 1; }
  done
}

# Without namespaces a layer has another form, since a copy is changed in place: no file that was opened and not written,
# and no new directory marked as hiding one below. All layers together are the same.
same_without_namespaces() {
  build_layers root --executor chroot &&
    python3 "$top/scripts/e2e/same_trees.py" "$work/careen-t1/owners.tar" "$work/root/owners.tar"
}

check_layers() {
  check "Debian's packages are there for all modes" lay_out_layers
  check "a user with a range gives files to others in all the ways that there are" build_layers careen-t1
  check "all of them are in the layers" has_all_kinds
  check "a user without a range does" build_layers careen-t2
  check "the layers have the same objects with one id" same_lines careen-t2
  check "sshd, dbus, cron and a database run with a range" build_target daemons careen-t1
  check "and with one id" build_target daemons careen-t2
  check "root does" build_layers root
  check "and as root" same_lines root
  check "without namespaces all layers together have the same objects" same_without_namespaces
}
