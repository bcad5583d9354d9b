"""What each interface of a USB device is for, and whether the device is a cellular module at all.

A role comes, in this order, from the profile's layout by interface class, from `profiles/ports.csv`, from
ModemManager's udev hints, and from the kernel driver. Class codes come first because numbers shift: a module that
has adb switched on, or another network mode, keeps the class of an interface and not always its number.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from atprobe.knowledge import Knowledge, Layout
from atprobe.model import PciInfo, Role, UsbInfo, UsbInterface

NO_PORT_CLASSES = ("0[13678e]", "e[0f]", "02/0[6-9a-e]")
"""Starts of class/subclass/protocol of network cards, disks, keyboards and loudspeakers, as patterns."""
NO_PORT_ROLES = (Role.QMI, Role.MBIM, Role.ADB)
NO_PORT_DRIVERS = {"cdc_ether", "cdc_ncm", "cdc_mbim", "huawei_cdc_ncm", "qmi_wwan", "rndis_host", "usb-storage"}
_NO_PORT = re.compile("|".join(f"{start}/" for start in NO_PORT_CLASSES))

NO_HINTS: Mapping[int, Role] = {}


def roles(usb: UsbInfo, knowledge: Knowledge, hints: Mapping[int, Role] = NO_HINTS) -> dict[int, Role]:
    """The role of each of the device's interfaces by its number; unknown where nothing known speaks of it.

    `hints` are roles that udev properties give, by interface number. Where the class of an interface contradicts
    what the numbers say of it, or where it is no serial port at all, another composition is switched on than the one
    the numbers were written for: then numbers and hints, which go by number too, are left out.
    """
    rows = [layout for layout in knowledge.layouts if not layout.vendors or usb.vid in layout.vendors]
    by_driver = [layout for layout in rows if layout.driver is not None]
    rows = [layout for layout in rows if layout.driver is None]
    by_class = {each.number: _layout(usb, each, rows) for each in usb.interfaces}
    table = port_table(knowledge.root)
    by_number = {number: table.get((usb.vid or "", usb.pid or "", number), Role.UNKNOWN) for number in by_class}
    no_port = {each.number for each in usb.interfaces if _is_no_port(each) or by_class[each.number] in NO_PORT_ROLES}
    elsewhere = any(by_number[number] is not Role.UNKNOWN for number in no_port)
    if elsewhere or any(contradict(by_class[number], by_number[number]) for number in by_class):
        by_number, hints = {}, NO_HINTS
    found: dict[int, Role] = {}
    for each in usb.interfaces:
        role = by_class[each.number]
        if role is Role.UNKNOWN:
            role = by_number.get(each.number, Role.UNKNOWN)
        if role is Role.UNKNOWN:
            role = hints.get(each.number, Role.UNKNOWN)
        found[each.number] = role if role is not Role.UNKNOWN else _layout(usb, each, by_driver)
    return _one_first(found)


def is_modem(usb: UsbInfo, knowledge: Knowledge) -> bool:
    """Whether the device's numbers are those of a cellular module: its maker's alone, or known one by one."""
    if usb.vid is None or usb.pid is None:
        return False
    return usb.vid in knowledge.modem_vendors or (usb.vid, usb.pid) in known_modems(knowledge.root)


def serial_driver(usb: UsbInfo, knowledge: Knowledge) -> str:
    """The kernel driver for this device's serial interfaces: the one newer kernels bind, else Linux's for any modem."""
    return modem_table(knowledge.root).get((usb.vid or "", usb.pid or "")) or "option"


def pci_driver(pci: PciInfo, knowledge: Knowledge) -> str | None:
    """The kernel module that makes ports of this card; None where none is known."""
    return pci_modems(knowledge.root).get((pci.vid, pci.did))


def firmware_mode(usb: UsbInfo, knowledge: Knowledge) -> str | None:
    """In which mode for new firmware its numbers are (`qdl`, `fastboot`, `flash-loader`); None where in none."""
    return firmware_modes(knowledge.root).get((usb.vid or "", usb.pid or ""))


def _layout(usb: UsbInfo, interface: UsbInterface, rows: Sequence[Layout]) -> Role:
    return next((layout.role for layout in rows if layout.fits(usb, interface)), Role.UNKNOWN)


def contradict(one: Role, other: Role) -> bool:
    """Whether both are known and only one of them is a port to talk to."""
    return Role.UNKNOWN not in (one, other) and one.is_control is not other.is_control


def _is_no_port(interface: UsbInterface) -> bool:
    """Whether an interface is a network card, a disk, a keyboard or a loudspeaker, whatever stands of its number."""
    return bool(_NO_PORT.match(interface.triple)) or interface.driver in NO_PORT_DRIVERS


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
def pci_modems(root: Path) -> dict[tuple[str, str], str]:
    """`modems-pci.csv`: the kernel driver by vendor and device id."""
    return {(row["vid"], row["did"]): row["driver"] for row in _rows(root / "modems-pci.csv")}


@cache
def known_modems(root: Path) -> frozenset[tuple[str, str]]:
    """Vendor and product ids of all modems that are known one by one."""
    numbered = {(vid, pid) for vid, pid, _ in port_table(root)}
    return frozenset(modem_table(root)) | frozenset(firmware_modes(root)) | numbered


@cache
def modem_table(root: Path) -> dict[tuple[str, str], str | None]:
    """`modems.csv`: the kernel driver, or None, by vendor id and product id."""
    return {(row["vid"], row["pid"]): row["driver"] or None for row in _rows(root / "modems.csv")}


@cache
def firmware_modes(root: Path) -> dict[tuple[str, str], str]:
    """`firmware-modes.csv`: the mode by vendor id and product id."""
    path = root / "firmware-modes.csv"
    return {(row["vid"], row["pid"]): row["mode"] for row in _rows(path)} if path.exists() else {}
