"""The `atprobe` command: one module per command, which parses, calls the other rooms and prints.

`main` takes care of signals before anything else is imported, so that Ctrl-C ends every part of a run cleanly.
"""

from __future__ import annotations

from atprobe.cli import _interrupt


def main() -> int:
    """Run the command line of this process; returns the exit code."""
    _interrupt.install()
    try:
        from atprobe.cli._main import run  # after the signals are taken care of

        return run()
    except KeyboardInterrupt:
        return _interrupt.EXIT_CODE
    finally:
        _interrupt.ignore()
