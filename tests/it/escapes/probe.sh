#!/bin/sh
# Tries to get out of the sandbox, and prints a line that begins with FAIL for each way that is open. What is
# expected of the machine is in $STORE, $CONTEXT, $VICTIM, $OUTSIDE and $SECRET: paths, the number of a process and a
# text that only the outside has.
#
# $WALL says where there is less than elsewhere: `landlock`, where commands have nothing but another root directory, and
# `proc`, where they have the outer /proc. What is known to be open there begins with OPEN; elsewhere it is a failure.

: "${STORE:?}" "${CONTEXT:?}" "${VICTIM:?}" "${SECRET:?}"

fail() { echo "FAIL: $*"; }
# known WALL WHAT
known() { if [ "$WALL" = "$1" ]; then echo "OPEN: $2"; else fail "$2"; fi; }

# Each must not succeed.
refused() { "$@" >/dev/null 2>&1 && fail "$@"; }
# What is not there is not the kernel's: a file of that name could be made, and would be one of the image.
writes() { [ -e "$1" ] && (echo "$2" >"$1") 2>/dev/null && fail "wrote to $1"; }

# Other processes, and ways through them.
# PID 1, the shell of the step, and this one.
set -- /proc/[0-9]*
[ $# -le 3 ] || known proc "sees other processes"
for name in root cwd exe; do
	[ -e "/proc/1/$name/." ] || [ -e "/proc/1/$name" ] && fail "looks through /proc/1/$name"
done
for file in environ maps mem syscall stack; do
	grep -q . "/proc/1/$file" 2>/dev/null && fail "reads /proc/1/$file"
done
# With one id their numbers may be listed, and no more.
for descriptor in /proc/1/fd/*; do
	refused readlink "$descriptor"
	(: <"$descriptor") 2>/dev/null && fail "opens $descriptor"
done
set -- /proc/$$/fd/*
for descriptor; do
	# 10 is the script; that of the list itself is closed by now.
	case ${descriptor##*/} in
	0 | 1 | 2 | 10) ;;
	*) [ ! -e "$descriptor" ] || fail "has descriptor ${descriptor##*/}" ;;
	esac
done

# Namespaces, mounts, roots.
mkdir -p /tmp/m
refused unshare -U true
refused unshare -m true
refused unshare -n true
refused unshare -p true
refused mount -t tmpfs none /tmp/m
refused mount -t proc proc /tmp/m
refused mount -o bind / /tmp/m
refused mount -o remount,rw /proc/sys
refused mount -o remount,rw,bind /etc/resolv.conf
refused umount /proc/sys
refused umount -l /dev
refused umount -l /proc
refused pivot_root / /tmp/m
refused nsenter -t 1 -m true
refused chroot /proc/1/root true

# Files of the kernel.
writes /proc/sys/kernel/core_pattern x
writes /proc/sys/kernel/hostname x
writes /proc/sys/net/ipv4/ip_forward 1
writes /proc/sysrq-trigger h
writes /proc/irq/default_smp_affinity 1
writes /proc/sys/fs/binfmt_misc/register ':x:M::x::/bin/sh:'
writes /proc/self/oom_score_adj -1000
writes /sys/fs/cgroup/cgroup.procs 0
writes /sys/kernel/uevent_helper /x
for file in kcore keys timer_list interrupts sched_debug; do
	[ ! -e /proc/$file ] || [ "$(wc -c </proc/$file 2>/dev/null || echo 0)" = 0 ] || fail "reads /proc/$file"
done
for directory in /proc/acpi /proc/scsi /proc/asound /sys/firmware; do
	[ -z "$(ls -A $directory 2>/dev/null)" ] || fail "reads $directory"
done
refused dmesg
refused sysctl -w kernel.randomize_va_space=0

# Devices.
# What is made is a placeholder for the layer: an empty file.
for device in "mem c 1 1" "disk b 8 0"; do
	# shellcheck disable=SC2086 # a name, and what it is
	mknod /tmp/$device 2>/dev/null
	[ "$(head -c 1 "/tmp/${device%% *}" 2>/dev/null | wc -c)" -eq 0 ] || fail "reads $device"
