"""A session against a module that lives in memory and whose clock runs only while someone waits."""

import threading
from collections.abc import Callable

import pytest

from atprobe.link import NotReadingError, PortError, Session, Stopped
from atprobe.model import Ended, ProblemKind

Answer = bytes | tuple[float, bytes]
IMEI = "490154200000000"
READING = frozenset({"AT+CGMM", "AT+CGMR", "AT+CGSN", "AT+SLOW?", "ATI"})


class Module:
    """Answers commands in order, each after its time, as a module with one interpreter does."""

    path = "/dev/module"

    def __init__(self, answer: Callable[[str, int], Answer | None], idle: bytes = b"") -> None:
        self.now = 0.0
        self.sent: list[str] = []
        self._answer = answer
        self._idle = idle
        self._due: list[tuple[float, bytes]] = []

    def write(self, data: bytes) -> None:
        command = data.decode().rstrip("\r")
        self.sent.append(command)
        answer = self._answer(command, self.sent.count(command))
        if answer is None:
            return
        delay, content = answer if isinstance(answer, tuple) else (0.02, answer)
        free = max([self.now, *(due for due, _ in self._due)])
        self._due.append((free + delay, content))

    def read(self, seconds: float) -> bytes:
        if self._due and self._due[0][0] <= self.now + seconds:
            due, data = self._due.pop(0)
            self.now = max(self.now, due)
            return data
        self.now += max(seconds, 0.001)
        return self._idle

    def close(self) -> None:
        pass


def session_with(module: Module, **options: object) -> Session:
    return Session(module, READING, clock=lambda: module.now, **options)  # type: ignore[arg-type]


def table(answers: dict[str, Answer]) -> Callable[[str, int], Answer | None]:
    return lambda command, _: answers.get(command, b"\r\nERROR\r\n" if command != "AT" else b"\r\nOK\r\n")


def test_the_reply_ends_the_wait() -> None:
    module = Module(table({"AT+CGMM": b"\r\nEC25\r\n\r\nOK\r\n"}))
    session = session_with(module, timeout=30)
    session.wake()
    assert session.ask("AT+CGMM").text == ("EC25",)
    assert module.now < 0.1


@pytest.mark.parametrize("command", ["AT&F", "ATE0", "AT+CFUN=1,1", "AT+CGMM;&F", "at+cmee=1", "AT+CGMM?"])
def test_what_is_not_known_to_read_is_never_written(command: str) -> None:
    module = Module(table({}))
    session = session_with(module)
    with pytest.raises(NotReadingError):
        session.ask(command)
    assert module.sent == []


def test_spelling_does_not_matter_to_the_vocabulary() -> None:
    module = Module(table({"at+cgmm": b"EC25\r\nOK\r\n"}))
    assert session_with(module).ask("at+cgmm").text == ("EC25",)


def test_a_reply_without_final_code_ends_by_quiet_and_sooner_once_known() -> None:
    module = Module(table({"AT+CGMM": b"T99W175\r\n", "AT+CGMR": b"T99W175.F0\r\n"}))
    session = session_with(module)
    session.wake()
    first = session.ask("AT+CGMM")
    second = session.ask("AT+CGMR")
    assert (first.ended, second.ended) == (Ended.QUIET, Ended.QUIET)
    assert (first.text, second.text) == (("T99W175",), ("T99W175.F0",))
    assert second.seconds < first.seconds < 2


def test_unsolicited_codes_do_not_keep_a_reply_open() -> None:
    """No final result code, and +CREG every 50 ms: the reply still ends long before its deadline."""

    class Chatty(Module):
        def read(self, seconds: float) -> bytes:
            data = super().read(min(seconds, 0.05))
            return data or b"\r\n+CREG: 1\r\n"

    module = Chatty(table({"AT+CGMM": b"T99W175\r\n"}))
    session = session_with(module, timeout=30)
    session.wake()
    reply = session.ask("AT+CGMM")
    assert (reply.text, reply.ended) == (("T99W175",), Ended.QUIET)
    assert reply.seconds < 2


@pytest.mark.parametrize("echo", [True, False])
@pytest.mark.parametrize("delay", [3.5, 5.0, 7.9])
@pytest.mark.parametrize("answered", ["slow answer", "+SLOW: 1"])
def test_a_late_reply_is_matched_to_its_own_command(echo: bool, delay: float, answered: str) -> None:
    def answer(command: str, _: int) -> Answer:
        head = f"{command}\r\r\n".encode() if echo else b""
        if command == "AT+SLOW?":
            return delay, head + answered.encode() + b"\r\n\r\nOK\r\n"
        return head + {"AT+CGSN": IMEI.encode() + b"\r\n\r\n"}.get(command, b"") + b"OK\r\n"

    module = Module(answer)
    session = session_with(module, timeout=3)
    session.wake()
    late = session.ask("AT+SLOW?")
    assert (late.ended, late.text) == (Ended.LATE, (answered,))
    assert session.ask("AT+CGSN").text == (IMEI,)
    assert module.sent.count("AT+SLOW?") == 1
    # The record has the late answer where it belongs, and the figures have every command and all the waiting.
    assert [exchange.send for exchange in session.exchanges] == ["AT", "AT+SLOW?", "AT+CGSN"]
    assert session.exchanges[1].recv == (answered, "OK")
    assert len(session.replies) == len(module.sent)
    assert session.module_seconds >= delay


