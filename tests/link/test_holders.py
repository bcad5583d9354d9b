"""Who has a port open. Ptys stand in for ports where the exemption of ptys is taken away."""

import fcntl
import os
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from atprobe.link import Holder, PortError, _holders, holders, open_port
from atprobe.model import ProblemKind

HOLD = """if True:
    import sys
    name, path = sys.argv[1:]
    open("/proc/self/comm", "w").write(name)
    port = open(path, "rb", buffering=0)
    print("ready", flush=True)
    input()
"""


@contextmanager
def held_by(name: str, path: str) -> Iterator[int]:
    """Another process of that name with `path` open."""
    command = [sys.executable, "-c", HOLD, name, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
        process.communicate(b"\n")


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(_holders, "PTYS", "/dev/nosuch/")
    master, slave = os.openpty()
    yield os.ttyname(slave)
    os.close(slave)
    os.close(master)


def test_who_holds_what(tmp_path: Path) -> None:
    a, b, c = (str(tmp_path / name) for name in "abc")
    for path in (a, b, c):
        Path(path).touch()
    link = str(tmp_path / "link")
    os.symlink(a, link)
    with held_by("minicom", a) as first, held_by("pppd", a) as second, open(b, "rb"):
        found = holders([a, b, c, link, "/dev/nosuch", "socket://127.0.0.1:1"])
    both = {Holder(first, "minicom"), Holder(second, "pppd")}
    assert {path: set(each) for path, each in found.items()} == {a: both, link: both}
    assert holders([a]) == {}


def test_a_name_that_would_act_on_a_terminal(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.touch()
    with held_by("\x1b[2J\nx", str(file)):
        (holder,) = holders([str(file)])[str(file)]
    assert holder.name == "?[2J?x"


def test_ptys_and_urls_cost_no_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_holders, "processes", lambda: pytest.fail("/proc was walked"))
    assert holders(["/dev/pts/0", "socket://127.0.0.1:1", "usb://1-1/0"]) == {}
    assert holders([]) == {}


def test_no_proc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_holders, "PROC", tmp_path / "nosuch")
    assert holders([str(tmp_path)]) == {}


def test_a_port_that_another_process_has_open_is_not_touched(port: str) -> None:
    before = None
    with open(port, "rb", buffering=0) as ours, held_by("pppd", port) as pid:
        before = termios.tcgetattr(ours)
        with pytest.raises(PortError) as caught:
            open_port(port)
        assert termios.tcgetattr(ours) == before
    assert caught.value.kind is ProblemKind.BUSY
    assert caught.value.message == f"is held by pppd (pid {pid})"
    assert caught.value.hint
    open_port(port).close()


def test_modemmanager_is_told_of_by_name(port: str) -> None:
    with held_by("ModemManager", port), pytest.raises(PortError) as caught:
        open_port(port)
    assert "stand aside" in caught.value.hint


def test_a_snapshot_is_taken_at_its_word(port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_holders, "processes", lambda: pytest.fail("/proc was walked"))
    open_port(port, held={}).close()
    with pytest.raises(PortError, match="is held by x"):
        open_port(port, held={port: (Holder(1, "x"),)})


def test_root_respects_a_claim(port: str) -> None:
    """Root may open a tty that was claimed with TIOCEXCL; nobody's line settings are touched all the same."""
    with open(port, "rb", buffering=0) as other:
        fcntl.ioctl(other, termios.TIOCEXCL)
        found = termios.tcgetattr(other)
        found[4] = found[5] = termios.B9600
        termios.tcsetattr(other, termios.TCSANOW, found)
        found = termios.tcgetattr(other)
        with pytest.raises(PortError) as caught:
            open_port(port)
        assert caught.value.kind is ProblemKind.BUSY
        assert termios.tcgetattr(other) == found
        fcntl.ioctl(other, termios.TIOCNXCL)
        open_port(port).close()


def test_a_walk_is_quick(tmp_path: Path) -> None:
    files = [tmp_path / str(number) for number in range(64)]
    for file in files:
        file.touch()
    start = time.perf_counter()
    holders([str(file) for file in files])
    assert time.perf_counter() - start < 2
