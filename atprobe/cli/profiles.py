"""`atprobe profiles`: what is known of the makers, and whether it is right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import click

from atprobe import knowledge
from atprobe.cli._exit import Exit, Fatal
from atprobe.cli._options import Output, output_options
from atprobe.cli._output import view, write
from atprobe.emulator.scoring import Row, score
from atprobe.knowledge import Knowledge, ProfileError
from atprobe.model import Transcript
from atprobe.report import Format, listing
from atprobe.report.document import dumps
from atprobe.report.escape import visible
from atprobe.report.table import grid

EPILOG = """\b
Examples:
  atprobe profiles list
  atprobe profiles show quectel
  atprobe profiles lint profiles
  atprobe profiles test profiles
"""

Command = Callable[..., Any]

_JUDGED = ("maker", "model", "firmware")


def _root(command: Command) -> Command:
    folder = click.Path(exists=True, file_okay=False, path_type=Path)
    return click.argument("root", required=False, type=folder)(command)


@click.group("profiles", epilog=EPILOG)
def command() -> None:
    """List, show, check and test the profiles of the makers.

    ROOT is a folder of profiles; without it the installed ones are meant.
    """


@command.command("list", epilog="\b\nExamples:\n  atprobe profiles list\n  atprobe profiles list --format json\n")
@_root
@output_options
def list_command(root: Path | None, output: Output) -> int:
    """List the makers and brands that are known."""
    profiles = _load(root)
    rows = [_maker_row(profiles, slug) for slug in profiles.makers]
    columns = ["slug", "name", "kind", "country", "usb_vendors", "commands", "rules"]
    write(listing.render("profiles", columns, rows, output.format, view(output)), output.file)
    return Exit.OK


@command.command("show", epilog="\b\nExamples:\n  atprobe profiles show quectel\n")
@click.argument("slug")
@_root
@output_options
def show_command(slug: str, root: Path | None, output: Output) -> int:
    """Show one profile: who it is, what is asked and what is never sent, and its transcripts."""
    profiles = _load(root)
    if slug not in profiles.profiles:
        raise Fatal(f"{slug}: no such profile. 'atprobe profiles list' shows which there are.")
    profile = profiles.profiles[slug]
    asked = [
        {
            "send": each.send,
            "reads": each.reads,
            "settles": sorted(each.settles),
            "tells_maker": each.tell,
            "rules": len(each.answers),
        }
        for each in profile.commands
    ]
    recordings = [
        {"id": each.id, "model": each.truth.model, "firmware": each.truth.firmware, "fidelity": each.fidelity}
        for each in _transcripts(root, slug)
    ]
    row = {**_maker_row(profiles, slug), "asked": asked, "never": list(profile.never), "transcripts": recordings}
    if output.format is not Format.TABLE:
        write(listing.render("profiles", [], [row], output.format, view(output)), output.file)
        return Exit.OK
    facts = [{"what": key.replace("_", " "), "value": row[key]} for key in _maker_row(profiles, slug)]
    never = [{"never_sent": pattern} for pattern in profile.never]
    blocks = [
        listing.render(name, list(rows[0]), rows, output.format, view(output))
        for name, rows in [("facts", facts), ("asked", asked), ("never", never), ("transcripts", recordings)]
        if rows
    ]
    write("\n".join(blocks), output.file)
    return Exit.OK


@command.command("lint", epilog="\b\nExamples:\n  atprobe profiles lint\n  atprobe profiles lint profiles\n")
@_root
@output_options
def lint_command(root: Path | None, output: Output) -> int:
    """Check every profile and transcript. Each fault comes with its file, line and remedy."""
    problems = list(knowledge.lint(root))
    if output.format is Format.TABLE:
        # file:line: text, as editors and CI systems read it
        text = "".join(f"{problem}\n" for problem in problems) or "no fault found\n"
    else:
        rows = [{"path": p.path, "line": p.line, "message": p.message, "remedy": p.remedy} for p in problems]
        text = listing.render("faults", [], rows, output.format, view(output))
    write(text, output.file)
    return Exit.FINDINGS if problems else Exit.OK


@command.command("test", epilog="\b\nExamples:\n  atprobe profiles test\n  atprobe profiles test -v profiles\n")
@_root
@output_options
def test_command(root: Path | None, output: Output) -> int:
    """Replay every transcript and compare. Fails where a module gets a wrong maker.

    The figures are how many came out right of how many transcripts hold and establish that truth.
    """
    result = score(_load(root), _transcripts(root))
    wrong = [
        f"{each.transcript.id}: named {each.identity.maker}, is {each.transcript.truth.maker or 'not known'}"
        for each in result.results
        if each.wrong_maker
    ]
    write_scores(result.rows, wrong, result.left_out, output)
    return Exit.FINDINGS if wrong else Exit.OK


def write_scores(
    rows: Sequence[Row], wrong: Sequence[str], left_out: Sequence[tuple[str, str]], output: Output
) -> None:
    """Print how replaying transcripts went.

    `wrong` says which got a wrong maker. `left_out`: id and reason of each one that was not replayed.
    """
    reasons = [{"id": identifier, "reason": reason} for identifier, reason in left_out]
    scores = [asdict(row) for row in rows]
    schema = {"schema": "atprobe.scores/1"}
    if output.format is Format.JSON:
        text = dumps({**schema, "scores": scores, "wrong": list(wrong), "left_out": reasons}, indent=2) + "\n"
    elif output.format is Format.JSONL:
        lines = [*scores, *({"wrong": each} for each in wrong), *({"left_out": reason} for reason in reasons)]
        text = "".join(dumps({**schema, **line}) + "\n" for line in lines)
    else:
        header = ["MAKER", "TRANSCRIPTS", "REPLAYED", "MAKER RIGHT", "WRONG", "MODEL RIGHT", "FIRMWARE RIGHT"]
        text = grid(header, [_figures(each) for each in [*scores, _total(scores)]], view(output))
        text += "".join(f"wrong: {visible(each)}\n" for each in wrong)
        if output.verbose:
            text += "".join(f"left out: {visible(f'{identifier}: {reason}')}\n" for identifier, reason in left_out)
        elif left_out:
            text += f"{len(left_out)} transcripts were left out; -v says why\n"
    write(text, output.file)


def _total(scores: Sequence[dict[str, Any]]) -> dict[str, Any]:
    names = [field.name for field in fields(Row) if field.name != "maker"]
    return {"maker": "all", **{name: sum(each[name] for each in scores) for name in names}}


def _figures(figures: dict[str, Any]) -> list[str]:
    maker, model, firmware = (f"{figures[f'{what}_right']}/{figures[f'{what}_total']}" for what in _JUDGED)
    return [
        figures["maker"],
        str(figures["transcripts"]),
        str(figures["replayed"]),
        maker,
        str(figures["wrong"]),
        model,
        firmware,
    ]


def _load(root: Path | None) -> Knowledge:
    try:
        return knowledge.load(root)
    except ProfileError as error:
        raise Fatal(*(str(problem) for problem in error.problems)) from error


def _transcripts(root: Path | None, slug: str | None = None) -> tuple[Transcript, ...]:
    try:
        return knowledge.transcripts(root, slug)
    except ProfileError as error:
        raise Fatal(*(str(problem) for problem in error.problems)) from error


def _maker_row(profiles: Knowledge, slug: str) -> dict[str, Any]:
    profile = profiles.profiles[slug]
    maker = profile.maker
    return {
        "slug": slug,
        "name": maker.name if maker else None,
        "legal_name": maker.legal_name if maker else None,
        "kind": maker.kind if maker else None,
        "country": maker.country if maker else None,
        "usb_vendors": list(maker.usb_vendors) if maker else [],
        "commands": len(profile.commands),
        "rules": len(profile.labels) + len(profile.models) + len(profile.firmware),
    }
