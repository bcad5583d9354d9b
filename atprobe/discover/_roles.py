"""What each interface of a known modem is for: `profiles/ports.csv`."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

from atprobe.knowledge import default_root
from atprobe.model import Role


def role_of(vid: str, pid: str, interface: int | None, root: Path | None = None) -> Role:
    """The role of one interface of a USB device; unknown unless the table below `root` names exactly this one.

    `vid` and `pid` are four lower-case hex digits. Not being in the table means not being known as a modem's
    port, so a stranger never gets a role that would have it opened.
    """
    if interface is None:
        return Role.UNKNOWN
    return _table(root or default_root()).get((vid, pid, interface), Role.UNKNOWN)


@cache
def _table(root: Path) -> dict[tuple[str, str, int], Role]:
    with (root / "ports.csv").open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        return {(row["vid"], row["pid"], int(row["interface"])): Role(row["role"]) for row in rows}
