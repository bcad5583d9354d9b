"""Commands for people to paste into bash. Whatever comes from outside is quoted."""

from __future__ import annotations

import shlex

from atprobe.doctor._host import Person


def as_root(person: Person, *words: str) -> str:
    """One program with its arguments, run as root."""
    return shlex.join(words if person.is_root else ("sudo", *words))


def script_as_root(person: Person, script: str) -> str:
    """A piece of shell, run as root. `script` is pasted as it is and must be quoted inside already."""
    return script if person.is_root else shlex.join(("sudo", "sh", "-c", script))


def write_as_root(person: Person, value: str, path: str) -> str:
    """Write one word into a file of /sys."""
    value, path = shlex.quote(value), shlex.quote(path)
    return f"echo {value} > {path}" if person.is_root else f"echo {value} | sudo tee {path}"


def atprobe_as_root(person: Person, *words: str) -> str:
    """atprobe itself, run as root: sudo looks for programs in places of its own, where a venv's is not."""
    return shlex.join(("atprobe", *words)) if person.is_root else f'sudo "$(command -v atprobe)" {shlex.join(words)}'
