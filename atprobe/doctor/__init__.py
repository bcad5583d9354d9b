"""What stops a probe, why, and the one command that mends it. Opens no port, sends nothing, changes nothing."""

from atprobe.doctor._complaint import Checkup, Complaint, Gravity, Kind, Patient
from atprobe.doctor._examine import examine
from atprobe.doctor._facts import Facts
from atprobe.doctor._host import Host, Person, here
from atprobe.doctor._ports import is_local

__all__ = [
    "Checkup",
    "Complaint",
    "Facts",
    "Gravity",
    "Host",
    "Kind",
    "Patient",
    "Person",
    "examine",
    "here",
    "is_local",
]
