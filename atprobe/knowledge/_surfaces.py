"""What is known of the ways to change a maker's modules from afar, as frozen values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from atprobe.model import Reach, State, SurfaceKind

MAX_LINE = 512
"""Longer lines match no rule."""

AUTOMATED = frozenset({"documented", "observed-in-code", "observed"})
"""The confidences that suffice for a command which writes."""

Values = tuple[tuple[str, str], ...]


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.I)


@dataclass(frozen=True)
class StateRule:
    """What one line of an answer says of the state. `state` is None where it says nothing of it."""

    pattern: str
    state: State | None
    means: str | None = None

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return _compiled(self.pattern)

    def matches(self, line: str) -> bool:
        """Whether the whole line is what the rule speaks of."""
        return len(line) <= MAX_LINE and self._pattern.fullmatch(line) is not None


@dataclass(frozen=True)
class Query:
    """A reading command and how its answers map to a state.

    The first rule that matches any line speaks. `ok` is the state where the module said OK and no rule matched,
    `refused` that where it refused the command; None says nothing. `needs` names another query of the surface:
    this one is asked only where a rule, or `ok`, made something of that one's answer that is not `unknown`.
    """

    send: str
    states: tuple[StateRule, ...] = ()
    ok: State | None = State.UNKNOWN
    refused: State | None = State.UNKNOWN
    needs: str | None = None
    seconds: float | None = None
    examples: tuple[tuple[tuple[str, ...], State | None], ...] = ()
    """Answers as the sources show them, and the state each of them tells."""

    def rule(self, lines: Sequence[str]) -> StateRule | None:
        """The rule that speaks of these lines of an answer; None where none does."""
        return next((rule for rule in self.states if any(map(rule.matches, lines))), None)


@dataclass(frozen=True)
class Range:
    """A variable that is a whole number from `low` to `high`."""

    low: int
    high: int

    def written(self, value: str) -> str | None:
        """The value as a command carries it; None where it is not of this type."""
        if not re.fullmatch(r"[0-9]{1,9}", value) or not self.low <= int(value) <= self.high:
            return None
        return str(int(value))

    def read(self) -> tuple[str, ...]:
        """Some values that can be read, the extremes among them."""
        return tuple(dict.fromkeys((str(self.low), str(self.high))))


@dataclass(frozen=True)
class Words:
    """A variable that is one of a few words; some are written otherwise than they are read."""

    words: tuple[tuple[str, str], ...]
    """As read, as written."""

    def written(self, value: str) -> str | None:
        """The word as a command carries it; None where it is not one of these."""
        return dict(self.words).get(value)

    def read(self) -> tuple[str, ...]:
        """Every word that can be read."""
        return tuple(word for word, _ in self.words)


@dataclass(frozen=True)
class SettingRule:
    """One setting of a surface: how it is read, written, and what it is with the surface off.

    `pattern` matches a whole line of the answer to `read`; its named groups are the variables of `write`. `only_if`
    holds queries and patterns: the setting may be written only where a line of each answer matches.
    """

    read: str
    pattern: str
    write: str
    types: tuple[tuple[str, Range | Words], ...]
    off: Values
    only_if: tuple[tuple[str, str], ...] = ()

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return _compiled(self.pattern)

    def line(self, lines: Sequence[str]) -> re.Match[str] | None:
        """The match of the first line that shows this setting, with values of the right types."""
        for line in lines:
            found = self._pattern.fullmatch(line) if len(line) <= MAX_LINE else None
            if found is not None and self.command(tuple(found.groupdict().items())) is not None:
                return found
        return None

    def values(self, lines: Sequence[str]) -> Values | None:
        """The values of the variables in an answer; None where no line shows them all."""
        found = self.line(lines)
        return None if found is None else tuple((name, str(value)) for name, value in found.groupdict().items())

    def with_off(self, values: Values) -> Values:
        """`values` with the surface off."""
        off = dict(self.off)
        return tuple((name, off.get(name, value)) for name, value in values)

    def command(self, values: Values) -> str | None:
        """The command line that writes `values`; None where one of them is not of its type."""
        given = dict(values)
        written = {name: kind.written(given[name]) if given.get(name) else None for name, kind in self.types}
        if None in written.values() or set(given) != set(written):
            return None
        return re.sub(r"\{(\w+)\}", lambda found: str(written[found[1]]), self.write)

    @staticmethod
    def holds(pattern: str, lines: Sequence[str]) -> bool:
        """Whether a condition's pattern matches a whole line of an answer."""
        return any(len(line) <= MAX_LINE and _compiled(pattern).fullmatch(line) for line in lines)

    def same(self, one: Values, other: Values) -> bool:
        """Whether two sets of values are one setting: `01` is 1."""
        return self.command(one) == self.command(other) is not None

    def possible(self) -> tuple[Values, ...]:
        """Some settings that can be read, the extremes and every word among them, and the one with the surface off."""
        some: list[Values] = [()]
        for name, kind in self.types:
            some = [(*values, (name, word)) for values in some for word in kind.read()]
        return (*some, *(self.with_off(values) for values in some))