def test_a_command_that_is_never_answered_costs_one_deadline_and_no_more() -> None:
    module = Module(
        lambda command, _: None if command == "AT+SLOW?" else b"\r\n1\r\n\r\nOK\r\n" if command != "AT" else b"OK\r\n"
    )
    session = session_with(module, timeout=3)
    session.wake()
    assert session.ask("AT+SLOW?").ended is Ended.TIMEOUT
    assert session.ask("AT+CGMM").text == ("1",)
    assert module.now < 5


def test_a_module_that_answers_too_seldom_is_given_up() -> None:
    """Every third AT is answered and nothing else is: each question costs deadlines, and there is an end to that."""
    module = Module(lambda command, count: b"OK\r\n" if command == "AT" and count % 3 == 1 else None)
    session = session_with(module, timeout=1)
    session.wake()
    with pytest.raises(PortError, match="too late or not at all"):
        for _ in range(100):
            session.ask("AT+CGMM")
    assert module.now < 40


def test_an_echo_that_goes_away_is_not_waited_for() -> None:
    def answer(command: str, count: int) -> Answer | None:
        if command == "AT":
            return b"AT\r\r\nOK\r\n" if count == 1 else b"\r\nOK\r\n"
        return None if command == "AT+SLOW?" else b"\r\nEC25\r\n\r\nOK\r\n"

    session = session_with(Module(answer), timeout=1)
    session.wake()
    assert session.ask("AT+SLOW?").ended is Ended.TIMEOUT
    assert session.ask("AT+CGMM").text == ("EC25",)


def test_a_module_that_dies_half_way_is_reported() -> None:
    module = Module(lambda command, count: b"OK\r\n" if command == "AT" and count == 1 else None)
    session = session_with(module, timeout=1)
    session.wake()
    with pytest.raises(PortError) as caught:
        session.ask("AT+CGMM")
    assert caught.value.kind is ProblemKind.SILENT
    assert "AT+CGMM" in caught.value.message


def test_the_first_at_may_end_a_line_someone_else_began() -> None:
    module = Module(lambda command, count: b"\r\nERROR\r\n" if count == 1 else b"\r\nOK\r\n")
    session_with(module).wake()
    assert module.sent == ["AT", "AT"]


def test_two_results_for_one_command_do_not_shift_the_answers() -> None:
    """Sierra HL7802: the ERROR of an earlier command, then the OK of this one."""

    def answer(command: str, count: int) -> Answer:
        if command == "AT":
            return b"\r\nERROR\r\n\r\nOK\r\n" if count == 1 else b"\r\nOK\r\n"
        return b"\r\n" + command.encode().removeprefix(b"AT") + b" value\r\n\r\nOK\r\n"

    session = session_with(Module(answer))
    session.wake()
    assert session.ask("AT+CGMM").text == ("+CGMM value",)
    assert session.ask("AT+CGMR").text == ("+CGMR value",)


def test_a_stale_ok_behind_an_error_is_not_the_next_answer() -> None:
    """The second result of a command arrives after the next command was sent."""

    def answer(command: str, count: int) -> Answer:
        if command == "ATI":
            return b"+CME ERROR: 100\r\nERROR\r\n"
        if command == "AT+CGMM":
            return b"\r\nERROR\r\n\r\nEC25\r\n\r\nOK\r\n"
        return b"\r\nOK\r\n"

    session = session_with(Module(answer))
    session.wake()
    session.ask("ATI")
    assert session.ask("AT+CGMM").text == ("EC25",)


@pytest.mark.parametrize(
    ("idle", "kind"),
    [
        (b"", ProblemKind.SILENT),
        (b"$GPRMC,,V,,,,,,,,,,N*53\r\n", ProblemKind.NMEA),
        (b"\x7e\x10\x00\x81\x93\x02\xff\xfe\x7e", ProblemKind.BINARY),
        (b"login: \r\n", ProblemKind.GARBLED),
    ],
)
def test_a_port_that_is_none_is_told_apart_in_bounded_time(idle: bytes, kind: ProblemKind) -> None:
    module = Module(lambda *_: None, idle)
    with pytest.raises(PortError) as caught:
        session_with(module).wake()
    assert caught.value.kind is kind
    assert caught.value.hint
    assert module.now < 6


def test_secrets_never_leave_the_session() -> None:
    module = Module(table({"ATI": b"user,secret42\r\nOK\r\n"}))
    session = session_with(module, redact=(r"(?<=user,)\S+",))
    assert session.ask("ATI").text == ("user,(redacted)",)
    assert "secret42" not in repr(session.exchanges) + repr(session.replies)


def test_stop_ends_a_wait() -> None:
    stop = threading.Event()

    def answer(*_: object) -> None:
        stop.set()

    session = session_with(Module(answer), stop=stop, timeout=1000)
    with pytest.raises(Stopped):
        session.ask("AT+CGMM")


def test_the_transcript_keeps_what_was_said() -> None:
    module = Module(table({"AT+CGMM": b"AT+CGMM\r\r\nEC25\r\n\r\nOK\r\n"}))
    session = session_with(module)
    session.ask("AT+CGMM")
    (exchange,) = session.exchanges
    assert exchange.send == "AT+CGMM"
    assert exchange.raw == "AT+CGMM\r\r\nEC25\r\n\r\nOK\r\n"
    assert exchange.recv == ("AT+CGMM", "EC25", "", "OK")
