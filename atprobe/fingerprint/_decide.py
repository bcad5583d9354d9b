"""From evidence to identity.

The maker is decided by behaviour first (firmware grammar, answers to maker-only commands), and by label only
where behaviour says nothing or fits several makers. A chip maker is named only where no module maker shows: its
reference firmware is in many modules. USB numbers decide nothing. Where label and behaviour
disagree, behaviour wins and the conflict is reported. Two makers that cannot be told apart give unknown.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable

from atprobe.fingerprint._extract import Kind, Observation
from atprobe.knowledge import Knowledge
from atprobe.model import Claim, Evidence, Identity, Strength, is_imei

_VALUES = (Claim.MODEL, Claim.VARIANT, Claim.FIRMWARE, Claim.BUILD, Claim.HARDWARE, Claim.IMEI)


def decide(knowledge: Knowledge, evidence: Iterable[Evidence], observations: Iterable[Observation] = ()) -> Identity:
    """Who the evidence says this module is."""
    all_evidence = tuple(dict.fromkeys(evidence))
    seen = tuple(observations)
    labels = _labels(knowledge, all_evidence, seen)
    strangers = [label for label in labels if not _is_known_label(knowledge, label)]
    maker = _maker(knowledge, all_evidence, bool(strangers))
    unfamiliar = _unfamiliar(all_evidence, maker) if maker else ()
    named = maker
    doubts = []
    if maker and unfamiliar:
        given = " and ".join(unfamiliar)
        doubts = [f"only its label speaks for {knowledge.makers[maker].name}: its {given} is in no form known there"]
    if len(unfamiliar) > 1:
        # Model and firmware both speak against the name, which is easily given: better unknown than wrong.
        maker = None
    who = knowledge.makers[maker].name if maker else None
    unknown_names = [f"it calls its maker {label!r}, which is no known name of {who}" for label in strangers if who]
    chosen = {claim: best(all_evidence, claim, maker) for claim in _VALUES}
    brand = _brand(knowledge, all_evidence, maker, labelled=bool(labels))
    return Identity(
        maker=maker,
        brand=brand,
        **{claim.value: found.value if found else None for claim, found in chosen.items()},
        confidence=_confidence(knowledge, all_evidence, maker),
        conflicts=(
            *doubts,
            *unknown_names,
            *_rivals(knowledge, all_evidence, named, decided=maker is not None),
            *_conflicts(all_evidence, seen, maker, chosen),
        ),
        evidence=tuple(sorted(all_evidence, key=lambda e: -e.strength.rank)),
    )


def best(evidence: Iterable[Evidence], claim: Claim, maker: str | None) -> Evidence | None:
    """The evidence that speaks for a claim: of the decided maker's rules or generic, strongest first.

    Among equals the module's own words come before what a firmware name implies, the answer to a question for
    this very thing before a line of ATI, and earlier before later.
    """
    fitting = [e for e in evidence if e.claim is claim and (e.maker in (None, maker) or maker is None)]
    return max(
        fitting,
        key=lambda e: (e.strength.rank, e.maker is not None, not e.behaviour, not e.source.startswith("ATI")),
        default=None,
    )


def _labels(knowledge: Knowledge, evidence: tuple[Evidence, ...], seen: tuple[Observation, ...]) -> tuple[str, ...]:
    """What the module calls its maker: what it gave as manufacturer, or else the first of the bare lines of ATI."""
    labels = [o.text for o in seen if o.kind is Kind.MANUFACTURER]
    bare = [o.text for o in seen if o.kind is Kind.BARE]
    known = [text for text in bare if _is_known_label(knowledge, text)]
    models = {e.text for e in evidence if e.claim is Claim.MODEL and e.maker is not None}
    if known:
        labels += known
    elif not labels and len(bare) > 1 and bare[0] not in models:
        labels.append(bare[0])
    # A name has a letter in it: `2400` is what Iridium answers to ATI0.
    return tuple(dict.fromkeys(label for label in labels if re.search(r"[^\W\d_]", label)))


def _is_known_label(knowledge: Knowledge, label: str) -> bool:
    return any(rule.match(label) is not None for profile in knowledge.profiles.values() for rule in profile.labels)


def _maker(knowledge: Knowledge, evidence: tuple[Evidence, ...], strange_label: bool) -> str | None:
    """Whose module it is. `strange_label`: it calls its maker by a name that no profile knows."""
    about = [e for e in evidence if e.claim is Claim.MAKER and e.strength is not Strength.HINT]
    makers = [e for e in about if not _is_chip(knowledge, e.value)]
    named = strange_label or any(not e.behaviour or e.strength.rank >= Strength.STRONG.rank for e in makers)
    if named:
        return _elected(makers, strange_label)
    return _elected([e for e in about if e.behaviour and e not in makers], strange_label)


def _is_chip(knowledge: Knowledge, slug: str) -> bool:
    return slug in knowledge.makers and knowledge.makers[slug].kind == "chip"


def _elected(about: list[Evidence], strange_label: bool) -> str | None:
    for behaviour in (True, False):
        rank = max((e.strength.rank for e in about if e.behaviour is behaviour), default=0)
        if rank < Strength.STRONG.rank:
            continue
        # A decisive behaviour is one maker's alone. Lesser ones may be shared (Rolling Wireless and Fibocom number
        # their firmware alike), and then whoever shows any of them stands for election.
        least = rank if rank == Strength.DECISIVE.rank or not behaviour else Strength.WEAK.rank
        makers = {e.value for e in about if e.behaviour is behaviour and e.strength.rank >= least}
        if strange_label and not behaviour and rank < Strength.DECISIVE.rank:
            # Model names are short, and strangers come upon the same ones: something has to behave like it too.
            makers &= {e.value for e in about if e.behaviour}
        if len(makers) > 1:
            # All else that was seen has to tell them apart.
            scores = {maker: _score(e for e in about if e.value == maker) for maker in makers}
            top = max(scores.values())
            makers = {maker for maker, score in scores.items() if score == top}
        if behaviour and rank < Strength.DECISIVE.rank and _named_twice(about) - makers:
            # Strong behaviour beats a label, and not a label and a model that agree: one of the two is a likeness.
            return None
        return makers.pop() if len(makers) == 1 else None
    return None


def _named_twice(about: list[Evidence]) -> set[str]:
    """The makers for whom label and model speak: two different texts, each of them strong."""
    named = {(e.value, e.text) for e in about if not e.behaviour and e.strength.rank >= Strength.STRONG.rank}
    counts = Counter(value for value, _ in named)
    return {value for value, count in counts.items() if count > 1}


def _score(evidence: Iterable[Evidence]) -> float:
    """The probability that at least one of these is right; what one answer says in one strength counts once."""
    doubt = 1.0
    for weight in {(e.source, e.behaviour, e.strength): e.strength.weight for e in evidence}.values():
        doubt *= 1 - weight
    return 1 - doubt


def _confidence(knowledge: Knowledge, evidence: tuple[Evidence, ...], maker: str | None) -> float:
    if maker is None:
        return 0.0
    # Which chip it is built on speaks against no maker of modules.
    about = [e for e in evidence if e.claim is Claim.MAKER and (e.value == maker or not _is_chip(knowledge, e.value))]
    own = _score(e for e in about if e.value == maker)
    rivals = _against(about, maker)
    if _unfamiliar(evidence, maker):
        own /= 2
    against = max((_score(e for e in rivals if e.value == other) for other in {e.value for e in rivals}), default=0.0)
    # Rounded down: nothing here is certain.
    return math.floor(own * (1 - against / 2) * 100) / 100


def _against(about: list[Evidence], maker: str | None) -> list[Evidence]:
    """What speaks for others than this maker. What speaks as well for it as for another speaks against neither."""
    shared = {(e.text, e.strength.rank) for e in about if e.value == maker}
    return [e for e in about if e.value != maker and not any(e.text == t and e.strength.rank <= r for t, r in shared)]


def _brand(knowledge: Knowledge, evidence: tuple[Evidence, ...], maker: str | None, labelled: bool) -> str | None:
    brands = [
        e
        for e in evidence
        if e.claim is Claim.BRAND
        and e.strength.rank >= Strength.WEAK.rank
        # A chip maker's name on a module is what nobody replaced.
        and (e.value == maker or not _is_chip(knowledge, e.value))
    ]
    # Another firm's name on a module says more than the maker's own, which a rebadge often leaves somewhere.
    top = max(brands, key=lambda e: (e.value != maker, e.strength.rank), default=None)
    if top is not None:
        return top.value
    own_name = any(
        e.claim is Claim.MAKER and e.value == maker and not e.behaviour and e.strength is not Strength.HINT
        for e in evidence
    )
    return maker if own_name and not labelled else None


def _rivals(knowledge: Knowledge, evidence: tuple[Evidence, ...], named: str | None, *, decided: bool) -> Iterable[str]:
    """What speaks strongly for makers other than the one that was named first."""
    about = [
        e
        for e in evidence
        if e.claim is Claim.MAKER and e.strength.rank >= Strength.STRONG.rank and not _is_chip(knowledge, e.value)
    ]
    rivals = _against(about, named if decided else None)
    for other in dict.fromkeys(e.value for e in rivals if e.value != named):
        texts = ", ".join(dict.fromkeys(repr(e.text) for e in rivals if e.value == other))
        says = f"{texts} speaks for {knowledge.makers[other].name}"
        rest = f"the rest for {knowledge.makers[named].name}" if named and decided else "which does not decide it"
        yield f"{says}, {rest}"


def _conflicts(
    evidence: tuple[Evidence, ...],
    seen: tuple[Observation, ...],
    maker: str | None,
    chosen: dict[Claim, Evidence | None],
) -> Iterable[str]:
    """What does not fit together in the rest of the identity."""
    model = chosen[Claim.MODEL]
    revisions = {e.text for e in evidence if e.claim is Claim.FIRMWARE}
    implied = [e for e in evidence if e.claim is Claim.MODEL and e.maker == maker and e.text in revisions]
    if maker and model and not model.behaviour and implied and not any(_akin(model.value, e.value) for e in implied):
        yield f"it calls itself {model.value!r}, its firmware {implied[0].text!r} is that of {implied[0].value}"
    for text in dict.fromkeys(o.text for o in seen if o.kind is Kind.IMEI and not is_imei(o.text)):
        yield f"the IMEI {text} is not valid (check digit, or a placeholder)"
    imeis = dict.fromkeys(e.value for e in evidence if e.claim is Claim.IMEI)
    if len(imeis) > 1:
        yield f"it gave more than one IMEI: {', '.join(imeis)}"


def _unfamiliar(evidence: tuple[Evidence, ...], maker: str) -> tuple[Claim, ...]:
    """What a module gave besides the name of this maker, if its name is all that speaks for the maker."""
    names = {e.text for e in evidence if e.claim is Claim.BRAND and e.value == maker}
    about = [e for e in evidence if e.claim is Claim.MAKER and e.value == maker and e.strength is not Strength.HINT]
    if any(e.behaviour or e.text not in names for e in about):
        return ()
    return tuple(c for c in (Claim.MODEL, Claim.FIRMWARE) if any(e.claim is c for e in evidence))


def _akin(one: str, other: str) -> bool:
    """Whether two names can mean one model: `EC25` and `EC25-E`, `SIM7600` and `SIM7600E-H`."""
    a, b = (re.sub(r"[^A-Z0-9]", "", name.upper()) for name in (one, other))
    return a.startswith(b) or b.startswith(a)
