"""What is plugged in, and which ports of it to talk to. Nothing here opens a port."""

from atprobe.discover._obstacles import called, new_id, obstacle, obstacles
from atprobe.discover._roles import is_modem, roles
from atprobe.discover._rules import DEFAULT_GROUP, udev_rules
from atprobe.discover._scan import Scan, scan
from atprobe.discover._select import Choice, named, select
from atprobe.discover._watch import Change, changes

__all__ = [
    "DEFAULT_GROUP",
    "Change",
    "Choice",
    "Scan",
    "called",
    "changes",
    "is_modem",
    "named",
    "new_id",
    "obstacle",
    "obstacles",
    "roles",
    "scan",
    "select",
    "udev_rules",
]
