"""What the rig's tests share. They run in the virtual machine only: python -m hil.rig"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hil.rig import bus
from hil.rig.control import SOCKET, Bench, wait
from hil.rig.devices import DEVICES


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not SOCKET.parent.is_dir():
        for item in items:
            item.add_marker(pytest.mark.skip(reason="only in the virtual machine: python -m hil.rig"))


@dataclass(frozen=True)
class Run:
    """How a program ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Its output, as a report."""
        return dict(json.loads(self.out))


@dataclass(frozen=True)
class Rig:
    """The bench, what the kernel sees of it, and the program under test."""

    bench: Bench

    def plug(self, *names: str) -> None:
        """Have these devices plugged in and ready with all counters at zero, and no others."""
        have = self._held()
        for name in have - set(names):
            self.bench.detach(name)
        wait(lambda: self._held() <= set(names), what="the devices to go")
        for name in names:
            if name not in have:
                self.bench.attach(name)
        bus.settled(self.bench, names)
        self.bench.clear()

    def unplug(self, *names: str) -> None:
        """Pull the plug of these devices, and wait until the kernel has let go of them."""
        plugged = self.bench.plugged()
        folders = [bus.DEVICES_DIR / plugged[name] for name in names]
        for name in names:
            self.bench.detach(name)
        self.gone(*names)
        wait(lambda: not any(folder.exists() for folder in folders), what="sysfs to be cleared")

    def gone(self, *names: str) -> None:
        """Wait until these devices are unplugged, and could be plugged in again."""
        wait(lambda: self._held().isdisjoint(names), what="the devices to go")

    def _held(self) -> set[str]:
        return {name for name, status in self.bench.status().items() if status["port"] is not None}

    def interfaces(self, name: str) -> dict[int, bus.Bound]:
        """By number: drivers and ttys of a device."""
        return bus.interfaces(self.bench.plugged()[name])

    def tty(self, name: str, interface: int | None = None) -> str:
        """The tty of an interface of a device, by default of its AT port."""
        number = DEVICES[name].at if interface is None else interface
        assert number is not None
        path = self.interfaces(name)[number].tty
        assert path is not None
        return path

    def traffic(self, name: str, interface: int | None = None) -> dict[str, Any]:
        """What a port (by default the AT port) has had to take: see `hil.rig.bench.Traffic`."""
        number = DEVICES[name].at if interface is None else interface
        return dict(self.bench.status()[name]["interfaces"][str(number)])

    def touched(self, name: str) -> dict[str, Any]:
        """Of all ports of a device, what is not zero since the counters were cleared. Empty: nobody was there."""
        return {
            f"{number} {what}": value
            for number, traffic in self.bench.status()[name]["interfaces"].items()
            for what, value in traffic.items()
            if value
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start atprobe."""
        command = [sys.executable, "-m", "atprobe", *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def atprobe(self, *arguments: str, seconds: float = 60) -> Run:
        """Run atprobe to its end."""
        with self.start(*arguments) as process:
            try:
                out, err = process.communicate(timeout=seconds)
            finally:
                process.kill()
        return Run(process.returncode, out, err)


@pytest.fixture(scope="session")
def bench() -> Iterator[Bench]:
    wait(SOCKET.exists, what="the bench")
    with Bench() as bench:
        yield bench


@pytest.fixture
def rig(bench: Bench) -> Rig:
    """The rig, with whatever the last test left plugged in: say with `plug` what is needed."""
    return Rig(bench)


@pytest.fixture(scope="session")
def system_bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """D-Bus's system bus."""
    Path("/run/dbus").mkdir(exist_ok=True)
    process = subprocess.Popen(["dbus-daemon", "--system", "--nofork", "--nopidfile"])
    wait(Path("/run/dbus/system_bus_socket").exists, what="the system bus")
    yield
    process.terminate()
    process.wait()


@pytest.fixture
def modem_manager(system_bus: None) -> Iterator[subprocess.Popen[bytes]]:
    """ModemManager, as Debian ships it. It looks at what is plugged in when it starts, and at what comes later."""
    log = Path(os.environ.get("ATPROBE_RIG_OUT", "/run/rig/out")) / "modem-manager.log"
    with log.open("ab") as file, subprocess.Popen(["ModemManager", "--debug"], stdout=file, stderr=file) as process:
        names = ["busctl", "--system", "status", "org.freedesktop.ModemManager1"]
        wait(lambda: subprocess.run(names, capture_output=True, check=False).returncode == 0, what="ModemManager")
        yield process
        process.terminate()
