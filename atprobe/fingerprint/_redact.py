"""Taking out of a recording what names a person or one unit, so that it can be shared."""

from __future__ import annotations

import re

from atprobe.model import is_imei

_UCS2 = r"(?:00[2-7][0-9A-F]){3,}(?![0-9A-Za-z])"
"""Text in the character set UCS2 (27.007 5.5): four hexadecimal digits a character."""

_IDENTIFIER = re.compile(rf"(?<![0-9A-Za-z])(?!{_UCS2})([0-9]{{14,22}})([A-F]?)(?![0-9A-Za-z])")
"""IMEI, IMEISV, IMSI, ICCID (which may end in a filler F), decimal MEID."""

_UCS2_IDENTIFIER = re.compile(r"(?<![0-9A-Za-z])(?:003[0-9]){14,22}(?![0-9A-Za-z])")

_NUMBER = re.compile(r"(?<![0-9A-Za-z.,])\+[0-9]{7,15}(?![0-9.])|(?<=\")[0-9]{7,15}(?=\", ?1[0-9]{2}\b)")
"""A phone number: with the +, or in quotes before its type of address (27.007: 129, 145, ...)."""

_LABELLED = re.compile(
    r"(\b(?:p?ESN|MEID|FSN|S/?N|UE ?ID|EID|Serial(?: ?(?:Number|No))?\.?)\s*[:=]\s*\"?)([0-9A-Za-z-]{6,40})", re.I
)
_SERIAL_ANSWER = re.compile(r"([+#^%$*!][A-Z]{0,4}(?:CCID|CIMI|CNUM|FSN)\s*:[^\r\n0-9A-F]*)([0-9A-F]{6,40})")
"""The answer to whatever a maker calls its question for ICCID, IMSI, own number or factory serial number."""


def without_identifiers(text: str) -> str:
    """The text with the numbers that name a person or one unit replaced.

    An IMEI keeps its type allocation code and gets zeros and a new check digit; IMSI, ICCID, MEID, ESN, serial
    numbers and phone numbers become zeros of the same length.
    """
    text = _LABELLED.sub(lambda found: found[1] + _zeros(found[2]), text)
    text = _SERIAL_ANSWER.sub(lambda found: found[1] + _zeros(found[2]), text)
    text = _IDENTIFIER.sub(lambda found: _hidden(found[1]) + found[2], text)
    text = _UCS2_IDENTIFIER.sub(lambda found: "0030" * (len(found[0]) // 4), text)
    return _NUMBER.sub(lambda found: _zeros(found[0]), text)


def _hidden(digits: str) -> str:
    return synthetic_imei(digits[:8]) if is_imei(digits) else _zeros(digits)


def _zeros(text: str) -> str:
    return re.sub(r"[0-9A-Za-z]", "0", text)


def synthetic_imei(tac: str) -> str:
    """The IMEI of no unit: a type allocation code, zeros and the check digit (3GPP TS 23.003 annex B)."""
    return next(f"{tac}000000{check}" for check in range(10) if is_imei(f"{tac}000000{check}"))
