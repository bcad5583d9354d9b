"""The only reader of YAML: text in, values with their line numbers out.

Every scalar stays text. YAML 1.1 would turn `NO` into False, `01.200` into a number and `2026-06-08` into a
date; here the one who asks for a value says what it has to be.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ProfileProblem:
    """One thing wrong in a profile or transcript: where, what, and how to put it right."""

    path: str
    line: int
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}; {self.remedy}"


class ProfileError(Exception):
    """A profile or transcript cannot be used. `problems` names every fault found, at least one."""

    def __init__(self, problems: tuple[ProfileProblem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Node:
    """A value of a YAML file and the line it stands on, counted from 1."""

    value: str | list[Node] | dict[str, Node] | None
    line: int
    path: str

    def entries(self, key: str) -> list[Node]:
        """The entries of the list under `key`; none where there is no such list."""
        found = self.value.get(key) if isinstance(self.value, dict) else None
        return found.value if found is not None and isinstance(found.value, list) else []

    def problem(self, message: str, remedy: str) -> ProfileProblem:
        """A fault at this place."""
        return ProfileProblem(self.path, self.line, message, remedy)

    def fail(self, message: str, remedy: str) -> ProfileError:
        """The same as an exception, to raise."""
        return ProfileError((self.problem(message, remedy),))


def read(path: Path, shown: str | None = None) -> Node:
    """Read one YAML file. `shown` is how messages call it. Raises ProfileError, also where the file is missing."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ProfileError(
            (ProfileProblem(shown or str(path), 1, f"cannot be read ({error.strerror})", "check the name"),)
        ) from error
    return parse(data, shown or str(path))


def parse(data: bytes, shown: str) -> Node:
    """Parse YAML text. Raises ProfileError with file, line and remedy."""
    if len(data) > MAX_BYTES:
        raise ProfileError((ProfileProblem(shown, 1, "is larger than 4 MiB", "split it"),))
    import yaml  # costs as much as all the rest; a run that finds its profiles unchanged never needs it

    try:
        root = yaml.compose(data.decode("utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ProfileError((ProfileProblem(shown, line, "is not UTF-8 text", "save it as UTF-8"),)) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        message = getattr(error, "problem", None) or str(error)
        raise ProfileError(
            (
                ProfileProblem(
                    shown,
                    mark.line + 1 if mark else 1,
                    f"is not valid YAML here ({message})",
                    "check indentation and quotes; put patterns into single quotes",
                ),
            )
        ) from error
    except RecursionError as error:
        raise ProfileError((ProfileProblem(shown, 1, "is nested too deeply", "flatten it"),)) from error
    if root is None:
        raise ProfileError((ProfileProblem(shown, 1, "is empty", "see docs/profiles.md for what belongs here"),))
    return _convert(root, shown)


def _convert(node: Any, path: str, depth: int = 0) -> Node:
    line = node.start_mark.line + 1
    if depth > 32:  # also ends an alias that contains itself
        raise ProfileError((ProfileProblem(path, line, "is nested too deeply", "flatten it"),))
    if node.id == "mapping":
        entries: dict[str, Node] = {}
        for key, value in node.value:
            name = str(key.value)
            if name in entries:
                raise ProfileError(
                    (
                        ProfileProblem(
                            path,
                            key.start_mark.line + 1,
                            f"the key {name!r} stands here a second time (first on line {entries[name].line})",
                            "keep one of the two",
                        ),
                    )
                )
            entries[name] = _convert(value, path, depth + 1)
        return Node(entries, line, path)
    if node.id == "sequence":
        return Node([_convert(item, path, depth + 1) for item in node.value], line, path)
    if node.tag == "tag:yaml.org,2002:null":
        return Node(None, line, path)
    return Node(str(node.value), line, path)
