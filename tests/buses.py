"""A private D-Bus and a fake ModemManager on it, for tests."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

FAKE = Path(__file__).with_name("fake_modemmanager.py")
MODEM = "org.freedesktop.ModemManager1.Modem"
POLICY = '<allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/>'
ROOT_ONLY = POLICY + '<deny send_interface="org.freedesktop.ModemManager1" send_member="InhibitDevice"/>'
"""What ModemManager's own policy says to everyone but root."""


@dataclass(frozen=True)
class Manager:
    """A running fake: `events` are `(time, what, uid)`, the time on the monotonic clock."""

    address: str
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def events(self) -> list[tuple[float, str, str]]:
        lines = [line.split(" ", 2) for line in self.log.read_text().splitlines()]
        return [(float(when), what, uid) for when, what, uid in lines if what != "ready"]

    def said(self) -> list[str]:
        """What happened, without when and to whom."""
        return [what for _, what, _ in self.events]

    def await_event(self, wanted: str) -> float:
        """When it happened; waits for it."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            for when, what, _ in self.events:
                if what == wanted:
                    return when
            time.sleep(0.01)
        pytest.fail(f"no {wanted}: {self.said()}")


def modem(uid: str, *ports: str, state: int = 8) -> dict[str, object]:
    """One modem as GetManagedObjects gives it; 8 is MM_MODEM_STATE_REGISTERED."""
    properties = {"Device": ("s", uid), "State": ("i", state), "Ports": ("a(su)", [(port, 4) for port in ports])}
    return {MODEM: properties, "org.freedesktop.DBus.Introspectable": {}}


def managed(*modems: dict[str, object]) -> dict[str, object]:
    return {f"/org/freedesktop/ModemManager1/Modem/{number}": each for number, each in enumerate(modems)}


@contextmanager
def environment(**values: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setenv(name, value)
        yield


@contextmanager
def bus(folder: Path, policy: str = POLICY, more: str = "") -> Iterator[str]:
    """A message bus of the test's own; yields its address."""
    if shutil.which("dbus-daemon") is None:
        pytest.fail("these tests need a message bus: apt install dbus-daemon")
    config = folder / "bus.conf"
    address = f"unix:path={folder / 'bus'}"
    config.write_text(
        f"<busconfig><listen>{address}</listen><auth>EXTERNAL</auth>{more}"
        f'<policy context="default">{policy}</policy></busconfig>'
    )
    command = ["dbus-daemon", f"--config-file={config}", "--nofork", "--nopidfile", "--print-address"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as daemon:
        assert daemon.stdout is not None
        assert daemon.stdout.readline()
        try:
            yield address
        finally:
            daemon.kill()


@contextmanager
def fakes(folder: Path) -> Iterator[Callable[..., Manager]]:
    """Yields what starts a bus and a fake on it: `start(objects=..., answers=..., policy=...)`."""
    opened: list[object] = []

    def start(policy: str = POLICY, **behaviour: object) -> Manager:
        where = bus(folder, policy)
        address = where.__enter__()
        opened.append(where)
        log = folder / "log"
        log.touch()
        told = folder / "behaviour"
        told.write_text(repr(behaviour))
        process = subprocess.Popen([sys.executable, str(FAKE), address, str(log), str(told)])
        opened.append(process)
        deadline = time.monotonic() + 20
        while "ready" not in log.read_text():
            assert process.poll() is None and time.monotonic() < deadline, "the fake did not start"
            time.sleep(0.01)
        return Manager(address, log, process)

    try:
        yield start
    finally:
        for each in reversed(opened):
            if isinstance(each, subprocess.Popen):
                each.kill()
                each.wait()
            else:
                each.__exit__(None, None, None)  # type: ignore[attr-defined]
