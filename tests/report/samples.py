"""Reports to print: a plain one, and one in which every text is hostile."""

from __future__ import annotations

from dataclasses import replace

from atprobe.model import (
    Claim,
    Device,
    Evidence,
    Identity,
    Module,
    Port,
    Problem,
    ProblemKind,
    Report,
    Role,
    Strength,
    Timing,
    UsbInfo,
    UsbInterface,
)

BUILD = "EC25EFAR06A06M4G_01.002.01.002"
IMEI = "490154200000000"

EVIDENCE = Evidence(Claim.MAKER, "quectel", Strength.DECISIVE, "AT+QGMR", BUILD, "quectel", True)
DEVICE = Device(
    "usb",
    (
        Port("/dev/ttyUSB2", Role.AT, 2, "option", True),
        Port("/dev/ttyUSB1", Role.GNSS, 1, "option"),
    ),
    UsbInfo("2c7c", "0125", "Quectel", "EC25-E", None, "1-1.2", (UsbInterface(2, "ff", "00", "00", "option"),)),
    modem=True,
)
IDENTITY = Identity(
    "quectel", "quectel", "EC25", "EC25-E", "EC25EFAR06A06M4G", BUILD, None, IMEI, 0.97, (), (EVIDENCE,)
)
MODULE = Module(DEVICE, IDENTITY, Timing(0.3456789, 7, 0.25))
REBADGE = Module(
    Device("uart", (Port("/dev/ttyS1", probed=True),)),
    Identity("quectel", "dji", "QDC507", firmware="QDC507GLEFM21", confidence=0.8, conflicts=("it calls itself DJI",)),
    Timing(1.0, 3, 0.5),
)
UNKNOWN = Module(Device("url", (Port("socket://192.0.2.7:2001", probed=True),)), Identity(), Timing(0.0, 0, 0.0))
PROBLEM = Problem("/dev/ttyUSB9", ProblemKind.MISSING, "no such port", "check the cable")
REPORT = Report(
    (MODULE, REBADGE, UNKNOWN),
    (PROBLEM,),
    "2026-11-24T12:00:00.000Z",
    "2026-11-24T12:00:02.500Z",
    "0.1.0",
    "0123456789ab",
    {"system": "Linux", "name": "gateway"},
)
EMPTY = replace(REPORT, modules=(), problems=())

HOSTILE = {
    "ansi": "\x1b[31mred\x1b[0m\x1b]0;title\x07\x1b[2J",
    "c1": "\x9b31mred\x90q",
    "delete": "ab\x7f\x08c",
    "bidi": "abc\u202egnp.exe\u2066\u200f\u061c",
    "zero-width": "EC\u200b25\ufeff\u2060",
    "marks": "E" + "\u0301\u0336" * 40,
    "script": "<script>alert(1)</script>",
    "line-ends": "one\ntwo\r\nthree\x0bfour\x85five\u2028six\u2029",
    "quotes": "\"quoted\" 'single' `back` \\ \\x1b",
    "nul": "a\0b",
    "surrogate": "a\ud800b",
    "tags": "a\U000e0041b",
    "markup": "[bold red]x[/] [link=http://192.0.2.1]y[/link] :warning:",
    "formula": "=cmd|' /C calc'!A0",
    "long": "x" * 100_000,
    "long escapes": "\x1b" * 100_000,
}


def hostile(text: str) -> Report:
    """A report in which everything a module, a bus or an error can say is `text`."""
    evidence = Evidence(Claim.FIRMWARE, text, Strength.WEAK, text, text)
    device = Device("usb", (Port(text, Role.AT, 0, text, True),), UsbInfo("2c7c", "0125", text, text, text, text))
    identity = Identity("quectel", "dji", text, text, text, text, text, text, 0.5, (text, text), (evidence,))
    return replace(
        REPORT,
        modules=(Module(device, identity, Timing(0.1, 1, 0.1)), MODULE),
        problems=(Problem(text, ProblemKind.GARBLED, text, text), PROBLEM),
    )
