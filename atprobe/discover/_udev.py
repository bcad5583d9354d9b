"""What udev knows: every device with its ports, from sysfs and udev's database. Opens nothing."""

from __future__ import annotations

import os
import re
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from atprobe.discover._build import HSO_ROLES, Found, interface_of, natural, pci_device, usb_device
from atprobe.discover._roles import pci_modems
from atprobe.knowledge import Knowledge
from atprobe.model import Device, PciInfo, Port, Role, UsbInfo, UsbInterface

if TYPE_CHECKING:
    import pyudev

_USB = ("/sys/bus/usb/devices", re.compile(r"\d+-[1-9][\d.]*(?::\d+\.\d+)?"))
"""Where the kernel lists USB devices and their interfaces, and how those are named that are not a root hub's."""
_PCI = ("/sys/bus/pci/devices", re.compile(r".*"))
_PORTS = (
    ("/sys/class/tty", re.compile(r"tty[A-Z].*")),
    ("/sys/class/usbmisc", re.compile(r"cdc-wdm\d+")),
    ("/sys/class/wwan", re.compile(r"wwan\d+[a-z]+\d+")),
    ("/sys/class/mhi_q", re.compile(r"mhi_.+")),
)
"""The same for ports. Consoles and pseudo terminals have other names and are not even looked at."""
HINTS = {
    "ID_MM_PORT_TYPE_AT_PRIMARY": Role.AT,
    "ID_MM_PORT_TYPE_AT_SECONDARY": Role.AT_SECONDARY,
    "ID_MM_PORT_TYPE_AT_PPP": Role.PPP,
    "ID_MM_PORT_TYPE_GPS": Role.GNSS,
    "ID_MM_PORT_TYPE_QCDM": Role.DIAG,
    "ID_MM_PORT_TYPE_QMI": Role.QMI,
    "ID_MM_PORT_TYPE_MBIM": Role.MBIM,
}
"""ModemManager's udev properties (its documentation, "udev tags")."""
_USB_INTERFACE = re.compile(r"/\d+-[\d.]+:\d+\.\d+(?:/|$)")
"""The folder of a USB interface in a path: `1-1.2:1.0`."""
_HUB = "9/"
"""How the uevent property TYPE of a hub starts: bDeviceClass, decimal."""
_ABSENT = "0"
"""A serial port whose `type` is PORT_UNKNOWN (Linux, serial_core.h): a driver's spare slot with no hardware."""

_kept = threading.local()


@dataclass
class _Usb:
    """A USB device while it is put together."""

    entry: pyudev.Device
    interfaces: list[UsbInterface] = field(default_factory=list)
    ports: list[Found] = field(default_factory=list)
    entries: dict[int, pyudev.Device] = field(default_factory=dict)
    """Its ports by the number of their interface."""


