#!/bin/sh
# apt update, apt install -y NAME…: stands for Debian's; it leaves an archive in its cache, as theirs does.
case $1 in
update) echo 'Reading package lists...' ;;
install)
  shift 2
  mkdir -p /var/cache/apt/archives
  for name; do
    echo archive > "/var/cache/apt/archives/$name.deb"
    cp /bin/busybox "/usr/bin/$name"
    echo "Setting up $name"
  done
  ;;
esac
