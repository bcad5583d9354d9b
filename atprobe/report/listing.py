"""Lists of plain rows (profiles, their faults, test scores) in the formats that reports have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from atprobe.report import Format, View
from atprobe.report.document import dumps
from atprobe.report.table import grid


def render(name: str, columns: Sequence[str], rows: Sequence[Mapping[str, Any]], format: Format, view: View) -> str:
    """The rows as text. All rows have the same keys; the table shows those in `columns` alone.

    json: `{"schema": "atprobe.NAME/1", "NAME": [row, ...]}`; jsonl: a row a line, each with the schema's name.
    """
    schema = f"atprobe.{name}/1"
    if format is Format.JSON:
        return dumps({"schema": schema, name: [dict(row) for row in rows]}, indent=2) + "\n"
    if format is Format.JSONL:
        return "".join(dumps({"schema": schema, **row}) + "\n" for row in rows)
    if not rows:
        return ""
    header = [column.replace("_", " ").upper() for column in columns]
    return grid(header, [[_cell(row[column]) for column in columns] for row in rows], view)


def _cell(value: Any) -> str:
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    return "-" if value in (None, "") else str(value)
