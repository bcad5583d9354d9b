"""Looking at what the system lists: serial ports through pyserial, wwan character devices in /dev."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from atprobe.discover._roles import roles
from atprobe.model import Device, Port, Role, UsbInfo

# What follows the bus position of a USB device: ":1.2" is interface 2 of configuration 1 (":x.2" on Windows).
_INTERFACE = re.compile(r"(.*):[0-9x]+\.(\d+)")
_WWAN = re.compile(r"(wwan\d+)(at|qmi|mbim)(\d+)")
_WWAN_ROLES = {"at": Role.AT, "qmi": Role.QMI, "mbim": Role.MBIM}
_TRIES = 3


def scan(dev: Path = Path("/dev")) -> tuple[Device, ...]:
    """Every device that could be a modem, in the order of its first port. Opens nothing.

    `dev` is where wwan character devices are looked for.
    """
    names = [path.name for path in dev.glob("wwan*")]
    return (*serial_devices(_comports()), *wwan_devices(names, dev))


def serial_devices(infos: Iterable[ListPortInfo]) -> tuple[Device, ...]:
    """Serial ports grouped into devices: those of one USB device together, any other one by itself."""
    groups: dict[object, list[ListPortInfo]] = {}
    for info in sorted(infos):
        groups.setdefault(_device_key(info), []).append(info)
    return tuple(_device(group) for group in groups.values())


def wwan_devices(names: Iterable[str], dev: Path) -> tuple[Device, ...]:
    """The kernel's wwan character devices (`wwan0at0`, `wwan0qmi0`) grouped by their number.

    A second AT port of a device is a secondary one. Other kinds of wwan ports (firmware loaders) are left out.
    """
    groups: dict[str, list[Port]] = {}
    for name in sorted(names):
        found = _WWAN.fullmatch(name)
        if found is None:
            continue
        device, kind, number = found.groups()
        role = Role.AT_SECONDARY if kind == "at" and number != "0" else _WWAN_ROLES[kind]
        groups.setdefault(device, []).append(Port(str(dev / name), role))
    return tuple(Device("pci", tuple(ports)) for ports in groups.values())


def _comports() -> list[ListPortInfo]:
    # A device that is unplugged during the listing makes pyserial convert what it could not read: try again.
    for _ in range(_TRIES - 1):
        try:
            return list(list_ports.comports())
        except (TypeError, ValueError):
            continue
    return list(list_ports.comports())


def _device_key(info: ListPortInfo) -> object:
    if info.vid is None:
        return info.device
    place, _ = _place(info)
    # Two devices of one model without serial numbers differ by their place; without either, keep them apart.
    return (info.vid, info.pid, info.serial_number, place) if place or info.serial_number else info.device


def _device(infos: list[ListPortInfo]) -> Device:
    first = infos[0]
    if first.vid is None:
        return Device("uart", (Port(first.device),))
    place, _ = _place(first)
    vid, pid = f"{first.vid:04x}", f"{first.pid:04x}"
    usb = UsbInfo(vid, pid, first.manufacturer, first.product, first.serial_number, place)
    return Device("usb", tuple(_port(info, vid, pid) for info in infos), usb)


def _port(info: ListPortInfo, vid: str, pid: str) -> Port:
    _, interface = _place(info)
    return Port(info.device, role_of(vid, pid, interface), interface, _driver(info))


def _place(info: ListPortInfo) -> tuple[str | None, int | None]:
    """Where the device is plugged in (`1-1.2`) and the interface number (decimal); None where not known."""
    # pyserial leaves the interface out of the location where a device has only one; Linux knows it all the same.
    path = getattr(info, "usb_interface_path", None)
    location = os.path.basename(path) if path else info.location
    found = _INTERFACE.fullmatch(location) if location else None
    return (found.group(1), int(found.group(2))) if found else (location or None, None)


def _driver(info: ListPortInfo) -> str | None:
    path = getattr(info, "usb_interface_path", None)
    try:
        return os.path.basename(os.readlink(os.path.join(path, "driver"))) if path else None
    except OSError:
        return None
