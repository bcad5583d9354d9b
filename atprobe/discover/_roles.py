"""What each interface of a USB device is for, and whether the device is a cellular module at all.

A role comes, in this order, from the profile's layout by interface class, from `profiles/ports.csv`, from
ModemManager's udev hints, and from the kernel driver. Class codes come first because numbers shift: a module that
has adb switched on, or another network mode, keeps the class of an interface and not always its number.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from atprobe.knowledge import Knowledge
from atprobe.model import Role, UsbInfo

NO_HINTS: Mapping[int, Role] = {}


def roles(usb: UsbInfo, knowledge: Knowledge, hints: Mapping[int, Role] = NO_HINTS) -> dict[int, Role]:
    """The role of each of the device's interfaces by its number; unknown where nothing known speaks of it.

    `hints` are roles that udev properties give, by interface number. Where the class of an interface contradicts
    what the numbers say of it, another composition is switched on than the one the numbers were written for: then
    numbers and hints, which go by number too, are left out.
    """
    by_class = {each.number: _layout(usb, knowledge, each.number, drivers=False) for each in usb.interfaces}
    table = port_table(knowledge.root)
    by_number = {number: table.get((usb.vid or "", usb.pid or "", number), Role.UNKNOWN) for number in by_class}
    if any(contradict(by_class[number], by_number[number]) for number in by_class):
        by_number, hints = {}, NO_HINTS
    found: dict[int, Role] = {}
    for number, role in by_class.items():
        choices = (role, by_number.get(number), hints.get(number))
        known = next((choice for choice in choices if choice not in (None, Role.UNKNOWN)), None)
        found[number] = known or _layout(usb, knowledge, number, drivers=True)
    return _one_first(found)


def is_modem(usb: UsbInfo, knowledge: Knowledge) -> bool:
    """Whether the device's numbers are those of a cellular module: its maker's alone, or known one by one."""
    if usb.vid is None or usb.pid is None:
        return False
    return usb.vid in knowledge.modem_vendors or (usb.vid, usb.pid) in known_modems(knowledge.root)


def serial_driver(usb: UsbInfo, knowledge: Knowledge) -> str | None:
    """The kernel driver that newer kernels bind to this device's serial interfaces; None where none is known."""
    return modem_table(knowledge.root).get((usb.vid or "", usb.pid or ""))


def _layout(usb: UsbInfo, knowledge: Knowledge, number: int, *, drivers: bool) -> Role:
    interface = next(each for each in usb.interfaces if each.number == number)
    for layout in knowledge.layouts:
        if (layout.driver is not None) is drivers and layout.fits(usb, interface):
            return layout.role
    return Role.UNKNOWN


def contradict(one: Role, other: Role) -> bool:
    """Whether both are known and only one of them is a port to talk to."""
    return Role.UNKNOWN not in (one, other) and one.is_control is not other.is_control


def _one_first(found: dict[int, Role]) -> dict[int, Role]:
    """Where a device has several AT ports of one rank, the first is the one to talk to."""
    first = next((number for number in sorted(found) if found[number] is Role.AT), None)
    return {
        number: Role.AT_SECONDARY if role is Role.AT and number != first else role for number, role in found.items()
    }


def _rows(path: Path) -> csv.DictReader[str]:
    text = path.read_text(encoding="utf-8")
    return csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))


@cache
def port_table(root: Path) -> dict[tuple[str, str, int], Role]:
    """`ports.csv`: by vendor id, product id and interface number."""
    rows = _rows(root / "ports.csv")
    return {(row["vid"], row["pid"], int(row["interface"])): Role(row["role"]) for row in rows}


@cache
def known_modems(root: Path) -> frozenset[tuple[str, str]]:
    """Vendor and product ids of all modems that are known one by one."""
    return frozenset(modem_table(root)) | {(vid, pid) for vid, pid, _ in port_table(root)}


@cache
def modem_table(root: Path) -> dict[tuple[str, str], str | None]:
    """`modems.csv`: the kernel driver, or None, by vendor id and product id."""
    return {(row["vid"], row["pid"]): row["driver"] or None for row in _rows(root / "modems.csv")}
