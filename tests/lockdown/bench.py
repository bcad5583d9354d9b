"""A made-up module whose settings can be switched, on a pty, and everything a lockdown run needs around it."""

from __future__ import annotations

import fcntl
import termios
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from atprobe.at import normalise
from atprobe.emulator import Emulator, Fault, Memory, Spec
from atprobe.emulator.scoring import replay
from atprobe.fingerprint import Target, probe
from atprobe.knowledge import Knowledge, Reboot, SurfaceRule, load, transcripts
from atprobe.knowledge._surfaces import surface_from
from atprobe.lockdown import Journal, Tools, make_plan
from atprobe.model import Change, Device, Exchange, Identity, Module, Plan, Port, Transcript, Truth
from atprobe.report import now

MAKER, MODEL, FIRMWARE = "simcom", "A7670E-FASE", "A7670M7_V1.11.1"
IMEIS = ("350457790000002", "350457880000003")
REBOOT = Reboot("AT+CFUN=1,1", 5.0, "made up")


def _query(send: str, *values: str, off: str) -> dict[str, Any]:
    name = send.strip("AT?")
    return {
        "send": send,
        "states": [
            {"pattern": rf"\{name}: ?(?:[a-z],)?{off}", "state": "off"},
            {"pattern": rf"\{name}: ?.*", "state": "on"},
        ],
        "examples": [{"recv": [f"{name}: {value}" for value in values], "state": "on"}],
    }


def _surface(name: str, query: dict[str, Any], settings: list[dict[str, Any]], **switch: Any) -> SurfaceRule:
    about = {
        "settings": settings,
        "effect": "off",
        "persistent": "yes",
        "reboot": "no",
        "source": "made up",
        "confidence": "documented",
        **switch,
    }
    return surface_from(
        MAKER,
        {
            "id": name,
            "title": name,
            "kind": "auto-fota",
            "reach": "vendor",
            "queries": [query],
            "switch": about,
            "sources": [{"url": "nowhere", "says": "made up"}],
            "confidence": "documented",
        },
    )


def _setting(read: str, pattern: str, write: str) -> dict[str, Any]:
    return {"read": read, "pattern": pattern, "write": write, "values": {"n": {"range": [0, 9]}}, "off": {"n": "0"}}


ONE = _surface("one", _query("AT+XONE?", "3", off="0"), [_setting("AT+XONE?", r"\+XONE: ?(?P<n>\d)", "AT+XONE={n}")])
TWO = _surface(
    "two",
    _query("AT+XTWO?", "a,4", "b,5", off="0"),
    [
        _setting("AT+XTWO?", r"\+XTWO: ?a,(?P<n>\d)", "AT+XTWO=a,{n}"),
        _setting("AT+XTWO?", r"\+XTWO: ?b,(?P<n>\d)", "AT+XTWO=b,{n}"),
    ],
)
"""Two settings that are switched as one."""
LATER = _surface(
    "later",
    _query("AT+XLATER?", "1", off="0"),
    [_setting("AT+XLATER?", r"\+XLATER: ?(?P<n>\d)", "AT+XLATER={n}")],
    reboot="yes",
)
CLOUD = _surface(
    "cloud",
    _query("AT+XCLOUD?", "1", off="0"),
    [_setting("AT+XCLOUD?", r"\+XCLOUD: ?(?P<n>\d)", "AT+XCLOUD={n}")],
    opt_in=True,
    risk="telemetry",
)
GUESSED = _surface(
    "guessed",
    _query("AT+XGUESS?", "1", off="0"),
    [_setting("AT+XGUESS?", r"\+XGUESS: ?(?P<n>\d)", "AT+XGUESS={n}")],
    confidence="inferred",
)


def made_up(knowledge: Knowledge, *rules: SurfaceRule, reboot: Reboot | None = REBOOT) -> Knowledge:
    """The profiles with other surfaces for the maker of the made-up module."""
    profile = replace(knowledge.profiles[MAKER], surfaces=rules, platforms=(), reboot=reboot)
    asked = {normalise(query.send) for rule in rules for query in rule.queries}
    return replace(
        knowledge, profiles={**knowledge.profiles, MAKER: profile}, reading=knowledge.reading | frozenset(asked)
    )


def transcript(imei: str = IMEIS[0]) -> Transcript:
    """Who the made-up module is."""
    lines = ("Manufacturer: INCORPORATED", f"Model: {MODEL}", f"Revision: {FIRMWARE}", f"IMEI: {imei}", "OK")
    return Transcript("made-up", "lines", Truth(), (Exchange("ATI", lines), Exchange("AT+CGSN", (imei, "OK"))))