class _Hints(Mapping[int, Role]):
    """ModemManager's hints by interface number, looked up when asked for: most ports have a role without them."""

    def __init__(self, entries: dict[int, pyudev.Device]) -> None:
        self._entries = entries

    def __getitem__(self, number: int) -> Role:
        get = self._entries[number].properties.get
        role = next((role for key, role in HINTS.items() if get(key) == "1"), None)
        if role is None:
            raise KeyError(number)
        return role

    def __iter__(self) -> Iterator[int]:
        return (number for number in self._entries if self.get(number) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def devices(knowledge: Knowledge) -> tuple[Device, ...]:
    """Every device that is or could be a modem. Raises ImportError where there is no libudev."""
    context = _context()
    usb = _usb_devices(_entries(context, *_USB))
    alone: list[Device] = []
    cards = pci_modems(knowledge.root)
    pci = {entry.sys_path: entry for entry in _entries(context, *_PCI) if _pci_ids(entry) in cards}
    nodes: defaultdict[str, list[str]] = defaultdict(list, {place: [] for place in pci})
    for entry in _ports(context):
        if (interface := _above(entry.sys_path, usb)) is not None:
            place, number = interface
            usb[place].ports.append(Found(entry.device_node, number, _hso(entry)))
            usb[place].entries[number] = entry
        elif _USB_INTERFACE.search(entry.sys_path):
            continue  # it hangs from a USB device that is just being unplugged: it is nobody else's port
        elif entry.subsystem == "tty":
            if not (_is_virtual(entry.sys_path) or _text(entry, "type") == _ABSENT):
                alone.append(Device("uart", (Port(entry.device_node, driver=_driver(entry)),), sysfs=entry.sys_path))
        elif (parent := entry.find_parent("pci")) is not None:
            pci.setdefault(parent.sys_path, parent)
            nodes[parent.sys_path].append(entry.device_node)
        else:
            nodes[os.path.dirname(entry.sys_path)].append(entry.device_node)
    found = (usb_device(_info(each), each.ports, knowledge, _Hints(each.entries), place) for place, each in usb.items())
    return (
        *sorted((each for each in found if each is not None), key=lambda device: natural(device.sysfs or "")),
        *(pci_device(paths, place, _pci_info(pci.get(place))) for place, paths in sorted(nodes.items())),
        *sorted(alone, key=lambda device: natural(device.ports[0].path)),
    )


def _context() -> pyudev.Context:
    """One for each thread: libudev's objects may not be shared, and looking for the library takes its time."""
    import pyudev

    context: pyudev.Context | None = getattr(_kept, "context", None)
    if context is None:
        context = _kept.context = pyudev.Context()
    return context


def _entries(context: pyudev.Context, folder: str, names: re.Pattern[str]) -> list[pyudev.Device]:
    """What the kernel lists in a folder of sysfs under such names; empty where it has no such folder.

    libudev's own enumeration gives the same and takes three times as long, since it looks at every name there is.
    """
    import pyudev

    found = []
    with suppress(OSError):
        for name in sorted(os.listdir(folder)):
            if names.fullmatch(name):
                with suppress(pyudev.DeviceNotFoundError):  # it was unplugged since
                    found.append(pyudev.Devices.from_sys_path(context, f"{folder}/{name}"))
    return found


def _ports(context: pyudev.Context) -> Iterator[pyudev.Device]:
    """Every port that has a device node. One that is just being unplugged loses its properties before its folder."""
    for listed in _PORTS:
        for entry in _entries(context, *listed):
            if entry.device_node is not None:
                yield entry


def _usb_devices(entries: list[pyudev.Device]) -> dict[str, _Usb]:
    """All USB devices but hubs, by their place in sysfs, each with its interfaces."""
    get = {entry.sys_path: entry.properties.get for entry in entries}
    found = {
        entry.sys_path: _Usb(entry)
        for entry in entries
        if get[entry.sys_path]("DEVTYPE") == "usb_device" and not (get[entry.sys_path]("TYPE") or "").startswith(_HUB)
    }
    for entry in entries:
        above = found.get(os.path.dirname(entry.sys_path))
        number = interface_of(entry.sys_name)
        codes = re.fullmatch(r"(\d+)/(\d+)/(\d+)", get[entry.sys_path]("INTERFACE") or "")
        if above is not None and number is not None and codes is not None:
            one, two, three = (f"{int(code):02x}" for code in codes.groups())
            above.interfaces.append(UsbInterface(number, one, two, three, get[entry.sys_path]("DRIVER")))
    return found


def _above(sys_path: str, usb: dict[str, _Usb]) -> tuple[str, int] | None:
    """The USB device and the interface number that a port hangs from: the interface's folder is in its path."""
    place = sys_path
    while len(place) > 1:
        place, name = os.path.split(place)
        number = interface_of(name)
        if number is not None and place in usb:
            return place, number
    return None


def _info(each: _Usb) -> UsbInfo:
    return UsbInfo(
        vid=_text(each.entry, "idVendor"),
        pid=_text(each.entry, "idProduct"),
        manufacturer=_text(each.entry, "manufacturer"),
        product=_text(each.entry, "product"),
        serial=_text(each.entry, "serial"),
        path=each.entry.sys_name,
        interfaces=tuple(sorted(each.interfaces, key=lambda interface: interface.number)),
    )


def _pci_ids(entry: pyudev.Device) -> tuple[str, str]:
    """Vendor and device id from the uevent property `PCI_ID=14C3:4D75`."""
    vid, _, did = (entry.properties.get("PCI_ID") or "").lower().partition(":")
    return vid.zfill(4), did.zfill(4)


def _pci_info(entry: pyudev.Device | None) -> PciInfo | None:
    return None if entry is None else PciInfo(*_pci_ids(entry), entry.sys_name)


def _text(entry: pyudev.Device, attribute: str) -> str | None:
    value = entry.attributes.get(attribute)
    return value.decode("utf-8", "replace").strip() or None if value is not None else None


def _hso(entry: pyudev.Device) -> Role | None:
    """Option's own driver says what each of its ttys is for (Linux, drivers/net/usb/hso.c)."""
    return HSO_ROLES.get(_text(entry, "hsotype") or "") if entry.sys_name.startswith("ttyHS") else None


def _driver(entry: pyudev.Device) -> str | None:
    """The driver of the serial hardware; the kernel's own layer between it and the tty has drivers of its own."""
    parent = entry.parent
    while parent is not None and (parent.driver is None or parent.subsystem == "serial-base"):
        parent = parent.parent
    return None if parent is None else str(parent.driver)


def _is_virtual(sys_path: str) -> bool:
    return sys_path.startswith("/sys/devices/virtual/")
