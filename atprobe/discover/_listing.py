"""Devices on a system without udev, from what pyserial lists and, where libusb is there, from what it sees."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from atprobe.discover._build import Found, interface_of, natural, pci_device, usb_device
from atprobe.knowledge import Knowledge
from atprobe.model import Device, Port, UsbInfo, UsbInterface

# What follows the bus position of a USB device: ":1.2" is interface 2 of configuration 1 (":x.2" on Windows).
_PLACE = re.compile(r"(.*):[0-9x]+\.\d+")
_PCI_PORT = re.compile(r"(wwan\d+)(?:at|qmi|mbim)\d+|(mhi)_(?:DUN|QMI|MBIM)\d*")
_TRIES = 3


def devices(knowledge: Knowledge, dev: Path = Path("/dev")) -> tuple[Device, ...]:
    """Every device that could be a modem. `dev` is where the character devices of PCIe modems are looked for."""
    names = [path.name for pattern in ("wwan*", "mhi_*") for path in dev.glob(pattern)]
    serial = serial_devices(_comports(), knowledge)
    places = {device.usb.path for device in serial if device.usb is not None}
    return (*serial, *(each for each in _seen_by_libusb(knowledge, places)), *pci_devices(names, dev))


def libusb_works() -> bool:
    """Whether pyusb finds a libusb, and with it devices that have no serial port."""
    import usb.backend.libusb1

    return usb.backend.libusb1.get_backend() is not None


def serial_devices(infos: Iterable[ListPortInfo], knowledge: Knowledge) -> tuple[Device, ...]:
    """Serial ports grouped into devices: those of one USB device together, any other one by itself."""
    groups: dict[object, list[ListPortInfo]] = {}
    for info in sorted(infos, key=lambda info: natural(info.device)):
        groups.setdefault(_device_key(info), []).append(info)
    return tuple(_device(group, knowledge) for group in groups.values())


def pci_devices(names: Iterable[str], dev: Path) -> tuple[Device, ...]:
    """The character devices of PCIe modems (`wwan0at0`, `mhi_DUN`) grouped by device. Firmware loaders are left out."""
    groups: dict[str, list[str]] = {}
    for name in sorted(names, key=natural):
        if found := _PCI_PORT.fullmatch(name):
            groups.setdefault(found.group(1) or found.group(2), []).append(str(dev / name))
    return tuple(pci_device(paths) for paths in groups.values())


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


def _device(infos: list[ListPortInfo], knowledge: Knowledge) -> Device:
    first = infos[0]
    if first.vid is None:
        return Device("uart", (Port(first.device),))
    place, _ = _place(first)
    vid, pid = f"{first.vid:04x}", f"{first.pid:04x}"
    folder = getattr(first, "usb_device_path", None)
    found = [Found(info.device, _place(info)[1]) for info in infos]
    interfaces = _sysfs_interfaces(Path(folder)) if folder else ()
    if not interfaces:
        interfaces = tuple(UsbInterface(number) for number in sorted({n for _, n, _ in found if n is not None}))
    usb = UsbInfo(vid, pid, first.manufacturer, first.product, first.serial_number, place, interfaces)
    device = usb_device(usb, found, knowledge, sysfs=folder, drivers_known=bool(folder))
    assert device is not None, "it has ports"
    return device


def _place(info: ListPortInfo) -> tuple[str | None, int | None]:
    """Where the device is plugged in (`1-1.2`) and the interface number (decimal); None where not known."""
    # pyserial leaves the interface out of the location where a device has only one; Linux knows it all the same.
    path = getattr(info, "usb_interface_path", None)
    location = os.path.basename(path) if path else info.location
    found = _PLACE.fullmatch(location) if location else None
    return (found.group(1), interface_of(location or "")) if found else (location or None, None)


def _sysfs_interfaces(folder: Path) -> tuple[UsbInterface, ...]:
    """The interface descriptors that Linux shows below a USB device's folder."""
    found = []
    for path in folder.glob(f"{folder.name}:*"):
        number = interface_of(path.name)
        with suppress(OSError):
            one, two, three = ((path / name).read_text().strip() for name in _CODES)
            driver = os.path.basename(os.readlink(path / "driver")) if (path / "driver").is_symlink() else None
            if number is not None:
                found.append(UsbInterface(number, one, two, three, driver))
    return tuple(sorted(found, key=lambda interface: interface.number))


_CODES = ("bInterfaceClass", "bInterfaceSubClass", "bInterfaceProtocol")


def _seen_by_libusb(knowledge: Knowledge, places: set[str | None]) -> Iterable[Device]:
    """Modems without a serial port. What drivers are bound, and the names in the descriptors, cannot be known here."""
    import usb.core

    try:
        listed = list(usb.core.find(find_all=True) or ())
    except (usb.core.NoBackendError, usb.core.USBError):
        return
    for each in listed:
        chain = ".".join(str(number) for number in each.port_numbers or ())
        place = f"{each.bus}-{chain}"
        if place in places or not chain:
            continue
        interfaces: dict[int, UsbInterface] = {}
        with suppress(usb.core.USBError, NotImplementedError):
            for each_interface in each[0]:  # alternate settings follow the first one
                codes = (
                    each_interface.bInterfaceClass,
                    each_interface.bInterfaceSubClass,
                    each_interface.bInterfaceProtocol,
                )
                number = each_interface.bInterfaceNumber
                interfaces.setdefault(number, UsbInterface(number, *(f"{code:02x}" for code in codes)))
        usb_info = UsbInfo(
            f"{each.idVendor:04x}", f"{each.idProduct:04x}", path=place, interfaces=tuple(interfaces.values())
        )
        device = usb_device(usb_info, (), knowledge)
        if device is not None:
            yield device
