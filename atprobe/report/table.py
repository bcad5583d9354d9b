"""Text for people. The layout may change from release to release; scripts read `json` or `jsonl`.

On a terminal rich folds long cells into the columns there are. Everywhere else (a file, a pipe, a mail from
cron) the text is plain and aligned, and no cell is folded or cut, so that grep finds what is there.
Every cell passes `escape.visible` on its way in.
"""

from __future__ import annotations

import io
import math
import unicodedata
from collections.abc import Callable, Sequence

from atprobe.model import (
    Claim,
    Device,
    Event,
    EventKind,
    Identity,
    Module,
    Port,
    Problem,
    Reach,
    Report,
    State,
    Surface,
)
from atprobe.report import View
from atprobe.report.escape import visible

GAP = "  "
NARROWEST = 60
"""Columns of a terminal below which folding would drop whole cells; its own line wrap is better then."""
_SHOWN = (State.ON, State.UNKNOWN, State.OFF)
"""The states worth a word, in the order in which they matter. What the firmware lacks is shown with -v."""
NARROW = 16
"""Columns below which a folded cell is no longer readable."""


def render(report: Report, view: View) -> str:
    """The modules, their conflicts and the ports that could not be probed; with `view.passive` the devices."""
    if view.passive:
        blocks = _devices(report.modules, view)
    else:
        blocks = _modules(report.modules, view)
        if not report.modules and not report.problems:
            blocks.append("No module was found.\n")
    if report.problems:
        title = "Cannot be probed as it is" if view.passive else "Not probed"
        blocks.append(section(title, [sentence(problem) for problem in report.problems]))
    return "\n".join(blocks)


def event_line(event: Event, time: str, view: View) -> str:
    """One line for an event of `watch`; nothing for one that says too little for a person, unless `view.verbose`."""
    if event.kind is EventKind.ADDED and not view.verbose:
        return ""
    where, name = _device(event.device)
    if event.kind is EventKind.FAILED:
        said = "; ".join(sentence(problem).removeprefix(f"{where}: ") for problem in event.problems)
    elif event.module is None:
        said = name
    else:
        identity = event.module.identity
        texts = (
            _port(event.module),
            identity.maker or "unknown",
            "" if _other_brand(identity) == "-" else f"(as {identity.brand})",
            _longest(identity.model, identity.variant),
            _longest(identity.firmware, identity.build),
            identity.imei or "",
        )
        said = " ".join(text for text in texts if text)
    clock = time[11:19]
    return f"{clock}  {event.kind:<10}  {visible(where)}  {visible(said, limit=2000)}\n"


def sentence(problem: Problem) -> str:
    """One line: which port, what happened, what to do. Safe to show."""
    hint = problem.hint[:1].upper() + problem.hint[1:]
    return visible(f"{problem.port}: {problem.message.rstrip('.')}. {hint.rstrip('.')}.")


def grid(header: Sequence[str], rows: Sequence[Sequence[str]], view: View) -> str:
    """Aligned columns under a header, a line for each row. `rows` may hold anything: it is escaped here."""
    safe = [[visible(cell) for cell in row] for row in rows]
    return _folded(header, safe, view) if view.terminal and view.width >= NARROWEST else _plain(header, safe)


