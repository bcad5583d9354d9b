"""What the checks look at, gathered once for all devices."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from atprobe import discover, link
from atprobe.doctor._host import Host
from atprobe.knowledge import Knowledge
from atprobe.link import Holder, Lock
from atprobe.model import Device


@dataclass(frozen=True)
class Facts:
    """The machine, and who uses what on it."""

    host: Host
    knowledge: Knowledge
    held: Mapping[str, Sequence[Holder]] = field(default_factory=dict)
    """By the path of a port: who has it open, as far as this user can see."""
    locks: Mapping[str, Sequence[Lock]] = field(default_factory=dict)
    managed: Mapping[Device, bool] | None = field(default_factory=dict)
    """Which devices ModemManager manages, and whether they are connected; None where it could not be asked."""
    programs: frozenset[str] = frozenset()
    """The names of all programs that run, as far as they are seen."""
    bus_client: bool = True
    """Whether the D-Bus client that asks ModemManager to stand aside is installed."""
    libusb: bool = True


def gather(host: Host, knowledge: Knowledge, devices: Sequence[Device], paths: Sequence[str]) -> Facts:
    """Look around. Opens no port; ModemManager is asked what it manages, and for nothing else."""
    local = [path for path in paths if "://" not in path]
    return Facts(
        host,
        knowledge,
        held=link.holders(local),
        locks={path: link.locks(path) for path in local},
        managed=link.managed(devices),
        programs=frozenset(link.program(pid) for pid in link.processes()),
        bus_client=importlib.util.find_spec("jeepney") is not None,
        libusb=_libusb(),
    )


def _libusb() -> bool:
    try:
        return discover.libusb_works()
    except Exception:  # whatever a broken library does on being loaded
        return False


def usb_node(host: Host, device: Device) -> str | None:
    """The file below /dev through which a program reaches a USB device without a driver."""
    if device.sysfs is None:
        return None
    bus, number = (host.number(os.path.join(device.sysfs, name)) for name in ("busnum", "devnum"))
    return None if bus is None or number is None else f"/dev/bus/usb/{bus:03d}/{number:03d}"
