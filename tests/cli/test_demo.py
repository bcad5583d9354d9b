"""`atprobe demo` and `atprobe probe` end to end, on emulated modules."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator

from atprobe import report
from atprobe.cli import demo
from atprobe.cli.emulate import find
from atprobe.emulator import Emulator, Fault, Spec
from tests.cli.conftest import Cli, Probing, on_a_terminal
from tests.report.samples import MODULE, PROBLEM


class TestDemo:
    def test_it_shows_every_module_and_why_two_ports_do_not_work(self, cli: Cli) -> None:
        result = cli("demo", "--format", "json")
        assert result.code == 0
        shown = json.loads(result.out)
        Draft202012Validator(json.loads(report.schema())).validate(shown)
        truths = [find(name).truth for name in demo.MODULES]
        identities = [module["identity"] for module in shown["modules"]]
        assert [identity["maker"] for identity in identities] == [truth.maker for truth in truths]
        assert [problem["kind"] for problem in shown["problems"]] == ["silent", "nmea"]
        assert (
            "atprobe: this was a demo: 14 recordings of real modules, whose settings of remote update are made up, "
            "and 2 ports that cannot work\n" in result.err
        )
        states = {surface["state"] for module in shown["modules"] for surface in module["surfaces"]}
        assert {"on", "unknown"} <= states

    def test_its_modules_are_varied(self) -> None:
        truths = [find(name).truth for name in demo.MODULES]
        makers = {"quectel", "fibocom", "simcom", "telit", "cinterion", "sierra", "ublox", "huawei"}
        assert makers <= {truth.maker for truth in truths}
        assert any(truth.brand != truth.maker for truth in truths)

    def test_a_module_that_is_missing_is_not_a_success(self, cli: Cli, machine: Probing) -> None:
        machine.modules, machine.problems = (MODULE,), (PROBLEM,)
        result = cli("demo")
        assert result.code == 3
        assert "this was a demo" not in result.err


class TestProbe:
    def test_modules_and_problems(self, cli: Cli) -> None:
        name = "quectel/quectel-em06-a-bytes-037"
        specs = [Spec(find(name)), Spec(find(name), tcp=0), Spec(find(name), faults=frozenset({Fault.DIAG}))]
        with Emulator(specs) as emulator:
            ports = [argument for port in emulator.ports for argument in ("--port", port)]
            result = cli("probe", *ports, "--port", "/dev/no-such-port", "--format", "jsonl")
        assert result.code == 3
        lines = [json.loads(line) for line in result.out.splitlines()]
        assert [line["identity"]["firmware"] for line in lines[:2]] == ["EM06ALAR03A05M4G"] * 2
        assert [line["device"]["bus"] for line in lines[:2]] == ["uart", "url"]
        assert [line["device"]["ports"][0]["probed"] for line in lines[:2]] == [True, True]
        assert [line["problem"]["kind"] for line in lines[2:]] == ["binary", "missing"]
        assert "atprobe: /dev/no-such-port: no such port. Check the cable" in result.err


class TestTerminal:
    def test_colour_on_a_terminal(self) -> None:
        code, shown = on_a_terminal("profiles", "list")
        assert code == 0
        assert "\x1b[1m" in shown

    @pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=["NO_COLOR", "dumb"])
    def test_no_colour_where_it_is_not_wanted(self, environment: dict[str, str]) -> None:
        code, shown = on_a_terminal("profiles", "list", **environment)
        assert code == 0
        assert "quectel" in shown
        assert "\x1b" not in shown

    def test_machine_formats_are_the_same_on_a_terminal(self) -> None:
        code, shown = on_a_terminal("profiles", "list", "--format", "json")
        assert code == 0
        assert json.loads(shown)["schema"] == "atprobe.profiles/1"

    def test_progress_on_a_terminal_only_and_not_when_quiet(self) -> None:
        arguments = ["probe", "--port", "/dev/no-such-port"]
        code, shown = on_a_terminal(*arguments, stream="stderr")
        assert code == 3
        assert "\r1 of 1 ports done" in shown
        assert shown.endswith("\r" + " " * len("1 of 1 ports done") + "\r")
        assert on_a_terminal(*arguments, "--quiet", stream="stderr") == (3, "")

    def test_no_progress_elsewhere(self, cli: Cli) -> None:
        assert "ports done" not in cli("probe", "--port", "/dev/no-such-port").err
