"""docs/surfaces-researched.csv: every feature that was looked into is in a profile, or it says why not."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from atprobe import knowledge

FILE = Path(__file__).parents[2] / "docs" / "surfaces-researched.csv"
COLUMNS = ["number", "maker", "models", "feature", "surfaces", "reason"]
NUMBERS = [f"{part}{number:02}" for part, count in (("A", 38), ("S", 32), ("W", 43)) for number in range(1, count + 1)]


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    with FILE.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, strict=True))


@pytest.fixture(scope="module")
def known() -> set[str]:
    profiles = knowledge.load().profiles
    return {f"{slug}/{rule.id}" for slug, profile in profiles.items() for rule in profile.surfaces}


def test_every_entry_has_one_row(rows: list[dict[str, str]]) -> None:
    assert len(NUMBERS) == 113
    assert [row["number"] for row in rows] == NUMBERS


def test_every_row_is_whole(rows: list[dict[str, str]]) -> None:
    assert [row for row in rows if list(row) != COLUMNS or None in row.values()] == []
    assert [row["number"] for row in rows if not (row["maker"] and row["models"] and row["feature"])] == []


def test_every_row_has_surfaces_or_a_reason(rows: list[dict[str, str]]) -> None:
    assert [row["number"] for row in rows if bool(row["surfaces"].strip()) == bool(row["reason"].strip())] == []


def test_every_surface_exists(rows: list[dict[str, str]], known: set[str]) -> None:
    assert [(row["number"], name) for row in rows for name in row["surfaces"].split() if name not in known] == []
