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
    from atprobe import discover, knowledge

    return discover.scan(knowledge.load()).devices


def probe(
    *ports: str,
    usb: Iterable[tuple[str, str]] = (),
    everything: bool = False,
    usb_direct: bool = False,
    timeout: float = 3.0,
    baud: int | None = 115200,
    inhibit: bool = True,
    surfaces: bool = True,
) -> Report:
    """Ask the attached modules who they are and what can change them from afar; sends reading commands only.

    `ports`: paths or URLs to ask; without any, the AT port of every known modem. `usb`: vendor and product ids
    (four lower-case hex digits each) to narrow that to; `everything`: also ports of unknown role; `usb_direct`:
    also modems that no kernel driver is bound to. `timeout`: seconds a module may take for one answer. `baud`:
    line rate in bit/s for real serial lines; None finds it. `inhibit`: ask ModemManager to leave its devices alone
    meanwhile; otherwise they are not opened. `surfaces`: ask for the state of the remote-update features too.

    What goes wrong with a port is in the report's `problems`. Raises `atprobe.knowledge.ProfileError` where the
    profiles cannot be used.
    """
    from atprobe import discover, fingerprint, knowledge, report

    known = knowledge.load()
    started = report.now()
    devices = discover.scan(known).devices
    choices = discover.select(devices, ports=ports, usb=tuple(usb), everything=everything, usb_direct=usb_direct)
    targets = [fingerprint.Target(*choice) for choice in choices]
    outcome = fingerprint.probe(targets, known, timeout=timeout, baud=baud, inhibit=inhibit, surfaces=surfaces)
    problems = (*discover.obstacles(choices, known), *outcome.problems)
    return report.make(outcome.modules, problems, started, known.version)


def __getattr__(name: str) -> str:
    # Reading the version costs more than all other imports of a short run.
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("atprobe")
        except PackageNotFoundError:  # run from a source tree that was never installed
            return "0+unknown"
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
