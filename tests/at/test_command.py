"""Command lines: spelling, parts and forms."""

import pytest

from atprobe.at import Form, names, normalise, split


@pytest.mark.parametrize(
    ("command", "spelling"),
    [
        ("at+cgmm", "AT+CGMM"),
        (" AT + CGMM ? \r", "AT+CGMM?"),
        ('at+qcfg="nat mode"', 'AT+QCFG="nat mode"'),
        ("ATi9", "ATI9"),
    ],
)
def test_one_spelling(command: str, spelling: str) -> None:
    assert normalise(command) == spelling


@pytest.mark.parametrize(
    ("command", "parts"),
    [
        ("ATI", (("I", Form.BASIC),)),
        ("ATE0", (("E0", Form.BASIC),)),
        ("AT&F", (("&F", Form.BASIC),)),
        ("AT+CGMM", (("+CGMM", Form.EXECUTE),)),
        ("AT#SWPKGV", (("#SWPKGV", Form.EXECUTE),)),
        ("AT!GSTATUS?", (("!GSTATUS", Form.READ),)),
        ("AT^SCFG=?", (("^SCFG", Form.TEST),)),
        ("AT+CGSN=1", (("+CGSN", Form.SET),)),
        ("ATI;+CGMM?", (("I", Form.BASIC), ("+CGMM", Form.READ))),
        ('AT+X="a;b";+Y', (("+X", Form.SET), ("+Y", Form.EXECUTE))),
        ("hello", ()),
        ("AT", ()),
    ],
)
def test_parts(command: str, parts: tuple[tuple[str, Form], ...]) -> None:
    assert split(command) == parts


def test_names_are_those_an_answer_carries() -> None:
    assert names("ATI;+CGMM;+qgmr") == {"+CGMM", "+QGMR"}
