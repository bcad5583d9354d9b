"""What is plugged in, and which ports of it to talk to. Nothing here opens a port."""

from atprobe.discover._roles import role_of
from atprobe.discover._scan import scan
from atprobe.discover._select import Choice, named, select

__all__ = ["Choice", "named", "role_of", "scan", "select"]
