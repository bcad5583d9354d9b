"""Checking a surfaces.yaml: what a maker's modules can be changed by from afar, and how that is switched off."""

from __future__ import annotations

import re
from collections.abc import Iterable

from atprobe.at import Form, normalise, split
from atprobe.knowledge._check import CONFIDENCES, Checker, Data, Never, never_entry
from atprobe.knowledge._surfaces import AUTOMATED, query_from, setting_from
from atprobe.knowledge._yaml import Node
from atprobe.model import Reach, State, SurfaceKind

STATES = (*State, "none")
_VARIABLE = re.compile(r"\{(\w+)\}")
_WORD = re.compile(r"[A-Za-z0-9_.-]{1,32}")


def check_surfaces(check: Checker, node: Node) -> Data:
    """The content of a surfaces.yaml."""
    return check.mapping(
        node,
        "surfaces.yaml",
        {
            "platforms": lambda item: check.items(item, "platforms", lambda each: _platform(check, each)),
            "reboot": lambda item: _reboot(check, item),
            "surfaces": lambda item: check.items(item, "surfaces", lambda surface: _surface(check, surface)),
            "never": lambda item: check.items(item, "never", lambda entry: never_entry(check, entry)),
            "redact": lambda item: check.items(item, "redact", check.searched),
        },
    )


def _platform(check: Checker, node: Node) -> Data:
    fields = {"folder": check.text, "for_models": check.pattern}
    return check.mapping(node, "a platform", fields, required=("folder",))


def _reboot(check: Checker, node: Node) -> Data:
    data = check.mapping(
        node,
        "reboot",
        {
            "send": check.text,
            "seconds": check.number,
            "source": check.text,
            "confidence": check.choice(CONFIDENCES),
        },
        required=("send", "seconds", "source", "confidence"),
    )
    if data.get("confidence") not in AUTOMATED:
        check.fault(node, "the restart is only inferred", f"leave it out until it is one of {', '.join(AUTOMATED)}")
    return {key: value for key, value in data.items() if key != "confidence"}


def _surface(check: Checker, node: Node) -> Data:
    def name(item: Node) -> str:
        value = check.text(item)
        if not re.fullmatch(r"[a-z0-9]+(?:-[a-z0-9]+)*", value):
            check.fault(item, f"{value!r} is no name", "write small letters, digits and hyphens")
        return value

    def source(item: Node) -> Data:
        return check.mapping(item, "a source", {"url": check.text, "says": check.text}, required=("url", "says"))

    data = check.mapping(
        node,
        "a surface",
        {
            "id": name,
            "title": check.text,
            "kind": check.choice(SurfaceKind),
            "reach": check.choice(Reach),
            "who": check.text,
            "for_models": check.pattern,
            "not_models": check.pattern,
            "queries": lambda item: check.items(item, "queries", lambda query: _query(check, query)),
            "switch": lambda item: _switch(check, item),
            "advice": check.text,
            "sources": lambda item: check.items(item, "sources", source),
            "confidence": check.choice(CONFIDENCES),
        },
        required=("id", "title", "kind", "reach", "sources", "confidence"),
    )
    if not data.get("sources"):
        check.fault(node, "the surface has no source", "add one under `sources:`")
    if not (data.get("switch") and data.get("queries")) and not data.get("advice"):
        check.fault(node, "the surface has no advice", "say under `advice:` what the owner can do instead")
    _check_references(check, node, data)
    return data


