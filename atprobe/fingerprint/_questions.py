"""Which command to ask next: the one that would settle something, given what is known; none when settled."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from atprobe.at import normalise
from atprobe.fingerprint._decide import best
from atprobe.fingerprint._extract import Kind, Observation
from atprobe.knowledge import GENERIC, Command, Knowledge, Profile
from atprobe.model import Claim, Ended, Evidence, Identity, Reply, Strength

MAX_COMMANDS = 48
"""A module that answers nonsense to everything is left alone after so many commands."""

MAX_UNANSWERED = 24
"""A module that lets commands pass in silence costs a deadline for each; after so many it is asked no more."""

_ALWAYS_WANTED = frozenset({Claim.BRAND, Claim.MODEL, Claim.FIRMWARE, Claim.IMEI})


def next_command(
    knowledge: Knowledge,
    identity: Identity,
    evidence: tuple[Evidence, ...],
    observations: tuple[Observation, ...],
    asked: Mapping[str, Reply],
) -> Command | None:
    """The command to send next; None when nothing more would help.

    The order: one standard question to start with; then the decided maker's own commands and the standard ones,
    each only while a claim it settles is open; then, while no behaviour speaks for a maker, the commands that
    give one away, the makers that the bus hints at first.
    """
    if len(asked) >= MAX_COMMANDS or unanswered(asked) >= MAX_UNANSWERED:
        return None
    open_claims = _open(knowledge, identity, evidence, observations)
    for slug, command in _in_order(knowledge, identity, evidence):
        if normalise(command.send) in asked or _answered(command.same_as, asked):
            continue
        if command.for_models and not re.fullmatch(command.for_models, identity.model or "", re.I):
            continue
        own = slug in (GENERIC, identity.maker)
        if (own and command.settles & open_claims) or (command.tell and _undecided(identity, evidence)):
            return command
    return None


def unanswered(asked: Mapping[str, Reply]) -> int:
    """How many commands the module let pass in silence."""
    return sum(reply.ended is Ended.TIMEOUT for reply in asked.values())


def _in_order(
    knowledge: Knowledge, identity: Identity, evidence: tuple[Evidence, ...]
) -> Iterator[tuple[str, Command]]:
    standard = [(GENERIC, command) for command in knowledge.standard]
    yield from standard[:1]
    own = knowledge.profiles.get(identity.maker or "")
    if own is not None:
        yield from ((own.slug, command) for command in own.commands)
    yield from standard[1:]
    hinted = [e.value for e in evidence if e.claim is Claim.MAKER]
    others = [p for p in knowledge.profiles.values() if p.slug not in (GENERIC, identity.maker)]
    for profile in sorted(others, key=lambda p: _place(p, hinted)):
        yield from ((profile.slug, command) for command in profile.commands if command.tell)


def _place(profile: Profile, hinted: list[str]) -> int:
    return hinted.index(profile.slug) if profile.slug in hinted else len(hinted)


def _open(
    knowledge: Knowledge,
    identity: Identity,
    evidence: tuple[Evidence, ...],
    observations: tuple[Observation, ...],
) -> frozenset[Claim]:
    """The claims that another answer could still settle or put on firmer ground."""
    own = knowledge.profiles.get(identity.maker or "")
    wanted = _ALWAYS_WANTED.union(*(command.settles for command in own.commands)) if own else _ALWAYS_WANTED
    settled = set()
    for claim in wanted:
        found = best(evidence, claim, identity.maker)
        if found is not None and found.strength.rank >= Strength.STRONG.rank:
            settled.add(claim)
    named = any(o.kind is Kind.MANUFACTURER for o in observations)
    if named or sum(o.kind is Kind.BARE for o in observations) > 1:
        # It has said what it calls its maker, known name or not; one bare line can be anything (Telit: `332`).
        settled.add(Claim.BRAND)
    return frozenset(wanted - settled)


def _undecided(identity: Identity, evidence: tuple[Evidence, ...]) -> bool:
    """No behaviour speaks for the maker: it is unknown, or rests on a label, which can lie."""
    return not any(e.claim is Claim.MAKER and e.value == identity.maker and e.behaviour for e in evidence)


def _answered(command: str | None, asked: Mapping[str, Reply]) -> bool:
    reply = asked.get(normalise(command)) if command else None
    return reply is not None and reply.ok and bool(reply.text)
