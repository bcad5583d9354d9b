"""Checking profiles against their format: every fault with file, line and remedy.

What comes out is plain data (dictionaries, lists, text) that can be kept as JSON, so that a run which finds
the profiles unchanged reads one file and checks nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from atprobe.at import Form, normalise, split
from atprobe.knowledge._backtracking import backtracks
from atprobe.knowledge._yaml import Node, ProfileError, ProfileProblem
from atprobe.model import Claim, Role

Data = dict[str, Any]
Never = tuple[re.Pattern[str], str, str]
"""What must not be sent, why, and which file says so."""

READS = ("identity", "manufacturer", "model", "revision", "imei", "commands")
CONFIDENCES = ("documented", "observed-in-code", "observed", "inferred")
REPORTED = ("documented", "reported", "inferred")
"""How sure a fact on a firm is: by its own or an official paper, by the press, or concluded."""
RELATIONS = (
    "parent",
    "former-parent",
    "shareholder",
    "former-shareholder",
    "subsidiary",
    "former-subsidiary",
    "joint-venture-partner",
    "licensee",
    "licensor",
    "predecessor",
    "successor",
    "line-bought-from",
    "line-sold-to",
    "design-twin",
)
ANY_DEVICE = "generic"
"""The folder whose rules are of no maker."""
_DATE = re.compile(r"\d{4}(?:-\d\d(?:-\d\d)?)?")
_PART = re.compile(r"\(\?&(\w+)\)")
_GROUP = re.compile(r"\{(\w+)\}")
_CLAIMS = tuple(claim.value for claim in Claim if claim is not Claim.MAKER)


def fill(template: str, match: re.Match[str]) -> str | None:
    """A claim's text with the groups of a match put in; None where one of them took no part in the match."""
    values: list[str | None] = [_group(match, name) for name in _GROUP.findall(template)]
    if None in values:
        return None
    parts = iter(values)
    return _GROUP.sub(lambda _: str(next(parts)), template).strip() or None


def _group(match: re.Match[str], name: str) -> str | None:
    value: str | None = match.group(int(name) if name.isdigit() else name)
    return value


@dataclass(frozen=True)
class Checked:
    """A rule as it was read, with the examples that are not kept."""

    node: Node
    slug: str
    kind: str
    rule: Data


