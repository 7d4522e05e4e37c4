#!/usr/bin/env bash
# base-images.sh OUT [ARCHITECTURE…]: makes one small base image for several platforms.
#
# OUT becomes an OCI image layout whose tag `latest` is an index with one image per architecture (Debian's
# names; default: this machine's, amd64 and arm64). An image is the busybox of Debian's package
# `busybox-static` with a link per applet, and what a program expects to find beside it. No registry is
# asked: the packages come from the mirror that apt uses here, and apt checks their signatures.
#
# The same packages give the same bytes. If OUT is there already, nothing is done.
set -euo pipefail
shopt -s inherit_errexit
umask 022

die() { printf 'base-images.sh: %s\n' "$*" >&2; exit 1; }

[ $# -ge 1 ] || die "usage: base-images.sh OUT [ARCHITECTURE…]"
out=$1; shift
[ ! -e "$out/index.json" ] || { printf 'base images are there: %s\n' "$out"; exit 0; }
[ ! -e "$out" ] || die "$out is there and is not an OCI image layout"

native=$(dpkg --print-architecture)
mapfile -t architectures < <(printf '%s\n' "$native" "${@:-amd64}" "${@:-arm64}" | sort -u)
epoch=${SOURCE_DATE_EPOCH:-0}
created=$(date -u -d "@$epoch" +%Y-%m-%dT%H:%M:%SZ)

mkdir -p "$(dirname "$out")"
work=$(mktemp -d)
# The layout is made beside its place, so that it appears there whole or not at all.
layout=$(mktemp -d "$out.XXXXXX")
trap 'rm -rf "$work" "$layout"' EXIT
chmod 755 "$layout"
mkdir -p "$layout/blobs/sha256"

# Prints the OCI platform of a Debian architecture as the fields of a JSON object.
platform_fields() {
  case $1 in
    amd64 | arm64 | s390x | riscv64 | loong64) printf '"architecture":"%s","os":"linux"' "$1" ;;
    i386) printf '"architecture":"386","os":"linux"' ;;
    armhf) printf '"architecture":"arm","os":"linux","variant":"v7"' ;;
    ppc64el) printf '"architecture":"ppc64le","os":"linux"' ;;
    mips64el) printf '"architecture":"mips64le","os":"linux"' ;;
    *) die "no OCI platform is known for Debian's architecture \`$1\`" ;;
  esac
}

# Downloads the packages with apt, which needs no root when its state lies in a directory of our own.
# That directory knows all the architectures; the machine itself need not.
download() {
  mkdir -p "$work/apt/state/lists/partial" "$work/apt/cache/archives/partial" "$work/debs"
  : > "$work/apt/state/status"
  {
    printf 'Dir::State "%s"; Dir::State::status "%s";\n' "$work/apt/state" "$work/apt/state/status"
    printf 'Dir::Cache "%s"; Dir::Log "%s";\n' "$work/apt/cache" "$work/apt"
    printf '#clear APT::Architectures;\nAPT::Architectures { %s};\n' "$(printf '"%s"; ' "${architectures[@]}")"
    # Hooks of the machine clean up after its own apt; root here cannot drop to apt's download user.
    printf '#clear APT::Update::Pre-Invoke;\n#clear APT::Update::Post-Invoke;\n'
    printf '#clear APT::Update::Post-Invoke-Success;\nAPT::Sandbox::User "root";\n'
    printf 'Acquire::Languages "none";\n'
  } > "$work/apt.conf"
  local -a packages=("${architectures[@]/#/busybox-static:}")
  # A list that a mirror lacks is no harm while the others have the package; the download tells.
  apt-get -q -q -c "$work/apt.conf" update || printf 'base-images.sh: going on with the lists that came\n' >&2
  (cd "$work/debs" && apt-get -q -q -c "$work/apt.conf" download "${packages[@]}")
}

# Unpacks the busybox of one architecture.
unpack() {
  local debs=("$work"/debs/busybox-static_*_"$1".deb)
  dpkg-deb --extract "${debs[0]}" "$work/deb-$1"
  # Newer releases of Debian have it below /usr.
  find "$work/deb-$1" -path '*bin/busybox' -type f | head -n 1
}

# Makes the file tree of one architecture.
tree() {
  local root=$work/root-$1 applet
  mkdir -p "$root"/{bin,dev,etc,proc,root,sys,tmp,usr/bin,usr/local/bin,var/tmp}
  chmod 700 "$root/root"
  chmod 1777 "$root/tmp" "$root/var/tmp"
  install -m 755 "$(unpack "$1")" "$root/bin/busybox"
  while read -r applet; do
    [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
  done < "$work/applets"
  ln -s ../../bin/env "$root/usr/bin/env"
  printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' > "$root/etc/passwd"
  printf 'root:x:0:\nnobody:x:65534:\n' > "$root/etc/group"
}

# Moves a file into the layout's blobs and prints `"digest":…,"size":…` of it.
blob() {
  local digest size
  digest=$(sha256sum "$1" | cut -d ' ' -f 1)
  size=$(stat -c %s "$1")
  mv "$1" "$layout/blobs/sha256/$digest"
  printf '"digest":"sha256:%s","size":%s' "$digest" "$size"
}

# Makes the image of one architecture and prints its descriptor.
image() {
  local file=$work/blob platform diff_id layer config manifest
  platform=$(platform_fields "$1")
  tree "$1"
  tar --create --file "$file.tar" --directory "$work/root-$1" --format=gnu --sort=name \
    --mtime="@$epoch" --owner=0 --group=0 --numeric-owner .
  diff_id=$(sha256sum "$file.tar" | cut -d ' ' -f 1)
  gzip -9 --no-name "$file.tar"
  layer=$(blob "$file.tar.gz")
  {
    printf '{"created":"%s",%s,' "$created" "$platform"
    printf '"config":{"Env":["PATH=/usr/local/bin:/usr/bin:/bin"],"Cmd":["/bin/sh"]},'
    printf '"rootfs":{"type":"layers","diff_ids":["sha256:%s"]},' "$diff_id"
    printf '"history":[{"created":"%s","created_by":"busybox-static %s"}]}' "$created" "$1"
  } > "$file"
  config=$(blob "$file")
  {
    printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",'
    printf '"config":{"mediaType":"application/vnd.oci.image.config.v1+json",%s},' "$config"
    printf '"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip",%s}]}' "$layer"
  } > "$file"
  manifest=$(blob "$file")
  printf '{"mediaType":"application/vnd.oci.image.manifest.v1+json",%s,"platform":{%s}}' "$manifest" "$platform"
}

# Writes the index of all images under the tag `latest`.
index() {
  local file=$work/blob media=application/vnd.oci.image.index.v1+json nested
  printf '{"schemaVersion":2,"mediaType":"%s","manifests":[%s]}' "$media" "$1" > "$file"
  nested=$(blob "$file")
  printf '{"schemaVersion":2,"mediaType":"%s","manifests":[{"mediaType":"%s",%s,"annotations":%s}]}' \
    "$media" "$media" "$nested" '{"org.opencontainers.image.ref.name":"latest"}' > "$layout/index.json"
  printf '{"imageLayoutVersion":"1.0.0"}' > "$layout/oci-layout"
}

download
# Every architecture has the same applets; only this machine's busybox can be asked for them.
"$(unpack "$native")" --list > "$work/applets"
images=
for architecture in "${architectures[@]}"; do
  images+=${images:+,}$(image "$architecture")
done
index "$images"
mv -T "$layout" "$out"
printf 'made base images for %s: %s\n' "${architectures[*]}" "$out"
