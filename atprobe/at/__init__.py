"""The language on the wire (ITU-T V.250, 3GPP TS 27.007), as a sans-I/O codec: no I/O, no clock, no makers."""

from atprobe.at._command import Form, names, normalise, spelled, split
from atprobe.at._conversation import Completed, Conversation, Event, Stray, carries
from atprobe.at._lines import MAX_LINE

__all__ = [
    "MAX_LINE",
    "Completed",
    "Conversation",
    "Event",
    "Form",
    "Stray",
    "carries",
    "names",
    "normalise",
    "spelled",
    "split",
]
