"""What comes and goes, with events that a test sends itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from atprobe.discover import Change, changes
from atprobe.discover import _watch as watch
from atprobe.knowledge import Knowledge, load
from atprobe.model import Device, Port, Role, UsbInfo

KNOWN = load()
PLACE = "/sys/devices/usb1/1-1"


def modem(*paths: str, place: str = PLACE) -> Device:
    return Device("usb", tuple(Port(path, Role.AT) for path in paths), UsbInfo("2c7c", "0125"), place, True)


class Machine:
    """Looks and events in the order a test wants them; when they are used up the watch is stopped."""

    def __init__(self, *steps: tuple[Device, ...] | list[str]) -> None:
        """`steps` are what a look finds (a tuple) and what left (a list; an empty one: something else happened)."""
        self.steps: list[tuple[Device, ...] | list[str]] = list(steps)
        self.stop = threading.Event()
        self.last: tuple[Device, ...] = ()

    def look(self, knowledge: Knowledge) -> tuple[Device, ...]:
        if self.steps and isinstance(self.steps[0], tuple):
            self.last = self.steps.pop(0)  # type: ignore[assignment]
        return self.last

    def wait(self, seconds: float) -> tuple[str, ...] | None:
        if self.steps and isinstance(self.steps[0], list):
            return tuple(self.steps.pop(0))  # type: ignore[arg-type]
        if not self.steps:
            self.stop.set()
        return None

    def seen(self) -> list[Change]:
        return list(changes(KNOWN, self.stop, self, self.look))


def test_what_is_there_comes_first() -> None:
    assert Machine((modem("/dev/ttyUSB2"),)).seen() == [Change(True, modem("/dev/ttyUSB2"))]


def test_plugged_in_and_out() -> None:
    device = modem("/dev/ttyUSB2")
    assert Machine((), [], (device,), [PLACE], ()).seen() == [Change(True, device), Change(False, device)]


def test_the_events_of_one_plug_are_looked_into_once() -> None:
    machine = Machine((), [], [], [], (modem("/dev/ttyUSB0", "/dev/ttyUSB1"),))
    assert machine.seen() == [Change(True, modem("/dev/ttyUSB0", "/dev/ttyUSB1"))]


def test_a_port_that_comes_later_is_a_change() -> None:
    one, two = modem("/dev/ttyUSB0"), modem("/dev/ttyUSB0", "/dev/ttyUSB2")
    assert Machine((one,), [], (two,)).seen() == [Change(True, one), Change(True, two)]


def test_nothing_new_is_no_change() -> None:
    one = modem("/dev/ttyUSB0")
    assert Machine((one,), [], (one,), [], (one,)).seen() == [Change(True, one)]


def test_a_replug_between_two_looks_is_seen() -> None:
    device = modem("/dev/ttyUSB2")
    assert Machine((device,), [PLACE], [], (device,)).seen() == [
        Change(True, device),
        Change(False, device),
        Change(True, device),
    ]


def test_who_leaves_goes_before_who_comes() -> None:
    old, new = modem("/dev/ttyUSB2"), modem("/dev/ttyUSB2", place="/sys/devices/usb1/1-2")
    assert Machine((old,), [], (new,)).seen() == [Change(True, old), Change(False, old), Change(True, new)]


def test_events_that_never_cease_are_looked_into_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    device = modem("/dev/ttyUSB2")
    machine = Machine((), *[[] for _ in range(10_000)], (device,))
    monkeypatch.setattr(watch, "SETTLE_MOST", 0.0)
    looks = 0

    def look(knowledge: Knowledge) -> tuple[Device, ...]:
        nonlocal looks
        looks += 1
        return machine.look(knowledge)

    assert list(changes(KNOWN, machine.stop, machine, look)) == [Change(True, device)]
    assert looks > 1000


def test_a_hundred_plug_cycles() -> None:
    device = modem("/dev/ttyUSB2")
    steps: list[tuple[Device, ...] | list[str]] = [()]
    for _ in range(100):
        steps += [[], (device,), [PLACE], ()]
    assert [change.came for change in Machine(*steps).seen()] == [True, False] * 100


def test_without_udev_the_machine_is_looked_at_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    device = modem("/dev/ttyUSB2")
    found: Iterator[tuple[Device, ...]] = iter([(), (device,), ()])
    stop = threading.Event()

    def look(knowledge: Knowledge) -> tuple[Device, ...]:
        try:
            return next(found)
        finally:
            if found.__length_hint__() == 0:  # type: ignore[attr-defined]
                stop.set()

    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(watch, "_Udev", _no_udev)
    assert [change.came for change in changes(KNOWN, stop, look=look)] == [True, False]


def _no_udev() -> None:
    raise ImportError("No library named udev")
