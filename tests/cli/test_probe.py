"""`atprobe probe` and `atprobe scan` on a stand-in machine: selection, formats, messages and exit codes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from atprobe import knowledge, report
from atprobe.knowledge import ProfileError, ProfileProblem
from atprobe.model import Device, Port, Problem, ProblemKind, Role, UsbInfo
from tests.cli.conftest import Cli, Probing
from tests.report.samples import HOSTILE, MODULE, PROBLEM, UNKNOWN, hostile

MODEM = Device("usb", (Port("/dev/ttyUSB2", Role.AT, 2), Port("/dev/ttyUSB1", Role.GNSS, 1)), UsbInfo("2c7c", "0125"))
STRANGER = Device("usb", (Port("/dev/ttyACM0"),), UsbInfo("2341", "0043"))
STOPPED = Problem("/dev/ttyUSB2", ProblemKind.INTERRUPTED, "was not finished", "repeat the command")

DOCUMENT = Draft202012Validator(json.loads(report.schema()))


def valid(text: str) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(text)
    DOCUMENT.validate(shown)
    return shown


@pytest.fixture(autouse=True)
def _attached(machine: Probing) -> None:
    machine.devices = (MODEM, STRANGER)
    machine.modules = (MODULE,)


class TestExitCode:
    def test_all_well(self, cli: Cli, machine: Probing) -> None:
        assert cli("probe").code == 0

    def test_some_port_could_not_be_probed(self, cli: Cli, machine: Probing) -> None:
        machine.problems = (PROBLEM,)
        assert cli("probe").code == 3

    def test_nothing_could_be_probed(self, cli: Cli, machine: Probing) -> None:
        machine.modules, machine.problems = (), (PROBLEM,)
        assert cli("probe").code == 3

    def test_nothing_found(self, cli: Cli, machine: Probing) -> None:
        machine.devices, machine.modules = (STRANGER,), ()
        result = cli("probe")
        assert result.code == 4
        assert result.out == "No module was found.\n"
        assert result.err.startswith("atprobe: no modem is known here. 'atprobe scan' lists what is attached")
        assert machine.targets == ()

    def test_interrupted(self, cli: Cli, machine: Probing) -> None:
        machine.interrupted, machine.problems = True, (STOPPED,)
        result = cli("probe")
        assert result.code == 130
        assert "quectel" in result.out
        assert result.err == "atprobe: stopped; 1 of 1 ports were not finished\n"

    def test_profiles_that_cannot_be_used(self, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
        def load() -> None:
            raise ProfileError((ProfileProblem("x/maker.yaml", 3, "lacks 'name'", "add it"),))

        monkeypatch.setattr(knowledge, "load", load)
        result = cli("probe")
        assert (result.code, result.out) == (2, "")
        assert result.err.startswith("atprobe: x/maker.yaml:3: lacks 'name'; add it\n")


class TestSelection:
    def paths(self, machine: Probing) -> list[tuple[str, ...]]:
        return [target.paths for target in machine.targets]

    def test_every_known_modem(self, cli: Cli, machine: Probing) -> None:
        cli("probe")
        assert [(t.device, t.paths) for t in machine.targets] == [(MODEM, ("/dev/ttyUSB2",))]

    def test_named_ports(self, cli: Cli, machine: Probing) -> None:
        cli("probe", "--port", "/dev/ttyUSB1", "--port", "socket://192.0.2.7:2001")
        assert self.paths(machine) == [("/dev/ttyUSB1",), ("socket://192.0.2.7:2001",)]

    def test_all(self, cli: Cli, machine: Probing) -> None:
        cli("probe", "--all")
        assert self.paths(machine) == [("/dev/ttyUSB2",), ("/dev/ttyACM0",)]

    @pytest.mark.parametrize("spelled", ["2341:43", "2341:0043", "0x2341:0x0043"])
    def test_usb(self, cli: Cli, machine: Probing, spelled: str) -> None:
        cli("probe", "--all", "--usb", spelled)
        assert self.paths(machine) == [("/dev/ttyACM0",)]

    def test_how_to_talk(self, cli: Cli, machine: Probing) -> None:
        cli("probe", "--timeout", "1.5", "--baud", "9600")
        assert (machine.options["timeout"], machine.options["baud"]) == (1.5, 9600)
        assert machine.options["inhibit"] is True

    @pytest.mark.parametrize("spelled", ["auto", "AUTO"])
    def test_a_rate_to_be_found(self, cli: Cli, machine: Probing, spelled: str) -> None:
        cli("probe", "--baud", spelled)
        assert machine.options["baud"] is None

    def test_no_inhibit(self, cli: Cli, machine: Probing) -> None:
        cli("probe", "--no-inhibit")
        assert machine.options["inhibit"] is False


class TestFormats:
    def test_json(self, cli: Cli, machine: Probing) -> None:
        machine.problems = (PROBLEM,)
        result = cli("probe", "--format", "json")
        shown = valid(result.out)
        assert shown["modules"][0]["identity"]["maker"] == "quectel"
        assert shown["started"] <= shown["finished"]
        assert shown["tool"]["profiles"] == knowledge.load().version
        assert result.err == "atprobe: /dev/ttyUSB9: no such port. Check the cable.\n"

    def test_quiet_says_nothing_beside_the_report(self, cli: Cli, machine: Probing) -> None:
        machine.problems = (PROBLEM,)
        assert cli("probe", "--format", "json", "--quiet").err == ""

    def test_jsonl(self, cli: Cli, machine: Probing) -> None:
        machine.modules, machine.problems = (MODULE, UNKNOWN), (PROBLEM,)
        lines = [json.loads(line) for line in cli("probe", "--format", "jsonl").out.splitlines()]
        assert ["identity" in line for line in lines] == [True, True, False]

    def test_a_table_shows_problems_once(self, cli: Cli, machine: Probing) -> None:
        machine.problems = (PROBLEM,)
        result = cli("probe")
        assert "/dev/ttyUSB9: no such port. Check the cable.\n" in result.out
        assert result.err == ""

    def test_verbose_shows_the_evidence(self, cli: Cli, machine: Probing) -> None:
        assert "decisive" in cli("probe", "-v").out
        assert "decisive" not in cli("probe").out

    def test_output_to_a_file(self, cli: Cli, machine: Probing, tmp_path: Path) -> None:
        machine.problems = (PROBLEM,)
        file = tmp_path / "report.json"
        result = cli("probe", "--format", "json", "--output", str(file))
        assert (result.code, result.out) == (3, "")
        assert len(valid(file.read_text())["problems"]) == 1
        assert "no such port" in result.err

    def test_a_file_that_cannot_be_written_is_found_out_before_a_port_is_opened(
        self, cli: Cli, machine: Probing, tmp_path: Path
    ) -> None:
        assert cli("probe", "--output", str(tmp_path / "no" / "report")).code == 2
        assert machine.options == {}

    @pytest.mark.parametrize("format", ["table", "json", "jsonl"])
    @pytest.mark.parametrize("name", HOSTILE)
    def test_hostile_text_reaches_no_stream(self, cli: Cli, machine: Probing, name: str, format: str) -> None:
        machine.modules, machine.problems = hostile(HOSTILE[name]).modules, hostile(HOSTILE[name]).problems
        result = cli("probe", "-v", "--format", format)
        assert all(character.isprintable() or character == "\n" for character in result.out + result.err)
        assert all(line.startswith("atprobe: ") for line in result.err.splitlines())


class TestScan:
    def test_table(self, cli: Cli, machine: Probing) -> None:
        result = cli("scan")
        assert (result.code, result.err) == (0, "")
        assert [line.split()[2] for line in result.out.splitlines()[1:]] == [
            "/dev/ttyUSB2",
            "/dev/ttyUSB1",
            "/dev/ttyACM0",
        ]
        assert machine.options == {}

    def test_json_is_a_report_without_identities(self, cli: Cli) -> None:
        shown = valid(cli("scan", "--format", "json").out)
        assert [module["device"]["usb"]["vid"] for module in shown["modules"]] == ["2c7c", "2341"]
        for module in shown["modules"]:
            assert module["identity"]["maker"] is None
            assert not any(port["probed"] for port in module["device"]["ports"])
            assert module["timing"]["commands"] == 0

    def test_nothing_attached(self, cli: Cli, machine: Probing) -> None:
        machine.devices = ()
        result = cli("scan")
        assert result.code == 4
        assert result.out == "Nothing is attached that could be a modem.\n"
        assert result.err.startswith("atprobe: nothing is attached that could be a modem. Check the cable")
        assert cli("scan", "--quiet").err == ""

    def test_hostile_descriptors(self, cli: Cli, machine: Probing) -> None:
        machine.devices = tuple(
            replace(MODEM, usb=UsbInfo("2c7c", "0125", text, text, text, text)) for text in HOSTILE.values()
        )
        out = cli("scan").out
        assert all(character.isprintable() or character == "\n" for character in out)
        assert len(out.splitlines()) == 1 + 2 * len(HOSTILE)