done
for device in /dev/* /dev/pts/*; do
	case $device in
	/dev/null | /dev/zero | /dev/full | /dev/random | /dev/urandom | /dev/tty | /dev/ptmx) ;;
	'/dev/pts/*' | /dev/fd | /dev/stdin | /dev/stdout | /dev/stderr | /dev/pts | /dev/shm | /dev/mqueue | /dev/pts/ptmx) ;;
	*) fail "has $device" ;;
	esac
done
(: </dev/tty) 2>/dev/null && fail "opens a terminal"

# The machine.
[ "$WALL" != landlock ] || refused kill -0 1
[ "$WALL" != landlock ] || refused kill -0 "$OUTSIDE"
refused hostname other
refused swapon /bin/busybox
refused insmod /bin/busybox
date -s 2000-01-01 >/dev/null 2>&1
[ "$(date +%Y)" != 2000 ] || fail "sets the clock"
refused sh -c "ulimit -Hn \$((\$(ulimit -Hn) + 1))"
refused ifconfig lo down
refused ip link add dummy0 type dummy

# Files outside, by their names there.
for path in "$STORE" "$CONTEXT" "$VICTIM" "/proc/1/root$STORE" "/proc/self/root$STORE" "/proc/self/root/../..$STORE"; do
	[ ! -e "$path" ] || fail "sees $path"
done
for path in /run/user /var/run/docker.sock /run/docker.sock /tmp/.X11-unix /run/dbus; do
	[ ! -e "$path" ] || fail "sees $path"
done
(cat /proc/self/environ /proc/1/environ /proc/*/cmdline 2>/dev/null) | tr '\0' '\n' | grep -q "$SECRET" &&
	fail "reads the caller's variables"

# Memory has an end.
dd if=/dev/zero of=/dev/shm/full bs=1M count=70 2>/dev/null && known landlock "fills shared memory"
rm -f /dev/shm/full /tmp/mem /tmp/disk

# Out of the root directory. Whoever may change it again leaves it: a process in a directory that is moved to above the
# new root finds nothing on its way up that would stop it. All that it starts lies in the new root.
tries_outside() {
	cd deep && mkfifo ../go && : >../ready && read -r _ <../go
	for _ in 1 2 3 4 5; do
		cd -P ../../../../../../../.. || return
	done
	# The top of the sandbox, or that of the machine.
	[ -e ./probe ] || [ -e ".$VICTIM" ] || fail "does not get out of a root directory of its own"
	[ ! -e ".$STORE" ] || fail "outside, sees that the store is there"
	for path in file program directory; do
		path=.$VICTIM/$path
		(: <"$path") 2>/dev/null && fail "outside, reads $path"
		(: >>"$path") 2>/dev/null && fail "outside, writes to $path"
		refused truncate -s 1 "$path"
		refused mv "$path" "$path.moved"
		refused ln "$path" "/inside"
		refused ln "$path" "$path.link"
		refused rm -r "$path"
	done
	refused ls ".$VICTIM/directory"
	touch -d @1 ".$VICTIM/file" 2>/dev/null && fail "outside, changes the times of a file"
	chmod 700 ".$VICTIM/file" 2>/dev/null && fail "outside, changes the mode of a file"
	chown 7:8 ".$VICTIM/file" 2>/dev/null && fail "outside, changes the owner of a file"
	refused mount -t tmpfs none .
	refused cat ./proc/1/environ
	writes ./proc/sysrq-trigger h
	[ -e ".$VICTIM" ] || return
	refused ".$VICTIM/program"
	refused mkdir ".$VICTIM/made"
	refused mkfifo ".$VICTIM/pipe"
	refused mknod ".$VICTIM/node" c 1 3
	refused ln -s / ".$VICTIM/link"
	refused mv /bin/busybox ".$VICTIM/busybox"
	refused ln /bin/busybox ".$VICTIM/busybox"
	refused ls .
	refused chroot . /bin/sh -c true
	refused ls ./proc/1/fd
	refused cat ./proc/sys/kernel/hostname
	(: <./dev/null) 2>/dev/null && fail "outside, opens a device"
}
[ "$WALL" != landlock ] || refused chroot / true
if chroot / true 2>/dev/null; then
	mkdir -p /tmp/jail/bin /tmp/jail/dev /tmp/jail/deep
	: >/tmp/jail/dev/null
	cp /bin/busybox /tmp/jail/bin/ && /bin/busybox --install -s /tmp/jail/bin 2>/dev/null
	chroot /tmp/jail /bin/sh -c "$(sed -n '/^fail()/,/^writes/p; /^tries_outside()/,/^}/p' "$0"); tries_outside" &
	until [ -e /tmp/jail/ready ]; do sleep 0.01; done
	mv /tmp/jail/deep /tmp/deep
	echo >/tmp/jail/go
	wait $!
	rm -r /tmp/jail /tmp/deep
fi

# What is left behind has to end with the step.
setsid sleep 3600 >/dev/null 2>&1 &
(sleep 3600 &) >/dev/null 2>&1
echo "tried as $(id -u)"
