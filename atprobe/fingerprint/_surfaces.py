"""Replies -> the state of each surface, and what would switch it off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from atprobe.at import normalise
from atprobe.fingerprint._extract import command_names
from atprobe.fingerprint._questions import LEAST_LISTED, is_listed
from atprobe.knowledge import Query, SettingRule, SurfaceRule
from atprobe.model import Ended, Reply, Setting, State, Surface, Switch

LIST_COMMANDS = "AT+CLAC"
"""27.007 8.37: its answer is read as the names of commands."""

_ORDER = (State.ON, State.UNKNOWN, State.OFF)
"""What one question says of a surface outweighs what comes later here: on is on, whatever else is off."""

_NOT_THERE = frozenset({"ERROR", "4", "COMMAND NOT SUPPORT"})
_NOT_THERE_CME = frozenset({"3", "4", "100", "operation not allowed", "operation not supported", "unknown"})
"""The errors of 27.007 9.2 with which a firmware refuses a command that it does not have."""

_NOT_NOW = "The profile has a switch, but what the module answers does not let it be used now."

MAX_SHOWN = 12
"""Lines of an answer that are kept with the state."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What a module answered, by normalised command."""

    replies: Mapping[str, Reply]

    @property
    def listed(self) -> tuple[str, ...]:
        """The commands the module says it has; empty where that is not known."""
        return self.lines(LIST_COMMANDS) or ()

    def lines(self, send: str) -> tuple[str, ...] | None:
        """The lines of a good answer; None where there is none. Of AT+CLAC: the names in it."""
        reply = self.replies.get(normalise(send))
        if reply is None or not reply.ok:
            return None
        if normalise(send) == LIST_COMMANDS:
            return tuple(name for line in reply.text for name in command_names(line))
        return tuple(line.strip() for line in reply.text)


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What one question says. `state` is None where it says nothing."""

    state: State | None
    answered: bool = False
    lines: tuple[str, ...] = ()
    means: str | None = None


def to_ask(rule: SurfaceRule, answers: Answers) -> Query | None:
    """The next question about a surface; None where all that can be asked was."""
    for query in rule.queries:
        if normalise(query.send) not in answers.replies and _may_ask(rule, query, answers):
            return query
    return None


def surface(rule: SurfaceRule, answers: Answers) -> Surface:
    """The state of one surface, and its switch where the answers allow it to be used."""
    verdicts = [_verdict(rule, query, answers) for query in rule.queries]
    telling = [verdict for verdict in verdicts if verdict.state is not None]
    speaker = next((v for state in _ORDER for v in telling if v.state is state), telling[0] if telling else None)
    state = speaker.state if speaker is not None and speaker.state is not None else State.UNKNOWN
    switch = None if state is State.ABSENT else _switch(rule, answers)
    advice = [rule.advice] if rule.advice else []
    if rule.switch is not None and switch is None and state in (State.ON, State.UNKNOWN):
        advice.insert(0, _NOT_NOW)
    return Surface(
        rule.id,
        rule.title,
        rule.kind,
        rule.reach,
        state,
        rule.maker,
        "\n".join(speaker.lines[:MAX_SHOWN]) or None if speaker else None,
        speaker.means if speaker else None,
        switch,
        " ".join(advice) or None,
    )


def _may_ask(rule: SurfaceRule, query: Query, answers: Answers) -> bool:
    if not is_listed(query.send, answers.listed):
        return False
    if query.needs is None:
        return True
    needed = next(each for each in rule.queries if each.send == query.needs)
    return _verdict(rule, needed, answers).answered


def _verdict(rule: SurfaceRule, query: Query, answers: Answers) -> _Verdict:
    reply = answers.replies.get(normalise(query.send))
    if reply is None:
        if not is_listed(query.send, answers.listed):
            return _Verdict(State.ABSENT, means="not among the commands the module lists")
        return _Verdict(None if query.needs and not _may_ask(rule, query, answers) else State.UNKNOWN)
    lines = answers.lines(query.send)
    return _refused(query, reply) if lines is None else _answered(query, lines)


def _refused(query: Query, reply: Reply) -> _Verdict:
    if reply.ended is Ended.TIMEOUT or reply.final is None:
        return _Verdict(State.UNKNOWN, means="not answered")
    state = query.refused if _is_not_there(reply.final) else State.UNKNOWN
    return _Verdict(state, lines=(*reply.text, reply.final))


def _answered(query: Query, lines: tuple[str, ...]) -> _Verdict:
    found = query.rule(lines)
    if found is not None:
        return _Verdict(found.state, found.state is not State.UNKNOWN, tuple(filter(found.matches, lines)), found.means)
    if normalise(query.send) == LIST_COMMANDS:
        # A short answer is no full list, and what it lacks may still be there.
        full = len(lines) >= LEAST_LISTED
        return _Verdict(query.ok if full else State.UNKNOWN, full)
    return _Verdict(query.ok, query.ok not in (None, State.UNKNOWN), lines)


def _is_not_there(final: str) -> bool:
    head, _, code = final.partition(":")
    return final in _NOT_THERE or (head == "+CME ERROR" and code.strip().lower() in _NOT_THERE_CME)


def _switch(rule: SurfaceRule, answers: Answers) -> Switch | None:
    if rule.switch is None:
        return None
    settings = tuple(setting for each in rule.switch.settings if (setting := _setting(each, answers)) is not None)
    if not settings:
        return None
    return Switch(
        settings,
        rule.switch.effect,
        rule.switch.leaves,
        rule.switch.persistent,
        rule.switch.reboot,
        rule.switch.risk,
        rule.switch.confidence,
        rule.switch.source,
        rule.switch.automated,
        rule.switch.opt_in,
    )


def _setting(rule: SettingRule, answers: Answers) -> Setting | None:
    values = rule.values(answers.lines(rule.read) or ())
    if values is None:
        return None
    for read, pattern in rule.only_if:
        if not SettingRule.holds(pattern, answers.lines(read) or ()):
            return None
    off = rule.with_off(values)
    write, undo = rule.command(off), rule.command(values)
    if write is None or undo is None:
        return None
    return Setting(rule.write, rule.read, values, off, None if write == undo else write, undo)
