"""docs/coverage.md: what is known of each maker, and how often it came out right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from atprobe.knowledge import Coverage, Maker

HEAD = """\
# Coverage

Made by `atprobe profiles coverage > docs/coverage.md`; do not edit. Models are those that examples and transcripts
show; the patterns fit more. The figures are how many of the transcripts that hold an answer came out right when
replayed; *masked* is the maker once more, with every maker's name in the answers replaced by ACME.
"""

COLUMNS = (
    "slug",
    "name",
    "kind",
    "country",
    "models",
    "transcripts",
    "maker",
    "model",
    "firmware",
    "masked",
    "surfaces",
    "last fact",
)


def render(
    makers: Mapping[str, Maker],
    covered: Sequence[Coverage],
    right: Mapping[str, Sequence[str]],
    masked: Mapping[str, str],
) -> str:
    """The page. `right` gives maker, model and firmware, `masked` the maker, as `right/total` by slug."""
    lines = [HEAD, f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    for one in covered:
        maker = makers[one.slug]
        figures = [f if f != "0/0" else "" for f in (*right.get(one.slug, ("", "", "")), masked.get(one.slug, ""))]
        cells = [
            one.slug,
            maker.name,
            maker.kind,
            maker.country or "",
            str(len(one.models) or ""),
            str(one.transcripts or ""),
            *figures,
            str(one.surfaces or ""),
            maker.last_fact or "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines.append("\n## Models\n")
    lines += [f"- **{one.slug}**: {', '.join(one.models)}" for one in covered if one.models]
    return "\n".join(lines) + "\n"
