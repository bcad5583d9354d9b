"""What is known of the makers, as frozen values."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from atprobe.at import normalise
from atprobe.knowledge._check import fill
from atprobe.knowledge._surfaces import Platform, Reboot, SurfaceRule, surface_from
from atprobe.model import Claim, Role, Strength, UsbInfo, UsbInterface

MAX_TEXT = 512
"""Longer texts match no rule: the longest real one has some 300 characters, and patterns cost time on hostile ones."""

GENERIC = "generic"
"""The folder of what every module may know (V.250, 3GPP TS 27.007)."""

Reads = Literal["identity", "manufacturer", "model", "revision", "imei", "commands"]

MakerKind = Literal["maker", "chip", "brand"]


@dataclass(frozen=True)
class Rule:
    """One pattern and what a match says. `strength` is None where it proves nothing of the maker."""

    pattern: str
    strength: Strength | None
    values: Strength
    claims: tuple[tuple[Claim, str], ...]

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern, re.I)

    def match(self, text: str) -> dict[Claim, str] | None:
        """What the whole of `text` says by this rule; None where it does not match."""
        found = self._compiled.fullmatch(text) if len(text) <= MAX_TEXT else None
        if found is None:
            return None
        filled = ((claim, fill(template, found)) for claim, template in self.claims)
        return {claim: value for claim, value in filled if value is not None}


@dataclass(frozen=True)
class Command:
    """A reading command and what it is asked for."""

    send: str
    settles: frozenset[Claim]
    reads: Reads | None = None
    tell: bool = False
    """Worth asking a module of unknown maker: a good answer gives the maker away."""
    seconds: float | None = None
    same_as: str | None = None
    for_models: str | None = None
    """Asked only of modules whose model matches this pattern as a whole."""
    answers: tuple[Rule, ...] = ()


@dataclass(frozen=True)
class Tie:
    """One dated relation of a maker to another firm: the maker's `relation` is `name`."""

    relation: str
    name: str
    says: str
    source: str
    confidence: str
    slug: str | None = None
    """The folder of that firm, where it has one."""
    since: str | None = None
    until: str | None = None


@dataclass(frozen=True)
class Source:
    """Where a fact on a maker was read, and when that was written or read."""

    url: str
    date: str
    says: str
    confidence: str


@dataclass(frozen=True)
class Maker:
    """Who a slug stands for.

    `kind` is `brand` for a firm that sells modules others design, and `chip` for a chip maker whose reference
    firmware shows where nobody made it their own.
    """

    slug: str
    name: str
    kind: MakerKind = "maker"
    legal_name: str | None = None
    country: str | None = None
    usb_vendors: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    ties: tuple[Tie, ...] = ()

    @property
    def last_fact(self) -> str | None:
        """The date of the newest fact, as far as it is given: `2026-06-08`, `2026-06` or `2026`."""
        dates = [s.date for s in self.sources] + [d for t in self.ties for d in (t.since, t.until) if d]
        return max(dates, default=None)


@dataclass(frozen=True)
class Layout:
    """What some interfaces of some USB devices are for. What is None, or an empty `vendors` or `products`, fits any.

    `triple` is the start of class/subclass/protocol: `ff/42/01`, `02/0e` or `ff`. A row that names the kernel
    `driver` says what that driver makes of its interfaces, and is asked after everything else.
    """

    role: Role
    vendors: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    triple: str | None = None
    number: int | None = None
    driver: str | None = None

    def fits(self, usb: UsbInfo, interface: UsbInterface) -> bool:
        """Whether this row speaks of that interface."""
        return (
            (not self.vendors or usb.vid in self.vendors)
            and (not self.products or usb.pid in self.products)
            and (self.triple is None or f"{interface.triple}/".startswith(f"{self.triple}/"))
            and (self.number is None or interface.number == self.number)
            and (self.driver is None or interface.driver == self.driver)
        )


@dataclass(frozen=True)
class Profile:
    """All that is known of one maker. `maker` is None for the generic V.250/27.007 profile."""

    slug: str
    maker: Maker | None
    labels: tuple[Rule, ...] = ()
    models: tuple[Rule, ...] = ()
    firmware: tuple[Rule, ...] = ()
    dialect: tuple[Rule, ...] = ()
    commands: tuple[Command, ...] = ()
    never: tuple[str, ...] = ()
    unsolicited: tuple[str, ...] = ()
    redact: tuple[str, ...] = ()
    layouts: tuple[Layout, ...] = ()
    modem_vendors: tuple[str, ...] = ()
    """USB vendor ids under which nothing but cellular modules is sold."""
    surfaces: tuple[SurfaceRule, ...] = ()
    platforms: tuple[Platform, ...] = ()
    """The chip platforms whose surfaces its modules may have too."""
    reboot: Reboot | None = None

    @property
    def is_maker(self) -> bool:
        """True where this profile stands for a firm that designs modules, or the chips they rest on."""
        return self.maker is not None and self.maker.kind != "brand"


