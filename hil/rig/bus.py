"""What the kernel made of a device: a look into sysfs."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from hil.rig.control import Bench, wait
from hil.rig.devices import DEVICES

DEVICES_DIR = Path("/sys/bus/usb/devices")
# Which drivers give their interface a tty, so that it is there only when that is.
_WITH_TTY = frozenset({"option", "qcserial", "cdc_acm", "ftdi_sio"})


class Bound(NamedTuple):
    """One interface of a device: the driver that has it, and its tty, if any."""

    driver: str | None
    tty: str | None


def interfaces(device: str) -> dict[int, Bound]:
    """By number, the interfaces of a device (a name in /sys/bus/usb/devices) that is there."""
    found = {}
    for folder in DEVICES_DIR.glob(f"{device}:*"):
        try:
            number = int((folder / "bInterfaceNumber").read_text(), 16)
            driver = (folder / "driver").resolve().name if (folder / "driver").exists() else None
            names = [path.name for path in (*folder.glob("tty/tty*"), *folder.glob("ttyUSB*"))]
        except OSError:
            continue  # it is just going
        found[number] = Bound(driver, f"/dev/{names[0]}" if names else None)
    return found


def bound(name: str, device: str) -> dict[int, Bound] | None:
    """The interfaces of that device of ours once all expected drivers and device nodes are there; None before."""
    found = interfaces(device)
    for interface in DEVICES[name].layout.interfaces:
        now = found.get(interface.number)
        if now is None or now.driver != interface.driver:
            return None
        wants_tty = interface.driver in _WITH_TTY and interface.number == interface.port
        if wants_tty and (now.tty is None or not Path(now.tty).exists()):
            return None
    return found


def settled(bench: Bench, names: Iterable[str]) -> None:
    """Wait until those devices have their drivers and device nodes, and udev is done."""
    for name in names:

        def ready(name: str = name) -> bool:
            device = bench.plugged().get(name)
            return device is not None and bound(name, device) is not None

        wait(ready, what=f"the drivers of {name}")
    subprocess.run(["udevadm", "settle", "--timeout=30"], check=True)


def ttys() -> set[str]:
    """All ttys of USB devices."""
    return {path.name for path in Path("/dev").iterdir() if re.fullmatch(r"tty(USB|ACM)\d+", path.name)}