class Checker:
    """Collects faults while turning nodes into plain data."""

    def __init__(self, thorough: bool = False) -> None:
        self.problems: list[ProfileProblem] = []
        self.thorough = thorough
        """Also what costs too much for a run: patterns that backtrack badly, rules that rival each other."""
        self.slug = ""
        """The profile at hand."""
        self.rules: list[Checked] = []
        self.parts: dict[str, str] = {}
        """Patterns that the rules of the file at hand share, by name."""

    def fault(self, node: Node, message: str, remedy: str) -> None:
        """Note one fault and go on."""
        self.problems.append(node.problem(message, remedy))

    def mapping(
        self, node: Node, what: str, fields: Mapping[str, Callable[[Node], Any]], required: Iterable[str] = ()
    ) -> Data:
        """A mapping with known keys; unknown and missing ones are faults."""
        if not isinstance(node.value, dict):
            self.fault(node, f"{what} must be a mapping", "write `key: value` lines")
            return {}
        result: Data = {}
        for key, value in node.value.items():
            if key not in fields:
                self.fault(value, f"{what} has no key {key!r}", f"use one of: {', '.join(fields)}")
            else:
                result[key] = fields[key](value)
        for key in required:
            if key not in node.value:
                self.fault(node, f"{what} lacks {key!r}", f"add a line `{key}: ...` (docs/profiles.md)")
        return result

    def items(self, node: Node, what: str, one: Callable[[Node], Any]) -> list[Any]:
        """A list, each entry checked by `one`."""
        if node.value is None:
            return []
        if not isinstance(node.value, list):
            self.fault(node, f"{what} must be a list", "start each entry with `- `")
            return []
        return [one(item) for item in node.value]

    def text(self, node: Node) -> str:
        """A text that is not empty."""
        if not isinstance(node.value, str) or not node.value.strip():
            self.fault(node, "a text is expected here", "write it on this line, in quotes if it holds : or #")
            return ""
        return node.value

    def flag(self, node: Node) -> bool:
        """true or false."""
        if node.value not in ("true", "false"):
            self.fault(node, f"{node.value!r} is neither true nor false", "write true or false")
        return node.value == "true"

    def number(self, node: Node) -> float:
        """A positive number."""
        try:
            value = float(str(node.value))
        except ValueError:
            value = 0.0
        if not 0 < value < 1000:
            self.fault(node, f"{node.value!r} is no number of seconds", "write a number above 0")
        return value

    def choice(self, choices: Iterable[str]) -> Callable[[Node], str]:
        """One of a few words."""
        allowed = tuple(choices)

        def one(node: Node) -> str:
            if node.value not in allowed:
                self.fault(node, f"{node.value!r} is not known here", f"use one of: {', '.join(allowed)}")
            return str(node.value)

        return one

    def usb_id(self, node: Node) -> str:
        """A USB vendor or product id."""
        value = self.text(node).lower()
        if not re.fullmatch(r"[0-9a-f]{4}", value):
            self.fault(node, f"{value!r} is no USB id", 'write four hex digits in quotes, as in "2c7c"')
        return value

    def searched(self, node: Node) -> str:
        """A pattern that is looked for anywhere in a text."""
        return self.pattern(node, "(?s:.)*?(?:{})")

    def pattern(self, node: Node, used: str = "{}") -> str:
        """A regular expression that compiles, with `(?&name)` replaced by the part of that name."""
        text = self.text(node)
        for name in _PART.findall(text):
            if name not in self.parts:
                self.fault(node, f"there is no part {name!r}", "define it under `parts:`, before it is used")
                return "(?!)"
        text = _PART.sub(lambda found: f"(?:{self.parts[found.group(1)]})", text)
        try:
            re.compile(text, re.I)
        except re.error as error:
            self.fault(node, f"the pattern does not compile ({error})", "mend the regular expression")
            return "(?!)"
        if self.thorough and (reason := backtracks(used.replace("{}", text))):
            self.fault(node, f"the pattern can take too long: {reason}", "bound the repeats, or keep them apart")
        return text


def check_maker(check: Checker, node: Node) -> Data:
    """The content of a maker.yaml."""

    def date(item: Node) -> str:
        value = check.text(item)
        if not _DATE.fullmatch(value):
            check.fault(item, f"{value!r} is no date", 'write "2026-06-08", "2026-06" or "2026", in quotes')
        return value

    def source(item: Node) -> Data:
        fields = {"url": check.text, "date": date, "says": check.text, "confidence": check.choice(REPORTED)}
        return check.mapping(item, "a source", fields, required=fields)

    def tie(item: Node) -> Data:
        fields = {
            "relation": check.choice(RELATIONS),
            "name": check.text,
            "slug": check.text,
            "since": date,
            "until": date,
            "says": check.text,
            "source": check.text,
            "confidence": check.choice(REPORTED),
        }
        found = check.mapping(item, "a tie", fields, required=("relation", "name", "says", "source", "confidence"))
        if not ("since" in found or "until" in found):
            check.fault(item, "the tie has no date", "add `since:` or `until:`, as far as it is known")
        return found

    def country(item: Node) -> str:
        value = check.text(item)
        if not re.fullmatch(r"[A-Z]{2}", value):
            check.fault(item, f"{value!r} is no country code", "write two capital letters, as in ISO 3166-1")
        return value

    return check.mapping(
        node,
        "maker.yaml",
        {
            "name": check.text,
            "legal_name": check.text,
            "kind": check.choice(("maker", "chip", "brand")),
            "country": country,
            "usb_vendors": lambda item: check.items(item, "usb_vendors", check.usb_id),
            "sources": lambda item: check.items(item, "sources", source),
            "ties": lambda item: check.items(item, "ties", tie),
        },
        required=("name", "kind", "sources"),
    )


