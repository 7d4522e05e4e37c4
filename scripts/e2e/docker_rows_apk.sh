#!/bin/sh
# apk add NAME…: stands for Alpine's; the program that is added is busybox, which is one of the platform's.
shift
for name; do
  cp /bin/busybox "/usr/bin/$name"
  echo "(1/1) Installing $name"
done
echo 'OK: 8 MiB in 15 packages'
