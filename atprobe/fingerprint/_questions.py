"""Which command to ask next: the one that would settle something, given what is known; none when settled."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping

from atprobe.at import normalise, split
from atprobe.fingerprint._decide import best
from atprobe.fingerprint._extract import Kind, Observation
from atprobe.knowledge import GENERIC, Command, Knowledge
from atprobe.model import Claim, Ended, Evidence, Identity, Reply, Strength

MAX_COMMANDS = 48
"""A module that answers nonsense to everything is left alone after so many commands."""

MAX_UNANSWERED = 24
"""A module that lets commands pass in silence costs a deadline for each; after so many it is asked no more."""

_ALWAYS_WANTED = frozenset({Claim.BRAND, Claim.MODEL, Claim.FIRMWARE, Claim.IMEI})

_LESSER = frozenset({Claim.BRAND, Claim.IMEI})

LEAST_LISTED = 20
"""An answer to AT+CLAC with fewer names is no full list, and what it lacks may still be there."""


def next_command(
    knowledge: Knowledge,
    identity: Identity,
    evidence: tuple[Evidence, ...],
    observations: tuple[Observation, ...],
    asked: Mapping[str, Reply],
) -> Command | None:
    """The command to send next; None when nothing more would help.

    ATI first. Then, of the standard commands and the decided maker's own, the one that settles the most claims still
    open. While nothing proves a maker, a command that gives one away is worth a claim more; other makers' such
    commands come last, those that several share first, and not at all where label and model agree on a maker. What
    AT+CLAC did not list is not asked.
    """
    if len(asked) >= MAX_COMMANDS or unanswered(asked) >= MAX_UNANSWERED:
        return None
    open_claims = _open(knowledge, identity, evidence, observations)
    undecided = _undecided(knowledge, identity, evidence)
    borne_out = undecided and _borne_out(identity, evidence)
    listed = {o.text for o in observations if o.kind is Kind.COMMAND}
    refused = sum(not reply.ok for line, reply in asked.items() if line in _lines(knowledge, identity.maker))
    chosen, most = None, 0
    for slug, command in _in_order(knowledge, identity, evidence):
        own = slug in (GENERIC, identity.maker)
        tells = command.tell and undecided and (own or not borne_out)
        worth = 2 * len(command.settles & open_claims) * own + tells * (3 if slug == identity.maker else 1)
        if worth <= most or normalise(command.send) in asked or _answered(command.same_as, asked):
            continue
        if not suits(command, identity.model):
            continue
        if slug != GENERIC and not is_listed(command.send, listed):
            continue
        if slug == GENERIC and command.same_as and _is_idle_repeat(command, undecided, asked):
            continue
        if slug == identity.maker and not tells and refused > 1 and not command.settles & open_claims & _ALWAYS_WANTED:
            continue
        chosen, most = command, worth
    return chosen


def _is_idle_repeat(command: Command, undecided: bool, asked: Mapping[str, Reply]) -> bool:
    """Whether to leave out V.250's name for what failed under that of 27.007 (+GMI, +GSN for +CGMI, +CGSN).

    Model and firmware are worth a second try; the name on it only while that may decide the maker, and the IMEI
    only where no name of 27.007 was answered.
    """
    brand_alone = command.settles == {Claim.BRAND} and not undecided
    return brand_alone or (command.settles <= _LESSER and _answers_cellular(asked))


def _lines(knowledge: Knowledge, slug: str | None) -> frozenset[str]:
    own = knowledge.profiles.get(slug or "")
    return frozenset(normalise(command.send) for command in own.commands) if own else frozenset()


def suits(command: Command, model: str | None) -> bool:
    """Whether this is a command for modules of that model."""
    return command.for_models is None or re.fullmatch(command.for_models, model or "", re.I) is not None


def unanswered(asked: Mapping[str, Reply]) -> int:
    """How many commands the module let pass in silence."""
    return sum(reply.ended is Ended.TIMEOUT for reply in asked.values())


def _in_order(
    knowledge: Knowledge, identity: Identity, evidence: tuple[Evidence, ...]
) -> Iterator[tuple[str, Command]]:
    """Whose command it is, and the command; of two that are worth the same, the earlier is asked."""
    yield from ((GENERIC, command) for command in knowledge.standard)
    own = knowledge.profiles.get(identity.maker or "")
    if own is not None:
        yield from ((own.slug, command) for command in own.commands)
    others = [p for p in knowledge.profiles.values() if p.slug not in (GENERIC, identity.maker)]
    tells = [(profile.slug, command) for profile in others for command in profile.commands if command.tell]
    hinted = [e.value for e in evidence if e.claim is Claim.MAKER]
    shared = Counter(normalise(command.send) for _, command in tells)
    place = {slug: index for index, slug in reversed(list(enumerate(hinted)))}
    yield from sorted(tells, key=lambda t: (place.get(t[0], len(hinted)), -shared[normalise(t[1].send)]))


def is_listed(send: str, listed: Collection[str]) -> bool:
    """False where a full list of the module's commands lacks this one. Lists leave out the basic ones, as ATI."""
    name = split(send)[0][0]
    return len(listed) < LEAST_LISTED or name.isalnum() or name in listed


def _answers_cellular(asked: Mapping[str, Reply]) -> bool:
    return any(line.startswith("AT+CG") and _answered(line, asked) for line in asked)


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


def _undecided(knowledge: Knowledge, identity: Identity, evidence: tuple[Evidence, ...]) -> bool:
    """Nothing proves the maker: it is unknown, or rests on what the module calls itself, which can lie.

    A chip maker's firmware proves none: whoever built a module on it may still show.
    """
    if identity.maker and knowledge.makers[identity.maker].kind == "chip":
        return True
    return not any(
        e.claim is Claim.MAKER and e.value == identity.maker and (e.behaviour or e.strength is Strength.DECISIVE)
        for e in evidence
    )


def _borne_out(identity: Identity, evidence: tuple[Evidence, ...]) -> bool:
    """What it calls its maker and what it calls its model speak for one maker, and nothing for another."""
    about = [e for e in evidence if e.claim is Claim.MAKER and e.strength.rank >= Strength.STRONG.rank]
    return len({e.text for e in about}) > 1 and {e.value for e in about} == {identity.maker}


def _answered(command: str | None, asked: Mapping[str, Reply]) -> bool:
    reply = asked.get(normalise(command)) if command else None
    return reply is not None and reply.ok and bool(reply.text)
