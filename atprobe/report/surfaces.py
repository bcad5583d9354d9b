"""docs/surfaces.md: every way into a module that a profile describes, how it is asked and how it is switched off."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from atprobe.knowledge import Knowledge, Platform, Profile, SettingRule, SurfaceRule, SwitchRule

HEAD = """\
# What can be changed or driven from afar

Made by `atprobe profiles surfaces --format markdown --researched docs/surfaces-researched.csv`; do not edit.

A *surface* is one way in which a module can be changed or driven from elsewhere: firmware over the air, a maker's or
an operator's device management, AT commands by SMS or TCP, a debug port. `atprobe probe` asks for the state of each
that the module may have, `atprobe lockdown` switches off what has a switch: [lockdown.md](lockdown.md).

- **Unknown is not off.** A surface without a query, or one whose answer does not tell, is `unknown`: nobody can say
  that it is off. `off` is said only where an answer says so, `absent` only where the firmware does not have the
  command.
- **Reach** is who can trigger it: `vendor` and `carrier` with their servers, `sms-peer` who can send it an SMS,
  `ip-peer` who can reach its IP address, `host` only who has its AT port, `unknown` where no source says. What only
  the host can start mostly has no switch: who can send AT commands can start it, so the AT port is what has to be
  guarded.
- **A hold is not an off-switch.** Some settings make an update wait for the host's word. The server can still offer
  it, and a host program can still accept it; *leaves* says so where a switch does no more than that.
- **Switch** is what is written. What stands in braces is read first, so that every switch can be put back; *off*
  names the values that change, in the words of the answer, and all others stay as they were read.
- **Sent**: `yes` is planned wherever the surface is on. `with --include` can cut a service of the product and is
  planned only where the owner names the surface. `never` is only inferred: it is shown as advice and never sent.
  Where nothing is sent at all, *switch* is `none` and the rest of the cell is advice: what the owner can do or has to
  know.
- **Kept**: whether the module keeps the setting over a restart. **Restart**: whether it takes one to work.
- **Confidence**: `documented`, `observed-in-code`, `observed` on modules, or `inferred`. Of two, the first is that of
  the surface and the second that of its switch.

Makers whose modules are built on another's chip platform are asked that platform's surfaces too.
"""

LEFT_OUT = """\
## What was left out, and why

