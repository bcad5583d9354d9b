"""Reaching a port: opening and claiming it, and one conversation with it."""

from atprobe.link._access import Access, access
from atprobe.link._baud import find_rate
from atprobe.link._holders import MODEM_MANAGER, Holder, holders, processes, program
from atprobe.link._locks import Lock, locks
from atprobe.link._modemmanager import Clearance, managed, stand_aside
from atprobe.link.errors import NeverError, NotConsentedError, NotReadingError, PortError
from atprobe.link.session import DEFAULT_TIMEOUT, Session, Stopped
from atprobe.link.transport import DEFAULT_BAUD, Transport, open_port

__all__ = [
    "DEFAULT_BAUD",
    "DEFAULT_TIMEOUT",
    "MODEM_MANAGER",
    "Access",
    "Clearance",
    "Holder",
    "Lock",
    "NeverError",
    "NotConsentedError",
    "NotReadingError",
    "PortError",
    "Session",
    "Stopped",
    "Transport",
    "access",
    "find_rate",
    "holders",
    "locks",
    "managed",
    "open_port",
    "processes",
    "program",
    "stand_aside",
]
