"""Players on real ptys and sockets: every wait has a deadline, and none is a plain sleep."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import atprobe.emulator
from atprobe.emulator import Emulator, Fault, Spec, player, server
from atprobe.model import Exchange, Transcript, Truth

DEADLINE = 10.0
ROOT = Path(atprobe.emulator.__file__).parents[2]


def module(name: str = "X1", *more: Exchange) -> Transcript:
    exchanges = (Exchange("ATI", ("ATI", "Maker", name, "", "OK")), *more)
    return Transcript(f"synthetic-{name.lower()}", "lines", Truth(), exchanges)


def spec(*faults: Fault, tcp: bool = False, name: str = "X1", latency: float = 0.0) -> Spec:
    return Spec(module(name), frozenset(faults), latency=latency, tcp=0 if tcp else None)


class Client:
    """One end of a port, pty or TCP, without blocking."""

    def __init__(self, port: str) -> None:
        self._socket: socket.socket | None = None
        if port.startswith("socket://"):
            host, number = port.removeprefix("socket://").split(":")
            self._socket = socket.create_connection((host, int(number)), timeout=DEADLINE)
            self._socket.setblocking(False)
            self.fd = self._socket.fileno()
        else:
            self.fd = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    def send(self, text: str) -> None:
        data = text.encode()
        assert os.write(self.fd, data) == len(data)

    def read(self, wait: float = DEADLINE) -> bytes:
        """What is there within `wait` seconds; empty where nothing came, EOFError where the port is gone."""
        if not select.select([self.fd], [], [], wait)[0]:
            return b""
        try:
            data = os.read(self.fd, 65536)
        except OSError as error:  # EIO of a pty, ECONNRESET of a socket
            raise EOFError from error
        if not data:
            raise EOFError
        return data

    def until(self, end: bytes) -> bytes:
        data, deadline = b"", time.monotonic() + DEADLINE
        while end not in data:
            assert time.monotonic() < deadline, f"no {end!r} in {data[-200:]!r}"
            data += self.read(0.1)
        return data

    def ask(self, command: str, end: bytes = b"OK\r\n") -> bytes:
        self.send(command + "\r")
        return self.until(end)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        else:
            os.close(self.fd)


@contextlib.contextmanager
def client(port: str) -> Iterator[Client]:
    opened = Client(port)
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture(params=[False, True], ids=["pty", "tcp"])
def tcp(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


class TestConversation:
    def test_a_client_gets_exactly_what_the_module_said(self, tcp: bool) -> None:
        with Emulator([spec(tcp=tcp)]) as emulator, client(emulator.ports[0]) as port:
            assert port.ask("ATI") == b"ATI\r\r\nMaker\r\nX1\r\n\r\nOK\r\n"
            assert port.read(0.05) == b"", "and not its own bytes back"

    def test_clients_come_and_go(self, tcp: bool) -> None:
        with Emulator([spec(tcp=tcp)]) as emulator:
            for _ in range(5):
                with client(emulator.ports[0]) as port:
                    assert b"X1" in port.ask("ATI")

    def test_a_client_may_leave_without_reading(self, tcp: bool) -> None:
        with Emulator([spec(tcp=tcp, latency=0.02)]) as emulator:
            with client(emulator.ports[0]) as port:
                port.send("ATI\rATI\rATI\r")
            with client(emulator.ports[0]) as port:
                assert b"ERROR" in port.ask("AT+LAST", b"ERROR\r\n")

    def test_a_tcp_client_may_break_off(self) -> None:
        with Emulator([spec(tcp=True)]) as emulator:
            with client(emulator.ports[0]) as port:
                port.ask("ATI")
                assert port._socket is not None
                port._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with client(emulator.ports[0]) as port:
                assert b"X1" in port.ask("ATI")

    def test_the_next_tcp_client_does_not_get_what_the_last_one_left(self) -> None:
        big = module("X1", Exchange("AT+BIG", ("x" * 2000, "OK")))
        with Emulator([Spec(big, tcp=0, baud=1200)]) as emulator:
            with client(emulator.ports[0]) as port:
                port.send("AT+BIG\r" * 3)
                port.until(b"xxx")
            with client(emulator.ports[0]) as port:
                assert port.ask("AT", b"OK\r\n") == b"AT\r\r\nOK\r\n"

    def test_binary_characters_pass_a_pty_unchanged(self) -> None:
        every = "".join(map(chr, range(1, 127)))
        transcript = module("X1", Exchange("AT^ALL", (), raw=f"{every}\r\nOK\r\n"))
        with Emulator([Spec(transcript)]) as emulator, client(emulator.ports[0]) as port:
            assert port.ask("AT^ALL") == f"{every}\r\nOK\r\n".encode()

    def test_a_second_tcp_client_waits_for_the_first(self) -> None:
        with Emulator([spec(tcp=True)]) as emulator, contextlib.ExitStack() as stack:
            with client(emulator.ports[0]) as first:
                second = stack.enter_context(client(emulator.ports[0]))
                second.send("ATI\r")
                assert b"X1" in first.ask("ATI")
                assert second.read(0.05) == b""
            assert b"X1" in second.until(b"OK\r\n")

    def test_boot_text_comes_before_the_first_answer(self, tcp: bool) -> None:
        booting = Spec(module("X1", Exchange(None, ("RDY",))), tcp=0 if tcp else None)
        with Emulator([booting]) as emulator, client(emulator.ports[0]) as port:
            assert port.ask("ATI").startswith(b"\r\nRDY\r\nATI\r")

    def test_latency_is_spent(self, tcp: bool) -> None:
        with Emulator([spec(tcp=tcp, latency=0.1)]) as emulator, client(emulator.ports[0]) as port:
            began = time.monotonic()
            port.ask("ATI")
            assert time.monotonic() - began >= 0.1

    def test_a_line_rate_paces_the_bytes(self, tcp: bool) -> None:
        long = module("X1", Exchange("AT+LONG", ("x" * 240, "OK")))
        paced = Spec(long, tcp=0 if tcp else None, baud=9600)
        with Emulator([paced]) as emulator, client(emulator.ports[0]) as port:
            began = time.monotonic()
            assert b"x" * 240 in port.ask("AT+LONG")
            assert time.monotonic() - began >= 240 / 960 - 0.05


class TestFaults:
    def test_hangup_takes_the_port_away_after_half_an_answer(self, tcp: bool) -> None:
        with Emulator([spec(Fault.HANGUP, tcp=tcp), spec()]) as emulator:
            with client(emulator.ports[0]) as port:
                port.ask("ATI")
                port.send("ATI\r")
                half = port.until(b"ATI\r")
                with pytest.raises(EOFError):
                    while True:
                        half += port.read()
                assert b"OK" not in half
            if tcp:  # the kernel may have given the pty's name to another program by now
                with pytest.raises(OSError):
                    Client(emulator.ports[0])
            with client(emulator.ports[1]) as other:
                assert b"X1" in other.ask("ATI")

    @pytest.mark.parametrize(
        ("fault", "sign"), [(Fault.NMEA, b"$GPRMC,"), (Fault.DIAG, b"\x7e"), (Fault.URC_STORM, b"RING\r\n")]
    )
    def test_some_modules_talk_unasked_and_go_on(self, fault: Fault, sign: bytes, tcp: bool) -> None:
        with Emulator([spec(fault, tcp=tcp)]) as emulator, client(emulator.ports[0]) as port:
            assert sign in port.until(sign)
            assert sign in port.until(sign)

    def test_late_answers_come_in_order(self) -> None:
        late = Spec(module(), frozenset({Fault.LATE}), late_by=0.2)
        with Emulator([late]) as emulator, client(emulator.ports[0]) as port:
            port.send("ATI\rAT\rAT+LATE\r")
            early = port.until(b"AT\r\r\nOK\r\n")
            port.send("AT+NEXT\r")
            assert b"ERROR" not in early
            assert re.findall(rb"AT\+\w+", port.until(b"AT+NEXT\r\r\nERROR\r\n")) == [b"AT+LATE", b"AT+NEXT"]


class TestManyAtOnce:
    def test_a_client_that_does_not_read_harms_nobody_and_is_held_back(self, tcp: bool) -> None:
        big = module("X1", Exchange("AT+BIG", ("x" * 2000, "OK")))
        specs = [Spec(big, tcp=0 if tcp else None), spec(Fault.NMEA, Fault.URC_STORM), spec(name="X2")]
        with Emulator(specs) as emulator:
            greedy, *_, good = emulator.ports
            with client(greedy) as port, client(good) as other:
                sent, quiet = 0, time.monotonic() + 0.3
                while sent < 140_000 and time.monotonic() < quiet:
                    with contextlib.suppress(BlockingIOError):
                        sent += os.write(port.fd, (b"AT+BIG\r" * 10)[sent % 7 :])
                        quiet = time.monotonic() + 0.3
                    assert b"X2" in other.ask("ATI")
                taken = -1
                while taken != len(emulator.log[greedy]):
                    taken = len(emulator.log[greedy])
                    assert b"X2" in other.ask("ATI")
                    time.sleep(0.1)  # time to take more, if it would
                assert taken < sent // 7, "no more is taken than can be kept"
                answers, deadline = 0, time.monotonic() + DEADLINE
                while answers < sent // 7 and time.monotonic() < deadline:
                    answers += port.read(0.1).count(b"K")
                assert answers == sent // 7, "nothing is lost, and reading makes it go on"

    def test_unasked_text_that_nobody_reads_does_not_pile_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(player._PERIODS, Fault.NMEA, 0.0002)
        with Emulator([spec(Fault.NMEA)]) as emulator:
            served, deadline = emulator._ports[0], time.monotonic() + DEADLINE
            while served.owed < server.CHATTER and time.monotonic() < deadline:
                time.sleep(0.02)
            time.sleep(0.1)  # time to grow, if it would
            assert server.CHATTER <= served.owed < server.CHATTER + 200

    def test_sixty_ports_from_one_thread(self) -> None:
        threads = threading.active_count()
        specs = [spec(name=f"X{number}", latency=0.01) for number in range(60)]
        with Emulator(specs) as emulator:
            assert threading.active_count() == threads + 1
            assert len(set(emulator.ports)) == 60
            with contextlib.ExitStack() as stack:
                ports = [stack.enter_context(client(path)) for path in emulator.ports]
                for port in ports:
                    port.send("ATI\r")
                for number, port in enumerate(ports):
                    assert f"\r\nX{number}\r\n".encode() in port.until(b"OK\r\n")

    def test_idle_ports_cost_no_time(self) -> None:
        with Emulator([spec(name=f"X{number}") for number in range(60)]) as emulator:
            with client(emulator.ports[59]) as port:
                port.ask("ATI")
            before = time.process_time()
            time.sleep(0.3)
            assert time.process_time() - before < 0.15


class TestLog:
    def test_every_line_of_every_port_with_its_time(self, tcp: bool) -> None:
        began = time.monotonic()
        with Emulator([spec(tcp=tcp), spec(Fault.MUTE)]) as emulator:
            one, two = emulator.ports
            with client(one) as port, client(two) as mute:
                mute.send("AT+CFUN=1\r")
                port.ask("at")
                port.ask("ATI")
                deadline = time.monotonic() + DEADLINE
                while not emulator.log[two] and time.monotonic() < deadline:
                    port.ask("AT")
            log = emulator.log
            assert [line for _, line in log[one]][:2] == ["at", "ATI"]
            assert [line for _, line in log[two]] == ["AT+CFUN=1"]
            assert all(began <= when <= time.monotonic() for when, _ in log[one])

    def test_the_file_has_one_line_a_command_as_it_happens(self, tmp_path: Path) -> None:
        file = tmp_path / "commands.log"
        file.write_text("kept\n", encoding="utf-8")
        with Emulator([spec(tcp=True)], log_file=file) as emulator, client(emulator.ports[0]) as port:
            port.ask("ATI")
            port.ask("AT\x1b[31m\x07\u2028", b"ERROR\r\n")
            kept, first, second = file.read_text(encoding="utf-8").splitlines()
        when = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00"
        assert kept == "kept"
        assert re.fullmatch(rf"{when} {emulator.ports[0]} ATI", first)
        assert re.fullmatch(rf"{when} {emulator.ports[0]} AT\\x1b\[31m\\x07\\xe2\\x80\\xa8", second)


class TestLife:
    def test_links_have_stable_names_and_go_with_their_ports(self, tmp_path: Path) -> None:
        links = tmp_path / "ports"
        links.mkdir()
        (links / "synthetic-x1").symlink_to("/dev/gone")
        specs = [spec(), spec(), spec(tcp=True), Spec(module(), name="../up/and away"), spec(Fault.HANGUP, name="X9")]
        with Emulator(specs, link_dir=links) as emulator:
            names = [None if link is None else link.name for link in emulator.links]
            assert names == ["synthetic-x1", "synthetic-x1-2", None, "__up_and_away", "synthetic-x9"]
            assert sorted(links.iterdir()) == sorted(link for link in emulator.links if link is not None)
            with client(str(links / "synthetic-x1")) as port:
                assert os.ttyname(port.fd) == emulator.ports[0]
                assert b"X1" in port.ask("ATI")
            with client(str(links / "synthetic-x9")) as port:
                port.send("AT\rAT\r")
                with contextlib.suppress(EOFError):
                    while port.read():
                        pass
            assert not (links / "synthetic-x9").is_symlink()
        assert list(links.iterdir()) == []

    def test_a_file_in_the_way_of_a_link_is_kept(self, tmp_path: Path) -> None:
        (tmp_path / "synthetic-x1").write_text("mine", encoding="utf-8")
        with pytest.raises(FileExistsError), Emulator([spec()], link_dir=tmp_path):
            pass
        assert (tmp_path / "synthetic-x1").read_text(encoding="utf-8") == "mine"

    def test_everything_is_closed_on_leaving(self, tmp_path: Path) -> None:
        threads, files = threading.active_count(), os.listdir("/dev/fd")
        with Emulator([spec(), spec(tcp=True), spec(Fault.HANGUP)], log_file=tmp_path / "log") as emulator:
            for path in emulator.ports:
                with client(path) as port:
                    port.ask("ATI")
            assert len(os.listdir("/dev/fd")) > len(files)
        assert threading.active_count() == threads
        assert os.listdir("/dev/fd") == files

    def test_what_cannot_be_opened_is_an_error_and_leaves_nothing_behind(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            specs = [spec(), Spec(module(), tcp=taken.getsockname()[1])]
            with pytest.raises(OSError), Emulator(specs, link_dir=tmp_path):
                pass
        assert list(tmp_path.iterdir()) == []

    def test_windows_is_told_to_use_tcp(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "platform", "win32")
        with pytest.raises(OSError, match="TCP"), Emulator([spec()]):
            pass
        with Emulator([spec(tcp=True)]) as emulator, client(emulator.ports[0]) as port:
            assert b"X1" in port.ask("ATI")

    def test_a_failure_while_serving_is_raised_on_leaving(self, tmp_path: Path) -> None:
        emulator = Emulator([spec(tcp=True)], log_file=tmp_path / "log")
        with pytest.raises(ValueError, match="closed file"), emulator:
            assert emulator._log is not None
            emulator._log.close()
            with client(emulator.ports[0]) as port:
                port.send("ATI\r")
                emulator.serve_forever()

    def test_serve_forever_ends_cleanly_on_interrupt(self, tmp_path: Path) -> None:
        script = (
            "from pathlib import Path; from threading import Timer; from atprobe.emulator import Emulator, Spec\n"
            "from atprobe.model import Transcript, Truth\n"
            f"with Emulator([Spec(Transcript('a', 'log', Truth(), ()))], link_dir=Path({str(tmp_path)!r})) as e:\n"
            # From another thread and later, so that the main one is waiting in serve_forever when the signal comes.
            "    Timer(1.0, print, (e.ports[0],), {'flush': True}).start()\n"
            "    e.serve_forever()\n"
            "print('done')\n"
        )
        with subprocess.Popen(
            [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            with client(process.stdout.readline().strip()) as port:
                port.ask("AT")
                process.send_signal(signal.SIGINT)
                out, errors = process.communicate(timeout=DEADLINE)
        assert (process.returncode, out, errors) == (0, "done\n", "")
        assert list(tmp_path.iterdir()) == []
