"""One `atprobe watch`, while modems and others come and go."""

from __future__ import annotations

import json
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pyudev

from hil.rig.control import wait
from hil.rig.devices import DECOYS, DEVICES, MODEMS
from hil.rig.guest.conftest import Figure, Rig

BOUND = tuple(name for name in MODEMS if name != "unbound")
PLUGS = 100
PLUGGING_SECONDS = 7
"""After so long no more plugs are begun: how many there were is said at the end of the run."""


class Watch:
    """The running program, what it has said, and when the kernel has shown which tty."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.events: list[tuple[float, dict[str, Any]]] = []
        self.shown: dict[str, float] = {}
        self._monitor = pyudev.Monitor.from_netlink(pyudev.Context(), "kernel")
        self._monitor.filter_by("tty")
        self._monitor.start()
        for task in (self._listen, self._look):
            threading.Thread(target=task, daemon=True).start()

    def of(self, path: str, kind: str) -> list[tuple[float, dict[str, Any]]]:
        """The events of a kind that there were of the device at this place."""
        events = list(self.events)
        return [(at, each) for at, each in events if each["event"] == kind and each["device"]["usb"]["path"] == path]

    def kinds(self, path: str) -> list[str]:
        """What was said of the device at this place, in order."""
        return [each["event"] for _, each in list(self.events) if each["device"]["usb"]["path"] == path]

    def all(self, kind: str, *places: str) -> bool:
        """Whether there was an event of this kind of all these."""
        return all(self.of(path, kind) for path in places)

    def weight(self) -> tuple[int, int]:
        """How many files it has open, and how many threads it has."""
        folder = Path("/proc", str(self.process.pid))
        return len(list((folder / "fd").iterdir())), len(list((folder / "task").iterdir()))

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append((time.monotonic(), json.loads(line)))

    def _look(self) -> None:
        while True:
            device = self._monitor.poll(0.5)
            if device is not None and device.action == "add":
                self.shown[str(device.device_node)] = time.monotonic()


@pytest.fixture(scope="module")
def watch(bench: Any) -> Iterator[Watch]:
    rig = Rig(bench)
    rig.plug()
    with rig.running("watch", "--format", "jsonl") as process:
        yield Watch(process)


def paths(rig: Rig, *names: str) -> dict[str, str]:
    """Plug these in, and wait until the kernel has seen them all."""
    for name in names:
        rig.bench.attach(name)
    return wait(lambda: found if (found := rig.bench.plugged()).keys() >= set(names) else None, what="the kernel")


def test_modems_one_after_the_other(rig: Rig, watch: Watch, figure: Figure) -> None:
    rig.plug(*DECOYS)
    path = paths(rig, "unbound")["unbound"]
    ((_, event),) = wait(lambda: watch.of(path, "failed"), 30, "a word on the modem without a driver")
    assert [problem["kind"] for problem in event["problems"]] == ["no-driver"]
    seconds = {}
    for name in BOUND:
        path = paths(rig, name)[name]
        wait(partial(watch.all, "identified", path), 30, f"{name} to be identified")
        ((at, event),) = watch.of(path, "identified")
        seconds[name] = at - watch.shown[rig.tty(name)]
        assert event["module"]["identity"]["model"] == DEVICES[name].model

    figure(
        f"watch: {statistics.median(seconds.values()):.1f} s from tty to name, {max(seconds.values()):.1f} s at most"
    )
    for name in MODEMS:
        kinds = watch.kinds(rig.bench.plugged()[name])
        assert kinds.count("failed" if name == "unbound" else "identified") == 1, (name, kinds)
        assert set(kinds) <= {"added", "failed" if name == "unbound" else "identified"}, (name, kinds)
    assert {name: rig.touched(name) for name in DECOYS} == {name: {} for name in DECOYS}

    gone = {name: rig.bench.plugged()[name] for name in MODEMS}
    rig.unplug(*MODEMS, *DECOYS)
    wait(lambda: all(len(watch.of(path, "removed")) == 1 for path in gone.values()), what="the word that they left")
    for name in BOUND:
        ((_, event),) = watch.of(gone[name], "removed")
        assert event["module"]["identity"]["model"] == DEVICES[name].model


def test_many_plugs_and_pulls_leave_nothing_out_and_nothing_behind(rig: Rig, watch: Watch, figure: Figure) -> None:
    """Seven modems at once. Every third time they go as soon as they are seen, else they are let answer."""
    rig.plug(*DECOYS)
    weights = []
    start, plugs = time.monotonic(), 0
    while plugs < PLUGS and time.monotonic() - start < PLUGGING_SECONDS:
        watch.events.clear()
        there = paths(rig, *BOUND)
        places = [there[name] for name in BOUND]
        kind = "added" if plugs // len(BOUND) % 3 == 2 else "identified"
        wait(partial(watch.all, kind, *places), 30, kind)
        pulled = time.monotonic()
        for name in BOUND:
            rig.bench.detach(name)
        wait(partial(watch.all, "removed", *places), 30, "removed")
        rig.gone(*BOUND)
        weights.append(watch.weight())
        plugs += len(BOUND)
        assert watch.process.poll() is None
        assert {each["device"]["usb"]["path"] for _, each in watch.events} == set(places)
        for path in places:
            events = [(at, each) for at, each in watch.events if each["device"]["usb"]["path"] == path]
            kinds = [each["event"] for _, each in events]
            # A device comes once more where it was seen before, or after, all of its ports were there.
            assert (kinds[0], kinds[-1], kinds.count("removed")) == ("added", "removed", 1), kinds
            assert kinds.count("identified") <= 1, kinds
            assert kind in kinds
            failed = [(at, each) for at, each in events if each["event"] == "failed"]
            # A pull amid a driver's start takes the kernel five seconds, in which there is a device without its ports.
            assert all(at - pulled > 1 for at, _ in failed), kinds
            problems = {problem["kind"] for _, each in failed for problem in each["problems"]}
            assert problems <= {"vanished", "missing"}
    figure(f"watch: {plugs} plugs and pulls in {time.monotonic() - start:.0f} s")

    files, _ = weights[0]
    wait(lambda: watch.weight()[0] <= files, 20, f"no more than {files} open files")
    # Threads are kept for the next modem: one for each that is asked, while those pulled before may still be ending.
    assert watch.weight()[1] <= 2 + 2 * len(BOUND), weights
    assert {name: rig.touched(name) for name in DECOYS} == {name: {} for name in DECOYS}
    watch.process.terminate()
    assert watch.process.wait(20) == 130
