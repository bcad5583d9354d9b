"""Final result codes: how a module says that it has finished.

V.250 table 1 (verbose and numeric), 3GPP TS 27.007 clause 9.1 (+CME ERROR), TS 27.005 (+CMS ERROR), and the
few sentences that makers use in their place.
"""

from __future__ import annotations

import re

_VERBOSE = re.compile(
    r"OK"
    r"|ERROR(?:\s*:.*)?"
    r"|\+?[A-Z]{1,4} ERROR(?:\s*:.*)?"  # +CME, +CMS, +EXT; `+CME Error:` is real (Sierra MC7700)
    r"|COMMAND NOT SUPPORT(?:ED)?"  # Huawei E1752
    r"|TOO MANY PARAMETERS"  # Huawei
    r"|NOT SUPPORTED",
    re.I,
)
# These end a dialled call (V.250 6.3); on any other command line they report a call that is not ours.
_CALL = re.compile(r"NO CARRIER|NO DIAL ?TONE|BUSY|NO ANSWER|CONNECT(?: .*)?", re.I)
_DIALS = re.compile(r"AT[DAO]", re.I)
_NUMERIC = {"0": "OK", "3": "NO CARRIER", "4": "ERROR", "6": "NO DIALTONE", "7": "BUSY", "8": "NO ANSWER"}


def is_final(line: str, numeric: bool, command: str | None) -> bool:
    """Whether this line ends the reply to `command`.

    `numeric` says that the line was one digit closed by a bare CR, the form of a result code under V0.
    """
    if numeric:
        return line in _NUMERIC
    if _VERBOSE.fullmatch(line):
        return True
    return bool(_CALL.fullmatch(line)) and command is not None and bool(_DIALS.match(command))