def check_identity(check: Checker, node: Node) -> Data:
    """The content of an identity.yaml."""

    check.parts = {}

    def parts(item: Node) -> None:
        if not isinstance(item.value, dict):
            check.fault(item, "parts must be a mapping", "write `name: pattern` lines")
            return
        for name, pattern in item.value.items():
            check.parts[name] = check.pattern(pattern)

    def rules(kind: str) -> Callable[[Node], list[Any]]:
        return lambda item: check.items(item, kind, lambda rule: _rule(check, rule, kind))

    return check.mapping(
        node,
        "identity.yaml",
        {
            "parts": parts,
            "labels": rules("labels"),
            "models": rules("models"),
            "firmware": rules("firmware"),
            "dialect": rules("dialect"),
            "commands": lambda item: check.items(item, "commands", lambda command: _command(check, command)),
            "never": lambda item: check.items(item, "never", lambda entry: never_entry(check, entry)),
            "unsolicited": lambda item: check.items(item, "unsolicited", check.pattern),
            "redact": lambda item: check.items(item, "redact", check.searched),
        },
    )


def check_usb(check: Checker, node: Node, maker: Data) -> Data:
    """The content of a usb.yaml. `maker` is that of the maker.yaml beside it, empty where there is none."""

    def triple(item: Node) -> str:
        value = check.text(item).lower()
        if not re.fullmatch(r"[0-9a-f]{2}(?:/[0-9a-f]{2}){0,2}", value):
            check.fault(item, f"{value!r} is no class", "write class/subclass/protocol in hex, as in ff/42/01")
        return value

    def number(item: Node) -> int:
        value = str(item.value)
        if not re.fullmatch(r"[0-9]{1,3}", value) or int(value) > 255:
            check.fault(item, f"{value!r} is no interface number", "write bInterfaceNumber, decimal")
            return 0
        return int(value)

    def layout(item: Node) -> Data:
        row = check.mapping(
            item,
            "a layout",
            {
                "role": check.choice([role for role in Role if role is not Role.UNKNOWN]),
                "vendors": lambda ids: check.items(ids, "vendors", check.usb_id),
                "products": lambda ids: check.items(ids, "products", check.usb_id),
                "class": triple,
                "number": number,
                "driver": check.text,
                "source": check.text,
                "confidence": check.choice(CONFIDENCES),
            },
            required=("role", "source", "confidence"),
        )
        if not row.keys() & {"class", "driver"}:
            check.fault(item, "the layout names neither class nor driver", "add one; plain numbers are in ports.csv")
        vendors = row.get("vendors") or maker.get("usb_vendors")
        if check.slug != ANY_DEVICE and not vendors:
            check.fault(item, "the layout has no vendor", "add `vendors:`, or `usb_vendors:` to maker.yaml")
        if check.slug == ANY_DEVICE and not vendors and row.get("role") in {r.value for r in Role if r.is_control}:
            check.fault(item, "this would open a port of any device", "add `vendors:`, or move it to a maker's folder")
        return {key: value for key, value in row.items() if key not in ("source", "confidence")}

    return check.mapping(
        node,
        "usb.yaml",
        {
            "modem_vendors": lambda item: check.items(item, "modem_vendors", check.usb_id),
            "layouts": lambda item: check.items(item, "layouts", layout),
        },
    )


def check_guards(check: Checker, commands: Iterable[tuple[Node, str]], never: Iterable[Never]) -> None:
    """No command that is asked may match a `never` pattern of any profile."""
    forbidden = list(never)
    for place, send in commands:
        line = normalise(send)
        for pattern, why, where in forbidden:
            if pattern.fullmatch(line):
                check.fault(
                    place,
                    f"{line} must never be sent: {why} ({where})",
                    "remove the command, or prove the `never` entry wrong and remove that",
                )


def check_ties(check: Checker, makers: dict[str, tuple[Node, Data]]) -> None:
    """A tie names another profile's folder, or none."""
    for slug, (node, data) in makers.items():
        for place, tie in zip(node.entries("ties"), data.get("ties", []), strict=False):
            if tie.get("slug") == slug or tie.get("slug", slug) not in {slug, *makers}:
                check.fault(
                    place, f"{tie['slug']!r} is no other profile", "name a folder of profiles/, or leave it out"
                )


def check_rivals(check: Checker) -> None:
    """What is decisive for one maker, because nobody else can have it, is not decisive for another."""
    decisive = [c for c in check.rules if c.rule.get("strength") == "decisive" and c.rule.get("pattern")]
    patterns = [re.compile(c.rule["pattern"], re.I) for c in decisive]
    for one in decisive:
        for example in one.rule.get("examples", []):
            text = example.get("text", "")
            for other, pattern in zip(decisive, patterns, strict=True):
                if other.slug != one.slug and other.kind == one.kind and pattern.fullmatch(text):
                    check.fault(
                        one.node,
                        f"{text!r} is decisive for {other.slug} too ({other.node.path}:{other.node.line})",
                        "make one of the two narrower, or call both strong",
                    )