def _check_references(check: Checker, node: Node, data: Data) -> None:
    """What a surface reads is what its queries ask, and a query that forms a setting is known to read."""
    asked = [query.get("send") for query in data.get("queries", ())]
    for place, query in enumerate(data.get("queries", ())):
        if query.get("needs", query.get("send")) not in asked[: place + 1]:
            check.fault(node, f"needs {query['needs']!r}, which no earlier query asks", "add that query before it")
        parts = split(query.get("send", ""))
        form = parts[0][1] if len(parts) == 1 else None
        if form is None:
            check.fault(node, f"{query.get('send')!r} is not one AT command", "write it as AT+NAME? or AT+NAME=?")
        elif form not in (Form.READ, Form.TEST) and query.get("confidence", data.get("confidence")) == "inferred":
            check.fault(node, f"{query['send']} does not end in ?", "cite a source that shows it only reads")
    for setting in (data.get("switch") or {}).get("settings", ()):
        for read in (setting.get("read"), *(each.get("read") for each in setting.get("only_if", ()))):
            if read not in asked:
                check.fault(node, f"the switch reads {read!r}, which no query asks", "add it under `queries:`")


def _query(check: Checker, node: Node) -> Data:
    def rule(item: Node) -> Data:
        fields = {"pattern": check.pattern, "state": check.choice(STATES), "means": check.text}
        return check.mapping(item, "a state", fields, required=("pattern", "state"))

    def example(item: Node) -> Data:
        fields = {
            "recv": lambda lines: check.items(lines, "recv", check.text),
            "state": check.choice(STATES),
        }
        return check.mapping(item, "an example", fields, required=("recv", "state"))

    data = check.mapping(
        node,
        "a query",
        {
            "send": check.text,
            "states": lambda item: check.items(item, "states", rule),
            "ok": check.choice(STATES),
            "refused": check.choice(STATES),
            "needs": check.text,
            "seconds": check.number,
            "confidence": check.choice(CONFIDENCES),
            "examples": lambda item: check.items(item, "examples", example),
        },
        required=("send", "examples"),
    )
    if not all(key in data for key in ("send", "examples")) or not all("state" in r for r in data.get("states", ())):
        return data
    query = query_from(data)
    if not data["examples"]:
        check.fault(node, "the query has no example", "add an answer under `examples:`, as the source shows it")
    said = set()
    for each in data["examples"]:
        found = query.rule(each.get("recv", []))
        state = found.state if found else query.ok
        said.add(found)
        if each.get("state") != (state or "none"):
            check.fault(node, f"the example {each.get('recv')} is {state or 'none'}", "mend the rule or the example")
    for number, one in enumerate(query.states, 1):
        if one not in said:
            check.fault(node, f"rule {number} of the states has no example", "add an answer that it speaks of")
    return data


def _switch(check: Checker, node: Node) -> Data:
    return check.mapping(
        node,
        "a switch",
        {
            "settings": lambda item: check.items(item, "settings", lambda setting: _setting(check, setting)),
            "effect": check.text,
            "leaves": check.text,
            "risk": check.text,
            "persistent": check.choice(("yes", "until-reboot", "unknown")),
            "reboot": check.choice(("yes", "no", "unknown")),
            "opt_in": check.flag,
            "source": check.text,
            "confidence": check.choice(CONFIDENCES),
        },
        required=("settings", "effect", "persistent", "reboot", "source", "confidence"),
    )


def _setting(check: Checker, node: Node) -> Data:
    def off(item: Node) -> dict[str, str]:
        if not isinstance(item.value, dict) or not item.value:
            check.fault(item, "off must be a mapping", "write `{mode: 0}`: the variables that change, as they are read")
            return {}
        return {key: check.text(value) for key, value in item.value.items()}

    def condition(item: Node) -> Data:
        fields = {"read": check.text, "pattern": check.pattern}
        return check.mapping(item, "a condition", fields, required=fields)

    data = check.mapping(
        node,
        "a setting",
        {
            "read": check.text,
            "pattern": check.pattern,
            "write": check.text,
            "values": lambda item: _values(check, item),
            "off": off,
            "only_if": lambda item: check.items(item, "only_if", condition),
        },
        required=("read", "pattern", "write", "values", "off"),
    )
    if not all(data.get(key) for key in ("read", "pattern", "write", "values", "off")):
        return data
    variables, groups = set(_VARIABLE.findall(data["write"])), set(re.compile(data["pattern"]).groupindex)
    if not variables == groups == set(data["values"]):
        check.fault(
            node,
            f"write has {sorted(variables)}, the pattern {sorted(groups)}, values {sorted(data['values'])}",
            "name the same variables in all three",
        )
        return data
    setting = setting_from(data)
    for values in setting.possible():
        line = setting.command(values)
        if line is None or set(data["off"]) - set(data["values"]):
            check.fault(node, f"off is {data['off']}, which values do not allow", "write it as it is read back")
        elif len(split(line)) != 1:
            check.fault(node, f"{line!r} is not one AT command", "one setting is one command")
    return data


