"""What is plugged in, and which ports of it to talk to. Nothing here opens a port."""

from atprobe.discover._listing import libusb_works
from atprobe.discover._obstacles import called, new_id, obstacle, obstacles
from atprobe.discover._roles import firmware_mode, is_modem, pci_driver, roles, serial_driver
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
    "firmware_mode",
    "is_modem",
    "libusb_works",
    "named",
    "new_id",
    "obstacle",
    "obstacles",
    "pci_driver",
    "roles",
    "scan",
    "select",
    "serial_driver",
    "udev_rules",
]