def _rule(check: Checker, node: Node, kind: str) -> Data:
    claim_fields = dict.fromkeys(_CLAIMS, check.text)

    def claims(item: Node) -> Data:
        return check.mapping(item, "claims", dict(claim_fields))

    def example(item: Node) -> Data:
        return check.mapping(item, "an example", {"text": check.text, "claims": claims}, required=("text",))

    rule = check.mapping(
        node,
        f"a rule of {kind}",
        {
            "pattern": check.pattern,
            "strength": check.choice(("decisive", "strong", "weak", "none")),
            "values": check.choice(("decisive", "strong", "weak")),
            "claims": claims,
            "examples": lambda item: check.items(item, "examples", example),
            "not": lambda item: check.items(item, "not", check.text),
            "source": check.text,
            "confidence": check.choice(CONFIDENCES),
        },
        required=("pattern", "strength", "examples", "source", "confidence"),
    )
    if rule.get("pattern"):
        _check_examples(check, node, rule)
    check.rules.append(Checked(node, check.slug, kind, rule))
    return {key: rule[key] for key in ("pattern", "strength", "values", "claims") if key in rule}


def _check_examples(check: Checker, node: Node, rule: Data) -> None:
    compiled = re.compile(rule["pattern"], re.I)
    wanted = rule.get("claims", {})
    for claim, template in wanted.items():
        for name in _GROUP.findall(template):
            if not (name in compiled.groupindex or (name.isdigit() and int(name) <= compiled.groups)):
                check.fault(node, f"{claim} uses the group {name!r}, which the pattern lacks", f"add (?P<{name}>...)")
                return
    if not rule.get("examples"):
        check.fault(node, "the rule has no example", "add a real one under `examples:`")
    for example in rule.get("examples", []):
        text = example.get("text", "")
        match = compiled.fullmatch(text)
        if match is None:
            check.fault(node, f"the example {text!r} does not match", "mend the pattern or the example")
            continue
        filled = {claim: fill(template, match) for claim, template in wanted.items()}
        given = {claim: value for claim, value in filled.items() if value is not None}
        if given != example.get("claims", {}):
            check.fault(node, f"the example {text!r} gives {given}", "write these claims, or mend the rule")
    for text in rule.get("not", []):
        if compiled.fullmatch(text):
            check.fault(node, f"{text!r} matches and should not", "make the pattern narrower")


def _command(check: Checker, node: Node) -> Data:
    command = check.mapping(
        node,
        "a command",
        {
            "send": check.text,
            "reads": check.choice(READS),
            "settles": lambda item: check.items(item, "settles", check.choice(_CLAIMS)),
            "tell": check.flag,
            "seconds": check.number,
            "same_as": check.text,
            "for_models": check.pattern,
            "answers": lambda item: check.items(item, "answers", lambda rule: _rule(check, rule, "answers")),
            "source": check.text,
            "confidence": check.choice(CONFIDENCES),
        },
        required=("send", "settles", "source", "confidence"),
    )
    parts = split(command.get("send", ""))
    if len(parts) != 1:
        check.fault(node, f"{command.get('send')!r} is not one AT command", "write it as AT+NAME, AT+NAME? or ATI")
    elif parts[0][1] is Form.SET and command.get("confidence") == "inferred":
        check.fault(node, f"{command['send']} has the form of a setting", "cite a source that shows it only reads")
    return {key: value for key, value in command.items() if key not in ("source", "confidence")}


def never_entry(check: Checker, node: Node) -> Data:
    """One thing that must never be sent, and why."""
    return check.mapping(
        node,
        "a never entry",
        {
            "pattern": check.pattern,
            "why": check.text,
            "source": check.text,
            "confidence": check.choice(CONFIDENCES),
        },
        required=("pattern", "why", "source", "confidence"),
    )


def collect(check: Checker, read_one: Callable[[], Node]) -> Node | None:
    """Read a file; a fault in it is noted and gives None."""
    try:
        return read_one()
    except ProfileError as error:
        check.problems += error.problems
        return None
