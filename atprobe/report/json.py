"""One JSON document, as `schema.json` describes it."""

from __future__ import annotations

from atprobe.model import Report
from atprobe.report import View
from atprobe.report.document import document, dumps


def render(report: Report, view: View) -> str:
    """The report as an indented document; `view` is for people and changes nothing here."""
    return dumps(document(report), indent=2) + "\n"