@dataclass(frozen=True)
class SwitchRule:
    """How a surface is turned off. See `model.Switch` for the words."""

    settings: tuple[SettingRule, ...]
    effect: str
    persistent: str
    reboot: str
    confidence: str
    source: str
    leaves: str | None = None
    risk: str | None = None
    opt_in: bool = False

    @property
    def automated(self) -> bool:
        """Whether its commands may be sent at all."""
        return self.confidence in AUTOMATED


@dataclass(frozen=True)
class SurfaceRule:
    """One surface of a maker's modules, as its profile describes it."""

    id: str
    title: str
    kind: SurfaceKind
    reach: Reach
    maker: str
    confidence: str
    sources: tuple[str, ...]
    queries: tuple[Query, ...] = ()
    switch: SwitchRule | None = None
    who: str | None = None
    """Who exactly can trigger it, where `reach` alone says too little."""
    advice: str | None = None
    for_models: str | None = None
    not_models: str | None = None

    def suits(self, model: str | None) -> bool:
        """Whether a module of that model may have it. A module of unknown model may have anything of its maker."""
        if model is None:
            return True
        if self.for_models is not None and not _compiled(self.for_models).fullmatch(model):
            return False
        return self.not_models is None or not _compiled(self.not_models).fullmatch(model)


@dataclass(frozen=True)
class Platform:
    """A chip platform below a maker's modules: the folder whose surfaces they may have too, and which of them."""

    folder: str
    for_models: str | None = None

    def suits(self, model: str | None) -> bool:
        """Whether a module of that model may rest on it. A module of unknown model may rest on anything."""
        return model is None or self.for_models is None or _compiled(self.for_models).fullmatch(model) is not None


@dataclass(frozen=True)
class Reboot:
    """How a maker's modules are restarted, and within how many seconds they are back."""

    send: str
    seconds: float
    source: str


def surface_from(slug: str, data: Mapping[str, Any]) -> SurfaceRule:
    """Build one from checked data (see `_check_surfaces`)."""
    switch = data.get("switch")
    return SurfaceRule(
        data["id"],
        data["title"],
        SurfaceKind(data["kind"]),
        Reach(data["reach"]),
        slug,
        data["confidence"],
        tuple(f"{source['url']} ({source['says']})" for source in data["sources"]),
        tuple(query_from(query) for query in data.get("queries", ())),
        _switch(switch) if switch else None,
        data.get("who"),
        data.get("advice"),
        data.get("for_models"),
        data.get("not_models"),
    )


def query_from(data: Mapping[str, Any]) -> Query:
    """Build one from checked data."""
    return Query(
        data["send"],
        tuple(StateRule(rule["pattern"], _state(rule["state"]), rule.get("means")) for rule in data.get("states", ())),
        _state(data.get("ok", "unknown")),
        _state(data.get("refused", "unknown")),
        data.get("needs"),
        data.get("seconds"),
        tuple((tuple(each["recv"]), _state(each["state"])) for each in data["examples"]),
    )


def setting_from(data: Mapping[str, Any]) -> SettingRule:
    """Build one from checked data."""
    return SettingRule(
        data["read"],
        data["pattern"],
        data["write"],
        tuple((name, _type(kind)) for name, kind in data["values"].items()),
        tuple(data["off"].items()),
        tuple((each["read"], each["pattern"]) for each in data.get("only_if", ())),
    )


def _switch(data: Mapping[str, Any]) -> SwitchRule:
    return SwitchRule(
        tuple(setting_from(setting) for setting in data["settings"]),
        data["effect"],
        data["persistent"],
        data["reboot"],
        data["confidence"],
        data["source"],
        data.get("leaves"),
        data.get("risk"),
        data.get("opt_in", False),
    )


def _state(text: str) -> State | None:
    return None if text == "none" else State(text)


def _type(data: Mapping[str, Any]) -> Range | Words:
    if "range" in data:
        return Range(*data["range"])
    return Words(tuple((word, written) for word, written in data["words"].items()))
