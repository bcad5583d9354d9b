"""Plain rows in every format."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from atprobe.report import Format, View, listing
from tests.report.samples import HOSTILE

ROWS: list[dict[str, Any]] = [
    {"slug": "quectel", "usb_vendors": ["2c7c"], "country": "CN", "rules": 3},
    {"slug": "telit", "usb_vendors": [], "country": None, "rules": 0},
]


def test_table_shows_the_columns_asked_for() -> None:
    text = listing.render("profiles", ["slug", "usb_vendors", "country"], ROWS, Format.TABLE, View())
    assert [re.split(" {2,}", line) for line in text.splitlines()] == [
        ["SLUG", "USB VENDORS", "COUNTRY"],
        ["quectel", "2c7c", "CN"],
        ["telit", "-", "-"],
    ]


def test_json_holds_everything_under_the_name() -> None:
    text = listing.render("profiles", ["slug"], ROWS, Format.JSON, View())
    assert json.loads(text) == {"schema": "atprobe.profiles/1", "profiles": ROWS}


def test_jsonl_is_a_row_a_line() -> None:
    text = listing.render("profiles", ["slug"], ROWS, Format.JSONL, View())
    assert [json.loads(line) for line in text.splitlines()] == [{"schema": "atprobe.profiles/1", **row} for row in ROWS]


@pytest.mark.parametrize("format", list(Format))
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_rows(name: str, format: Format) -> None:
    text = listing.render("x", ["a", "b"], [{"a": HOSTILE[name], "b": [HOSTILE[name]]}], format, View())
    assert all(character.isprintable() or character == "\n" for character in text)
