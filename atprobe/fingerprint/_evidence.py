"""From what a module said to what that is evidence of: the rules of every profile, and the generic reading."""

from __future__ import annotations

import re
from collections.abc import Iterable

from atprobe.at import normalise
from atprobe.fingerprint._extract import Kind, Observation
from atprobe.knowledge import Command, Knowledge, Profile, Rule
from atprobe.model import Claim, Evidence, Strength, UsbInfo, is_imei

_SUFFIX = re.compile(r"\s*(?:\s\d+\s+\[[^\]]*\]|\[[^\]]*\]|\(Date:.*\))\s*$", re.I)


def evidence_of(knowledge: Knowledge, command: Command, observations: Iterable[Observation]) -> tuple[Evidence, ...]:
    """Every claim that one answered command supports, by the rules of whichever profile."""
    seen = tuple(observations)
    revisions = tuple(o.text for o in seen if o.kind is Kind.REVISION)
    found: list[Evidence] = []
    for profile in knowledge.profiles.values():
        answers = _answers(profile, command)
        for observation in seen:
            behaviour = observation.kind in (Kind.REVISION, Kind.LINE, Kind.COMMAND)
            # The line `Revision: X` says nothing that the revision X does not.
            again = observation.kind is Kind.LINE and observation.text.endswith(revisions)
            for rule in () if again else _rules_for(profile, observation.kind):
                found += _apply(profile, rule, observation, behaviour)
        lines = [observation for observation in seen if observation.kind is Kind.LINE]
        for rule in answers:
            found += _one_value_each([e for line in lines for e in _apply(profile, rule, line, behaviour=True)])
    if any(normalise(standard.send) == normalise(command.send) for standard in knowledge.standard):
        # A maker's own question means nothing to other makers' modules, whose answer is then no model.
        found += _generic(seen)
    found += [
        Evidence(Claim.IMEI, o.text, Strength.STRONG, o.source, o.text)
        for o in seen
        if o.kind is Kind.IMEI and is_imei(o.text)
    ]
    return tuple(dict.fromkeys(found))


def evidence_of_usb(knowledge: Knowledge, usb: UsbInfo | None) -> tuple[Evidence, ...]:
    """What the bus alone says of the maker: hints, which order the questions and decide nothing."""
    if usb is None:
        return ()
    ids = f"{usb.vid or '?'}:{usb.pid or '?'}"
    found = [
        Evidence(Claim.MAKER, slug, Strength.HINT, "usb", ids, slug)
        for slug, maker in knowledge.makers.items()
        if maker.kind == "maker" and usb.vid in maker.usb_vendors
    ]
    if usb.manufacturer:
        for slug, profile in knowledge.profiles.items():
            if profile.is_maker and any(rule.match(usb.manufacturer.strip()) is not None for rule in profile.labels):
                found.append(Evidence(Claim.MAKER, slug, Strength.HINT, "usb", usb.manufacturer, slug))
    return tuple(found)


def _answers(profile: Profile, command: Command) -> tuple[Rule, ...]:
    """A profile's rules for the answer to this command, which another profile may have asked."""
    sent = normalise(command.send)
    return tuple(rule for own in profile.commands if normalise(own.send) == sent for rule in own.answers)


def _one_value_each(evidence: list[Evidence]) -> list[Evidence]:
    """Without the claims for which one rule gave several values: a list of what is stored says not what runs."""
    values: dict[Claim, set[str]] = {}
    for each in evidence:
        values.setdefault(each.claim, set()).add(each.value)
    return [each for each in evidence if len(values[each.claim]) == 1]


def _rules_for(profile: Profile, kind: Kind) -> tuple[Rule, ...]:
    if kind is Kind.MANUFACTURER:
        return profile.labels
    if kind is Kind.MODEL:
        return profile.models
    if kind is Kind.BARE:
        return (*profile.labels, *profile.models)
    if kind in (Kind.REVISION, Kind.LINE):
        return profile.firmware
    if kind is Kind.COMMAND:
        return profile.dialect
    return ()


def _apply(profile: Profile, rule: Rule, observation: Observation, behaviour: bool) -> list[Evidence]:
    claims = rule.match(observation.text)
    if claims is None:
        return []
    found = []
    owner = profile.slug if profile.is_maker else None
    if rule.strength is not None and owner is not None:
        found.append(
            Evidence(Claim.MAKER, owner, rule.strength, observation.source, observation.text, owner, behaviour)
        )
    for claim, value in claims.items():
        if (claim is Claim.IMEI and not is_imei(value)) or (claim is Claim.BRAND and profile.maker is None):
            continue
        strength = rule.strength or rule.values if claim is Claim.BRAND else rule.values
        found.append(Evidence(claim, value, strength, observation.source, observation.text, owner, behaviour))
    return found


def _generic(seen: tuple[Observation, ...]) -> list[Evidence]:
    """What the standards alone make of it: weak, so that any maker's rule says it better."""
    found: list[Evidence] = []

    def add(claim: Claim, value: str, observation: Observation) -> None:
        found.append(Evidence(claim, value, Strength.WEAK, observation.source, observation.text))

    for observation in seen:
        if observation.kind is Kind.MODEL and _is_name(observation.text):
            add(Claim.MODEL, observation.text, observation)
        elif observation.kind is Kind.REVISION and _is_revision(observation.text):
            add(Claim.FIRMWARE, _clean(observation.text), observation)
    bare = [observation for observation in seen if observation.kind is Kind.BARE]
    named = {o.kind for o in seen}
    if bare and Kind.MODEL not in named and Kind.MANUFACTURER not in named:
        # Manufacturer, model, revision, in this order; one line alone is the model if it looks like one.
        model = bare[1] if len(bare) > 1 else bare[0]
        if _is_name(model.text) and (len(bare) > 1 or re.search(r"\d", model.text)):
            add(Claim.MODEL, model.text, model)
        if len(bare) > 2 and Kind.REVISION not in named and _is_revision(bare[2].text):
            add(Claim.FIRMWARE, bare[2].text, bare[2])
    return found


def _clean(revision: str) -> str:
    """A revision without the build dates that Qualcomm and others hang behind it."""
    while (shorter := _SUFFIX.sub("", revision)) != revision:
        revision = shorter
    return revision


_VERSION = re.compile(r"(?:v|ver|version|rev|revision|r)?[ .:]*\d+(?:[._-]\d+)*[a-z]?", re.I)
_ADDRESS = re.compile(r"(?:[0-9A-F]{12}|[0-9A-F]{16})", re.I)


def _is_name(text: str) -> bool:
    """Whether this can be a model. `0`, `88` and `4105` are numbers Qualcomm puts there; versions, hardware
    addresses and error words (`invalid_param`) turn up there too.
    """
    if not re.search(r"[A-Za-z]", text) or len(text) > 64 or _VERSION.fullmatch(text) or _ADDRESS.fullmatch(text):
        return False
    return not re.fullmatch(r"[a-z_]+", text)


def _is_revision(text: str) -> bool:
    return bool(re.search(r"\d", text)) and len(text) <= 128 and not _ADDRESS.fullmatch(text)