def _modules(modules: Sequence[Module], view: View) -> list[str]:
    if not modules:
        return []
    columns: list[tuple[str, Callable[[Module], str]]] = [
        ("PORT", _port),
        ("MAKER", lambda module: module.identity.maker or "unknown"),
        ("BRAND", lambda module: _other_brand(module.identity)),
        ("MODEL", lambda module: _longest(module.identity.model, module.identity.variant)),
        ("FIRMWARE", lambda module: _longest(module.identity.firmware, module.identity.build)),
        ("IMEI", lambda module: module.identity.imei or "-"),
        ("SURE", lambda module: _percent(module.identity)),
        ("FROM AFAR", lambda module: _states(module.surfaces)),
    ]
    if not any(module.surfaces for module in modules):
        columns = [column for column in columns if column[0] != "FROM AFAR"]
    if all(_other_brand(module.identity) == "-" for module in modules):
        columns = [column for column in columns if column[0] != "BRAND"]
    blocks = [grid([name for name, _ in columns], [[cell(m) for _, cell in columns] for m in modules], view)]
    rebadged = [visible(f"{_port(module)}: {text}") for module in modules for text in _rebadge(module.identity)]
    if rebadged:
        blocks.append(section("Sold under another name", rebadged))
    conflicts = [visible(f"{_port(module)}: {text}") for module in modules for text in module.identity.conflicts]
    if conflicts:
        blocks.append(section("Conflicts", conflicts))
    for title, hosts in (
        ("Can be changed or driven from afar", False),
        ("By who has the AT port, and nobody else", True),
    ):
        rows = [row for module in modules for row in _surfaces(module, hosts, view.verbose)]
        note = _left_out(modules, hosts, view)
        if rows or note:
            table = grid(["PORT", "SURFACE", "STATE", "BY", "WHAT"], rows, view) if rows else ""
            blocks.append(f"{title}:\n{table}{note}")
    if view.verbose:
        blocks += [_evidence(module, view) for module in modules]
    return blocks


def _states(surfaces: Sequence[Surface]) -> str:
    """How many surfaces that reach beyond the host are in each state; those that the firmware lacks are left out."""
    afar = [surface for surface in surfaces if surface.reach is not Reach.HOST]
    counts = [(state, sum(surface.state is state for surface in afar)) for state in _SHOWN]
    return ", ".join(f"{count} {state}" for state, count in counts if count) or "-"


def _surfaces(module: Module, hosts: bool, verbose: bool) -> list[list[str]]:
    """A row for each surface that is on, with `verbose` for all; `hosts`: those that only the host can trigger."""
    shown = [surface for surface in module.surfaces if verbose or surface.state is State.ON]
    order = [*_SHOWN, State.ABSENT]
    rows = []
    for surface in sorted(shown, key=lambda each: order.index(each.state)):
        if (surface.reach is Reach.HOST) is not hosts:
            continue
        what = surface.title
        if surface.means:
            what += f": {surface.means}"
        if verbose and surface.advice:
            what += f". {surface.advice[:1].upper()}{surface.advice[1:]}"
        if verbose and surface.answer:
            what += f" [{surface.answer}]"
        rows.append([_port(module), surface.id, str(surface.state), str(surface.reach), what])
    return rows


def _left_out(modules: Sequence[Module], hosts: bool, view: View) -> str:
    """A word on the surfaces that are not shown: unknown is not off."""
    surfaces = [each for module in modules for each in module.surfaces if (each.reach is Reach.HOST) is hosts]
    unknown = sum(surface.state is State.UNKNOWN for surface in surfaces)
    if view.verbose or hosts or not unknown:
        return ""
    return f"{GAP}The state of {unknown} more cannot be read, which is not the same as off; -v lists them.\n"


def _evidence(module: Module, view: View) -> str:
    timing = module.timing
    head = (
        f"{visible(_port(module))}: {timing.commands} commands in {timing.seconds:.2f} s, "
        f"{timing.module_seconds:.2f} s of it waiting for the module\n"
    )
    rows = [
        [str(item.claim), item.value, str(item.strength), item.source, item.text] for item in module.identity.evidence
    ]
    if not rows:
        return head + "no evidence of who this is\n"
    return head + grid(["CLAIM", "VALUE", "STRENGTH", "SOURCE", "TEXT"], rows, view)


def _devices(modules: Sequence[Module], view: View) -> list[str]:
    if not modules:
        return ["Nothing is attached that could be a modem.\n"]
    rows = [
        [*_device(module.device), *cells]
        for module in modules
        for cells in [_cells_of(port) for port in module.device.ports] or [["-"] * 4]
    ]
    return [grid(["BUS", "DEVICE", "PORT", "ROLE", "INTERFACE", "DRIVER"], rows, view)]


