"""A module's settings as its profile describes them, without any I/O or clock: what is read, written and kept.

A `Memory` holds the answer to every query of a maker's surfaces, twice: the one in force and the one that is stored.
A command that writes a setting changes the characters of the answers in which that setting is read.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from typing import NamedTuple

from atprobe.at import Form, normalise, split
from atprobe.at._results import is_final
from atprobe.knowledge import Query, Reboot, SettingRule, SurfaceRule, Values
from atprobe.knowledge._surfaces import Range
from atprobe.model import State

Answer = tuple[str, ...] | None
"""The lines of an answer, mostly without the result code; None where the command is refused."""

BUSY = "+CME ERROR: operation temporary not allowed"

_ELSEWHERE = frozenset({"AT+CLAC"})
"""Queries that the transcript answers: it knows all commands of the module, and a profile shows a few."""
_TELLS = re.compile(r"AT(?:I[0-9]*|&V[0-9]*|\+C?G(?:MI|MM|MR|SN)|\+CLAC)")
"""Commands that only tell something, though they do not end in a question mark (V.250, 3GPP TS 27.007)."""


class Trouble(StrEnum):
    """A way of not doing what a command that writes asks for; several can be had at once."""

    IGNORE = "ignore"
    """Says OK and changes nothing."""
    REFUSE = "refuse"
    """Says ERROR and changes nothing."""
    BUSY = "busy"
    """Says that it cannot be done at the moment, as while an update is running, and changes nothing."""
    SWALLOW = "swallow"
    """Says nothing and changes nothing."""
    MUTE = "mute"
    """Changes the setting and says nothing."""
    OTHER = "other"
    """Says OK and sets another value than the one asked for."""
    REBOOT = "reboot"
    """Changes the setting and restarts instead of answering."""
    DROP = "drop"
    """Changes the setting, and the port is gone for good instead of an answer."""
    FLOOD = "flood"
    """Unsolicited result codes before, inside and after the answer."""
    REFUSE_ALL = "refuse-all"
    """Refuses every command but AT, those that read too."""
    DEAD = "dead"
    """Answers no command at all and changes nothing."""


_UNCHANGED = frozenset({Trouble.IGNORE, Trouble.REFUSE, Trouble.BUSY, Trouble.SWALLOW})
_UNSAID = frozenset({Trouble.SWALLOW, Trouble.MUTE, Trouble.REBOOT, Trouble.DROP})


class End(StrEnum):
    """What becomes of the port after an answer."""

    RESTART = "restart"
    """It goes away and comes back when the module has started."""
    LOST = "lost"
    """It goes away for good."""


class Reply(NamedTuple):
    """The lines of an answer with its result code, none where nothing is said, and what happens then."""

    lines: tuple[str, ...]
    end: End | None = None
    flood: bool = False


class _Setting(NamedTuple):
    """One setting of a surface, and the values with which it began."""

    surface: str
    read: str
    kept: bool
    rule: SettingRule
    template: re.Pattern[str]
    began: Mapping[str, str]

    def asked(self, command: str) -> Values | None:
        """The values that a normalised command line writes, as they are read; None where it writes something else."""
        found = self.template.fullmatch(command)
        if found is None:
            return None
        choices = []
        for name, kind in self.rule.types:
            words = [found[name]]
            if not isinstance(kind, Range):
                words = [word for word, written in kind.words if written.casefold() == found[name].casefold()]
            # Two words may be written alike. The one with which it began is how this module spells it.
            choices.append([(name, word) for word in sorted(words, key=lambda word: word != self.began.get(name))])
        # What the template lets through is right where the rule would have written the same line.
        return next((each for each in product(*choices) if normalise(self.rule.command(each) or "") == command), None)

    def other(self, values: Values, present: Values) -> Values:
        """Some values that differ from those in what turns the surface off, and from the present ones if possible."""
        kinds = dict(self.rule.types)
        some = [
            tuple((name, word if name == changed else value) for name, value in values)
            for changed, _ in self.rule.off
            for word in kinds[changed].read()
        ]
        wrong = [each for each in some if not self.rule.same(each, values)]
        return next((each for each in wrong if not self.rule.same(each, present)), wrong[0] if wrong else values)

    def put(self, answer: Answer, values: Values) -> Answer:
        """The answer with those values in the place of the present ones; as it was where the setting is not in it."""
        found = self.rule.line(answer or ())
        if answer is None or found is None:
            return answer
        line, kinds = found.string, dict(self.rule.types)
        for name, value in sorted(values, key=lambda pair: -found.start(pair[0])):
            old = found[name]
            # A number that is shown with leading zeros stays so.
            new = value.zfill(len(old)) if old.startswith("0") and isinstance(kinds[name], Range) else value
            line = line[: found.start(name)] + new + line[found.end(name) :]
        place = answer.index(found.string)
        return (*answer[:place], line, *answer[place + 1 :])


@dataclass(frozen=True)
class _Image:
    """All answers at one moment: those in force and those that a restart brings back."""

    force: Mapping[str, Answer]
    stored: Mapping[str, Answer]


class Memory:
    """The settings of a module that has the surfaces `rules`, restarted by `reboot`.

    Every query gives one of its examples: one whose state is ON where there is one, else the first that is not
    ABSENT, and among these the one that shows most settings of the switch; where there is none it is refused.
    `start` names another state for a surface. Surfaces that share a query share its answer: that of the first one
    in `start`, else of the first one. `reading` are command lines that are known to change nothing, see `writes`.
    Raises ValueError where `start` names a surface that is not there or a state that no query of it can show.

    `troubles` may be changed at any time, from any thread. `after` is how many further writes go well before
    the troubles start; it counts down. A setting of a surface whose id is in `forgetful` is lost in every restart,
    whatever its profile says. `writes` has every line received that is neither AT nor known to read only, in order.
    """

    def __init__(
        self,
        rules: Sequence[SurfaceRule],
        reboot: Reboot | None = None,
        start: Mapping[str, State] | None = None,
        *,
        reading: Collection[str] = (),
    ) -> None:
        self.troubles: set[Trouble] = set()
        self.after = 0
        self.forgetful: set[str] = set()
        self.writes: list[str] = []
        start = start or {}
        _check(rules, start)
        self._reboot = None if reboot is None else normalise(reboot.send)
        self._reading = frozenset(map(normalise, reading))
        asked: dict[str, list[tuple[SurfaceRule, Query]]] = {}
        for rule in rules:
            for query in rule.queries:
                if normalise(query.send) not in _ELSEWHERE:
                    asked.setdefault(normalise(query.send), []).append((rule, query))
        answers: dict[str, Answer] = {}
        for send, owners in asked.items():
            rule, query = next((owner for owner in owners if owner[0].id in start), owners[0])
            answers[send] = _first(rule, query, start.get(rule.id), [owner for owner, _ in owners])
        # Replaced as a whole with every change, so that another thread never sees half of one.
        self._image = _Image(answers, answers)
        self._settings = [
            _Setting(
                rule.id,
                normalise(setting.read),
                rule.switch.persistent != "until-reboot",
                setting,
                _template(setting),
                dict(setting.values(answers.get(normalise(setting.read)) or ()) or ()),
            )
            for rule in rules
            if rule.switch is not None
            for setting in rule.switch.settings
        ]

    def answer(self, line: str) -> Reply | None:
        """What the module says to a command line; None where its settings have nothing to do with it."""
        command = normalise(line)
        if not self._only_reads(command):
            self.writes.append(line)
        if Trouble.DEAD in self.troubles:
            return Reply(())
        if Trouble.REFUSE_ALL in self.troubles and command != "AT":
            return Reply(("ERROR",))
        if command in self._image.force:
            return _reply(self._image.force[command], command)
        if command == self._reboot:
            return Reply(("OK",), End.RESTART)
        return self._write(command)

    def power_cycle(self) -> None:
        """The module starts anew: what is stored is in force."""
        self._image = _Image(self._image.stored, self._image.stored)

    def snapshot(self) -> dict[str, dict[str, Answer]]:
        """The answers to all queries, `in force` and `stored`. Two are equal where nothing differs."""
        image = self._image
        return {"in force": dict(image.force), "stored": dict(image.stored)}

    def _only_reads(self, command: str) -> bool:
        if command == "AT" or command in self._image.force or command in self._reading or _TELLS.fullmatch(command):
            return True
        parts = split(command)
        return bool(parts) and all(form in (Form.READ, Form.TEST) for _, form in parts)

    def _write(self, command: str) -> Reply | None:
        fitting = [(each, values) for each in self._settings if (values := each.asked(command)) is not None]
        if not fitting:
            return None
        # Two kits may write with one command what they read in two ways: the answer tells which of them this is.
        force, stored = dict(self._image.force), dict(self._image.stored)
        present = [(each, values, now) for each, values in fitting if (now := each.rule.values(force[each.read] or ()))]
        if not present:
            return Reply(("ERROR",))
        troubles: frozenset[Trouble] = frozenset()
        if self.after > 0:
            self.after -= 1
        else:
            troubles = frozenset(self.troubles)
        if not troubles & _UNCHANGED:
            for setting, asked, now in present:
                values = setting.other(asked, now) if Trouble.OTHER in troubles else asked
                force[setting.read] = setting.put(force[setting.read], values)
                if setting.kept and setting.surface not in self.forgetful:
                    stored[setting.read] = setting.put(stored[setting.read], values)
            self._image = _Image(force, stored)
        return _said(troubles)


def _said(troubles: frozenset[Trouble]) -> Reply:
    end = End.LOST if Trouble.DROP in troubles else End.RESTART if Trouble.REBOOT in troubles else None
    if troubles & _UNSAID:
        return Reply((), end)
    result = BUSY if Trouble.BUSY in troubles else "ERROR" if Trouble.REFUSE in troubles else "OK"
    return Reply((result,), end, Trouble.FLOOD in troubles)


def _reply(answer: Answer, command: str) -> Reply:
    if answer is None:
        return Reply(("ERROR",))
    ended = bool(answer) and is_final(answer[-1], False, command)
    return Reply(answer if ended else (*answer, "OK"))


def _check(rules: Sequence[SurfaceRule], start: Mapping[str, State]) -> None:
    known = {rule.id: rule for rule in rules}
    for name, state in start.items():
        if name not in known:
            raise ValueError(f"there is no surface {name}, only {', '.join(known) or 'none at all'}")
        queries = known[name].queries
        shown = {each for query in queries for each in (query.refused, *(state for _, state in query.examples))}
        if state not in (*shown, State.ABSENT):
            raise ValueError(f"no answer is known that says that {name} is {state}")


def _first(rule: SurfaceRule, query: Query, start: State | None, owners: Sequence[SurfaceRule]) -> Answer:
    """The answer with which the module begins: one in which there is something to switch, where there is a choice."""
    examples = [lines for lines, state in query.examples if state is (start or State.ON)]
    if not examples and start is not None and start in (State.ABSENT, query.refused):
        return None
    if start is None and (allowing := [lines for lines, _ in query.examples if _allows(owners, query.send, lines)]):
        # A condition of a switch that holds says more of a module at work than an update that is running.
        examples = allowing
    examples = examples or [lines for lines, state in query.examples if state is State.ON]
    examples = examples or [lines for lines, state in query.examples if state is not State.ABSENT]

    def shows(lines: Sequence[str]) -> tuple[int, int]:
        own, *others = (_shown(each, query.send, lines) for each in (rule, *owners))
        return own, sum(others)

    return max(examples, key=shows) if examples else None


def _allows(owners: Sequence[SurfaceRule], send: str, lines: Sequence[str]) -> bool:
    """Whether a condition of a switch, of which another query is what it reads, holds in these lines."""
    return any(
        read == send != setting.read and any(re.fullmatch(pattern, line, re.I) for line in lines)
        for rule in owners
        for setting in (rule.switch.settings if rule.switch else ())
        for read, pattern in setting.only_if
    )


def _shown(rule: SurfaceRule, send: str, lines: Sequence[str]) -> int:
    """How much the switch of a surface has to do in these lines: settings that are not off count double."""
    settings = rule.switch.settings if rule.switch else ()
    count = 0
    for each in settings:
        values = each.values(lines) if each.read == send else None
        if values is not None:
            count += 1 if each.same(values, each.with_off(values)) else 2
        count += sum(read == send and each.holds(pattern, lines) for read, pattern in each.only_if)
    return count


def _template(rule: SettingRule) -> re.Pattern[str]:
    """What a normalised command line that writes the setting looks like, whatever the values."""
    # Characters of private use stand for the variables: normalising leaves them as they are.
    marks = {name: chr(0xE000 + number) for number, (name, _) in enumerate(rule.types)}
    text = re.escape(normalise(re.sub(r"\{(\w+)\}", lambda found: marks[found[1]], rule.write)))
    for name, kind in rule.types:
        values = "[0-9]+" if isinstance(kind, Range) else "|".join(re.escape(written) for _, written in kind.words)
        text = text.replace(marks[name], f"(?P<{name}>{values})", 1).replace(marks[name], f"(?P={name})")
    return re.compile(text, re.I)
