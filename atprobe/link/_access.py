"""Being let in: ModemManager asked to stand aside, holders known, ports opened at their rate."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from atprobe.link._baud import find_rate
from atprobe.link._holders import Holder, holders
from atprobe.link._modemmanager import Clearance, stand_aside
from atprobe.link.errors import PortError
from atprobe.link.session import Stopped
from atprobe.link.transport import DEFAULT_BAUD, Transport, open_port
from atprobe.model import Device


@dataclass(frozen=True, slots=True)
class Access:
    """Who may be opened, for as long as the block of `access` lasts. `stop` ends what is being waited for."""

    clearance: Clearance
    held: Mapping[str, Collection[Holder]]
    asked: frozenset[str]
    """The paths whose holders are in `held`; a port that came later has none there."""
    baud: int | None
    stop: threading.Event

    def open(self, device: Device, path: str) -> Transport:
        """The port, open, claimed and at its rate. Raises Stopped and PortError; then it is closed."""
        if self.stop.is_set():
            raise Stopped
        if (problem := self.clearance.problem(device, path)) is not None:
            raise PortError(problem.kind, path, problem.message, problem.hint)
        held = self.held if path in self.asked else None
        transport = open_port(path, DEFAULT_BAUD if self.baud is None else self.baud, held=held)
        if self.baud is None:
            try:
                find_rate(transport, stop=self.stop)
            except BaseException:
                transport.close()
                raise
        return transport


@contextmanager
def access(
    devices: Sequence[Device],
    paths: Sequence[str],
    *,
    baud: int | None = DEFAULT_BAUD,
    inhibit: bool = True,
    stop: threading.Event | None = None,
) -> Iterator[Access]:
    """Inside, ModemManager leaves `devices` alone (see `stand_aside`), and their ports at `paths` can be opened.

    `baud`: line rate in bit/s for real serial lines; None finds it.
    """
    stop = stop or threading.Event()
    with stand_aside(devices, inhibit=inhibit, stop=stop) as clearance:
        yield Access(clearance, holders(paths), frozenset(paths), baud, stop)
