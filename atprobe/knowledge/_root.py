"""Where the profiles are."""

from __future__ import annotations

from pathlib import Path


def default_root() -> Path:
    """The profiles: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "profiles"
    return inside if inside.is_dir() else package.parent / "profiles"