[surfaces-researched.csv](surfaces-researched.csv) names every feature that was looked into, and where it
went. These are in no profile:
"""

COLUMNS = (
    "surface",
    "what it is",
    "kind",
    "reach",
    "query",
    "switch",
    "sent",
    "kept",
    "restart",
    "confidence",
    "sources",
)

TABLE = ("surface", "kind", "reach", "query", "switch", "sent", "kept", "restart", "confidence")
"""What a table for people has room for."""

_NOTE = "; "


def rows(profiles: Sequence[Profile]) -> list[dict[str, Any]]:
    """Every surface of these profiles as plain values, in their order."""
    return [_row(rule) for profile in profiles for rule in profile.surfaces]


def short(row: Mapping[str, Any]) -> dict[str, str]:
    """A row with one text for each column of `TABLE`."""
    return {
        **{name: row[name] for name in ("surface", "kind", "reach")},
        "query": _NOTE.join(row["queries"]),
        "switch": _NOTE.join(f"{each['write']} with {_off(each)}" for each in row["settings"]),
        "sent": row["sent"] or "",
        "kept": row["kept"] or "",
        "restart": row["restart"] or "",
        "confidence": _confidence(row),
    }


def render(knowledge: Knowledge, slugs: Sequence[str], researched: Iterable[Mapping[str, str]]) -> str:
    """The page: a section for each of these profiles that has surfaces, and what was left out."""
    chosen = [knowledge.profiles[slug] for slug in slugs]
    parts = [HEAD, _totals(rows(chosen))]
    for profile in chosen:
        if profile.surfaces or profile.platforms:
            parts.append(_section(profile))
    omitted = [_omitted(each) for each in researched if each["reason"]]
    if omitted:
        parts.append(LEFT_OUT + "\n" + "".join(omitted))
    return "\n".join(parts)


def read_researched(lines: Iterable[str]) -> list[dict[str, str]]:
    """The rows of surfaces-researched.csv. Raises ValueError where it is none."""
    reader = csv.DictReader(lines, strict=True)
    try:
        found = list(reader)
    except csv.Error as error:
        raise ValueError(str(error)) from error
    wanted = ["number", "maker", "models", "feature", "surfaces", "reason"]
    if reader.fieldnames != wanted or any(None in row or None in row.values() for row in found):
        raise ValueError(f"it does not have the columns {', '.join(wanted)} in every line")
    return found


def cell(text: str) -> str:
    """A text that stands in a table, or in a line of a list, as it is: no markup in it, one line."""
    text = re.sub(r"\s+", " ", text).strip()
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"[\\`*\[\]|~]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\\g<0>", text)


def code(text: str) -> str:
    """The same as code, where Markdown can write it so."""
    if "`" in text or "\\|" in text or text != text.strip() or not text.isprintable():
        return cell(text)
    return f"`{text.replace('|', chr(92) + '|')}`"


def _row(rule: SurfaceRule) -> dict[str, Any]:
    switch = rule.switch
    return {
        "maker": rule.maker,
        "surface": f"{rule.maker}/{rule.id}",
        "title": rule.title,
        "kind": str(rule.kind),
        "reach": str(rule.reach),
        "who": rule.who,
        "for_models": rule.for_models,
        "not_models": rule.not_models,
        "queries": [query.send for query in rule.queries],
        "settings": [_setting(setting) for setting in switch.settings] if switch else [],
        "sent": _sent(switch) if switch else None,
        "effect": switch.effect if switch else None,
        "leaves": switch.leaves if switch else None,
        "risk": switch.risk if switch else None,
        "kept": switch.persistent if switch else None,
        "restart": switch.reboot if switch else None,
        "confidence": rule.confidence,
        "switch_confidence": switch.confidence if switch else None,
        "switch_source": switch.source if switch else None,
        "advice": rule.advice,
        "sources": list(rule.sources),
    }


def _setting(rule: SettingRule) -> dict[str, Any]:
    return {"read": rule.read, "write": rule.write, "off": dict(rule.off)}


def _sent(switch: SwitchRule) -> str:
    if not switch.automated:
        return "never"
    return "with --include" if switch.opt_in else "yes"


def _off(setting: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in setting["off"].items())


def _confidence(row: Mapping[str, Any]) -> str:
    return ", ".join(dict.fromkeys(filter(None, (row["confidence"], row["switch_confidence"]))))


def _totals(every: Sequence[Mapping[str, Any]]) -> str:
    sent, opted = (sum(row["sent"] == word for row in every) for word in ("yes", "with --include"))
    return (
        f"{len(every)} surfaces. {sent} have a switch that is planned where they are on, {opted} one that has to be\n"
        f"asked for with `--include`, and of {len(every) - sent - opted} there is only advice.\n"
    )


def _section(profile: Profile) -> str:
    lines = [f"## {cell(profile.maker.name if profile.maker else profile.slug)}", ""]
    about = []
    if profile.platforms:
        about.append(f"Asked too: the surfaces of {', '.join(map(_platform, profile.platforms))}.")
    if profile.reboot:
        about.append(f"Restarts with {code(profile.reboot.send)}, back within {profile.reboot.seconds:g} s.")
    if about:
        lines += [" ".join(about), ""]
    if profile.surfaces:
        lines += [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
        lines += [f"| {' | '.join(_cells(row))} |" for row in rows([profile])]
    return "\n".join(lines).rstrip("\n") + "\n"


def _platform(platform: Platform) -> str:
    return platform.folder + (f" (models {code(platform.for_models)})" if platform.for_models else "")


def _cells(row: Mapping[str, Any]) -> list[str]:
    return [
        code(row["surface"]),
        "<br>".join(_about(row)),
        row["kind"],
        row["reach"] + (f": {cell(row['who'])}" if row["who"] else ""),
        "<br>".join(map(code, row["queries"])) or "none",
        "<br>".join(_switch(row)),
        row["sent"] or "",
        row["kept"] or "",
        row["restart"] or "",
        _confidence(row),
        "<br>".join(map(cell, row["sources"])),
    ]


def _about(row: Mapping[str, Any]) -> list[str]:
    parts = [cell(row["title"])]
    if row["for_models"]:
        parts.append(f"models {code(row['for_models'])}")
    if row["not_models"]:
        parts.append(f"not {code(row['not_models'])}")
    return parts


def _switch(row: Mapping[str, Any]) -> list[str]:
    if not row["settings"]:
        return [f"none. {cell(row['advice'] or '')}".rstrip()]
    parts = [f"{code(each['write'])}, off: {cell(_off(each))}" for each in row["settings"]]
    if row["leaves"]:
        parts.append(f"leaves: {cell(row['leaves'])}")
    return parts


def _omitted(row: Mapping[str, str]) -> str:
    return f"- {cell(row['number'])}, {cell(row['maker'])}, {cell(row['feature'])}: {cell(row['reason'])}\n"
