"""From devices that come and go to events with identities."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from atprobe.discover import Change, Choice, select
from atprobe.fingerprint import Outcome, Target, watch
from atprobe.fingerprint import _watch as room
from atprobe.knowledge import Knowledge, load
from atprobe.model import Device, Event, Identity, Module, Port, Problem, ProblemKind, Role, Timing, UsbInfo

KNOWN = load()
PATH = "/dev/ttyUSB2"
SECONDS = 20


def modem(*paths: str, place: str = "/sys/1-1") -> Device:
    return Device("usb", tuple(Port(path, Role.AT) for path in paths), UsbInfo("2c7c", "0125"), place, True)


def identified(target: Target) -> Outcome:
    return Outcome((Module(target.device, Identity("quectel"), Timing(0.1, 3, 0.1)),), ())


def failed(kind: ProblemKind) -> Outcome:
    return Outcome((), (Problem(PATH, kind, "did not answer", "wait"),))


def choose(device: Device) -> Choice | None:
    return next(iter(select([device])), None)


class Watching:
    """A watch in a thread of its own; the test sends changes and takes events."""

    def __init__(self, ask: Callable[[Target, threading.Event], Outcome]) -> None:
        self.stop = threading.Event()
        self.events: queue.Queue[Event | BaseException] = queue.Queue()
        self._changes: queue.Queue[Change | Exception] = queue.Queue()
        self._ask = ask
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Watching:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        try:
            for event in watch(KNOWN, choose, self._ask, self.stop, self._from_queue):
                self.events.put(event)
        except BaseException as error:
            self.events.put(error)

    def _from_queue(self, knowledge: Knowledge, stop: threading.Event) -> Iterator[Change]:
        while not stop.is_set():
            try:
                item = self._changes.get(timeout=0.02)
            except queue.Empty:
                continue
            if isinstance(item, Exception):
                raise item
            yield item

    def send(self, change: Change | Exception) -> None:
        self._changes.put(change)

    def next(self) -> Event:
        event = self.events.get(timeout=SECONDS)
        if isinstance(event, BaseException):
            raise event
        return event

    def kinds(self, count: int) -> list[str]:
        return [str(self.next().kind) for _ in range(count)]

    def quiet(self) -> bool:
        time.sleep(0.1)
        return self.events.empty()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "RETRY_SECONDS", (0.01, 0.01))
    monkeypatch.setattr(room, "OBSTACLE_SECONDS", 0.05)
    monkeypatch.setattr(room, "LEAVING_SECONDS", 0.01)
    monkeypatch.setattr(room, "STOP_SECONDS", 0.02)


def test_a_module_is_identified_as_it_comes_and_named_as_it_goes() -> None:
    with Watching(lambda target, gone: identified(target)) as watching:
        watching.send(Change(True, modem(PATH)))
        assert watching.kinds(1) == ["added"]
        event = watching.next()
        assert event.kind == "identified"
        assert event.module is not None
        assert event.module.identity.maker == "quectel"
        watching.send(Change(False, modem(PATH)))
        gone = watching.next()
        assert (gone.kind, gone.module) == ("removed", event.module)


def test_a_hundred_plug_cycles() -> None:
    with Watching(lambda target, gone: identified(target)) as watching:
        for _ in range(100):
            watching.send(Change(True, modem(PATH)))
            assert watching.kinds(2) == ["added", "identified"]
            watching.send(Change(False, modem(PATH)))
            assert watching.kinds(1) == ["removed"]
        assert threading.active_count() < 20


def test_one_that_does_not_answer_yet_is_asked_again() -> None:
    answers = iter([failed(ProblemKind.SILENT), failed(ProblemKind.BUSY), None])
    with Watching(lambda target, gone: next(answers) or identified(target)) as watching:
        watching.send(Change(True, modem(PATH)))
        assert watching.kinds(4) == ["added", "failed", "failed", "identified"]


@pytest.mark.parametrize("kind", [ProblemKind.VANISHED, ProblemKind.MISSING])
def test_one_that_is_unplugged_meanwhile_has_not_failed(kind: ProblemKind, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its ports fail before the word comes that it is gone."""
    monkeypatch.setattr(room, "LEAVING_SECONDS", SECONDS)
    asked = threading.Event()

    def ask(target: Target, gone: threading.Event) -> Outcome:
        asked.set()
        return failed(kind)

    with Watching(ask) as watching:
        watching.send(Change(True, modem(PATH)))
        assert watching.kinds(1) == ["added"]
        assert asked.wait(SECONDS)
        watching.send(Change(False, modem(PATH)))
        assert watching.kinds(1) == ["removed"]
        assert watching.quiet()


