"""`atprobe profiles`: what is known of the makers, and whether it is right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import click

from atprobe import knowledge
from atprobe.cli._exit import Exit, Fatal
from atprobe.cli._options import OUTPUT_HELP, Output, new_file, output_options
from atprobe.cli._output import view, write
from atprobe.emulator.scoring import Row, Score, score
from atprobe.knowledge import Coverage, Knowledge, ProfileError
from atprobe.model import Transcript
from atprobe.report import Format, coverage, listing, surfaces
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
    """List the makers and brands that are known, and how much of each.

    Models are those that examples and transcripts show; the patterns fit more.
    """
    profiles = _load(root)
    rows = [_maker_row(profiles, one) for one in _coverage(root)]
    columns = ["slug", "name", "kind", "country", "models", "transcripts", "surfaces", "last_fact"]
    for row in rows if output.format is Format.TABLE else ():
        row["models"] = len(row["models"])
    write(listing.render("profiles", columns, rows, output.format, view(output)), output.file)
    return Exit.OK


@command.command("show", epilog="\b\nExamples:\n  atprobe profiles show quectel\n")
@click.argument("slug")
@_root
@output_options
def show_command(slug: str, root: Path | None, output: Output) -> int:
    """Show one profile: who it is and who stands behind it, what is asked, what is never sent, its transcripts."""
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
    covered = next((one for one in _coverage(root) if one.slug == slug), Coverage(slug, (), 0, 0))
    basics = _maker_row(profiles, covered)
    ties = [asdict(tie) for tie in profile.maker.ties] if profile.maker else []
    sources = [asdict(source) for source in profile.maker.sources] if profile.maker else []
    row = {
        **basics,
        "ties": ties,
        "sources": sources,
        "asked": asked,
        "never": list(profile.never),
        "transcripts": recordings,
    }
    if output.format is not Format.TABLE:
        write(listing.render("profiles", [], [row], output.format, view(output)), output.file)
        return Exit.OK
    facts = [{"what": key.replace("_", " "), "value": value} for key, value in basics.items()]
    never = [{"never_sent": pattern} for pattern in profile.never]
    blocks = [
        listing.render(name, columns or list(rows[0]), rows, output.format, view(output))
        for name, columns, rows in [
            ("facts", [], facts),
            ("ties", ["relation", "name", "since", "until", "confidence", "says"], ties),
            ("sources", ["date", "confidence", "says", "url"], sources),
            ("asked", [], asked),
            ("never", [], never),
            ("transcripts", [], recordings),
        ]
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


@command.command("coverage", epilog="\b\nExamples:\n  atprobe profiles coverage > docs/coverage.md\n")
@_root
def coverage_command(root: Path | None) -> int:
    """Print what is known of each maker as a Markdown page, with the figures of a replay of all transcripts."""
    profiles, recordings = _load(root), _transcripts(root)
    plain, masked = score(profiles, recordings), score(profiles, recordings, mask_labels=True)
    right = {row.maker: [_figures(asdict(row))[i] for i in (3, 5, 6)] for row in plain.rows}
    names = {row.maker: _figures(asdict(row))[3] for row in masked.rows}
    write(coverage.render(profiles.makers, _coverage(root), right, names), None)
    return Exit.OK


SURFACES_EPILOG = """\b
Examples:
  atprobe profiles surfaces
  atprobe profiles surfaces quectel xinyi --format json
  atprobe profiles surfaces --format markdown --researched docs/surfaces-researched.csv --output docs/surfaces.md
"""


@command.command("surfaces", epilog=SURFACES_EPILOG)
@click.argument("makers", metavar="[MAKER]...", nargs=-1)
@click.option(
    "--format",
    "format_",
    type=click.Choice([Format.TABLE.value, Format.JSON.value, "markdown"]),
    default=Format.TABLE.value,
    show_default=True,
    help="table for people; json for scripts, with sources and advice; markdown for docs/surfaces.md.",
)
@click.option(
    "--researched",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="With markdown: also say what this list of all that was looked into left out, and why.",
)
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="A folder of profiles; without it the installed ones are meant.",
)
@click.option("--output", "file", metavar="FILE", callback=new_file, help=OUTPUT_HELP)
def surfaces_command(
    makers: tuple[str, ...], format_: str, researched: Path | None, root: Path | None, file: Path | None
) -> int:
    """List the ways to change or drive modules from afar: how each is asked, and how it is switched off.

    Each MAKER is one of 'atprobe profiles list'; without any, all are listed.
    """
    profiles = _load(root)
    if unknown := [maker for maker in makers if maker not in profiles.profiles]:
        raise Fatal(f"{', '.join(unknown)}: no such profile. 'atprobe profiles list' shows which there are.")
    slugs = makers or tuple(profiles.profiles)
    if format_ == "markdown":
        text = surfaces.render(profiles, slugs, _researched(researched) if researched else [])
    else:
        output = Output(Format(format_), file, False, False)
        rows = surfaces.rows([profiles.profiles[slug] for slug in slugs])
        shown = [surfaces.short(row) for row in rows] if output.format is Format.TABLE else rows
        text = listing.render("surfaces", surfaces.TABLE, shown, output.format, view(output))
    write(text, file)
    return Exit.OK


def _researched(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            return surfaces.read_researched(lines)
    except (OSError, ValueError) as error:
        raise Fatal(f"{path} cannot be read: {error}") from error


TEST_EPILOG = """\b
Examples:
  atprobe profiles test
  atprobe profiles test --mask-labels
  atprobe profiles test --transcripts my-module.yaml -v
