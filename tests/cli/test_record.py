"""`atprobe record`: from a port to a transcript."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from atprobe import knowledge
from atprobe.cli.emulate import find
from atprobe.emulator import Emulator, Fault, Spec
from tests.cli.conftest import Cli

MODULE = find("quectel/quectel-em06-a-bytes-037")
IMEI = "49015420" + "3237518"  # the example of textbooks, serial number and check digit and all
TAC = IMEI[:8]


@pytest.fixture
def port() -> Iterator[str]:
    from dataclasses import replace

    from atprobe.model import Exchange

    exchanges = (Exchange("AT+CGSN", (IMEI, "", "OK")), Exchange("AT+GSN", (IMEI, "", "OK")))
    others = tuple(e for e in MODULE.exchanges if (e.send or "").upper() not in ("AT+CGSN", "AT+GSN"))
    with Emulator([Spec(replace(MODULE, exchanges=exchanges + others))]) as emulator:
        yield emulator.ports[0]


def test_to_stdout(cli: Cli, port: str, tmp_path: Path) -> None:
    result = cli("record", "--port", port)
    assert (result.code, result.err) == (0, "")
    file = tmp_path / "recorded.yaml"
    file.write_text(result.out)
    transcript = knowledge.load_transcript(file)
    ati = next(e for e in transcript.exchanges if e.send == "ATI")
    assert any("EM06ALAR03A05M4G" in line for line in ati.recv)


def test_to_a_file_with_further_commands(cli: Cli, port: str, tmp_path: Path) -> None:
    file = tmp_path / "recorded.yaml"
    result = cli("record", "--port", port, "--output", str(file), "--command", "AT+CGMI")
    assert result == (0, "", "")
    assert "AT+CGMI" in [exchange.send for exchange in knowledge.load_transcript(file).exchanges]


def test_identifiers_are_made_anonymous_unless_asked_for(cli: Cli, port: str) -> None:
    anonymous = cli("record", "--port", port).out
    assert IMEI not in anonymous
    assert f"{TAC}000000" in anonymous
    assert IMEI in cli("record", "--port", port, "--keep-identifiers").out


def test_a_command_that_may_act_is_refused_before_anything_is_sent(cli: Cli) -> None:
    with Emulator([Spec(MODULE)]) as emulator:
        result = cli("record", "--port", emulator.ports[0], "--command", "AT+CFUN=1,1")
        assert result.code == 2
        assert "AT+CFUN=1,1 is not a reading command" in result.err
        assert emulator.log[emulator.ports[0]] == []


def test_a_port_that_is_not_there(cli: Cli) -> None:
    result = cli("record", "--port", "/dev/no-such-port")
    assert (result.code, result.out) == (3, "")
    assert result.err.startswith("atprobe: /dev/no-such-port: no such port. Check the cable")


def test_a_port_that_is_no_modem(cli: Cli) -> None:
    with Emulator([Spec(MODULE, faults=frozenset({Fault.NMEA}))]) as emulator:
        result = cli("record", "--port", emulator.ports[0])
    assert (result.code, result.out) == (3, "")
    assert "NMEA" in result.err