def test_it_is_given_up_after_a_while() -> None:
    asked = []

    def ask(target: Target, gone: threading.Event) -> Outcome:
        asked.append(target)
        return failed(ProblemKind.SILENT)

    with Watching(ask) as watching:
        watching.send(Change(True, modem(PATH)))
        assert watching.kinds(4) == ["added", "failed", "failed", "failed"]
        assert watching.quiet()
        assert len(asked) == 3


def test_what_does_not_pass_is_not_asked_again() -> None:
    with Watching(lambda target, gone: failed(ProblemKind.NMEA)) as watching:
        watching.send(Change(True, modem(PATH)))
        assert watching.kinds(2) == ["added", "failed"]
        assert watching.quiet()


def test_unplugged_in_the_middle_of_a_probe_says_removed_and_no_more() -> None:
    started = threading.Event()

    def ask(target: Target, gone: threading.Event) -> Outcome:
        started.set()
        assert gone.wait(SECONDS), "the probe is told"
        return failed(ProblemKind.VANISHED)

    with Watching(ask) as watching:
        watching.send(Change(True, modem(PATH)))
        assert watching.kinds(1) == ["added"]
        assert started.wait(SECONDS)
        watching.send(Change(False, modem(PATH)))
        assert watching.kinds(1) == ["removed"]
        assert watching.quiet()


def test_a_port_that_comes_later_is_asked() -> None:
    with Watching(lambda target, gone: identified(target)) as watching:
        watching.send(Change(True, modem()))
        watching.send(Change(True, modem(PATH)))
        assert watching.kinds(3) == ["added", "added", "identified"]
        assert watching.quiet(), "what stood in the way at first is not worth a word"


def test_more_ports_do_not_make_an_identified_module_be_asked_again() -> None:
    with Watching(lambda target, gone: identified(target)) as watching:
        watching.send(Change(True, modem(PATH)))
        assert watching.kinds(2) == ["added", "identified"]
        watching.send(Change(True, modem(PATH, "/dev/ttyUSB3")))
        assert watching.kinds(1) == ["added"]
        assert watching.quiet()
        watching.send(Change(False, modem(PATH, "/dev/ttyUSB3")))
        assert watching.next().module is not None


def test_a_modem_without_a_usable_port_says_why() -> None:
    with Watching(lambda target, gone: identified(target)) as watching:
        watching.send(Change(True, modem()))
        assert watching.kinds(1) == ["added"]
        event = watching.next()
        assert [problem.kind for problem in event.problems] == [ProblemKind.NO_AT_PORT]


def test_strangers_are_passed_over() -> None:
    with Watching(lambda target, gone: identified(target)) as watching:
        watching.send(Change(True, Device("usb", (Port("/dev/ttyACM0"),), UsbInfo("2341", "0043"), "/sys/1-2")))
        watching.send(Change(False, Device("usb", (Port("/dev/ttyACM0"),), UsbInfo("2341", "0043"), "/sys/1-2")))
        assert watching.quiet()


def test_two_at_once_do_not_wait_for_each_other() -> None:
    both = threading.Barrier(2, timeout=SECONDS)

    def ask(target: Target, gone: threading.Event) -> Outcome:
        both.wait()
        return identified(target)

    with Watching(ask) as watching:
        watching.send(Change(True, modem(PATH)))
        watching.send(Change(True, modem("/dev/ttyUSB6", place="/sys/1-2")))
        assert sorted(watching.kinds(4)) == ["added", "added", "identified", "identified"]


def test_stopping_ends_what_is_under_way() -> None:
    started = threading.Event()

    def ask(target: Target, gone: threading.Event) -> Outcome:
        started.set()
        assert gone.wait(SECONDS)
        return failed(ProblemKind.INTERRUPTED)

    with Watching(ask) as watching:
        watching.send(Change(True, modem(PATH)))
        assert started.wait(SECONDS)


def test_a_fault_of_the_source_reaches_the_caller() -> None:
    with Watching(lambda target, gone: identified(target)) as watching:
        watching.send(RuntimeError("no more events"))
        with pytest.raises(RuntimeError, match="no more events"):
            watching.next()
