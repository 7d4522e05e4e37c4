#!/usr/bin/env python3
"""container_config.py PROFILE UID SECCOMP COMMAND...: the configuration of a container as Docker starts one by default.

PROFILE is runtime/seccomp/docker-default.tsv. SECCOMP is `default`, which makes a filter of it, or `unconfined`. The
container has the 14 capabilities, the masked paths and the mounts that Docker gives by default, and its root
file system is `rootfs` beside the configuration.
"""

import json
import platform
import sys

CAPABILITIES = [
    "CAP_" + name
    for name in (
        "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT "
        "KILL AUDIT_WRITE"
    ).split()
]
ARCHITECTURES = {
    "x86_64": ("amd64", ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]),
    "aarch64": ("arm64", ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]),
}
OPERATORS = {"EQ": "SCMP_CMP_EQ", "LT": "SCMP_CMP_LT", "GT": "SCMP_CMP_GT", "MASKED_EQ": "SCMP_CMP_MASKED_EQ"}
MASKED = (
    "/proc/acpi /proc/asound /proc/interrupts /proc/kcore /proc/keys /proc/latency_stats /proc/timer_list "
    "/proc/timer_stats /proc/sched_debug /proc/scsi /sys/firmware /sys/devices/virtual/powercap"
).split()
READ_ONLY = "/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger".split()


def holds(condition, architecture):
    """Tells whether a row is for a container with these capabilities on this processor."""
    if condition == "-":
        return True
    for part in condition.split():
        name, _, value = part.partition("=")
        if name == "cap" and value not in CAPABILITIES:
            return False
        if name == "without_cap" and value in CAPABILITIES:
            return False
        if name == "arch" and architecture not in value.split(","):
            return False
        if name == "not_arch" and architecture in value.split(","):
            return False
    return True


def rule(call, action, argument):
    """Returns the rule of one row."""
    made = {"names": [call], "action": "SCMP_ACT_ALLOW"}
    if action.startswith("errno"):
        made.update(action="SCMP_ACT_ERRNO", errnoRet=int(action.split()[1]))
    if argument != "-":
        which, operator, *values = argument.split()
        numbers = [int(value, 0) for value in values] + [0]
        made["args"] = [
            {"index": int(which[3:]), "op": OPERATORS[operator], "value": numbers[0], "valueTwo": numbers[1]}
        ]
    return made


def filter_of(profile):
    """Returns the filter of system calls that the table describes."""
    architecture, kinds = ARCHITECTURES[platform.machine()]
    with open(profile, encoding="utf-8") as table:
        rows = [line.rstrip("\n").split("\t") for line in table if not line.startswith("#")]
    rules = [rule(*row[:3]) for row in rows if holds(row[3], architecture)]
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 1,
        "architectures": kinds,
        "syscalls": rules,
    }


def mount(target, kind, *options):
    """Returns a mount."""
    return {"destination": target, "type": kind, "source": kind, "options": list(options)}


def main(profile, uid, seccomp, *command):
    """Prints the configuration."""
    strict = ["nosuid", "noexec", "nodev"]
    owned = CAPABILITIES if uid == "0" else []
    linux = {
        # The network is the machine's: builds need a mirror of packages, and Docker's own bridge is not there.
        "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")],
        "maskedPaths": MASKED,
        "readonlyPaths": READ_ONLY,
        "resources": {"devices": [{"allow": False, "access": "rwm"}, {"allow": True, "type": "c", "access": "m"},
                                  {"allow": True, "type": "b", "access": "m"}]},
    }
    if seccomp == "default":
        linux["seccomp"] = filter_of(profile)
    print(json.dumps({
        "ociVersion": "1.0.2",
        "root": {"path": "rootfs", "readonly": False},
        "hostname": "container",
        "process": {
            "args": list(command),
            "cwd": "/builds",
            "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/builds"],
            "user": {"uid": int(uid), "gid": int(uid)},
            "capabilities": {"bounding": CAPABILITIES, "effective": owned, "permitted": owned},
        },
        "mounts": [
            mount("/proc", "proc", *strict),
            mount("/dev", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
            mount("/dev/pts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
            mount("/dev/shm", "tmpfs", *strict, "mode=1777", "size=65536k"),
            mount("/sys", "sysfs", *strict, "ro"),
        ],
        "linux": linux,
    }, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
