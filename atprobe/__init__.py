"""Find the cellular modules attached to a machine and say who they really are.

`scan()` lists what is attached and opens nothing. `probe()` asks each module over its AT port.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("atprobe")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"
