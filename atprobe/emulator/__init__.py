"""Modules for those who have none: real transcripts, played on ptys or TCP ports.

`Player` is the module without any I/O, `Emulator` the thread that gives players a port::

    with Emulator([Spec(transcript), Spec(transcript, faults=frozenset({Fault.LATE}), tcp=0)]) as emulator:
        probe(emulator.ports)

A `Memory` gives a player settings that can be written, kept, and forgotten, and `Trouble` with that.
"""

from atprobe.emulator.memory import End, Memory, Reply, Trouble
from atprobe.emulator.player import Fault, Output, Player
from atprobe.emulator.server import Emulator, Spec

__all__ = ["Emulator", "End", "Fault", "Memory", "Output", "Player", "Reply", "Spec", "Trouble"]
