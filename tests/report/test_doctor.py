"""A checkup as text."""

from __future__ import annotations

import json

from atprobe.doctor import Checkup, Complaint, Gravity, Kind, Patient
from atprobe.model import Device, Port, Role, UsbInfo
from atprobe.report import Format
from atprobe.report.doctor import render

DEVICE = Device(
    "usb", (Port("/dev/ttyUSB2", Role.AT, 2, "option"),), UsbInfo("2c7c", "0125", "Quectel\x1b[2J", path="1-1")
)
PERMISSION = Complaint(
    Kind.PERMISSION,
    Gravity.STOPS,
    "bob may not open it",
    "bob is not in its group",
    "sudo usermod -aG dialout bob",
    "log in again",
    ("/dev/ttyUSB2",),
)
POWER = Complaint(Kind.OVER_CURRENT, Gravity.NOTE, "a port was cut off", "it draws too much", None, "use a hub")
ILL = Checkup((Patient(DEVICE, ("/dev/ttyUSB2",), (PERMISSION,)),), (POWER,), ("something is not seen",))
WELL = Checkup((Patient(DEVICE, ("/dev/ttyUSB2",), ()),))


def test_for_people() -> None:
    assert render(ILL, Format.TABLE).splitlines() == [
        r"usb 1-1  2c7c:0125 Quectel\x1b[2J  /dev/ttyUSB2: cannot be probed as it is",
        "  stops: /dev/ttyUSB2: bob may not open it",
        "    why:  bob is not in its group",
        "    fix:  sudo usermod -aG dialout bob",
        "    then: log in again",
        "this machine:",
        "  note: a port was cut off",
        "    why:  it draws too much",
        "    fix:  use a hub",
        "not seen from here:",
        "  something is not seen",
    ]
    assert render(WELL, Format.TABLE) == r"usb 1-1  2c7c:0125 Quectel\x1b[2J  /dev/ttyUSB2: ok" + "\n"


def test_a_long_command_is_shown_whole() -> None:
    fix = "sudo rm " + "x" * 700
    long = Checkup((), (Complaint(Kind.LOCKED, Gravity.NOTE, "a", "b", fix),))
    assert f"    fix:  {fix}\n" in render(long, Format.TABLE)


def test_json() -> None:
    document = json.loads(render(ILL, Format.JSON))
    assert document == {
        "schema": "atprobe.doctor/1",
        "devices": [
            {
                "bus": "usb",
                "place": "usb 1-1",
                "name": "2c7c:0125 Quectel\x1b[2J",
                "modem": False,
                "ports": ["/dev/ttyUSB2"],
                "ok": False,
                "complaints": [
                    {
                        "kind": "permission",
                        "gravity": "stops",
                        "places": ["/dev/ttyUSB2"],
                        "what": "bob may not open it",
                        "why": "bob is not in its group",
                        "fix": "sudo usermod -aG dialout bob",
                        "then": "log in again",
                    }
                ],
            }
        ],
        "host": [
            {
                "kind": "over-current",
                "gravity": "note",
                "places": [],
                "what": "a port was cut off",
                "why": "it draws too much",
                "fix": None,
                "then": "use a hub",
            }
        ],
        "limits": ["something is not seen"],
    }


def test_jsonl() -> None:
    lines = [json.loads(line) for line in render(ILL, Format.JSONL).splitlines()]
    document = json.loads(render(ILL, Format.JSON))
    schema = {"schema": "atprobe.doctor/1"}
    assert lines == [{**schema, **document["devices"][0]}, {**schema, "complaint": document["host"][0]}]
