"""Find the cellular modules attached to a machine and say who they really are.

`scan()` lists what is attached and opens nothing. `probe()` asks each module over its AT port.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atprobe.model import Device, Report

    __version__: str

__all__ = ["__version__", "probe", "scan"]


def scan() -> tuple[Device, ...]:
    """What is attached to this machine, from the bus alone. Opens nothing."""
    from atprobe import discover

    return discover.scan()


def probe(
    *ports: str,
    usb: Iterable[tuple[str, str]] = (),
    everything: bool = False,
    timeout: float = 3.0,
    baud: int | None = 115200,
    inhibit: bool = True,
) -> Report:
    """Ask the attached modules who they are; sends reading commands only.

    `ports`: paths or URLs to ask; without any, the AT port of every known modem. `usb`: vendor and product ids
    (four lower-case hex digits each) to narrow that to; `everything`: also ports of unknown role. `timeout`:
    seconds a module may take for one answer. `baud`: line rate in bit/s for real serial lines; None finds it.
    `inhibit`: ask ModemManager to leave its devices alone meanwhile; otherwise they are not opened.

    What goes wrong with a port is in the report's `problems`. Raises `atprobe.knowledge.ProfileError` where the
    profiles cannot be used.
    """
    from atprobe import discover, fingerprint, knowledge, report

    known = knowledge.load()
    choices = discover.select(discover.scan(), ports=ports, usb=tuple(usb), everything=everything)
    started = report.now()
    targets = [fingerprint.Target(*choice) for choice in choices]
    outcome = fingerprint.probe(targets, known, timeout=timeout, baud=baud, inhibit=inhibit)
    return report.make(outcome.modules, outcome.problems, started, known.version)


def __getattr__(name: str) -> str:
    # Reading the version costs more than all other imports of a short run.
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("atprobe")
        except PackageNotFoundError:  # run from a source tree that was never installed
            return "0+unknown"
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
