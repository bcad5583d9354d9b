"""Which words of a reply are a manufacturer, a model, a revision, an IMEI."""

import pytest

from atprobe.fingerprint._extract import Kind, observe, values
from atprobe.knowledge import Command
from atprobe.knowledge._types import Reads
from atprobe.model import Reply


def seen(reads: Reads, *lines: str, final: str | None = "OK") -> list[tuple[str, str]]:
    command = Command("AT+X", frozenset(), reads)
    return [(o.kind.value, o.text) for o in observe(command, Reply("AT+X", lines, final)) if o.kind is not Kind.LINE]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("EC25", ["EC25"]),
        ("+CGMM: EC25", ["EC25"]),
        ('+CGMM: "FM350-GL"', ["FM350-GL"]),
        ("#CGMM: GL865-QUAD", ["GL865-QUAD"]),
        ('+GMM: "L850 LTE Module","L850"', ["L850 LTE Module", "L850"]),
        ('"E2"', ["E2"]),
        ("+CSUB: V01", ["+CSUB: V01"]),
    ],
)
def test_a_value_bare_prefixed_or_quoted(line: str, expected: list[str]) -> None:
    assert values(line) == expected


def test_labelled_identity() -> None:
    assert seen(
        "identity",
        "Manufacturer: Sierra Wireless, Incorporated",
        "Model: MC7304",
        "Revision: SWI9X15C_05.05.58.00 r27038",
        "IMEI: 490154200000000",
        "IMEI SV: 12",
        "FSN: 00000000000000",
        "+GCAP: +CGSM",
    ) == [
        ("manufacturer", "Sierra Wireless, Incorporated"),
        ("model", "MC7304"),
        ("revision", "SWI9X15C_05.05.58.00 r27038"),
        ("imei", "490154200000000"),
    ]


def test_bare_identity_with_a_stray_echo() -> None:
    assert seen("identity", "Quectel_Ltd", "Quectel_M26", "Revision: M26FBR03A03-TTS", "ATH") == [
        ("revision", "M26FBR03A03-TTS"),
        ("bare", "Quectel_Ltd"),
        ("bare", "Quectel_M26"),
    ]


def test_identity_joined_on_one_line() -> None:
    assert seen("identity", "ati Quectel EM06 Revision: EM06ELAR03A08M4G OK", final=None) == [
        ("manufacturer", "Quectel"),
        ("model", "EM06"),
        ("revision", "EM06ELAR03A08M4G"),
    ]


def test_names_nested_in_values() -> None:
    assert ("model", "HSPA MODEM") in seen("identity", "Model: +CGMM:HSPA MODEM")
    assert ("imei", "490154200000000") in seen("identity", "IMEI: +CGSN:490154200000000")


def test_imei_only_where_fifteen_digits_stand_alone() -> None:
    assert seen("imei", '+CGSN: "490154200000000"') == [("imei", "490154200000000")]
    assert seen("imei", "490154200000000,QL4A5C73PR") == [("imei", "490154200000000")]
    assert seen("imei", "4901542000000001", "0x3B0C4B98", "86170**********") == []


def test_an_error_says_nothing() -> None:
    assert seen("model", "EC25", final="ERROR") == []


def test_what_is_labelled_stands_though_an_error_ends_the_answer() -> None:
    """A Sierra USB 305 answers ATI5 in full and then says ERROR."""
    lines = ("Manufacturer: Sierra Wireless, Inc.", "something else")
    reply = Reply("ATI", lines, "ERROR")
    command = Command("ATI", frozenset(), "identity")
    found = [(o.kind, o.text) for o in observe(command, reply)]
    assert (Kind.MANUFACTURER, "Sierra Wireless, Inc.") in found
    assert all("something" not in text for _, text in found)


def test_a_spoiled_echo_says_nothing() -> None:
    command = Command("AT!IMPREF?", frozenset())
    assert observe(command, Reply("AT!IMPREF?", ("AT!IMPREF\x1f", "!IMPREF:"), "OK"))[0].text == "!IMPREF:"


def test_labelled_parts_on_one_line_are_taken_apart() -> None:
    line = "Manufacturer: SIMCOM INCORPORATED Model: A7680C-LANS Revision: V11.0.01 IMEI: 490154200000000 +GCAP: +CGSM"
    assert seen("identity", line) == [
        ("manufacturer", "SIMCOM INCORPORATED"),
        ("model", "A7680C-LANS"),
        ("revision", "V11.0.01"),
        ("imei", "490154200000000"),
    ]


def test_what_is_labelled_in_a_further_ati_is_read_as_in_the_first() -> None:
    command = Command("ATI1", frozenset())
    found = observe(command, Reply("ATI1", ("Manufacturer: Novatel Wireless", "MC950D", "Model: MC950D"), "OK"))
    assert [(o.kind, o.text) for o in found if o.kind is not Kind.LINE] == [
        (Kind.MANUFACTURER, "Novatel Wireless"),
        (Kind.MODEL, "MC950D"),
    ]
