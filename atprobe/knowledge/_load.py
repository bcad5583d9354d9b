"""Finding, checking and keeping the profiles.

Checking costs a tenth of a second or more; a gateway that runs every night should pay it once. What was checked
is kept as JSON in the state folder under the digest of all profile files, so that any change of content is
checked anew and an unchanged folder costs reading and hashing alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from atprobe.at import normalise
from atprobe.knowledge import _check, _check_surfaces, _yaml
from atprobe.knowledge._root import default_root
from atprobe.knowledge._transcripts import check_transcript, transcript_paths
from atprobe.knowledge._types import Knowledge, knowledge_from
from atprobe.knowledge._yaml import Node, ProfileError, ProfileProblem

_FORMAT = 6
"""Raise this when the kept form changes, so that older files are not read."""
_FILES = ("maker.yaml", "identity.yaml", "usb.yaml", "surfaces.yaml")


def state_dir() -> Path:
    """Where atprobe keeps its files: ATPROBE_STATE_DIR, /var/lib/atprobe for root, else the XDG folder.

    The profiles that were checked may be lost; the journal of `lockdown` may not.
    """
    if chosen := os.environ.get("ATPROBE_STATE_DIR"):
        return Path(chosen)
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return Path("/var/lib/atprobe")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "atprobe"


def load(root: Path | None = None) -> Knowledge:
    """All profiles below `root` (default: the installed ones). Raises ProfileError, which names every fault."""
    root = root or default_root()
    files = read_files(root)
    digest = hashlib.sha256(repr((_FORMAT, sorted(files.items()))).encode()).hexdigest()
    kept = state_dir() / f"profiles-{digest[:32]}.json"
    data = _read_kept(kept)
    if data is None:
        data, check = check_all(root, files)
        if check.problems:
            raise ProfileError(tuple(check.problems))
        _keep(kept, data)
    return knowledge_from(data, version=digest[:12], root=root)


def lint(root: Path | None = None) -> tuple[ProfileProblem, ...]:
    """Every fault of the profiles and transcripts below `root`, in order of file and line; empty where none is."""
    root = root or default_root()
    try:
        files = read_files(root)
    except ProfileError as error:
        return error.problems
    profiles, check = check_all(root, files, thorough=True)
    problems = check.problems
    for path in transcript_paths(root):
        problems += check_transcript(path, known=set(profiles))
    return tuple(sorted(problems, key=lambda problem: (problem.path, problem.line)))


def read_files(root: Path) -> dict[str, bytes]:
    """The profile files by their path below root. Transcripts are not part of a run and are read on demand."""
    try:
        slugs = sorted(entry.name for entry in os.scandir(root) if entry.is_dir() and not entry.name.startswith("."))
    except OSError as error:
        raise ProfileError(
            (ProfileProblem(str(root), 1, f"holds no profiles ({error.strerror})", "check the folder"),)
        ) from error
    files: dict[str, bytes] = {}
    for slug in slugs:
        for name in _FILES:
            with suppress(FileNotFoundError, NotADirectoryError):
                files[f"{slug}/{name}"] = (root / slug / name).read_bytes()
    if not files:
        raise ProfileError((ProfileProblem(str(root), 1, "holds no profiles", "check the folder"),))
    return files


def check_all(root: Path, files: dict[str, bytes], thorough: bool = False) -> tuple[dict[str, Any], _check.Checker]:
    """Everything as plain data, and the checker with every fault. `thorough` adds what costs too much for a run."""
    check = _check.Checker(thorough)
    profiles: dict[str, dict[str, Any]] = {}
    makers: dict[str, tuple[Node, dict[str, Any]]] = {}
    identities: dict[str, tuple[Node, dict[str, Any]]] = {}
    surfaces: dict[str, tuple[Node, dict[str, Any]]] = {}
    for name, content in files.items():
        slug, kind = name.split("/")
        profile = profiles.setdefault(slug, {})
        shown = str(root / name)
        node = _check.collect(check, lambda content=content, shown=shown: _yaml.parse(content, shown))  # type: ignore[misc]
        if node is None:
            continue
        check.slug = slug
        if kind == "maker.yaml":
            profile["maker"] = _check.check_maker(check, node)
            makers[slug] = (node, profile["maker"])
        elif kind == "usb.yaml":
            profile["usb"] = _check.check_usb(check, node, profile.get("maker", {}))
        elif kind == "surfaces.yaml":
            profile["surfaces"] = _check_surfaces.check_surfaces(check, node)
            surfaces[slug] = (node, profile["surfaces"])
        else:
            profile["identity"] = _check.check_identity(check, node)
            identities[slug] = (node, profile["identity"])
    if not check.problems:
        _check_guards(check, identities, surfaces)
        _check.check_ties(check, makers)
    if thorough and not check.problems:
        _check.check_rivals(check)
    return profiles, check


def _check_guards(
    check: _check.Checker,
    identities: dict[str, tuple[Node, dict[str, Any]]],
    surfaces: dict[str, tuple[Node, dict[str, Any]]],
) -> None:
    """Nothing that is ever sent may match a `never` pattern of any file, and nothing both reads and writes."""
    never: list[_check.Never] = [
        (re.compile(entry["pattern"], re.I), entry["why"], f"{slug}/{name}")
        for name, files in (("identity.yaml", identities), ("surfaces.yaml", surfaces))
        for slug, (_, data) in files.items()
        for entry in data.get("never", ())
    ]
    asked = [
        (place, command["send"])
        for node, data in identities.values()
        for place, command in zip(node.entries("commands"), data.get("commands", ()), strict=False)
    ]
    asked += [
        (place, query["send"])
        for node, data in surfaces.values()
        for place, surface in zip(node.entries("surfaces"), data.get("surfaces", ()), strict=False)
        for query in surface.get("queries", ())
    ]
    _check.check_guards(check, asked, never)
    _check_surfaces.check_switches(check, surfaces, frozenset(normalise(send) for _, send in asked), never)


def _read_kept(path: Path) -> dict[str, Any] | None:
    """What an earlier run checked; None where there is nothing, or where someone else could have written it."""
    try:
        with path.open("rb") as file:
            info = os.fstat(file.fileno())
            if hasattr(os, "geteuid") and (info.st_uid != os.geteuid() or info.st_mode & (stat.S_IWGRP | stat.S_IWOTH)):
                return None
            data = json.load(file)
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def _keep(path: Path, data: dict[str, Any]) -> None:
    """Keep what was checked. A folder that cannot be written costs time at the next run and nothing else."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        for old in path.parent.glob("profiles-*.json"):
            with suppress(OSError):
                old.unlink()
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".profiles-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(data, file, separators=(",", ":"))
        os.replace(name, path)
