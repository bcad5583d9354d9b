"""Opening real ptys and sockets: claims, line settings, and what every failure is called."""

import os
import pty
import re
import socket
import subprocess
import sys
import termios
import threading
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial
import serial.rfc2217

from atprobe.link import PortError, open_port
from atprobe.model import ProblemKind


@pytest.fixture
def line() -> Iterator[tuple[int, str]]:
    """A pty: the master's descriptor and the slave's path. A slave stays open, as on a real tty's far end."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    yield master, os.ttyname(slave)
    os.close(slave)
    os.close(master)


def failure(path: str) -> PortError:
    with pytest.raises(PortError) as caught:
        open_port(path)
    assert path in str(caught.value)
    assert caught.value.hint
    return caught.value


def test_bytes_go_both_ways(line: tuple[int, str]) -> None:
    master, path = line
    port = open_port(path)
    port.write(b"AT\r")
    assert os.read(master, 10) == b"AT\r"
    os.write(master, b"OK\r\n")
    assert port.read(2) == b"OK\r\n"
    assert port.read(0.01) == b""
    port.close()
    port.close()


def test_line_settings_are_put_back_and_nothing_hangs_up(line: tuple[int, str]) -> None:
    _, path = line
    with open(path, "rb", buffering=0) as other:
        found = termios.tcgetattr(other)
        found[2] |= termios.HUPCL
        found[4] = found[5] = termios.B9600
        termios.tcsetattr(other, termios.TCSANOW, found)
        found = termios.tcgetattr(other)
        port = open_port(path, 115200)
        during = termios.tcgetattr(other)
        assert during[4] == termios.B115200
        assert not during[2] & termios.HUPCL
        port.close()
        after = termios.tcgetattr(other)
    found[2] &= ~termios.HUPCL
    assert after == found


def test_a_claimed_port_is_busy_and_is_free_again(line: tuple[int, str]) -> None:
    _, path = line
    port = open_port(path)
    assert failure(path).kind is ProblemKind.BUSY
    port.close()
    open_port(path).close()


def test_a_claim_by_another_process_is_respected(line: tuple[int, str]) -> None:
    _, path = line
    code = "import serial,sys; p = serial.Serial(sys.argv[1], exclusive=True); print('ready', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"ready\n"
        assert failure(path).kind is ProblemKind.BUSY
        other.communicate(b"\n")
    open_port(path).close()


def test_missing() -> None:
    assert failure("/dev/ttyNOSUCH0").kind is ProblemKind.MISSING


def test_a_plain_file_with_a_ports_name_is_no_port(tmp_path: Path) -> None:
    stale = tmp_path / "ttyUSB1"
    stale.write_text("OK\r\n")
    assert failure(str(stale)).kind is ProblemKind.UNUSABLE


def test_a_character_device_that_is_no_line() -> None:
    assert failure("/dev/null").kind is ProblemKind.UNUSABLE


def test_no_permission(line: tuple[int, str]) -> None:
    os.chmod(line[1], 0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)  # root may open everything; nobody may not
    try:
        error = failure(line[1])
    finally:
        if root:
            os.seteuid(0)
    assert error.kind is ProblemKind.PERMISSION
    assert "group" in error.hint


def test_a_port_that_goes_away() -> None:
    master, slave = pty.openpty()
    port = open_port(os.ttyname(slave))
    os.close(slave)
    os.close(master)
    with pytest.raises(PortError) as caught:
        port.read(1)
    assert caught.value.kind is ProblemKind.VANISHED
    port.close()


def test_a_port_that_takes_no_bytes(line: tuple[int, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atprobe.link.transport.WRITE_SECONDS", 0.05)
    port = open_port(line[1])
    with pytest.raises(PortError) as caught:
        for _ in range(100):
            port.write(b"x" * 65536)
    assert caught.value.kind is ProblemKind.SILENT
    termios.tcflush(line[0], termios.TCIOFLUSH)
    port.close()


def test_a_wwan_port_is_opened_without_line_settings(line: tuple[int, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Old kernels know no line settings on /dev/wwan0at0; a pty stands in for one."""
    master, path = line
    monkeypatch.setattr("atprobe.link.transport._WWAN", re.compile(re.escape(path)))
    monkeypatch.setattr(termios, "tcgetattr", lambda *_: pytest.fail("line settings were touched"))
    port = open_port(path)
    port.write(b"AT\r")
    assert os.read(master, 10) == b"AT\r"
    os.write(master, b"OK\r\n")
    assert port.read(2) == b"OK\r\n"
    assert failure(path).kind is ProblemKind.BUSY
    port.close()
    open_port(path).close()


def serve_once(answer: bytes) -> tuple[str, threading.Thread]:
    server = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with server, server.accept()[0] as peer:
            peer.recv(10)
            peer.sendall(answer)
            peer.recv(10)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return f"socket://127.0.0.1:{server.getsockname()[1]}", thread


def test_socket_url() -> None:
    url, thread = serve_once(b"OK\r\n")
    port = open_port(url)
    port.write(b"AT\r")
    assert port.read(2) == b"OK\r\n"
    port.close()
    thread.join(2)
    assert not thread.is_alive()


def test_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"socket://127.0.0.1:{server.getsockname()[1]}"
    assert failure(url).kind is ProblemKind.MISSING


@pytest.mark.parametrize("url", ["nosuch://x", "socket://", "socket://127.0.0.1:notaport"])
def test_a_url_that_is_none(url: str) -> None:
    assert failure(url).kind in (ProblemKind.UNUSABLE, ProblemKind.MISSING)


def test_rfc2217_url() -> None:
    """A real RFC 2217 server (pyserial's) in front of a line that says back what it is told."""
    device = serial.serial_for_url("loop://", timeout=0.05)
    server = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def run() -> None:
        peer, _ = server.accept()
        peer.settimeout(0.02)
        lock = threading.Lock()

        class Wire:
            def write(self, data: bytes) -> None:
                with lock:
                    peer.sendall(data)

        manager = serial.rfc2217.PortManager(device, Wire())  # type: ignore[arg-type]
        while not done.is_set():
            try:
                data = peer.recv(1024)
            except TimeoutError:
                data = b""
            if data:
                device.write(b"".join(manager.filter(data)))
            if device.in_waiting:
                Wire().write(b"".join(manager.escape(device.read(device.in_waiting))))
        peer.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    port = open_port(f"rfc2217://127.0.0.1:{server.getsockname()[1]}")
    port.write(b"AT\r")
    assert port.read(3) == b"AT\r"
    assert port.read(0.01) == b""
    port.close()
    done.set()
    thread.join(2)
    device.close()
    server.close()
