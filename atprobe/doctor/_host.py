"""The machine as the checks see it: files below /sys, /proc, /dev, /lib and /etc, and who asks.

Everything is read below `root`, so that a test can lay out a machine of its own. What cannot be read is not there.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

_USB_SERIAL = "/sys/bus/usb-serial/drivers"


class Driver(Enum):
    """How a kernel stands to one of its drivers."""

    LOADED = "loaded"
    AVAILABLE = "available"
    ABSENT = "absent"
    UNKNOWN = "unknown"
    """Its modules are not to be seen from here (a container)."""


@dataclass(frozen=True)
class Person:
    """Who runs this. `groups` are those of this login session, `member` those that the account has by now."""

    name: str | None
    uid: int
    groups: frozenset[int] = frozenset()
    member: frozenset[int] = frozenset()

    @property
    def is_root(self) -> bool:
        return self.uid == 0

    def __str__(self) -> str:
        return self.name or f"user {self.uid}"


def _may_open(path: str) -> bool:
    return os.access(path, os.R_OK | os.W_OK)


def _has_command(name: str) -> bool:
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin") is not None


def _group_name(gid: int) -> str | None:
    """The name of a group of this machine; None where it has none."""
    with suppress(ImportError, KeyError, OSError, OverflowError):
        import grp  # not on Windows

        return grp.getgrgid(gid).gr_name
    return None


@dataclass(frozen=True)
class Host:
    """One machine and one user of it. No method raises."""

    person: Person
    root: Path = Path("/")
    release: str = field(default_factory=platform.release)
    may_open: Callable[[str], bool] = _may_open
    has_command: Callable[[str], bool] = _has_command
    group_name: Callable[[int], str | None] = _group_name

    def at(self, path: str) -> Path:
        """Where `path` of that machine is on this one."""
        return self.root / path.lstrip("/")

    def read(self, path: str) -> str | None:
        """The text of a small file without the blanks around it; None where it cannot be read."""
        try:
            return self.at(path).read_text(encoding="utf-8", errors="replace").strip()
        except (OSError, ValueError):
            return None

    def number(self, path: str) -> int | None:
        """The number that a file of /sys holds."""
        text = self.read(path) or ""
        return int(text) if re.fullmatch(r"-?\d{1,18}", text) else None

    def exists(self, path: str) -> bool:
        """Whether there is such a file or folder, as far as this user can see."""
        return os.path.exists(self.at(path))

    def names(self, path: str) -> list[str]:
        """What a folder holds, sorted."""
        try:
            return sorted(os.listdir(self.at(path)))
        except (OSError, ValueError):
            return []

    def link_name(self, path: str) -> str | None:
        """The last part of where a symlink leads; None where it is none."""
        try:
            return os.path.basename(os.readlink(self.at(path)))
        except (OSError, ValueError):
            return None

    def stat(self, path: str) -> os.stat_result | None:
        """What stat(2) says of a file."""
        try:
            return os.stat(self.at(path))
        except (OSError, ValueError):
            return None

    @property
    def engine(self) -> str | None:
        """The command that made the container this runs in; None where it seems to run in none."""
        if self.exists("/run/.containerenv"):
            return "podman"
        if self.exists("/.dockerenv") or "container=" in (self.read("/proc/1/environ") or ""):
            return "docker"
        return None

    def driver(self, name: str) -> Driver:
        """Whether the kernel has the driver module `name`, from its own list of modules."""
        plain = name.replace("-", "_")
        folders = [f"/sys/module/{plain}", f"/sys/bus/usb/drivers/{name}", f"{_USB_SERIAL}/{name}"]
        if any(self.exists(folder) for folder in folders):
            return Driver.LOADED
        modules = f"/lib/modules/{self.release}"
        if not self.names(modules):
            # A kernel that can load modules has this file, in a container too.
            return Driver.UNKNOWN if self.exists("/proc/modules") else Driver.ABSENT
        if _holds_module((self.read(f"{modules}/modules.builtin") or "").splitlines(), plain):
            return Driver.LOADED
        listed = (line.partition(":")[0] for line in (self.read(f"{modules}/modules.dep") or "").splitlines())
        # OpenWrt has no modules.dep and all modules in one folder.
        return Driver.AVAILABLE if _holds_module([*listed, *self.names(modules)], plain) else Driver.ABSENT

    def drivers_for(self, modalias: str) -> list[str]:
        """The driver modules that the kernel itself loads for a USB interface with this modalias."""
        aliases = _usb_aliases(self.at(f"/lib/modules/{self.release}/modules.alias"))
        # Comparing a pattern takes a hundred times as long, and there are ten thousand.
        return [
            module
            for start, pattern, module in aliases
            if modalias.startswith(start) and fnmatchcase(modalias, pattern)
        ]

    def cgroup(self, pid: int) -> str:
        """The control group of a process, as systemd names it; empty where there is none."""
        for line in (self.read(f"/proc/{pid}/cgroup") or "").splitlines():
            _, controllers, path = (*line.split(":", 2), "", "")[:3]
            if controllers in ("", "name=systemd"):
                return path
        return ""


def here() -> Host:
    """This machine and whoever runs this."""
    uid = os.getuid() if hasattr(os, "getuid") else 0
    groups = frozenset({*os.getgroups(), os.getegid()}) if hasattr(os, "getgroups") else frozenset[int]()
    name, member = None, groups
    with suppress(ImportError, KeyError, OSError):
        import pwd  # not on Windows

        account = pwd.getpwuid(uid)
        name, member = account.pw_name, groups | frozenset(os.getgrouplist(account.pw_name, account.pw_gid))
    return Host(Person(name, uid, groups, member))


def _holds_module(paths: Iterable[str], plain: str) -> bool:
    pattern = re.compile(rf"{re.escape(plain)}\.ko(\.[a-z0-9]+)?")
    return any(pattern.fullmatch(os.path.basename(path).replace("-", "_")) for path in paths)


@cache
def _usb_aliases(path: Path) -> list[tuple[str, str, str]]:
    """The start of each pattern up to its first wildcard, the pattern, and the module."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found = (line.split() for line in lines if line.startswith("alias usb:"))
    return [(re.split(r"[*?\[]", parts[1], maxsplit=1)[0], parts[1], parts[2]) for parts in found if len(parts) == 3]
