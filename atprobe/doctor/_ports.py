"""Checks of one port: is it there, may it be opened, does somebody else use it."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from shlex import quote as _quote
from urllib.parse import urlsplit

from atprobe.doctor._complaint import Complaint, Gravity, Kind
from atprobe.doctor._facts import Facts, usb_node
from atprobe.doctor._host import Host
from atprobe.doctor._shell import as_root, atprobe_as_root
from atprobe.link import MODEM_MANAGER, Holder, Lock
from atprobe.model import Device

RULES = "/etc/udev/rules.d/70-atprobe.rules"
"""Where the rules go that let a modem's ports be opened: before 73-seat-late.rules, which gives them to the seat."""
BRLTTY = "brltty"

_CONTAINER = re.compile(r"(docker|libpod|cri-containerd)[-/]([0-9a-f]{12})[0-9a-f]{52}")
_ENGINES = {"docker": ("docker", "stop"), "libpod": ("podman", "stop"), "cri-containerd": ("crictl", "stop")}


def missing(device: Device, path: str, facts: Facts) -> Iterator[Complaint]:
    """The kernel has the port, and there is no file for it in /dev; or there is no such port at all."""
    node = node_of(device, path, facts.host)
    if node is not None and facts.host.exists(node):
        return
    numbers = None if node is None else _numbers(facts.host, node)
    if node is None or (numbers is None and not path.startswith("usb://")):
        yield Complaint(
            Kind.MISSING,
            Gravity.STOPS,
            "there is no such port",
            "neither /dev nor the kernel's list of ports has it: another name, a cable, or a driver that is not there",
            "atprobe scan",
            places=(path,),
        )
        return
    engine = facts.host.engine
    if engine is not None:
        folder = "/dev/bus/usb" if path.startswith("usb://") else node
        yield Complaint(
            Kind.MISSING,
            Gravity.STOPS,
            f"the kernel has it, and this container has no {folder}",
            "a container sees the devices of /dev that it was started with",
            f"{engine} run --device={_quote(folder)} IMAGE",
            "start the container anew with this option; a device plugged in later needs it again",
            (path,),
        )
    elif numbers is not None:
        kind, major, minor = numbers
        yield Complaint(
            Kind.MISSING,
            Gravity.STOPS,
            f"the kernel has it, and there is no {node}",
            "nothing makes files in /dev here: no devtmpfs, no udev, or a chroot without them",
            as_root(facts.host.person, "mknod", "-m", "660", node, kind, major, minor),
            places=(path,),
        )
    else:
        yield Complaint(
            Kind.MISSING,
            Gravity.STOPS,
            f"there is no {node}, through which it would be reached without a driver",
            "nothing makes files in /dev/bus/usb here: no devtmpfs, no udev, or a chroot without them",
            as_root(facts.host.person, "mount", "-t", "devtmpfs", "devtmpfs", "/dev"),
            places=(path,),
        )


def not_a_port(device: Device, path: str, facts: Facts) -> Iterator[Complaint]:
    """What the user named is a file or a folder."""
    found = None if "://" in path else facts.host.stat(path)
    if found is not None and not stat.S_ISCHR(found.st_mode):
        yield Complaint(
            Kind.NOT_A_PORT,
            Gravity.STOPS,
            "is not a port",
            "it is a file of another kind; ports are character devices",
            "atprobe scan",
            "where a program has left a plain file under a port's name, remove it",
            (path,),
        )


def permission(device: Device, path: str, facts: Facts) -> Iterator[Complaint]:
    """This user may not open the port."""
    host, person = facts.host, facts.host.person
    node = node_of(device, path, host)
    found = None if node is None else host.stat(node)
    if node is None or found is None or host.may_open(str(host.at(node))):
        return
    group = host.group_name(found.st_gid)
    owned = f"{node} belongs to group {group or found.st_gid} and has mode {stat.S_IMODE(found.st_mode):04o}"
    if node == path:
        owned = owned.replace(f"{node} ", "it ", 1)
    by_group = found.st_gid != 0 and found.st_mode & 0o060 == 0o060
    what = f"{person} may not open it"
    why, fix, then = f"{owned}: that group has no right to it", _rule(host), "if that changes nothing, plug it in again"
    if person.is_root:
        why = f"{owned}, and this root is none: a container or a user namespace without the right to it"
        fix = f"{host.engine or 'docker'} run --device={_quote(node)} IMAGE"
        then = "start the container anew with this option"
    elif by_group and group is not None and found.st_gid not in person.member:
        why = f"{owned}, and {person} is not in that group"
        fix = as_root(person, "usermod", "-aG", group, person.name or "USER")
        then = "log out and in again: a session keeps the groups it began with"
    elif by_group and group is not None and found.st_gid not in person.groups:
        what = f"{person} may not open it in this login session"
        why = f"{owned}; {person} is in that group by now, and this session began before"
        fix, then = f"newgrp {_quote(group)}", "or log out and in again, for all programs"
    elif by_group and found.st_gid not in person.member and host.engine is not None:
        why = f"{owned}, and {person} is not in that group"
        fix = f"{host.engine} run --group-add {found.st_gid} --device={_quote(node)} IMAGE"
        then = "start the container anew with these options"
    elif by_group and found.st_gid in person.groups:
        why = f"{owned}, {person} is in it, and still may not: an access list or a security module is in the way"
        fix, then = f"getfacl {_quote(node)}", "shows the access list"
    yield Complaint(Kind.PERMISSION, Gravity.STOPS, what, why, fix, then, (path,))


