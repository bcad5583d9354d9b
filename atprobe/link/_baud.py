"""Finding a serial line's rate: ask a plain AT at one rate after the other until one answer is a real OK."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Sequence

from atprobe.link.errors import PortError
from atprobe.link.session import Stopped
from atprobe.link.transport import DEFAULT_BAUD, Rated, Transport
from atprobe.model import ProblemKind

RATES = (115200, 9600, 57600, 38400, 19200, 230400, 460800, 921600, 4800, 2400)
"""Rates in bit/s, the likely ones first.

115200 is the fixed default of most modules (Huawei MU509 and MG323 AT manuals, +IPR: "default value: 115200") and
fine with all that find the rate by themselves (+IPR: 0, the default of SIMCom SIM900, Quectel M10 and M35, Siemens
MC55, Multi-Tech EDGE). 9600 is NB-IoT's and what Multi-Tech's MTCMR-H speaks until it is asked something; 57600 is
MC55's second port. The others are what +IPR=? lists in those manuals, 3GPP TS 27.007 and V.250 6.2.10.
"""
FIRST_TRIES, TRIES = 3, 2
"""AT is asked that often at the first rate and at the others: the first one wakes a sleeping module, tells a module
that adapts what the rate is, or ends the rubbish that came of other rates, and is lost."""
TRY_SECONDS = 0.4
QUIET_SECONDS = 0.05
"""Silence after which a found rate's conversation starts clean."""

# A result code on a line of its own; with ATV0 the digit, which rubbish must not be taken for: then it stands alone.
_OK = re.compile(rb"(?:^|[\r\n])OK[\r\n]")
_DIGIT = re.compile(rb"(?:AT\r)?0\r")


def find_rate(transport: Transport, rates: Sequence[int] = RATES, *, stop: threading.Event | None = None) -> int:
    """The rate in bit/s at which the module answers; the transport is left at it, with nothing unread.

    Nothing but AT is sent. Takes TRY_SECONDS for every try at most: 8.4 s for all of `RATES`. A transport whose rate
    cannot be set (a socket, a wwan port) is left alone, and the answer is the usual rate.

    Raises PortError where there was no OK at any rate: silent, or garbled where something else came. Raises Stopped
    where `stop` is set.
    """
    if not isinstance(transport, Rated):
        return DEFAULT_BAUD
    heard = False
    tried: list[int] = []
    for rate in rates:
        try:
            transport.set_baud(rate)
        except ValueError:  # not one of this port's
            continue
        for _ in range(TRIES if tried else FIRST_TRIES):
            transport.write(b"AT\r")
            received = _listen(transport, TRY_SECONDS, stop)
            if _is_ok(received):
                _drain(transport)
                return rate
            heard = heard or bool(received)
        tried.append(rate)
    kind = ProblemKind.GARBLED if heard else ProblemKind.SILENT
    what = "answers AT with rubbish at every rate" if heard else "did not answer AT at any rate"
    hint = f"tried {', '.join(map(str, tried))} bit/s; name another with --baud, and check the wiring"
    raise PortError(kind, transport.path, what, hint)


def _is_ok(received: bytes) -> bool:
    return _OK.search(received) is not None or _DIGIT.fullmatch(received) is not None


def _listen(transport: Transport, seconds: float, stop: threading.Event | None) -> bytes:
    """What arrives within `seconds`, or until it is an OK."""
    received = b""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0 and not _is_ok(received):
        if stop is not None and stop.is_set():
            raise Stopped
        received = (received + transport.read(left))[-4096:]
    return received


def _drain(transport: Transport) -> None:
    for _ in range(16):  # a port that never stops talking must not hold us here
        if not transport.read(QUIET_SECONDS):
            break
