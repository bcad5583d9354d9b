"""Which regular expressions can take too long on a hostile text.

Python's `re` tries every way in which a pattern can match a part of the text, so time is the number of those ways. They
are counted on the pattern's position automaton: one state for each character class, an edge where one class can follow
another, with the number of ways to get there (0, 1, or 2 for more). A repeat is exponential where two different paths
through its body read the same text and meet again. Repeats that follow one another multiply where both can take the
same text. Lookarounds are side paths that end nowhere: they cost time, but lead on only as the empty text.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from math import log
from typing import Any, NamedTuple

_PARSER: Any = importlib.import_module("re._parser")
_TEXT = 512  # _types.MAX_TEXT, which cannot be imported from below
_STEPS = _TEXT**2 * 8  # about 50 milliseconds
_ROUNDS = 8  # a repeat of more rounds counts as endless, where each round has several ways to match
_COPIES, _SIZE = 16, 256  # the rounds and the states a repeat may be written out to
_STATES = 3000
_SAMPLE = "".join(map(chr, range(256))) + "\u0130\u0131\u017f\u0660\u20ac\u2028\u212a\u3000\u4e00"
_CATEGORIES = {"DIGIT": r"\d", "NOT_DIGIT": r"\D", "SPACE": r"\s", "NOT_SPACE": r"\S", "WORD": r"\w", "NOT_WORD": r"\W"}


class _Refused(Exception):
    pass


class _Part(NamedTuple):
    """A part of the pattern: its first and last states and the empty text, each with the number of ways (up to 2)."""

    first: dict[int, int]
    last: dict[int, int]
    empty: int
    text: str


class _Loop(NamedTuple):
    """A repeat outside all other repeats."""

    start: int
    states: frozenset[int]
    lengths: int  # of text that it can take
    ways: int  # to take one text, by this loop alone
    text: str


class _Run(NamedTuple):
    """Loops, one after the other, and what they cost together."""

    steps: int
    ways: int  # to reach the end of the last loop at one given place
    widest: int  # the most lengths among those loops that share a text with the last one
    loops: tuple[_Loop, ...]


@dataclass
class _Automaton:
    alphabet: str
    accepts: list[int] = field(default_factory=list)  # the characters of each state, a bit for each of the alphabet
    follow: list[dict[int, int]] = field(default_factory=list)
    aside: set[int] = field(default_factory=set)  # the states of lookarounds
    loops: list[_Loop] = field(default_factory=list)
    groups: dict[int, tuple[Any, int]] = field(default_factory=dict)


def backtracks(pattern: str) -> str | None:
    """Why it can take too long to match `pattern` as a whole, with `re.I`, on 512 characters; None if it cannot.

    The pattern must compile.
    """
    try:
        tree = _PARSER.parse(pattern, re.I)
        # Two classes overlap in a sampled character or at an end of their ranges; other numbers do no harm.
        codes = {int(n) + by for n in re.findall(r"\d{3,7}", repr(tree)) for by in (-1, 0, 1)}
        chars = "".join(chr(code) + chr(code).lower() + chr(code).upper() for code in codes if 255 < code < 0x110000)
        automaton = _Automaton(_SAMPLE + "".join(sorted(set(chars) - set(_SAMPLE))))
        _sequence(automaton, tree, tree.state.flags, inside=False)
        _check_runs(automaton)
    except _Refused as refused:
        return str(refused)
    except RecursionError:
        return "the pattern is nested too deeply to judge"
    return None


@lru_cache(4096)
def _accepted(alphabet: str, characters: str, flags: int) -> int:
    return sum(1 << found.start() for found in re.finditer(characters, alphabet, flags))


def _sequence(automaton: _Automaton, nodes: Any, flags: int, inside: bool) -> _Part:
    part = _Part({}, {}, 1, "")
    for op, value in nodes:
        part = _join(automaton, part, _node(automaton, op.name, value, flags, inside))
    return part


def _node(automaton: _Automaton, op: str, value: Any, flags: int, inside: bool) -> _Part:
    match op:
        case "LITERAL" | "NOT_LITERAL" | "IN" | "ANY":
            part = _state(automaton, op, value, flags)
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            part = _repeat(automaton, value, flags, inside)
        case "SUBPATTERN":
            group, more, less, body = value
            flags = (flags | more) & ~less
            automaton.groups[group] = (body, flags)
            part = _sequence(automaton, body, flags, inside)
            part = part._replace(text=f"({part.text})")
        case "ATOMIC_GROUP":
            part = _sequence(automaton, value, flags, inside)
        case "BRANCH" | "GROUPREF_EXISTS":
            bodies = value[1] if op == "BRANCH" else value[1:]
            ways = [_sequence(automaton, body or (), flags, inside) for body in bodies]
            first, last = _union(way.first for way in ways), _union(way.last for way in ways)
            text = f"(?:{'|'.join(way.text for way in ways)})"
            part = _Part(first, last, min(2, sum(way.empty for way in ways)), text)
        case "ASSERT" | "ASSERT_NOT":
            start = len(automaton.accepts)
            part = _sequence(automaton, value[1], flags, inside=False)
            automaton.aside.update(range(start, len(automaton.accepts)))
            part = _Part(part.first, {}, 1, f"(?{'=' if op == 'ASSERT' else '!'}{part.text})")
        case "GROUPREF":
            if inside:
                raise _Refused(f"\\{value} refers back to a group from inside a repeat, which cannot be judged")
            known = len(automaton.loops)
            part = _sequence(automaton, *automaton.groups[value], inside)._replace(text=f"\\{value}")
            # Any text of the group, but there is no choice.
            automaton.loops[known:] = [loop._replace(lengths=1, ways=1) for loop in automaton.loops[known:]]
        case _:  # FAILURE is (?!), AT is ^, \b and the like
            part = _Part({}, {}, 0 if op == "FAILURE" else 1, "")
    return part


def _state(automaton: _Automaton, op: str, value: Any, flags: int) -> _Part:
    if op == "ANY":
        text = "."
    elif op == "IN":
        items = [_item(kind.name, content) for kind, content in value]
        text = items[0] if len(items) == 1 and value[0][0].name == "CATEGORY" else f"[{''.join(items)}]"
    else:
        text = f"[^{_char(value)}]" if op == "NOT_LITERAL" else _char(value)
    state = len(automaton.accepts)
    if state == _STATES:
        raise _Refused("the pattern is too large to judge")
    automaton.accepts.append(_accepted(automaton.alphabet, text, re.I | flags & (re.A | re.S)))
    automaton.follow.append({})
    return _Part({state: 1}, {state: 1}, 0, text)


def _item(kind: str, value: Any) -> str:
    if kind == "RANGE":
        return f"{_char(value[0])}-{_char(value[1])}"
    if kind == "CATEGORY":
        return _CATEGORIES[value.name.removeprefix("CATEGORY_")]
    return "^" if kind == "NEGATE" else _char(value)


def _char(code: int) -> str:
    return chr(code) if chr(code) in ' "%,/:;<=>@_' else re.escape(chr(code)) if code > 31 else f"\\x{code:02x}"


def _join(automaton: _Automaton, one: _Part, two: _Part) -> _Part:
    _connect(automaton, one.last, two.first)
    first = _union([one.first, *[two.first] * one.empty])
    last = _union([two.last, *[one.last] * two.empty])
    return _Part(first, last, min(2, one.empty * two.empty), one.text + two.text)


def _connect(automaton: _Automaton, last: dict[int, int], first: dict[int, int]) -> None:
    for state, ways in last.items():
        automaton.follow[state] = _union([automaton.follow[state], *[first] * ways])


def _union(parts: Iterable[dict[int, int]]) -> dict[int, int]:
    union: dict[int, int] = {}
    for part in parts:
        for state, ways in part.items():
            union[state] = min(2, union.get(state, 0) + ways)
    return union


def _repeat(automaton: _Automaton, value: Any, flags: int, inside: bool) -> _Part:
    low, high, body = value
    start = len(automaton.accepts)
    part = _sequence(automaton, body, flags, inside or high > 1)
    text = part.text if len(body) == 1 and not body[0][0].name.endswith("REPEAT") else f"(?:{part.text})"
    times = f"{low},{'' if high > _TEXT else high}" if low < high else low
    text += {"0,1": "?", "0,": "*", "1,": "+"}.get(str(times), f"{{{times}}}")
    size = len(automaton.accepts) - start
    if high <= 1 and (low == high or inside or size != 1):
        return _Part({}, {}, 1, "") if high == 0 else part._replace(empty=min(2, part.empty + 1 - low), text=text)
    if inside and (high <= _COPIES or low == high <= _COPIES * 4) and high * size <= _SIZE:
        return _written_out(automaton, value, flags, inside, part)._replace(text=text)
    # The loop may take more rounds than the repeat: that is on the safe side.
    _connect(automaton, part.last, part.first)
    states = frozenset(range(start, start + size)) - automaton.aside
    shortest, longest = body.getwidth()
    ways = 1
    if _ambiguous(automaton, states) or (low > 1 and part.empty):
        rounds = min(high, _TEXT // max(1, shortest))
        if rounds > _ROUNDS:
            raise _Refused(f"{_short(text)} can match one text in exponentially many ways")
        ways = max(2, len(part.last)) ** rounds
        if ways > _STEPS:
            raise _Refused(f"{_short(text)} can match one text in some {ways:.0e} ways")
        if states and not inside:
            known = len(automaton.loops)
            copies = _written_out(automaton, (min(low, rounds), rounds, body), flags, inside, None)
            if len(automaton.loops) > known:  # the repeats within are counted each by itself
                return copies._replace(text=text)
    if states and not inside:
        lengths = min(_TEXT, high * longest - low * shortest + 1)
        automaton.loops.append(_Loop(start, states, lengths, ways * (1 + (part.empty > 0)), text))
    # Where the body can be empty, each end of the loop is reached with and without a last empty round.
    last = _union([part.last] * (1 + (part.empty > 0)))
    return part._replace(last=last, empty=min(2, 2 * part.empty + (low == 0)), text=text)


def _written_out(automaton: _Automaton, value: Any, flags: int, inside: bool, first: _Part | None) -> _Part:
    """The repeat as copies of its body: exact, but for small ones only."""
    low, high, body = value
    # Made from left to right, since loops count as coming one after the other in the order of their states.
    copies = [first if first and not n else _sequence(automaton, body, flags, inside) for n in range(high)]
    rest = _Part({}, {}, 1, "")
    for number, copy in reversed(list(enumerate(copies))):
        rest = _join(automaton, copy, rest)
        if number >= low:
            rest = rest._replace(empty=min(2, rest.empty + 1))
    return rest


def _ambiguous(automaton: _Automaton, states: frozenset[int]) -> bool:
    """Whether two paths in a loop part, read the same text and meet again."""
    accepts = automaton.accepts
    within = {state: [to for to in automaton.follow[state] if to in states] for state in states}
    if any(automaton.follow[state][to] > 1 for state in states for to in within[state]):
        return True
    seen: set[tuple[int, int]] = set()
    todo = [(state, state) for state in states]
    while todo:
        at = todo.pop()
        for one in within[at[0]]:
            for two in within[at[1]]:
                if not accepts[one] & accepts[two] or (one == two and at[0] == at[1]):
                    continue
                if one == two:
                    return True
                pair = (min(one, two), max(one, two))
                if pair not in seen:
                    seen.add(pair)
                    todo.append(pair)
    return False


def _check_runs(automaton: _Automaton) -> None:
    """Refuse repeats that come one after the other and can divide one text among them in too many ways."""
    loops = sorted(automaton.loops, key=lambda loop: (loop.start, -max(loop.states)))
    best: list[tuple[_Run, _Run]] = []
    for number, loop in enumerate(loops):
        runs = [_Run(loop.lengths * loop.ways, loop.ways, loop.lengths, (loop,))]
        for before, last in enumerate(loops[:number]):
            if not loop.states & _reachable(automaton, last.states):
                continue
            share = _share(automaton, last.states, loop.states)
            for run in best[before]:
                # All the loops of a text together take as many lengths as the others leave to the widest.
                steps = (run.steps if share else run.ways) * loop.lengths * loop.ways
                widest = max(run.widest, loop.lengths) if share else loop.lengths
                named = tuple(dict.fromkeys((*run.loops, last, loop))) if share else run.loops
                runs.append(_Run(steps, steps // widest, widest, named))
        best.append((max(runs, key=lambda run: run.steps), max(runs, key=lambda run: run.ways)))
    worst = max((pair[0] for pair in best), key=lambda run: run.steps, default=_Run(1, 1, 1, ()))
    if worst.steps > _STEPS:
        names = " ... ".join(_short(loop.text) for loop in worst.loops)
        power = round(log(worst.steps, _TEXT)) if all(loop.lengths == _TEXT for loop in worst.loops) else 0
        grows = f"time grows with the power {power}" if power else f"some {worst.steps:.0e} steps for one text"
        raise _Refused(f"{names}: repeats in a row that match the same characters, {grows}")


def _reachable(automaton: _Automaton, states: Iterable[int]) -> set[int]:
    seen: set[int] = set()
    todo = list(states)
    while todo:
        fresh = automaton.follow[todo.pop()].keys() - seen
        seen |= fresh
        todo.extend(fresh)
    return seen


def _share(automaton: _Automaton, one: frozenset[int], two: frozenset[int]) -> bool:
    """Whether some text leads round loop one, round loop two, and from the one to the other."""
    accepts, follow = automaton.accepts, automaton.follow
    for left in one:
        for right in two:
            start, goal = (left, left, right), (left, right, right)
            seen: set[tuple[int, int, int]] = set()
            todo = [start]
            while todo:
                a, b, c = todo.pop()
                for x in follow[a].keys() & one:
                    for z in follow[c].keys() & two:
                        both = accepts[x] & accepts[z]
                        fresh = {(x, y, z) for y in follow[b] if accepts[y] & both} - seen if both else set()
                        seen |= fresh
                        todo.extend(fresh)
                if goal in seen:
                    return True
    return False


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:40]}...{text[-17:]}"
