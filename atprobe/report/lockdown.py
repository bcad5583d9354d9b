"""Plans, changes and what became of them, as text for people and as plain values for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from atprobe.model import Change, ModulePlan, Plan, Stage
from atprobe.report import View
from atprobe.report.escape import visible
from atprobe.report.table import grid, section

CHANGES_ID = "atprobe.changes/1"

_REBOOTS = {"yes": "after a restart", "no": "at once", "unknown": "not documented when"}
_KEPT = {"yes": "yes", "until-reboot": "until the next restart", "unknown": "not documented"}


def plan_table(plan: Plan, view: View) -> str:
    """What a plan would send to each module, what that leaves, and what it will not touch."""
    blocks: list[str] = []
    for module in plan.modules:
        blocks.append(f"{visible(_name(module))}\n")
        if module.steps:
            rows = [
                [step.surface, step.command, step.undo, _REBOOTS[step.reboot], _KEPT[step.persistent], step.confidence]
                for step in module.steps
            ]
            blocks.append(grid(["SURFACE", "SENDS", "PUTS BACK", "WORKS", "KEPT", "CONFIDENCE"], rows, view))
            blocks.append(section("What that does", _lines(module)))
        elif module.maker and not module.advice:
            blocks.append("Nothing to send: nothing that is on or unknown is described for such a module.\n")
        else:
            why = "" if module.maker else ": its maker is not known, so nothing is known of its remote update"
            blocks.append(f"Nothing to send{why}.\n")
        if module.advice:
            lines = [visible(f"{each.surface} ({each.state}): {each.text}", 2000) for each in module.advice]
            blocks.append(section("Not switched", lines))
    commands = sum(len(module.steps) for module in plan.modules)
    touched = sum(bool(module.steps) for module in plan.modules)
    blocks.append(f"Plan {plan.id}: {counted(commands)} to {touched} of {len(plan.modules)} modules.\n")
    return "\n".join(blocks)


def counted(commands: int) -> str:
    """So many commands, in words."""
    return f"{commands} command{'' if commands == 1 else 's'}"


def changes_table(changes: Sequence[Change], view: View) -> str:
    """A line for each change: which module, what, how far, and what the journal says of it."""
    if not changes:
        return "Nothing is changed; 'atprobe lockdown status --all' also shows what was put back.\n"
    rows = [
        [
            change.time[:19].replace("T", " "),
            change.plan,
            change.imei,
            " ".join(filter(None, (change.maker, change.model))),
            change.step.surface,
            change.step.command,
            str(change.stage),
            change.detail or "",
        ]
        for change in changes
    ]
    table = grid(["TIME (UTC)", "PLAN", "IMEI", "MODULE", "SURFACE", "COMMAND", "STATE", "SAID"], rows, view)
    return table + ("\n" + _next(changes) if _next(changes) else "")


def changes_object(changes: Sequence[Change]) -> dict[str, Any]:
    """The same as plain values."""
    return {"schema": CHANGES_ID, "changes": [_change(change) for change in changes]}


def progress(change: Change) -> str:
    """One line on what is being done now."""
    line = change.step.undo if change.stage is Stage.UNDOING else change.step.command
    said = f" ({change.detail})" if change.detail and change.detail != line else ""
    return visible(f"{change.imei}: {change.step.surface}: {change.stage}: {line}{said}")


def _lines(module: ModulePlan) -> list[str]:
    seen: dict[str, str] = {}
    for step in module.steps:
        parts = [step.effect]
        if step.leaves:
            parts.append(f"It does not: {step.leaves}")
        if step.risk:
            parts.append(f"Risk: {step.risk}")
        parts.append(f"Source: {step.source}")
        seen.setdefault(step.surface, ". ".join(part[:1].upper() + part[1:].rstrip(".") for part in parts))
    return [visible(f"{surface}: {text}", 2000) for surface, text in seen.items()]


def _name(module: ModulePlan) -> str:
    what = " ".join(filter(None, (module.maker or "unknown", module.model, module.firmware)))
    return f"{module.port}: {what}, IMEI {module.imei or 'not known'}"


def _next(changes: Sequence[Change]) -> str:
    if any(change.stage.is_open for change in changes):
        return "The state of some settings is not known: 'atprobe lockdown resume' asks the modules and finishes.\n"
    return ""


def _change(change: Change) -> dict[str, Any]:
    step = change.step
    return {
        "id": change.id,
        "plan": change.plan,
        "imei": change.imei,
        "maker": change.maker,
        "model": change.model,
        "firmware": change.firmware,
        "port": change.port,
        "surface": step.surface,
        "command": step.command,
        "undo": step.undo,
        "before": dict(step.before),
        "after": dict(step.after),
        "state": str(change.stage),
        "open": change.stage.is_open,
        "time": change.time,
        "detail": change.detail,
    }