def _device(device: Device) -> tuple[str, str]:
    """Where a device is, and what it calls itself."""
    if device.pci is not None:
        return f"{device.bus} {device.pci.slot}", f"{device.pci.vid}:{device.pci.did}"
    if device.usb is None:
        return device.bus, "-"
    usb = device.usb
    names = [name for name in (usb.manufacturer, usb.product) if name]
    return f"{device.bus} {usb.path or ''}".rstrip(), " ".join([f"{usb.vid}:{usb.pid}", *names])


def _cells_of(port: Port) -> list[str]:
    return [port.path, str(port.role), "-" if port.interface is None else str(port.interface), port.driver or "-"]


def _port(module: Module) -> str:
    """The ports that were talked to, or all of them where none was."""
    probed = [port.path for port in module.device.ports if port.probed]
    return ", ".join(probed or [port.path for port in module.device.ports])


def _other_brand(identity: Identity) -> str:
    return identity.brand if identity.brand and identity.brand != identity.maker else "-"


def _rebadge(identity: Identity) -> list[str]:
    """Which words say whose name it carries, and which whose module it is."""
    if identity.maker is None or _other_brand(identity) == "-":
        return []
    wanted = ((Claim.BRAND, identity.brand), (Claim.MAKER, identity.maker))
    found = [[e for e in identity.evidence if e.claim is claim and e.value == value] for claim, value in wanted]
    best = [max(each, key=lambda e: (e.strength.rank, e.behaviour)) for each in found if each]
    return ["; ".join(f"{e.text!r} ({e.source}) speaks for {e.value} as {e.claim}" for e in best)]


def _longest(short: str | None, long: str | None) -> str:
    """Two names of one thing: the longer one alone where it repeats the shorter one."""
    if short and long:
        return long if short in long else f"{short} / {long}"
    return long or short or "-"


def _percent(identity: Identity) -> str:
    # Rounded down: 99.7 % must not be shown as certain. The small term takes back what binary fractions lose.
    return "-" if identity.maker is None else f"{math.floor(identity.confidence * 100 + 1e-9)}%"


def section(title: str, lines: Sequence[str]) -> str:
    """Indented lines under a title. The lines are safe already."""
    return f"{title}:\n" + "".join(f"{GAP}{line}\n" for line in lines)


def _plain(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, *rows]
    widths = [max(_cells(line[column]) for line in lines) for column in range(len(header))]
    return "".join(
        GAP.join(cell + " " * (width - _cells(cell)) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n"
        for line in lines
    )


def _cells(text: str) -> int:
    """Columns of a terminal that `text` takes: East Asian wide characters take two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _folded(header: Sequence[str], rows: Sequence[Sequence[str]], view: View) -> str:
    from rich.console import Console  # takes long, and only a person at a terminal needs it
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, len(GAP), 0, 0), pad_edge=False, header_style="bold" if view.colour else "")
    widths = [max(_cells(line[column]) for line in (header, *rows)) for column in range(len(header))]
    widest = widths.index(max(widths))
    # The widest column gives way alone where that is enough, so that a port or an IMEI stays in one piece.
    enough = sum(widths) - widths[widest] + len(GAP) * len(widths) + NARROW <= view.width
    for index, name in enumerate(header):
        table.add_column(name, overflow="fold", no_wrap=enough and index != widest)
    for row in rows:
        # Text, not str: a str could hold rich's own markup.
        table.add_row(*(Text(cell) for cell in row))
    target = io.StringIO()
    console = Console(
        file=target,
        width=view.width,
        force_terminal=view.colour,
        color_system="standard" if view.colour else None,
        no_color=not view.colour,
        legacy_windows=False,
    )
    console.print(table)
    return "".join(line.rstrip() + "\n" for line in target.getvalue().splitlines())
