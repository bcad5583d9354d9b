"""Running the command line: inside the test for speed, or as a process where signals and terminals matter."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import pytest

from atprobe import discover, fingerprint
from atprobe.cli import _interrupt
from atprobe.cli._main import run
from atprobe.fingerprint import Outcome, Target
from atprobe.model import Device, Module, Problem


class Result(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


class Cli(Protocol):
    """Runs a command line inside the test."""

    def __call__(self, *arguments: str) -> Result: ...


class Probing:
    """Stands in for the machine: what is attached, and what probing it gives."""

    def __init__(self) -> None:
        self.devices: tuple[Device, ...] = ()
        self.modules: tuple[Module, ...] = ()
        self.problems: tuple[Problem, ...] = ()
        self.targets: tuple[Target, ...] = ()
        self.options: dict[str, object] = {}
        self.interrupted = False

    def probe(self, targets: tuple[Target, ...], _knowledge: object, **options: object) -> Outcome:
        self.targets, self.options = tuple(targets), options
        if self.interrupted:
            _interrupt.stop.set()
        return Outcome(self.modules, self.problems)


@pytest.fixture(autouse=True)
def _state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    # One folder for all tests of a worker: the profiles are checked once.
    monkeypatch.setenv("ATPROBE_STATE_DIR", str(tmp_path_factory.getbasetemp() / "state"))
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Iterator[Cli]:
    def call(*arguments: str) -> Result:
        capsys.readouterr()
        code = run(list(arguments))
        out, err = capsys.readouterr()
        return Result(code, out, err)

    yield call
    _interrupt.stop.clear()


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Probing:
    fake = Probing()
    monkeypatch.setattr(discover, "scan", lambda knowledge: discover.Scan(fake.devices))
    monkeypatch.setattr(fingerprint, "probe", fake.probe)
    return fake


ATPROBE = (sys.executable, "-m", "atprobe")


def start(*arguments: str, **options: object) -> subprocess.Popen[str]:
    """Start a command as a process of its own, with stdout and stderr as pipes unless `options` say otherwise."""
    given: dict[str, object] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    return subprocess.Popen([*ATPROBE, *arguments], **given)  # type: ignore[call-overload,no-any-return]


def finish(process: subprocess.Popen[str], seconds: float = 60) -> Result:
    """Wait for a process to end by itself."""
    try:
        out, err = process.communicate(timeout=seconds)
    finally:
        process.kill()
    return Result(process.returncode, out or "", err or "")


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Wait until something is so; fails when it takes too long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"no {what} after {seconds} s"
        time.sleep(0.01)


def on_a_terminal(*arguments: str, stream: str = "stdout", **environment: str) -> tuple[int, str]:
    """Run a command with one stream on a terminal of 120 columns; returns the exit code and what it showed."""
    import fcntl
    import struct
    import termios

    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    other = "stderr" if stream == "stdout" else "stdout"
    env = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS", "LINES")}
    env |= {"TERM": "xterm", **environment}
    process = start(*arguments, env=env, **{stream: slave, other: subprocess.DEVNULL})
    os.close(slave)
    shown = b""
    with open(master, "rb", buffering=0) as terminal:
        while True:
            try:
                data = terminal.read(65536)
            except OSError:  # EIO: the last one who had it open is gone
                break
            if not data:
                break
            shown += data
    return finish(process).code, shown.decode()


@pytest.fixture
def empty_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder
