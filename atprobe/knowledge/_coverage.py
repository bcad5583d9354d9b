"""How much is known of each maker: counted in the profiles, never kept in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from atprobe.knowledge import _load, _yaml
from atprobe.knowledge._root import default_root
from atprobe.knowledge._transcripts import transcripts
from atprobe.knowledge._yaml import ProfileError
from atprobe.model import Transcript


@dataclass(frozen=True)
class Coverage:
    """What the profile of one maker or brand holds."""

    slug: str
    models: tuple[str, ...]
    """Models and variants that examples and transcripts show; the patterns fit more."""
    transcripts: int
    surfaces: int


def coverage(root: Path | None = None) -> tuple[Coverage, ...]:
    """What each profile below `root` holds, in order of slug. Raises ProfileError."""
    root = root or default_root()
    profiles, check = _load.check_all(root, _load.read_files(root))
    if check.problems:
        raise ProfileError(tuple(check.problems))
    claimed: dict[str, list[str]] = {slug: [] for slug in profiles}
    for checked in check.rules:
        for example in checked.rule.get("examples", []):
            claims = example.get("claims", {})
            claimed[checked.slug] += [name for name in (claims.get("variant") or claims.get("model"),) if name]
    found = []
    for slug in sorted(slug for slug, profile in profiles.items() if "maker" in profile):
        own = transcripts(root, slug)
        names = _distinct([*claimed[slug], *_true_models(own, slug)])
        found.append(Coverage(slug, names, len(own), _surfaces(root / slug / "surfaces.yaml")))
    return tuple(found)


def _true_models(own: Iterable[Transcript], slug: str) -> list[str]:
    truths = [transcript.truth for transcript in own if transcript.truth.maker == slug]
    return [name for truth in truths if (name := truth.variant or truth.model)]


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({name.upper(): name for name in names}.values(), key=str.upper))


def _surfaces(path: Path) -> int:
    return len(_yaml.read(path).entries("surfaces")) if path.exists() else 0