def held(device: Device, path: str, facts: Facts) -> Iterator[Complaint]:
    """Other programs have the port open. ModemManager is spoken of once for the whole device."""
    others = [each for each in facts.held.get(path, ()) if each.name not in (MODEM_MANAGER, BRLTTY)]
    for other in others:
        yield _busy(Kind.HELD, "has it open", other, path, facts)


def locked(device: Device, path: str, facts: Facts) -> Iterator[Complaint]:
    """Somebody's UUCP lock is on the port. A process that also holds it is named once."""
    holders = {each.pid for each in facts.held.get(path, ())}
    for lock in facts.locks.get(path, ()):
        if lock.state == "held" and lock.pid is not None and lock.pid not in holders:
            yield _busy(Kind.LOCKED, f"has locked it by {lock.file}", Holder(lock.pid, lock.name), path, facts)
        elif lock.state in ("unreadable", "unfinished"):
            yield _unclear(lock, path, facts)
        elif lock.state == "stale":
            yield Complaint(
                Kind.LOCKED,
                Gravity.NOTE,
                f"a lock was left behind: {lock.file}",
                "the program that made it is gone; atprobe takes it over, other programs may not",
                as_root(facts.host.person, "rm", str(lock.file)),
                places=(path,),
            )


def node_of(device: Device, path: str, host: Host) -> str | None:
    """The file below /dev that has to be opened for this port; None where it is no port of this machine."""
    if path.startswith("usb://"):
        return usb_node(host, device)
    return None if "://" in path else path


def stop_command(host: Host, pid: int) -> str:
    """What ends a program for good: its service or container, where it has one, else the process."""
    group = host.cgroup(pid)
    if found := _CONTAINER.search(group):
        return as_root(host.person, *_ENGINES[found.group(1)], found.group(2))
    services = [each for each in group.split("/") if each.endswith(".service")]
    users = [each for each in services if each.startswith("user@")]
    names = [each for each in services if each not in users]
    if names and users:
        return f"systemctl --user stop {_quote(names[-1])}"
    if names:
        socket = names[-1].removesuffix(".service") + ".socket"
        # A socket left alone would start its service again.
        folders = ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
        sockets = [socket] if any(host.exists(f"{folder}/{socket}") for folder in folders) else []
        return as_root(host.person, "systemctl", "stop", *sockets, names[-1])
    owner = host.stat(f"/proc/{pid}")
    own = owner is not None and owner.st_uid == host.person.uid
    return f"kill {pid}" if own else as_root(host.person, "kill", str(pid))


def _busy(kind: Kind, does: str, other: Holder, path: str, facts: Facts) -> Complaint:
    return Complaint(
        kind,
        Gravity.STOPS,
        f"{other.name} (pid {other.pid}) {does}",
        f"two programs on one port take each other's answers; `ps -fp {other.pid}` shows who that is",
        stop_command(facts.host, other.pid),
        "if it may be ended; else wait for it",
        (path,),
    )


def _unclear(lock: Lock, path: str, facts: Facts) -> Complaint:
    reason = {
        "unreadable": "this user may not read the lock, so it counts as somebody's",
        "unfinished": "the lock is new and has no process in it yet",
    }[lock.state]
    return Complaint(
        Kind.LOCKED,
        Gravity.STOPS,
        f"another program has locked it by {lock.file}",
        reason,
        as_root(facts.host.person, "cat", str(lock.file)),
        "shows the process that holds it; if that is gone, remove the lock",
        (path,),
    )


def _numbers(host: Host, node: str) -> tuple[str, str, str] | None:
    """Kind, major and minor number of a device that the kernel has, from its folder below /sys/class."""
    name = os.path.basename(node)
    for kind in ("tty", "usbmisc", "wwan", "mhi_q"):
        found = re.fullmatch(r"(\d+):(\d+)", host.read(f"/sys/class/{kind}/{name}/dev") or "")
        if found and node == f"/dev/{name}":
            return "c", found.group(1), found.group(2)
    return None


def _rule(host: Host) -> str:
    person = host.person
    commands = (
        atprobe_as_root(person, "udev", "rules", "--output", RULES),
        as_root(person, "udevadm", "control", "--reload"),
        as_root(person, "udevadm", "trigger"),
    )
    return " && ".join(commands)


CHECKS = (missing, not_a_port, permission, held, locked)


def is_local(path: str) -> bool:
    """Whether a port is on this machine. Of a URL that leads elsewhere nothing can be said."""
    return "://" not in path or urlsplit(path).scheme == "usb"
