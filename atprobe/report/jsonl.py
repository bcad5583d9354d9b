"""One JSON object a line, for log shippers and line-wise tools.

A module is a line `{"schema": "atprobe.report/1", "device": ..., "identity": ..., ...}`: an entry of `modules`
with the schema's name before it. A port that could not be probed is a line `{"schema": ..., "problem": {...}}`:
an entry of `problems`. A line that has the key `problem` is no module. The schema of a line is `$defs/line`
in `schema.json`. Tool, host and times are in `json` only.
"""

from __future__ import annotations

from typing import Any

from atprobe.model import Report
from atprobe.report import SCHEMA_ID, View
from atprobe.report.document import dumps, module_object, problem_object


def render(report: Report, view: View) -> str:
    """The report's modules, then its problems, one a line; empty where there are none."""
    lines: list[dict[str, Any]] = [{"schema": SCHEMA_ID, **module_object(module)} for module in report.modules]
    lines += [{"schema": SCHEMA_ID, "problem": problem_object(problem)} for problem in report.problems]
    return "".join(dumps(line) + "\n" for line in lines)