def _values(check: Checker, node: Node) -> Data:
    """The type of every variable: `0-2`, a list of words, or words as read mapped to words as written."""
    if not isinstance(node.value, dict):
        check.fault(node, "values must be a mapping", "write `{mode: 0-2}`")
        return {}
    return {name: _type(check, item) for name, item in node.value.items()}


def _type(check: Checker, node: Node) -> Data:
    words: dict[str, str] = {}
    if isinstance(node.value, str):
        span = re.fullmatch(r"([0-9]{1,9})-([0-9]{1,9})", node.value)
        if span is None or int(span[1]) > int(span[2]):
            check.fault(node, f"{node.value!r} is no range", "write the least and the greatest value: 0-2")
            return {"range": [0, 0]}
        return {"range": [int(span[1]), int(span[2])]}
    if isinstance(node.value, list):
        words = {text: text for text in map(check.text, node.value)}
    elif isinstance(node.value, dict):
        words = {word: check.text(item) for word, item in node.value.items()}
    for word in [*words, *words.values()]:
        if not _WORD.fullmatch(word):
            check.fault(node, f"{word!r} is no word that may be written", "letters, digits, _ . and - only")
    if not words:
        check.fault(node, "the variable has no type", "write a range, a list of words or a mapping")
    return {"words": words}


def check_switches(
    check: Checker, found: dict[str, tuple[Node, Data]], reading: frozenset[str], never: Iterable[Never]
) -> None:
    """What the files say together: names are unique, platforms exist, and no switch may send what is forbidden."""
    names: dict[str, str] = {}
    for slug, (node, data) in found.items():
        places = node.entries("surfaces")
        for platform in (each.get("folder") for each in data.get("platforms", ())):
            if platform == slug or platform not in found:
                check.fault(node, f"{platform!r} has no surfaces of its own", "name another folder of profiles/")
        for place, surface in zip(places, data.get("surfaces", ()), strict=False):
            if (other := names.setdefault(surface["id"], slug)) != slug or names.get(f"{slug}/{surface['id']}"):
                check.fault(place, f"the name {surface['id']!r} is taken ({other})", "choose another")
            names[f"{slug}/{surface['id']}"] = slug
            for line in _writing(surface):
                _check_writing(check, place, line, reading, never)
        if data.get("reboot"):
            _check_writing(check, node, data["reboot"]["send"], reading, never)


def _check_writing(check: Checker, place: Node, line: str, reading: frozenset[str], never: Iterable[Never]) -> None:
    if normalise(line) in reading:
        check.fault(place, f"{line} is declared as reading and as writing", "it cannot be both")
    for pattern, why, where in never:
        if pattern.fullmatch(normalise(line)):
            check.fault(place, f"{line} must never be sent: {why} ({where})", "make the `never` entry narrower")


def _writing(surface: Data) -> list[str]:
    """What the switch of a surface may send, as far as it can be listed: see `SettingRule.possible`."""
    switch = surface.get("switch") or {}
    if switch.get("confidence") not in AUTOMATED:
        return []
    settings = map(setting_from, switch.get("settings", ()))
    lines = [line for setting in settings for values in setting.possible() if (line := setting.command(values))]
    return list(dict.fromkeys(lines))
