"""`atprobe emulate`: ports that answer, and a clean end."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from atprobe import knowledge
from atprobe.link import open_port
from tests.cli.conftest import Cli, finish, start, wait_for

NAME = "quectel/quectel-bg770a-gl-golden-070"
ID = NAME.partition("/")[2]


@contextmanager
def emulate(*arguments: str, ports: int = 1) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Run the command and read the lines it prints for its ports."""
    process = start("emulate", *arguments)
    try:
        assert process.stdout is not None
        yield process, [process.stdout.readline().rstrip("\n") for _ in range(ports)]
    finally:
        process.kill()
        process.communicate()


def answer(path: str, command: str) -> str:
    """What the port says to one command, up to the final result code."""
    port = open_port(path)
    got = b""
    try:
        port.write(f"{command}\r".encode())
        while b"\r\nOK\r\n" not in got and b"ERROR\r\n" not in got:
            data = port.read(10)
            assert data, f"no more than {got!r} came"
            got += data
    finally:
        port.close()
    return got.decode()


def test_a_transcript_of_the_profiles_answers_on_a_pty() -> None:
    with emulate(NAME) as (_, lines):
        path, identifier = lines[0].split("  ")
        assert identifier == ID
        assert "BG770A-GL" in answer(path, "ATI")


def test_a_file_answers_on_tcp() -> None:
    file = knowledge.default_root() / "quectel" / "transcripts" / f"{ID}.yaml"
    with emulate(str(file), "--tcp") as (_, lines):
        url, identifier = lines[0].split("  ")
        assert url.startswith("socket://127.0.0.1:")
        assert identifier == ID
        assert "BG770A-GL" in answer(url, "ATI")


def test_every_port_has_its_link_and_its_commands_are_logged(tmp_path: Path) -> None:
    log = tmp_path / "log"
    options = ["--count", "3", "--link-dir", str(tmp_path / "links"), "--log", str(log), "--latency", "1"]
    with emulate(NAME, *options, ports=3) as (process, lines):
        links = [line.split("  ")[0] for line in lines]
        assert len({os.path.realpath(link) for link in links}) == 3
        answer(links[2], "AT+CGMM")
        wait_for(lambda: "AT+CGMM" in log.read_text(), "line in the log")
        process.send_signal(signal.SIGTERM)
        assert finish(process).code == 130
        assert not any(os.path.lexists(link) for link in links)


def test_a_fault_is_played() -> None:
    with emulate(NAME, "--fault", "nmea") as (_, lines):
        port = open_port(lines[0].split("  ")[0])
        got = b""
        try:
            while b"$GP" not in got:
                data = port.read(10)
                assert data, "no sentence came"
                got += data
        finally:
            port.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_cleanly(number: signal.Signals) -> None:
    with emulate(NAME) as (process, _):
        process.send_signal(number)
        result = finish(process)
        assert (result.code, result.err.strip()) == (130, "atprobe: stopped")


@pytest.mark.parametrize("name", ["nobody/nothing", "no-such-file.yaml", "quectel", "../x"])
def test_a_name_that_is_none(cli: Cli, name: str) -> None:
    result = cli("emulate", name)
    assert result.code == 2
    assert result.err.startswith(f"atprobe: {name}: no such transcript. 'atprobe profiles show MAKER'")


def test_a_file_that_is_no_transcript(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "list.yaml"
    file.write_text("- one\n")
    result = cli("emulate", str(file))
    assert result.code == 2
    assert f"{file}:1:" in result.err


def test_a_log_that_cannot_be_written(cli: Cli, tmp_path: Path) -> None:
    result = cli("emulate", NAME, "--log", str(tmp_path / "no" / "log"))
    assert result.code == 2
    assert "the ports cannot be served" in result.err


TRANSCRIPT = """\
id: {name}
source: {{url: made up, kind: manual, fidelity: log}}
truth: {{maker: {maker}, model: {model}}}
exchanges:
- send: ATI
  recv: [ATI, Maker, Model, OK]
"""


def recorded(folder: Path, maker: str = "xinyi", model: str = "X1") -> str:
    file = folder / "module.yaml"
    file.write_text(TRANSCRIPT.format(name="synthetic-module", maker=maker, model=model), encoding="utf-8")
    return str(file)


def test_surfaces_can_be_read_and_changed(tmp_path: Path) -> None:
    with emulate(recorded(tmp_path), "--surfaces", "--count", "2", ports=2) as (_, lines):
        one, two = (line.split("  ")[0] for line in lines)
        assert answer(one, "AT+FOTACTR?") == "AT+FOTACTR?\r\r\n+FOTA:0\r\nOK\r\n"
        assert answer(one, "AT+FOTACTR=1").endswith("\r\nOK\r\n")
        assert "+FOTA:1" in answer(one, "AT+FOTACTR?")
        assert "+FOTA:0" in answer(two, "AT+FOTACTR?"), "every port is a module of its own"
        assert "Model" in answer(one, "ATI")


def test_without_surfaces_nothing_can_be_changed(tmp_path: Path) -> None:
    with emulate(recorded(tmp_path)) as (_, lines):
        assert answer(lines[0].split("  ")[0], "AT+FOTACTR=1").endswith("ERROR\r\n")


def test_troubles_add_up_and_a_restart_takes_as_long_as_it_is_told(tmp_path: Path) -> None:
    options = ("--surfaces", "--trouble", "reboot", "--trouble", "ignore", "--boot", "0.2", "--link-dir", str(tmp_path))
    with emulate(recorded(tmp_path), *options) as (_, lines):
        link = Path(lines[0].split("  ")[0])
        before = link.readlink()
        port = open_port(str(link))
        port.write(b"AT+FOTACTR=1\r")
        wait_for(lambda: not link.exists(), "restart")
        port.close()
        wait_for(link.exists, "return")
        assert link.readlink() != before
        assert "+FOTA:0" in answer(str(link), "AT+FOTACTR?")


@pytest.mark.parametrize(
    ("maker", "message"),
    [
        ("null", "it does not say who made the module"),
        ("nobody", "the maker 'nobody' has no profile"),
    ],
)
def test_surfaces_of_an_unknown_maker(cli: Cli, tmp_path: Path, maker: str, message: str) -> None:
    result = cli("emulate", recorded(tmp_path, maker), "--surfaces")
    assert (result.code, result.out) == (2, "")
    assert f"synthetic-module: {message}" in result.err


def test_surfaces_that_are_not_known(cli: Cli, tmp_path: Path) -> None:
    known = knowledge.load()
    maker = next(slug for slug in known.profiles if not known.surfaces_of(slug))
    result = cli("emulate", recorded(tmp_path, maker), "--surfaces")
    assert (result.code, result.out) == (2, "")
    assert f"synthetic-module: the profile of {maker} has no surfaces" in result.err


@pytest.mark.parametrize("option", [("--trouble", "ignore"), ("--boot", "1")])
def test_troubles_without_surfaces(cli: Cli, tmp_path: Path, option: tuple[str, str]) -> None:
    result = cli("emulate", recorded(tmp_path), *option)
    assert result.code == 2
    assert "add --surfaces" in result.err
