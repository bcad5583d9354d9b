"""One list of devices, from udev where there is one."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from atprobe.discover import _listing, _udev
from atprobe.knowledge import Knowledge
from atprobe.model import Device


@dataclass(frozen=True, slots=True)
class Scan:
    """What is attached. `limits` says, a sentence each, what this system keeps from being seen."""

    devices: tuple[Device, ...]
    limits: tuple[str, ...] = ()


def scan(knowledge: Knowledge) -> Scan:
    """Every device that is or could be a modem: USB first, then PCIe, then other serial ports. Opens nothing."""
    if sys.platform == "linux":
        try:
            return Scan(_udev.devices(knowledge))
        except ImportError:  # pyudev, or the libudev below it
            pass
    return Scan(_listing.devices(knowledge), _limits())


def _limits() -> tuple[str, ...]:
    found = ["libudev is not here: what ModemManager knows of the ports, and modules on other buses, may be missing"]
    if sys.platform != "linux":
        found = ["this system does not say what class an interface has: roles go by its number alone"]
    if not _listing.libusb_works():
        found.append("libusb is not here: a module without a serial port is not seen")
    return tuple(found)
