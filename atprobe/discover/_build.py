"""Putting a device together from what a source of devices found out about it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from atprobe.discover._roles import NO_HINTS, firmware_mode, is_modem, roles
from atprobe.knowledge import Knowledge
from atprobe.model import Device, PciInfo, Port, Role, UsbInfo, UsbInterface

HSO_ROLES = {
    "Control": Role.AT,
    "Application": Role.AT_SECONDARY,
    "Application2": Role.AT_SECONDARY,
    "Modem": Role.PPP,
    "GPS": Role.GNSS,
    "Diagnostic": Role.DIAG,
}
"""What the attribute `hsotype` of a tty of the kernel driver hso says (Linux 6.12, drivers/net/usb/hso.c)."""
WWAN_ROLES = {"at": Role.AT, "qmi": Role.QMI, "mbim": Role.MBIM, "qcdm": Role.DIAG, "adb": Role.ADB}
"""Names of wwan ports (Linux 6.12, drivers/net/wwan/wwan_core.c)."""
MHI_ROLES = {"dun": Role.AT, "qmi": Role.QMI, "mbim": Role.MBIM, "diag": Role.DIAG, "adb": Role.ADB}
"""Names of the ports of the MHI drivers that module makers ship beside the kernel: /dev/mhi_DUN."""
_WWAN = re.compile(r"wwan\d+([a-z]+)(\d+)")
_MHI = re.compile(r"mhi_([A-Za-z]+)(\d*)")
_INTERFACE = re.compile(r"(.*):[0-9x]+\.(\d+)")
_SERIAL_CLASSES = ("ff", "02/02")
"""Classes of interfaces that carry bytes: vendor-specific ones, and the abstract control model (CDC PSTN 1.2)."""


class Found(NamedTuple):
    """A port on a USB device: its path, its interface's number, and its role where the driver itself says it."""

    path: str
    interface: int | None
    role: Role | None = None


def usb_device(
    usb: UsbInfo,
    found: Sequence[Found],
    knowledge: Knowledge,
    hints: Mapping[int, Role] = NO_HINTS,
    sysfs: str | None = None,
    *,
    drivers_known: bool = True,
) -> Device | None:
    """The device, or None where it has no port and is no modem.

    A modem's interfaces that no driver is bound to become `usb://` ports: those that should speak AT, and where the
    device has no port at all any that carries bytes; but none of a module that waits for new firmware.
    `drivers_known` is False where nobody can tell what is bound.
    """
    modem = is_modem(usb, knowledge)
    known = roles(usb, knowledge, hints)
    bound = {interface.number: interface.driver for interface in usb.interfaces}
    ports = [
        Port(path) if number is None else Port(path, role or known.get(number, Role.UNKNOWN), number, bound.get(number))
        for path, number, role in found
    ]
    waits = None if any(role.is_control for role in known.values()) else firmware_mode(usb, knowledge)
    if modem and drivers_known and waits is None:
        taken = {port.interface for port in ports}
        free = [each for each in usb.interfaces if each.driver is None and each.number not in taken]
        ports += [
            Port(f"usb://{usb.path}/{each.number}", known[each.number], each.number)
            for each in free
            if known[each.number].is_control or (not found and _carries_bytes(each, known[each.number]))
        ]
    if not ports and not modem:
        return None
    ports.sort(key=lambda port: (-1 if port.interface is None else port.interface, natural(port.path)))
    return Device("usb", tuple(ports), usb, sysfs, modem or any(port.role.is_control for port in ports), waits)


def pci_device(paths: Iterable[str], sysfs: str | None = None, pci: PciInfo | None = None) -> Device:
    """The wwan and MHI character devices of one PCIe modem. A second AT port of a kind is a secondary one."""
    ports = [Port(path, _pci_role(path.rsplit("/", 1)[-1])) for path in sorted(paths, key=natural)]
    return Device("pci", tuple(ports), sysfs=sysfs, modem=True, pci=pci)


def interface_of(name: str) -> int | None:
    """The interface number in a sysfs name like `1-1:1.2`, decimal; None where it is no interface's name."""
    found = _INTERFACE.fullmatch(name)
    return int(found.group(2)) if found else None


def natural(text: str) -> list[object]:
    """A sort key that puts ttyUSB2 before ttyUSB10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", text)]


def _carries_bytes(interface: UsbInterface, role: Role) -> bool:
    return role is Role.UNKNOWN and any(f"{interface.triple}/".startswith(f"{each}/") for each in _SERIAL_CLASSES)


def _pci_role(name: str) -> Role:
    for pattern, names in ((_WWAN, WWAN_ROLES), (_MHI, MHI_ROLES)):
        if found := pattern.fullmatch(name):
            role = names.get(found.group(1).lower(), Role.UNKNOWN)
            return Role.AT_SECONDARY if role is Role.AT and found.group(2) not in ("", "0") else role
    return Role.UNKNOWN