@dataclass(frozen=True)
class Knowledge:
    """All profiles of one folder."""

    profiles: dict[str, Profile]
    version: str
    """The start of the digest of all profile files."""
    root: Path
    reading: frozenset[str] = field(default_factory=frozenset)
    """Every command, normalised, that some profile declares as reading. Nothing else is ever sent."""
    unsolicited: tuple[str, ...] = ()
    redact: tuple[str, ...] = ()
    layouts: tuple[Layout, ...] = ()
    """Of all profiles, the makers' before what is true of any device."""
    modem_vendors: frozenset[str] = frozenset()
    never: tuple[str, ...] = ()
    """Patterns of command lines that nobody may send, of all profiles."""

    @cached_property
    def _forbidden(self) -> re.Pattern[str]:
        return re.compile("|".join(f"(?:{pattern})" for pattern in self.never) or r"(?!)", re.I)

    def forbids(self, line: str) -> bool:
        """Whether a command line must never be sent. The reading ones were checked when the profiles were loaded."""
        line = normalise(line)
        return line not in self.reading and self._forbidden.fullmatch(line) is not None

    def surfaces_of(self, maker: str | None, model: str | None = None) -> tuple[SurfaceRule, ...]:
        """The surfaces that a module of this maker and model may have; none where the maker is not known."""
        own = self.profiles.get(maker or "")
        below = [self.profiles[each.folder] for each in own.platforms if each.suits(model)] if own else []
        profiles = [own, *below] if own else []
        return tuple(rule for profile in profiles for rule in profile.surfaces if rule.suits(model))

    def reboot_of(self, maker: str | None, model: str | None = None) -> Reboot | None:
        """How a module of this maker and model is restarted; None where no profile says."""
        own = self.profiles.get(maker or "")
        if own is None:
            return None
        below = (self.profiles[each.folder].reboot for each in own.platforms if each.suits(model))
        return own.reboot or next(filter(None, below), None)

    @property
    def standard(self) -> tuple[Command, ...]:
        """The standard commands, in the order in which they are asked."""
        profile = self.profiles.get(GENERIC)
        return profile.commands if profile else ()

    @property
    def makers(self) -> dict[str, Maker]:
        """Makers and brands by slug."""
        return {slug: profile.maker for slug, profile in self.profiles.items() if profile.maker is not None}


def knowledge_from(data: dict[str, Any], version: str, root: Path) -> Knowledge:
    """Build the values from checked data (see `_check`)."""
    profiles = {slug: _profile(slug, entry) for slug, entry in data.items()}
    return Knowledge(
        profiles=profiles,
        version=version,
        root=root,
        reading=frozenset(
            normalise(send)
            for profile in profiles.values()
            for send in (
                *(command.send for command in profile.commands),
                *(query.send for surface in profile.surfaces for query in surface.queries),
            )
        ),
        unsolicited=tuple(pattern for profile in profiles.values() for pattern in profile.unsolicited),
        redact=tuple(pattern for profile in profiles.values() for pattern in profile.redact),
        layouts=tuple(
            layout
            for profile in sorted(profiles.values(), key=lambda profile: profile.slug == GENERIC)
            for layout in profile.layouts
        ),
        modem_vendors=frozenset(vendor for profile in profiles.values() for vendor in profile.modem_vendors),
        never=tuple(pattern for profile in profiles.values() for pattern in profile.never),
    )


def _profile(slug: str, data: dict[str, Any]) -> Profile:
    who, how, where = data.get("maker"), data.get("identity", {}), data.get("usb", {})
    afar = data.get("surfaces", {})
    maker = None
    if who is not None:
        maker = Maker(
            slug,
            who["name"],
            who["kind"],
            who.get("legal_name"),
            who.get("country"),
            tuple(who.get("usb_vendors", ())),
            tuple(Source(**source) for source in who.get("sources", ())),
            tuple(Tie(**tie) for tie in who.get("ties", ())),
        )
    return Profile(
        slug=slug,
        maker=maker,
        labels=tuple(_rule(rule, brand=slug) for rule in how.get("labels", ())),
        models=tuple(_rule(rule) for rule in how.get("models", ())),
        firmware=tuple(_rule(rule) for rule in how.get("firmware", ())),
        dialect=tuple(_rule(rule) for rule in how.get("dialect", ())),
        commands=tuple(_command(command) for command in how.get("commands", ())),
        never=tuple(entry["pattern"] for entry in (*how.get("never", ()), *afar.get("never", ()))),
        unsolicited=tuple(how.get("unsolicited", ())),
        redact=(*how.get("redact", ()), *afar.get("redact", ())),
        layouts=tuple(_layout(row, maker) for row in where.get("layouts", ())),
        modem_vendors=tuple(where.get("modem_vendors", ())),
        surfaces=tuple(surface_from(slug, surface) for surface in afar.get("surfaces", ())),
        platforms=tuple(Platform(**platform) for platform in afar.get("platforms", ())),
        reboot=Reboot(**afar["reboot"]) if "reboot" in afar else None,
    )


def _layout(data: dict[str, Any], maker: Maker | None) -> Layout:
    return Layout(
        Role(data["role"]),
        tuple(data.get("vendors", maker.usb_vendors if maker else ())),
        tuple(data.get("products", ())),
        data.get("class"),
        data.get("number"),
        data.get("driver"),
    )


def _rule(data: dict[str, Any], brand: str | None = None) -> Rule:
    claims = dict(data.get("claims", {}))
    if brand is not None:
        claims.setdefault("brand", brand)
    strength = data["strength"]
    return Rule(
        data["pattern"],
        None if strength == "none" else Strength(strength),
        Strength(data.get("values", "strong")),
        tuple((Claim(claim), template) for claim, template in claims.items()),
    )


def _command(data: dict[str, Any]) -> Command:
    return Command(
        data["send"],
        frozenset(Claim(claim) for claim in data["settles"]),
        data.get("reads"),
        data.get("tell", False),
        data.get("seconds"),
        data.get("same_as"),
        data.get("for_models"),
        tuple(_rule(rule) for rule in data.get("answers", ())),
    )
