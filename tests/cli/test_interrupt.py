"""Ctrl-C and its relatives at any moment: ports are closed, what is known is printed, the code is 130."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from atprobe import knowledge
from atprobe.cli import demo
from atprobe.cli.emulate import find
from atprobe.emulator import Emulator, Fault, Spec
from atprobe.emulator.scoring import replay
from tests.buses import Manager, environment, managed, modem
from tests.cli.conftest import Result, finish, start, wait_for

MODULE = find("quectel/quectel-bg770a-gl-golden-070")
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


class Bench:
    """One module that answers at once, and three whose third answer does not come for ten minutes."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.quick, *self.slow = emulator.ports
        # What a probe asks this module when nothing is in its way.
        self.questions = len(replay(knowledge.load(), MODULE).commands)

    def probe(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a probe of all ports, and wait until the quick one is done and the slow ones are in the middle."""
        ports = [argument for port in self.emulator.ports for argument in ("--port", port)]
        process = start("probe", *ports, "--timeout", "600", *arguments)
        wait_for(lambda: len(self.asked(self.quick)) >= self.questions, "end of the quick module's interview")
        wait_for(lambda: all(len(self.asked(port)) >= 3 for port in self.slow), "third question to a slow module")
        return process

    def asked(self, port: str) -> list[str]:
        return [command for _, command in self.emulator.log[port]]


@pytest.fixture
def bench() -> Iterator[Bench]:
    slow = Spec(MODULE, faults=frozenset({Fault.LATE}), late_by=600.0)
    with Emulator([Spec(MODULE), slow, replace(slow), replace(slow)]) as emulator:
        yield Bench(emulator)


def unfinished(result: Result) -> int:
    found = re.search(r"^atprobe: stopped; (\d) of 4 ports were not finished$", result.err, re.M)
    assert found, result.err
    return int(found.group(1))


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_what_is_known_is_printed(bench: Bench, number: signal.Signals) -> None:
    process = bench.probe()
    process.send_signal(number)
    result = finish(process)
    assert result.code == 130
    assert "Traceback" not in result.err
    # The quick one's last answer may still have been on its way.
    assert unfinished(result) in (3, 4)
    assert re.search(rf"^{bench.quick} +quectel ", result.out, re.M)
    assert result.out.count("was not finished when the run was stopped") == unfinished(result)


def test_the_report_is_whole(bench: Bench) -> None:
    process = bench.probe("--format", "json")
    process.send_signal(signal.SIGINT)
    result = finish(process)
    assert result.code == 130
    assert result.out.startswith("{")
    assert result.out.endswith("}\n")


def test_ports_are_free_afterwards(bench: Bench) -> None:
    process = bench.probe()
    process.send_signal(signal.SIGINT)
    assert finish(process).code == 130
    again = finish(start("probe", "--port", bench.quick))
    assert again.code == 0


def test_a_second_signal_does_no_harm(bench: Bench) -> None:
    process = bench.probe()
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    result = finish(process)
    assert result.code == 130
    assert "Traceback" not in result.err


PREPARED = """\
import os, sys
from atprobe import discover, model
from atprobe.cli import main
discover.scan = lambda knowledge: {body}
sys.argv = ["atprobe", "probe"]
sys.exit(main())
"""


def probe_whose_scan_is(body: str, folder: Path, **options: Any) -> subprocess.Popen[str]:
    """Start a probe that evaluates `body` instead of looking at what is attached."""
    (folder / "prepared.py").write_text(PREPARED.format(body=body))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(folder)])}
    run = [sys.executable, "-m", "prepared"]
    return subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, **options)


def test_before_any_port_is_open(tmp_path: Path) -> None:
    # Reading a pipe that nobody writes to keeps the command in its preparations for as long as we like.
    reader, writer = os.pipe()
    body = f"(print('scanning', flush=True), os.read({reader}, 1))"
    process = probe_whose_scan_is(body, tmp_path, pass_fds=[reader])
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "scanning\n"
        process.send_signal(signal.SIGINT)
    finally:
        result = finish(process)
        os.close(reader)
        os.close(writer)
    assert (result.code, result.out, result.err.strip()) == (130, "", "atprobe: stopped")


def test_while_python_makes_code_from_text(tmp_path: Path) -> None:
    # As imports do for dataclasses: see _interrupt.Interrupted.
    body = "exec('import os; os.kill(os.getpid(), 2); [None for _ in range(10**6)]')"
    result = finish(probe_whose_scan_is(body, tmp_path))
    assert (result.code, result.err.strip()) == (130, "atprobe: stopped")


def test_during_the_demo() -> None:
    ports = f"of {len(demo.MODULES) + len(demo.TROUBLE)} ports".encode()
    master, slave = os.openpty()
    process = start("demo", stderr=slave)
    os.close(slave)
    with open(master, "rb", buffering=0) as terminal:
        shown = b""
        while ports + b" done" not in shown:
            shown += terminal.read(1024)
        process.send_signal(signal.SIGINT)
        result = finish(process)
        with suppress(OSError):  # EIO: nobody has the other end open any more
            while data := terminal.read(1024):
                shown += data
    assert result.code == 130
    assert ports + b" were not finished" in shown
    assert b"Traceback" not in shown


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_modemmanager_gets_its_device_back(
    number: signal.Signals, tmp_path: Path, modem_manager: Callable[..., Manager]
) -> None:
    with Emulator([Spec(MODULE, faults=frozenset({Fault.MUTE}))]) as emulator:
        (port,) = emulator.ports
        fake = modem_manager(objects=managed(modem("a", os.path.basename(port))), answers={"a": ["ok"]})
        body = f"discover.Scan((model.Device('usb', (model.Port({port!r}, model.Role.AT),)),))"
        with environment(DBUS_SYSTEM_BUS_ADDRESS=fake.address):
            process = probe_whose_scan_is(body, tmp_path)
        wait_for(lambda: bool(emulator.log[port]), "question to the mute module")
        assert fake.said() == ["inhibit:ok", "inhibited"]
        process.send_signal(number)
        result = finish(process)
    assert result.code == 130
    assert fake.said() == ["inhibit:ok", "inhibited", "release:ok"]
