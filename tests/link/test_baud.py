"""Finding the rate of a module that understands only its own, as far as a pty can tell: by its line settings."""

import os
import pty
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import serial

from atprobe.link import PortError, Session, Stopped, _baud, find_rate, open_port
from atprobe.link._baud import FIRST_TRIES, RATES, TRIES
from atprobe.link.transport import Rated
from atprobe.model import ProblemKind

SPEEDS = {getattr(termios, name): int(name[1:]) for name in dir(termios) if name[0] == "B" and name[1:].isdigit()}
RUBBISH = b"\x1c\xe0\x80\xfe0\r\xffOK\x80\r\n\x00"

PAUSE = b"(a moment later)"

Answer = Callable[[int, bytes, int], bytes]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_baud, "TRY_SECONDS", 0.15)


class Far:
    """The far end of a line. `answer(rate, line, number)` gives what the module says to its line at that rate."""

    def __init__(self, master: int, slave: int, answer: Answer) -> None:
        self.path = os.ttyname(slave)
        self.heard: list[tuple[int, bytes]] = []
        self._master, self._slave, self._answer = master, slave, answer
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def rate(self) -> int:
        return SPEEDS[termios.tcgetattr(self._slave)[5]]

    def _run(self) -> None:
        line = b""
        while True:
            try:
                line += os.read(self._master, 1000)
            except OSError:
                return
            while b"\r" in line:
                one, _, line = line.partition(b"\r")
                if one == b"end":
                    return
                rate = self.rate()
                self.heard.append((rate, one))
                for piece in self._answer(rate, one, len(self.heard)).split(PAUSE):
                    os.write(self._master, piece)
                    time.sleep(0.02)

    def end(self) -> None:
        os.write(self._slave, b"end\r")
        self._thread.join(10)


@contextmanager
def far(answer: Answer) -> Iterator[Far]:
    master, slave = pty.openpty()
    tty.setraw(slave)
    module = Far(master, slave, answer)
    yield module
    module.end()
    os.close(slave)
    os.close(master)


def module_at(own: int, *, echo: bool = False, ok: bytes = b"\r\nOK\r\n", otherwise: bytes = RUBBISH) -> Answer:
    return lambda rate, line, _: (line + b"\r" if echo else b"") + ok if rate == own else otherwise


def found(answer: Answer, **options: object) -> tuple[int, Far]:
    with far(answer) as module:
        port = open_port(module.path)
        try:
            rate = find_rate(port, **options)  # type: ignore[arg-type]
            assert module.rate() == rate
            assert port.read(0) == b""
        finally:
            port.close()
    return rate, module


@pytest.mark.parametrize("own", RATES)
def test_every_rate_is_found(own: int) -> None:
    rate, module = found(module_at(own))
    assert rate == own
    assert {line for _, line in module.heard} == {b"AT"}


@pytest.mark.parametrize(
    "answer",
    [
        module_at(9600, echo=True),
        module_at(9600, ok=b"0\r"),
        module_at(9600, ok=b"0\r", echo=True),
        module_at(9600, ok=b"\r\n+CREG: 1\r\n\r\nOK\r\n"),
        module_at(9600, ok=b"\r\nOK\r\n" + PAUSE + b"\r\n+CREG: 1\r\n"),
        module_at(9600, otherwise=b""),
        module_at(9600, otherwise=b"BOOK\r\n"),
        module_at(9600, otherwise=b"\r\nERROR\r\n"),
    ],
    ids=["echo", "V0", "V0 with echo", "URC", "URC behind", "mute elsewhere", "word", "ERROR"],
)
def test_what_counts_as_an_answer(answer: Answer) -> None:
    assert found(answer)[0] == 9600


def test_the_usual_rate_costs_next_to_nothing() -> None:
    start = time.perf_counter()
    assert found(module_at(115200))[0] == 115200
    assert time.perf_counter() - start < 0.3


def test_a_sleeping_module_loses_the_first_lines() -> None:
    def answer(rate: int, line: bytes, number: int) -> bytes:
        return b"\r\nOK\r\n" if number > 2 else b""

    rate, module = found(answer)
    assert (rate, len(module.heard)) == (115200, 3)


def test_what_other_rates_left_in_the_line_buffer_is_ended_by_the_first_at() -> None:
    asked = []

    def answer(rate: int, line: bytes, number: int) -> bytes:
        if rate != 57600:
            return b""
        asked.append(line)
        return b"\r\nERROR\r\n" if len(asked) == 1 else b"\r\nOK\r\n"

    assert found(answer)[0] == 57600


@pytest.mark.parametrize(
    ("answer", "kind"), [(lambda *_: b"", ProblemKind.SILENT), (lambda *_: RUBBISH, ProblemKind.GARBLED)]
)
def test_nothing_is_found_in_bounded_time(answer: Answer, kind: ProblemKind) -> None:
    start = time.perf_counter()
    with far(answer) as module:
        port = open_port(module.path)
        with pytest.raises(PortError) as caught:
            find_rate(port)
        port.close()
    assert caught.value.kind is kind
    assert all(str(rate) in caught.value.hint for rate in RATES)
    tries = FIRST_TRIES + TRIES * (len(RATES) - 1)
    assert time.perf_counter() - start < tries * _baud.TRY_SECONDS + 2
    assert len(module.heard) == tries


def test_the_line_is_left_at_the_rate_it_was_found_at() -> None:
    with far(module_at(4800)) as module:
        with open(module.path, "rb", buffering=0) as other:
            settings = termios.tcgetattr(other)
            settings[4] = settings[5] = termios.B2400
            termios.tcsetattr(other, termios.TCSANOW, settings)
        port = open_port(module.path)
        find_rate(port, (115200, 4800))
        port.close()
        assert module.rate() == 2400


def test_a_conversation_starts_clean() -> None:
    with far(lambda rate, line, _: line + b"\r\r\nOK\r\n" if rate == 19200 else RUBBISH) as module:
        port = open_port(module.path)
        find_rate(port)
        session = Session(port, frozenset())
        session.wake()
        assert [reply.ok for reply in session.replies] == [True]
        port.close()


def test_a_rate_that_a_port_has_not_got_is_passed_over() -> None:
    class Odd:
        path = "/dev/odd"
        rate = 0

        def set_baud(self, baud: int) -> None:
            if baud > 9600:
                raise ValueError
            self.rate = baud

        def write(self, data: bytes) -> None:
            pass

        def read(self, seconds: float) -> bytes:
            return b"OK\r\n"

        def close(self) -> None:
            pass

    assert find_rate(Odd()) == 9600


def test_stop() -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        found(lambda *_: b"", stop=stop)


def test_a_transport_without_a_rate_is_left_alone() -> None:
    class Plain:
        path = "socket://192.0.2.1:1"

        def write(self, data: bytes) -> None:
            pytest.fail("something was sent")

        def read(self, seconds: float) -> bytes:
            return b""

        def close(self) -> None:
            pass

    assert find_rate(Plain()) == 115200


def test_urls_of_pyserial_have_a_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    line = serial.serial_for_url("loop://", timeout=0.05)
    monkeypatch.setattr(serial, "serial_for_url", lambda *_, **__: line)
    port = open_port("rfc2217://192.0.2.1:1")
    assert isinstance(port, Rated)
    port.set_baud(9600)
    assert line.baudrate == 9600
    port.close()
