"""Devices that come and go, from udev's events; without udev by looking again every second."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from atprobe.discover._scan import scan
from atprobe.knowledge import Knowledge
from atprobe.model import Device

SETTLE_SECONDS = 0.1
"""Quiet after which the events of one plug are taken to be over; a tty that comes later is a change."""
SETTLE_MOST = 0.4
"""Seconds after which events that never cease are looked into all the same."""
LOOK_SECONDS = 1.0
"""How often a system without udev is looked at."""
STOP_SECONDS = 0.2
"""How often a wait looks whether the user has had enough."""
_SUBSYSTEMS = ("usb", "tty", "usbmisc", "wwan")


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one device. `came` is False where it left; one that has other ports than before comes again."""

    came: bool
    device: Device


class Signals(Protocol):
    """Tells that something may have changed."""

    def wait(self, seconds: float) -> tuple[str, ...] | None:
        """None where nothing happened in that time; else the places in sysfs of what left, which may be none."""


def changes(
    knowledge: Knowledge,
    stop: threading.Event,
    signals: Signals | None = None,
    look: Callable[[Knowledge], tuple[Device, ...]] | None = None,
) -> Iterator[Change]:
    """What is attached, as devices that come, and then everything that comes and goes until `stop` is set.

    A device that was unplugged and plugged in again between two looks leaves and comes. `signals` and `look` are
    udev's events and `scan` unless given.
    """
    signals = signals or _signals()
    look = look or (lambda known: scan(known).devices)
    present: dict[str, Device] = {}
    yield from _differences(present, look(knowledge))
    while not stop.is_set():
        gone = signals.wait(STOP_SECONDS)
        if gone is None:
            continue
        deadline = time.monotonic() + SETTLE_MOST
        while gone is not None:
            for place in gone:
                if (device := present.pop(place, None)) is not None:
                    yield Change(False, device)
            gone = signals.wait(SETTLE_SECONDS) if time.monotonic() < deadline else None
        yield from _differences(present, look(knowledge))


def _differences(present: dict[str, Device], found: tuple[Device, ...]) -> Iterator[Change]:
    """Brings `present` up to what was found. Who leaves goes first, so that no port belongs to two devices."""
    seen = {device.place: device for device in found}
    for place in [place for place in present if place not in seen]:
        yield Change(False, present.pop(place))
    for place, device in seen.items():
        if present.get(place) != device:
            present[place] = device
            yield Change(True, device)


def _signals() -> Signals:
    if sys.platform == "linux":
        try:
            return _Udev()
        except (ImportError, OSError):
            pass
    return _Clock()


class _Udev:
    """udev's events after its rules ran, so that permissions are set; the kernel's own where no udev daemon runs."""

    def __init__(self) -> None:
        import pyudev

        source = "udev" if os.path.exists("/run/udev/control") else "kernel"
        self._monitor = pyudev.Monitor.from_netlink(pyudev.Context(), source)
        for subsystem in _SUBSYSTEMS:
            self._monitor.filter_by(subsystem)
        self._monitor.start()

    def wait(self, seconds: float) -> tuple[str, ...] | None:
        try:
            event = self._monitor.poll(seconds)
        except OSError:  # more events than the socket holds: some are lost, and looking again finds what they said
            return ()
        if event is None:
            return None
        return (event.sys_path,) if event.action == "remove" else ()


class _Clock:
    """For a system that tells nothing."""

    def __init__(self) -> None:
        self._due = time.monotonic() + LOOK_SECONDS

    def wait(self, seconds: float) -> tuple[str, ...] | None:
        time.sleep(min(seconds, max(0.0, self._due - time.monotonic())))
        if time.monotonic() < self._due:
            return None
        self._due = time.monotonic() + LOOK_SECONDS
        return ()