@dataclass
class Bench:
    """One run of the emulator with one or more made-up modules behind symlinks, whose names outlive a restart."""

    knowledge: Knowledge
    emulator: Emulator
    memories: list[Memory]
    state: Path
    stages: list[Change]
    on_stage: Callable[[Change], None] = lambda change: None

    @property
    def memory(self) -> Memory:
        """The settings of the first module."""
        return self.memories[0]

    def targets(self) -> list[Target]:
        """The ports, by the symlinks that are there now."""
        links = [link for link in self.emulator.links if link is not None and link.exists()]
        return [Target(Device("uart", (Port(str(link)),)), (str(link),)) for link in links]

    def probe(self) -> tuple[Module, ...]:
        """Every module that answers."""
        return probe(self.targets(), self.knowledge, timeout=0.3).modules

    def plan(self, *include: str) -> Plan:
        """A plan for all of them."""
        return make_plan(self.probe(), include, self.knowledge, now())

    def journal(self) -> Journal:
        """A new connection to the journal."""
        return Journal(self.state, now)

    def tools(self, journal: Journal, **others: Any) -> Tools:
        """What a run needs, with little patience. Stages go to `stages` and `on_stage`."""

        def tell(change: Change) -> None:
            self.stages.append(change)
            self.on_stage(change)

        settings: dict[str, Any] = {"back_seconds": 0.4, "write_seconds": 0.4, **others}
        return Tools(self.knowledge, journal, self.targets, 0.3, 115200, True, threading.Event(), tell, **settings)

    def unclaim(self, module: int = 0) -> None:
        """What the kernel does at the last close of a real tty. The emulator keeps its ptys open, so claims stay."""
        slave = self.emulator._ports[module].slave
        if slave is not None:
            fcntl.ioctl(slave, termios.TIOCNXCL)

    def reads(self, line: str, module: int = 0) -> tuple[str, ...] | None:
        """What a module answers to a query now."""
        return self.memories[module].snapshot()["in force"][normalise(line)]


@contextmanager
def bench(
    knowledge: Knowledge,
    tmp_path: Path,
    *rules: SurfaceRule,
    reboot: Reboot | None = REBOOT,
    imeis: Sequence[str] = IMEIS[:1],
    faults: frozenset[Fault] = frozenset(),
    boot_seconds: float = 0.3,
) -> Iterator[Bench]:
    """Modules with the surfaces `rules`, served while inside."""
    own = made_up(knowledge, *rules, reboot=reboot)
    memories = [Memory(rules, reboot, reading=own.reading) for _ in imeis]
    specs = [
        Spec(transcript(imei), faults, memory=memory, boot_seconds=boot_seconds, name=f"module-{number}")
        for number, (imei, memory) in enumerate(zip(imeis, memories, strict=True))
    ]
    with Emulator(specs, link_dir=tmp_path / "links") as emulator:
        yield Bench(own, emulator, memories, tmp_path / "state", [])


TOLD = {
    "digi": ("Digi International Inc.", "XBee3 Cellular LTE-M", ""),
    "eigencomm": ("", "EC618", "EC618_SW_V001.000.pb11.002"),
    "ericsson": ("Ericsson", "F3507g", ""),
    "fibocom": ("Fibocom", "L610-CN", ""),
    "gosuncn": ("GosuncnWelink", "ME3630-W", ""),
    "lierda": ("Lierda", "NB86-G", ""),
    "quectel": ("Quectel", "BC260Y-CN", "BC260YCNAAR02A02"),
    "rolling": ("Rolling Wireless S.a.r.l.", "RW101-GL", ""),
}
"""Manufacturer, model and revision, from the examples of the profiles: what no transcript has, and a surface needs."""


@cache
def _candidates(slug: str) -> tuple[Transcript, ...]:
    said = TOLD.get(slug, ("", "", ""))
    about = [(send, text) for send, text in zip(("AT+CGMI", "AT+CGMM", "AT+CGMR"), said, strict=True) if text]
    exchanges = (Exchange("ATI", (*(text for _, text in about), "OK")), *(Exchange(s, (t, "OK")) for s, t in about))
    return (*transcripts(slug=slug), *((Transcript(slug, "lines", Truth(), exchanges),) if about else ()))


@cache
def _identity(slug: str, place: int, imei: str) -> tuple[Transcript, Identity]:
    """That candidate under another IMEI and without a list of commands, and what the interview makes of it."""
    told = _candidates(slug)[place]
    kept = [each for each in told.exchanges if normalise(each.send or "") not in ("AT+CGSN", "AT+GSN", "AT+CLAC")]
    given = tuple(Exchange(send, (imei, "OK")) for send in ("AT+CGSN", "AT+GSN"))
    changed = replace(told, exchanges=(*kept, *given))
    return changed, replay(_profiles(), changed).identity


@cache
def _profiles() -> Knowledge:
    return load()


def known_module(slug: str, rule: SurfaceRule | None = None, imei: str = IMEIS[0]) -> tuple[Transcript, Identity]:
    """A module of a maker, with a model that may have the surface `rule`, and who it is. Raises LookupError."""
    for place in range(len(_candidates(slug))):
        found, identity = _identity(slug, place, imei)
        own = _profiles().surfaces_of(slug, identity.model) if identity.model is not None else ()
        fits = rule is None or rule.id in {each.id for each in own}
        if fits and (identity.maker, identity.imei) == (slug, imei):
            return found, identity
    raise LookupError(f"no transcript is known of a module of {slug} that could have {rule and rule.id}")
