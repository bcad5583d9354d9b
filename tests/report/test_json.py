"""The JSON contract: documents and lines validate, carry exactly the agreed keys, and are inert."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from atprobe.model import Claim, ProblemKind, Report, Role, Strength
from atprobe.report import Format, render, schema
from tests.report.samples import BUILD, EMPTY, HOSTILE, IMEI, PROBLEM, REPORT, hostile

SCHEMA: dict[str, Any] = json.loads(schema())
DOCUMENT = Draft202012Validator(SCHEMA)
LINE = Draft202012Validator({"$defs": SCHEMA["$defs"], "$ref": "#/$defs/line"})

SURFACE = {
    "id": "lwm2m",
    "title": "LwM2M client",
    "kind": "lwm2m",
    "reach": "carrier",
    "state": "on",
    "answer": "+QLWCFG: 1",
    "means": None,
    "switch": {
        "commands": ["AT+X=0"],
        "effect": "off",
        "leaves": None,
        "risk": "telemetry",
        "persistent": "yes",
        "reboot": "no",
        "confidence": "documented",
        "source": "a manual",
        "automated": True,
        "opt_in": False,
    },
    "advice": None,
}
FINDING = {"rule": "no-lwm2m", "severity": "warning", "message": "on", "mitigation": None, "waived": False}


def document(report: Report) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(render(report, Format.JSON))
    return loaded


def lines(report: Report) -> list[dict[str, Any]]:
    return [json.loads(line) for line in render(report, Format.JSONL).splitlines()]


class TestDocument:
    def test_keys_are_those_of_the_contract(self) -> None:
        shown = document(REPORT)
        assert list(shown) == ["schema", "tool", "host", "started", "finished", "modules", "problems"]
        assert shown["schema"] == "atprobe.report/1"
        assert shown["tool"] == {"version": "0.1.0", "profiles": "0123456789ab"}
        assert shown["host"] == {"system": "Linux", "name": "gateway"}
        module = shown["modules"][0]
        assert module == {
            "device": {
                "bus": "usb",
                "usb": {
                    "vid": "2c7c",
                    "pid": "0125",
                    "manufacturer": "Quectel",
                    "product": "EC25-E",
                    "serial": None,
                    "path": "1-1.2",
                    "interfaces": [
                        {"number": 2, "class": "ff", "subclass": "00", "protocol": "00", "driver": "option"}
                    ],
                },
                "pci": None,
                "modem": True,
                "ports": [
                    {"path": "/dev/ttyUSB2", "role": "at", "interface": 2, "driver": "option", "probed": True},
                    {"path": "/dev/ttyUSB1", "role": "gnss", "interface": 1, "driver": "option", "probed": False},
                ],
            },
            "identity": {
                "maker": "quectel",
                "brand": "quectel",
                "model": "EC25",
                "variant": "EC25-E",
                "firmware": "EC25EFAR06A06M4G",
                "build": BUILD,
                "hardware": None,
                "imei": IMEI,
                "confidence": 0.97,
                "conflicts": [],
                "evidence": [
                    {
                        "claim": "maker",
                        "value": "quectel",
                        "strength": "decisive",
                        "source": "AT+QGMR",
                        "text": BUILD,
                    }
                ],
            },
            "surfaces": [],
            "findings": [],
            "timing": {"seconds": 0.346, "commands": 7, "module_seconds": 0.25},
        }
        assert shown["problems"] == [
            {"port": "/dev/ttyUSB9", "kind": "missing", "message": "no such port", "hint": "check the cable"}
        ]

    @pytest.mark.parametrize("report", [REPORT, EMPTY], ids=["full", "empty"])
    def test_reports_validate(self, report: Report) -> None:
        DOCUMENT.validate(document(report))

    @pytest.mark.parametrize("kind", ProblemKind)
    def test_every_kind_of_problem_validates(self, kind: ProblemKind) -> None:
        DOCUMENT.validate(document(replace(EMPTY, problems=(replace(PROBLEM, kind=kind),))))

    def test_a_confidence_that_is_no_number_is_an_error_and_no_json(self) -> None:
        module = REPORT.modules[0]
        broken = replace(module, identity=replace(module.identity, confidence=float("nan")))
        with pytest.raises(ValueError):
            render(replace(REPORT, modules=(broken,)), Format.JSON)


class TestLines:
    def test_a_line_for_each_module_and_each_problem(self) -> None:
        shown = lines(REPORT)
        assert ["problem" in line for line in shown] == [False, False, False, True]
        assert all(line.pop("schema") == "atprobe.report/1" for line in shown)
        assert shown[:3] == document(REPORT)["modules"]
        assert shown[3]["problem"] == document(REPORT)["problems"][0]

    def test_lines_validate(self) -> None:
        for line in lines(REPORT):
            LINE.validate(line)

    def test_nothing_found_is_no_line(self) -> None:
        assert render(EMPTY, Format.JSONL) == ""


class TestHostileText:
    @pytest.mark.parametrize("name", HOSTILE)
    @pytest.mark.parametrize("format", [Format.JSON, Format.JSONL])
    def test_output_is_printable_ascii(self, name: str, format: Format) -> None:
        text = render(hostile(HOSTILE[name]), format)
        assert all(" " <= character <= "~" or character == "\n" for character in text)

    @pytest.mark.parametrize("name", HOSTILE)
    def test_the_exact_text_is_kept(self, name: str) -> None:
        shown = document(hostile(HOSTILE[name]))
        DOCUMENT.validate(shown)
        identity = shown["modules"][0]["identity"]
        assert identity["firmware"] == identity["evidence"][0]["text"] == HOSTILE[name]
        assert shown["problems"][0]["message"] == HOSTILE[name]

    @pytest.mark.parametrize("name", HOSTILE)
    def test_it_cannot_add_a_line(self, name: str) -> None:
        report = hostile(HOSTILE[name])
        shown = lines(report)
        assert len(shown) == len(report.modules) + len(report.problems)
        for line in shown:
            LINE.validate(line)


class TestSchema:
    def test_it_is_a_schema(self) -> None:
        Draft202012Validator.check_schema(SCHEMA)
        assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"

    @pytest.mark.parametrize(
        ("place", "words"),
        [
            (SCHEMA["$defs"]["device"]["properties"]["ports"]["items"]["properties"]["role"], Role),
            (SCHEMA["$defs"]["identity"]["properties"]["evidence"]["items"]["properties"]["claim"], Claim),
            (SCHEMA["$defs"]["identity"]["properties"]["evidence"]["items"]["properties"]["strength"], Strength),
            (SCHEMA["$defs"]["problem"]["properties"]["kind"], ProblemKind),
        ],
        ids=["role", "claim", "strength", "kind"],
    )
    def test_its_words_are_those_of_the_model(self, place: dict[str, list[str]], words: type[Role]) -> None:
        assert place["enum"] == [word.value for word in words]

    def test_surfaces_and_findings_have_their_shapes(self) -> None:
        shown = document(REPORT)
        shown["modules"][0]["surfaces"] = [SURFACE, {**SURFACE, "switch": None, "answer": None}]
        shown["modules"][0]["findings"] = [FINDING]
        DOCUMENT.validate(shown)

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda d: d.pop("host"),
            lambda d: d.update(schema="atprobe.report/2"),
            lambda d: d.update(more=1),
            lambda d: d.update(started="yesterday"),
            lambda d: d["tool"].pop("profiles"),
            lambda d: d["modules"][0].update(more=1),
            lambda d: d["modules"][0].pop("surfaces"),
            lambda d: d["modules"][0]["device"].update(bus="usb3"),
            lambda d: d["modules"][0]["device"]["usb"].update(vid="2C7C"),
            lambda d: d["modules"][0]["device"]["ports"][0].update(role="modem"),
            lambda d: d["modules"][0]["identity"].pop("hardware"),
            lambda d: d["modules"][0]["identity"].update(maker="Quectel Wireless"),
            lambda d: d["modules"][0]["identity"].update(confidence=1.1),
            lambda d: d["modules"][0]["identity"]["evidence"][0].update(strength="certain"),
            lambda d: d["modules"][0]["surfaces"].append({**SURFACE, "state": "maybe"}),
            lambda d: d["modules"][0]["surfaces"].append({**SURFACE, "reach": "everyone"}),
            lambda d: d["modules"][0]["surfaces"].append({k: v for k, v in SURFACE.items() if k != "switch"}),
            lambda d: d["modules"][0]["findings"].append({**FINDING, "waived": "yes"}),
            lambda d: d["modules"][0]["timing"].update(commands=1.5),
            lambda d: d["problems"][0].update(kind="odd"),
        ],
    )
    def test_what_breaks_the_contract_is_refused(self, spoil: Callable[[dict[str, Any]], object]) -> None:
        spoiled = copy.deepcopy(document(REPORT))
        spoil(spoiled)
        with pytest.raises(ValidationError):
            DOCUMENT.validate(spoiled)

    @pytest.mark.parametrize("key", ["schema", "identity"])
    def test_a_line_without_a_part_is_refused(self, key: str) -> None:
        line = lines(REPORT)[0]
        del line[key]
        with pytest.raises(ValidationError):
            LINE.validate(line)
