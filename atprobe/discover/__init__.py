"""What is plugged in, and which ports of it to talk to. Nothing here opens a port."""

from atprobe.discover._roles import is_modem, roles, serial_driver
from atprobe.discover._scan import scan
from atprobe.discover._select import Choice, named, select

__all__ = ["Choice", "is_modem", "named", "roles", "scan", "select", "serial_driver"]
