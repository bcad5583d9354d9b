"""Who has a port open, from /proc. The kernel lets several programs open one tty, and root open a claimed one."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from atprobe.link.errors import PortError
from atprobe.model import ProblemKind

PROC = Path("/proc")
PTYS = "/dev/pts/"
"""A pty is held open by whoever plays the module on it (`atprobe emulate`, socat), and nothing real is behind it."""
MODEM_MANAGER = "ModemManager"


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has a port open: its number, and its program's name as the kernel knows it."""

    pid: int
    name: str


def holders(paths: Collection[str]) -> dict[str, tuple[Holder, ...]]:
    """For each of `paths` that other processes have open: which ones. All of /proc is walked once, whatever is asked.

    Processes that this user may not look into are not seen (all but one's own, unless root). URLs and ptys have no
    holders. Empty where there is no /proc. Never raises.
    """
    asked: dict[str, list[str]] = {}
    for path in paths:
        real = os.path.realpath(path)
        if "://" not in path and not real.startswith(PTYS):
            asked.setdefault(real, []).append(path)
    if not asked:
        return {}
    found: dict[str, list[Holder]] = {}
    for pid in processes():
        for real in _open_files(pid).intersection(asked):
            for path in asked[real]:
                found.setdefault(path, []).append(Holder(pid, program(pid)))
    return {path: tuple(each) for path, each in found.items()}


def processes() -> list[int]:
    """The numbers of all processes but this one; none where there is no /proc."""
    try:
        return [int(name) for name in os.listdir(PROC) if name.isdecimal() and int(name) != os.getpid()]
    except OSError:
        return []


def program(pid: int) -> str:
    """The program's name (15 bytes of it at most, proc(5)), without what a terminal would act on."""
    try:
        name = (PROC / str(pid) / "comm").read_text(errors="replace").rstrip("\n")
    except OSError:
        return "a program"
    return "".join(each if each.isprintable() else "?" for each in name) or "a program"


def refuse_held(path: str, others: Collection[Holder]) -> None:
    """Raise PortError (busy) where a port has holders."""
    for other in others:
        hint = "end that program, or wait for it, and try again"
        if other.name == MODEM_MANAGER:
            hint = "let atprobe ask it to stand aside (as root, without --no-inhibit), or: systemctl stop ModemManager"
        raise PortError(ProblemKind.BUSY, path, f"is held by {other.name} (pid {other.pid})", hint)


def _open_files(pid: int) -> set[str]:
    folder = f"{PROC}/{pid}/fd"
    links = set()
    try:
        for name in os.listdir(folder):
            try:
                links.add(os.readlink(f"{folder}/{name}"))
            except OSError:  # closed meanwhile
                continue
    except OSError:  # not ours to look into, or gone
        pass
    return links
