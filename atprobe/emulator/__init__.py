"""Modules for those who have none: real transcripts, played on ptys or TCP ports.

`Player` is the module without any I/O, `Emulator` the thread that gives players a port::

    with Emulator([Spec(transcript), Spec(transcript, faults=frozenset({Fault.LATE}), tcp=0)]) as emulator:
        probe(emulator.ports)
"""

from atprobe.emulator.player import Fault, Output, Player
from atprobe.emulator.server import Emulator, Spec

__all__ = ["Emulator", "Fault", "Output", "Player", "Spec"]
