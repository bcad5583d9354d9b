"""What the rig's tests share. They run in the virtual machine only: python -m hil.rig"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


_FIGURES = pytest.StashKey[list[str]]()
Figure = Callable[[str], None]


@pytest.fixture
def figure(pytestconfig: pytest.Config) -> Figure:
    """Says a measured figure at the end of the run, for people to read; it is asserted by nobody."""
    return pytestconfig.stash.setdefault(_FIGURES, []).append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash.get(_FIGURES, []):
        terminalreporter.write_line(f"rig: {line}")


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

    def device(self, name: str) -> Path:
        """Where a device is in /sys/devices, which is also what ModemManager calls it."""
        return (bus.DEVICES_DIR / self.bench.plugged()[name]).resolve()

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

    @contextmanager
    def running(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """atprobe while it runs; killed at the end, if it has not ended by itself."""
        with self.start(*arguments) as process:
            try:
                yield process
            finally:
                process.kill()

    def atprobe(self, *arguments: str, seconds: float = 60) -> Run:
        """Run atprobe to its end."""
        with self.running(*arguments) as process:
            out, err = process.communicate(timeout=seconds)
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


class ModemManager:
    """ModemManager as Debian ships it, running. polkitd is started by D-Bus when it is asked for."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self.log = log

    def modems(self) -> dict[str, str]:
        """By the path of their device below /sys: the states of all modems that it has found."""
        listed = _mmcli("-L").get("modem-list", [])
        generic = [_mmcli("-m", path).get("modem", {}).get("generic") for path in listed]
        return {modem["device"]: modem["state"] for modem in generic if modem}

    def find(self, device: Path) -> str:
        """Wait until it has made a modem of this device, and return the state: "disabled" when all is well."""
        return wait(lambda: self.modems().get(str(device)), 90, "ModemManager to find the modem", every=0.5)

    def holds(self, tty: str) -> bool:
        """Whether it has that port open."""
        files = Path(f"/proc/{self._process.pid}/fd").iterdir()
        return tty in {os.readlink(file) for file in files if file.is_symlink()}

    @contextmanager
    def inhibited(self, device: Path) -> Iterator[None]:
        """It has been asked to stand aside, by a program that then stays, as it has to."""
        command = ["mmcli", f"--inhibit-device={device}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            try:
                assert "successfully inhibited" in line, line
                yield
            finally:
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=20)


def _mmcli(*arguments: str) -> dict[str, Any]:
    run = subprocess.run(["mmcli", "-J", *arguments], check=False, capture_output=True, text=True)
    return dict(json.loads(run.stdout)) if run.returncode == 0 else {}


@pytest.fixture(scope="session")
def system_bus() -> Iterator[None]:
    """D-Bus's system bus."""
    process = subprocess.Popen(["dbus-daemon", "--system", "--nofork", "--nopidfile"])
    wait(Path("/run/dbus/system_bus_socket").exists, what="the system bus")
    yield
    process.terminate()
    process.wait()


@pytest.fixture(scope="module")
def modem_manager(system_bus: None) -> Iterator[ModemManager]:
    """ModemManager, for the tests of one module: it looks at everything that is plugged in, now and later."""
    log = SOCKET.parent / "out" / "modem-manager.log"
    with log.open("wb") as file, subprocess.Popen(["ModemManager", "--debug"], stdout=file, stderr=file) as process:
        yield ModemManager(process, log)
        process.terminate()
