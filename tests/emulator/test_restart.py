"""Ports that go away and come back, on real ptys and sockets."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from atprobe.emulator import Emulator, Fault, Memory, Spec, Trouble
from atprobe.model import Exchange
from tests.emulator.test_emulator_server import DEADLINE, Client, client, module
from tests.emulator.test_memory import fota


def spec(memory: Memory | None, tcp: bool = False, boot: float = 0.3, faults: frozenset[Fault] = frozenset()) -> Spec:
    return Spec(module(), faults, tcp=0 if tcp else None, memory=memory, boot_seconds=boot)


def until_gone(port: Client) -> bytes:
    """What still comes, until the port is gone."""
    got, deadline = b"", time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        try:
            got += port.read(0.1)
        except EOFError:
            return got
    raise AssertionError(f"the port is still there, and said {got!r}")


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(params=[False, True], ids=["pty", "tcp"])
def tcp(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


class TestRestart:
    def test_a_pty_comes_back_as_another_one_under_its_link(self, tmp_path: Path) -> None:
        with Emulator([spec(fota("until-reboot"))], link_dir=tmp_path) as emulator:
            (before,), (link,) = emulator.ports, emulator.links
            assert link is not None
            with client(str(link)) as port:
                port.ask("AT+FOTA=0,60")
                assert b"+FOTA: 0,60" in port.ask("AT+FOTA?")
                asked = time.monotonic()
                assert until_gone_after(port, "AT+RESET").endswith(b"OK\r\n")
            assert not os.path.lexists(link)
            wait_for(link.exists)
            assert time.monotonic() - asked >= 0.3
            assert emulator.ports[0] == str(link.readlink()) != before
            assert emulator.links == (link,)
            with client(str(link)) as port:
                assert port.ask("AT+FOTA?").startswith(b"\r\nRDY\r\n")
                assert b"+FOTA: 1,60" in port.ask("AT+FOTA?")
            assert [line for _, line in emulator.log[emulator.ports[0]]] == [
                "AT+FOTA=0,60",
                "AT+FOTA?",
                "AT+RESET",
                "AT+FOTA?",
                "AT+FOTA?",
            ]
        assert list(tmp_path.iterdir()) == []

    def test_a_pty_that_nobody_holds_comes_back_as_another_one_too(self) -> None:
        with Emulator([spec(None)]) as emulator:
            for _ in range(3):
                before = emulator.ports[0]
                emulator.pull(0)
                emulator.replug(0)
                assert emulator.ports[0] != before

    def test_a_tcp_port_closes_and_serves_the_next_client_when_it_has_started(self) -> None:
        with Emulator([spec(fota(), tcp=True, boot=0.5)]) as emulator:
            url = emulator.ports[0]
            with client(url) as port:
                port.ask("AT+FOTA=0,60")
                assert until_gone_after(port, "AT+RESET").endswith(b"OK\r\n")
            gone = time.monotonic()
            with client(url) as port:
                port.send("AT+FOTA?\r")
                answer = port.until(b"OK\r\n")
            assert time.monotonic() - gone >= 0.4
            assert answer.startswith(b"\r\nRDY\r\n") and b"+FOTA: 0,60" in answer
            assert emulator.ports[0] == url
            with client(url) as port:
                assert b"RDY" not in port.ask("AT"), "it started once"

    def test_it_can_restart_again_and_again(self, tcp: bool) -> None:
        with Emulator([spec(fota(), tcp=tcp, boot=0.0)]) as emulator:
            for _ in range(3):
                before = emulator.ports[0]
                with client(before) as port:
                    until_gone_after(port, "AT+RESET")
                wait_for(lambda before=before: tcp or emulator.ports[0] != before)  # type: ignore[misc]
            with client(emulator.ports[0]) as port:
                assert b"X1" in port.ask("ATI")

    def test_a_write_can_restart_the_module_instead_of_an_answer(self, tcp: bool) -> None:
        memory = fota()
        memory.troubles.add(Trouble.REBOOT)
        with Emulator([spec(memory, tcp)]) as emulator:
            before = emulator.ports[0]
            with client(before) as port:
                assert until_gone_after(port, "AT+FOTA=0,60") == b""
            wait_for(lambda: tcp or emulator.ports[0] != before)
            with client(emulator.ports[0]) as port:
                assert b"+FOTA: 0,60" in port.ask("AT+FOTA?")

    def test_the_others_are_served_meanwhile(self, tcp: bool) -> None:
        with Emulator([spec(fota(), tcp, boot=60), spec(fota(), tcp)]) as emulator:
            with client(emulator.ports[0]) as port:
                until_gone_after(port, "AT+RESET")
            with client(emulator.ports[1]) as other:
                assert b"+FOTA: 1,60" in other.ask("AT+FOTA?")

    def test_what_was_due_before_is_not_said_afterwards(self, tcp: bool) -> None:
        late = Spec(module(), frozenset({Fault.LATE}), late_by=0.5, tcp=0 if tcp else None)
        with Emulator([late]) as emulator:
            with client(emulator.ports[0]) as port:
                port.send("AT\rAT\rATI\r")
                port.until(b"OK\r\n")
                emulator.pull(0)
            emulator.replug(0)
            with client(emulator.ports[0]) as port:
                port.ask("AT")
                assert b"X1" not in port.read(0.8)

    def test_a_talkative_one_talks_on_and_no_faster(self, tcp: bool) -> None:
        with Emulator([spec(None, tcp, faults=frozenset({Fault.NMEA}))]) as emulator:
            for _ in range(5):
                emulator.pull(0)
                emulator.replug(0)
            with client(emulator.ports[0]) as port:
                port.until(b"$GPRMC,")
                got, began = b"", time.monotonic()
                while time.monotonic() - began < 1.0:
                    got += port.read(0.05)
            assert 2 <= got.count(b"$GPRMC,") <= 6


def until_gone_after(port: Client, command: str) -> bytes:
    port.send(command + "\r")
    return until_gone(port)


class TestPlugs:
    def test_a_dropped_port_stays_away_until_it_is_plugged_in(self, tcp: bool, tmp_path: Path) -> None:
        memory = fota("until-reboot")
        memory.troubles.add(Trouble.DROP)
        with Emulator([spec(memory, tcp, boot=0.0)], link_dir=tmp_path) as emulator:
            before = emulator.ports[0]
            with client(before) as port:
                assert until_gone_after(port, "AT+FOTA=0,60") == b""
            time.sleep(0.2)  # time to come back, if it would
            assert emulator.ports[0] == before
            assert list(tmp_path.iterdir()) == []
            if tcp:
                with pytest.raises(OSError):
                    Client(before)
            emulator.replug(0)
            assert (emulator.ports[0] == before) is tcp
            with client(emulator.ports[0]) as port:
                assert b"+FOTA: 1,60" in port.ask("AT+FOTA?"), "it had no power"
            assert len(list(tmp_path.iterdir())) == (0 if tcp else 1)

    def test_plugging_in_does_not_wait_for_the_module_to_start(self, tcp: bool) -> None:
        with Emulator([spec(fota(), tcp, boot=1.0)]) as emulator:
            with client(emulator.ports[0]) as port:
                until_gone_after(port, "AT+RESET")
            emulator.replug(0)
            now = emulator.ports[0]
            with client(now) as port:
                assert b"X1" in port.ask("ATI")
                time.sleep(1.1)  # when it would have come back by itself
                assert b"X1" in port.ask("ATI")
            assert emulator.ports[0] == now

    def test_a_pulled_port_is_gone_for_the_client_and_forgets(self, tcp: bool) -> None:
        memory = fota("until-reboot")
        with Emulator([spec(memory, tcp)]) as emulator:
            with client(emulator.ports[0]) as port:
                port.ask("AT+FOTA=0,60")
                emulator.pull(0)
                assert until_gone(port) == b""
            assert memory.snapshot()["in force"] == {"AT+FOTA?": ("+FOTA: 1,60",)}
            emulator.pull(0)
            emulator.replug(0)
            with client(emulator.ports[0]) as port:
                assert b"+FOTA: 1,60" in port.ask("AT+FOTA?")

    def test_pulled_while_it_starts_it_does_not_come_back(self, tcp: bool) -> None:
        with Emulator([spec(fota(), tcp, boot=0.2)]) as emulator:
            before = emulator.ports[0]
            with client(before) as port:
                until_gone_after(port, "AT+RESET")
            emulator.pull(0)
            time.sleep(0.4)
            assert emulator.ports[0] == before
            if tcp:
                with pytest.raises(OSError):
                    Client(before)
            emulator.replug(0)
            with client(emulator.ports[0]) as port:
                assert b"X1" in port.ask("ATI")

    def test_plugging_in_what_is_there_does_nothing(self, tcp: bool) -> None:
        memory = fota("until-reboot")
        with Emulator([spec(memory, tcp)]) as emulator:
            now = emulator.ports[0]
            with client(now) as port:
                port.ask("AT+FOTA=0,60")
                emulator.replug(0)
                assert b"+FOTA: 0,60" in port.ask("AT+FOTA?")
            assert emulator.ports[0] == now

    def test_a_port_that_hung_up_can_be_plugged_in(self, tcp: bool) -> None:
        with Emulator([spec(None, tcp, faults=frozenset({Fault.HANGUP}))]) as emulator:
            for _ in range(2):
                with client(emulator.ports[0]) as port:
                    port.ask("AT")
                    until_gone_after(port, "AT")
                emulator.replug(0)

    def test_many_threads_may_pull_and_plug(self, tcp: bool) -> None:
        def wiggle(number: int) -> None:
            for _ in range(20):
                emulator.pull(number % 2)
                emulator.replug(number % 2)

        with Emulator([spec(None, tcp), spec(None, tcp)]) as emulator:
            threads = [threading.Thread(target=wiggle, args=(number,)) for number in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(DEADLINE)
            for path in emulator.ports:
                with client(path) as port:
                    assert b"X1" in port.ask("ATI")

    def test_a_port_that_is_not_there_is_an_error_for_the_caller(self) -> None:
        with Emulator([spec(None)]) as emulator:
            with pytest.raises(IndexError):
                emulator.pull(1)
            with client(emulator.ports[0]) as port:
                assert b"X1" in port.ask("ATI")

    def test_what_cannot_come_back_ends_the_serving_and_no_caller_hangs(self, tmp_path: Path) -> None:
        emulator = Emulator([spec(None)], link_dir=tmp_path)
        with pytest.raises(FileExistsError), emulator:
            emulator.pull(0)
            (tmp_path / "synthetic-x1").write_text("mine", encoding="utf-8")
            emulator.replug(0)
            emulator.replug(0)
        assert (tmp_path / "synthetic-x1").read_text(encoding="utf-8") == "mine"


class TestLeaving:
    def test_leaving_is_no_restart(self) -> None:
        memory = fota("until-reboot")
        with Emulator([spec(memory)]) as emulator, client(emulator.ports[0]) as port:
            port.ask("AT+FOTA=0,60")
        assert memory.snapshot()["in force"] == {"AT+FOTA?": ("+FOTA: 0,60",)}

    def test_everything_is_closed_whether_a_port_is_there_or_not(self, tcp: bool, tmp_path: Path) -> None:
        threads, files = threading.active_count(), os.listdir("/dev/fd")
        specs = [spec(fota(), tcp, boot=60), spec(None, tcp), spec(None, tcp)]
        with Emulator(specs, link_dir=tmp_path) as emulator:
            with client(emulator.ports[0]) as port:
                until_gone_after(port, "AT+RESET")
            emulator.pull(1)
            emulator.pull(2)
            emulator.replug(2)
        assert threading.active_count() == threads
        assert os.listdir("/dev/fd") == files
        assert list(tmp_path.iterdir()) == []

    def test_boot_text_of_the_transcript_comes_with_every_start(self, tcp: bool) -> None:
        booting = Spec(module("X1", Exchange(None, ("APP RDY",))), tcp=0 if tcp else None)
        with Emulator([booting]) as emulator:
            for _ in range(2):
                with client(emulator.ports[0]) as port:
                    assert port.ask("ATI").startswith(b"\r\nAPP RDY\r\nATI\r")
                emulator.pull(0)
                emulator.replug(0)