"""


@command.command("test", epilog=TEST_EPILOG)
@_root
@click.option(
    "--transcripts",
    "paths",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    metavar="PATH",
    help="Replay these files, or all below this folder, in place of the profiles' own. Repeatable.",
)
@click.option("--mask-labels", is_flag=True, help="Replace the makers' names, so that only behaviour can tell.")
@output_options
def test_command(root: Path | None, paths: tuple[Path, ...], mask_labels: bool, output: Output) -> int:
    """Replay every transcript and compare. Fails where a module gets a wrong maker.

    The figures are how many came out right of how many transcripts hold and establish that truth. What came out wrong
    or not at all is listed, and so is every
    transcript that was left out, with the reason.
    """
    result = score(_load(root), _given(paths) if paths else _transcripts(root), mask_labels=mask_labels)
    write_scores(result, output)
    return Exit.FINDINGS if any(each.wrong_maker for each in result.results) else Exit.OK


def _given(paths: Sequence[Path]) -> tuple[Transcript, ...]:
    files = [file for path in paths for file in (sorted(path.rglob("*.yaml")) if path.is_dir() else [path])]
    try:
        return tuple(knowledge.load_transcript(file) for file in files)
    except ProfileError as error:
        raise Fatal(*(str(problem) for problem in error.problems)) from error


def _misses(result: Score) -> list[dict[str, str | None]]:
    return [
        {"id": each.transcript.id, "what": what, "answer": getattr(each.identity, what), "truth": truth}
        for each in result.results
        for what in _JUDGED
        if (truth := getattr(each.transcript.truth, what)) is not None or (what == "maker" and each.wrong_maker)
        if (each.held[what] and not each.right[what]) or (what == "maker" and each.wrong_maker)
    ]


def write_scores(result: Score, output: Output) -> None:
    """Print how replaying transcripts went."""
    reasons = [{"id": identifier, "reason": reason} for identifier, reason in result.left_out]
    scores = [asdict(row) for row in result.rows]
    missed = _misses(result)
    schema = {"schema": "atprobe.scores/1"}
    if output.format is Format.JSON:
        text = dumps({**schema, "scores": scores, "missed": missed, "left_out": reasons}, indent=2) + "\n"
    elif output.format is Format.JSONL:
        lines = [*scores, *({"missed": each} for each in missed), *({"left_out": reason} for reason in reasons)]
        text = "".join(dumps({**schema, **line}) + "\n" for line in lines)
    else:
        header = ["MAKER", "TRANSCRIPTS", "REPLAYED", "MAKER RIGHT", "WRONG", "MODEL RIGHT", "FIRMWARE RIGHT"]
        text = grid(header, [_figures(each) for each in [*scores, _total(scores)]], view(output))
        for each in missed:
            answer = each["answer"] or "unknown"
            truth = each["truth"] or "not established"
            text += visible(f"missed: {each['id']}: {each['what']} {answer}, is {truth}") + "\n"
        for reason in dict.fromkeys(reason for _, reason in result.left_out):
            text += visible(f"left out, {reason}:") + "\n"
            text += "".join(f"  {visible(name)}\n" for name, why in result.left_out if why == reason)
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


def _coverage(root: Path | None) -> tuple[Coverage, ...]:
    try:
        return knowledge.coverage(root)
    except ProfileError as error:
        raise Fatal(*(str(problem) for problem in error.problems)) from error


def _maker_row(profiles: Knowledge, covered: Coverage) -> dict[str, Any]:
    profile = profiles.profiles[covered.slug]
    maker = profile.maker
    return {
        "slug": covered.slug,
        "name": maker.name if maker else None,
        "legal_name": maker.legal_name if maker else None,
        "kind": maker.kind if maker else None,
        "country": maker.country if maker else None,
        "usb_vendors": list(maker.usb_vendors) if maker else [],
        "commands": len(profile.commands),
        "rules": len(profile.labels) + len(profile.models) + len(profile.firmware) + len(profile.dialect),
        "models": list(covered.models),
        "transcripts": covered.transcripts,
        "surfaces": covered.surfaces,
        "last_fact": maker.last_fact if maker else None,
    }
