"""Plug in, unplug and watch the devices of the bench, from another process of the same machine."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, TypeVar

SOCKET = Path(os.environ.get("ATPROBE_RIG_SOCKET", "/run/rig/bench"))
"""Where the bench listens."""

T = TypeVar("T")


class Bench:
    """The bench, seen from a test. A device is named by its key in `hil.rig.devices.DEVICES`."""

    def __init__(self, path: Path = SOCKET) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._stream = self._socket.makefile("rw", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self._socket.close()

    def attach(self, name: str, port: int | None = None, *, again: bool = False) -> int:
        """Plug a device in: a new one, with counters at zero. Returns the port of the virtual host controller.

        `again`: the one that was unplugged, with the settings it has stored, and counters that go on."""
        return int(self._order(do="attach", name=name, port=port, again=again))

    def detach(self, name: str) -> None:
        """Pull the plug, whatever is going on. Returns at once; wait for `plugged` to go."""
        self._order(do="detach", name=name)

    def status(self) -> dict[str, dict[str, Any]]:
        """By name: `port` of the virtual host controller (None: free again), `device` (its name in
        /sys/bus/usb/devices; None before the kernel has looked at it), `interfaces` (by number, as text: the fields
        of `bench.Traffic`), `unanswered` (control requests that were stalled), `settings` (by query, the lines with
        which a device with settings would answer now), `writes` (command lines to it that do more than read)."""
        return dict(self._order(do="status"))

    def plugged(self) -> dict[str, str]:
        """The devices that are in, with their names in /sys/bus/usb/devices."""
        return {name: status["device"] for name, status in self.status().items() if status["device"]}

    def clear(self) -> None:
        """Zero all counters, as after the drivers have had their say."""
        self._order(do="clear")

    def say(self, name: str, interface: int, text: str) -> None:
        """Have a port send this, such as an unsolicited result code. Characters up to U+00FF are bytes."""
        self._order(do="say", name=name, interface=interface, text=text)

    def mute(self, name: str, interface: int, on: bool = True) -> None:
        """A muted port takes everything and answers nothing."""
        self._order(do="mute", name=name, interface=interface, on=on)

    def forget(self, name: str, surface: str) -> None:
        """Have a device with settings lose those of this surface in every restart, whatever its profile says."""
        self._order(do="forget", name=name, surface=surface)

    def unplug_after(
        self, name: str, interface: int, *, commands: int | None = None, received: int | None = None
    ) -> None:
        """Unplug the device when so many command lines, or bytes, have come since it was plugged in or cleared.

        The last one is not answered any more."""
        unit, count = ("commands", commands) if commands is not None else ("bytes", received)
        self._order(do="unplug_after", name=name, interface=interface, unit=unit, count=count)

    def unplug_at(self, name: str, interface: int, command: str) -> None:
        """Unplug the device as soon as this command line has come. It is carried out, but not answered any more."""
        self._order(do="unplug_at", name=name, interface=interface, command=command)

    def _order(self, **order: object) -> Any:
        self._stream.write(json.dumps(order) + "\n")
        self._stream.flush()
        answer = json.loads(self._stream.readline())
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["result"]


def wait(condition: Callable[[], T | None], seconds: float = 60.0, what: str = "", every: float = 0.1) -> T:
    """Poll until `condition` is true, and return its value. The virtual machine is slow: be generous."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s for {what or condition}; last: {value!r}")
        time.sleep(every)
    return value
