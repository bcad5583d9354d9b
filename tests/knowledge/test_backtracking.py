"""Regular expressions that backtrack badly are told from those that do not."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from atprobe.knowledge import _backtracking, default_root, load
from atprobe.knowledge._backtracking import backtracks
from atprobe.knowledge._types import MAX_TEXT

# Each with a text that shows it: a start, what is repeated, an end.
EXPONENTIAL = [
    (r"(a+)+", "", "a", "!"),
    (r"(a|a)*", "", "a", "!"),
    (r"(a|aa)+", "", "a", "!"),
    (r"(a*)*b", "", "a", "!"),
    (r"(\w+\s?)*", "", "a", "!"),
    (r"([a-z]+)*\d", "", "a", "!"),
    (r"(?:[A-Z]+[0-9]*)*-", "", "a", "!"),
    (r"x(?:-\w*\w*=)*", "x", "-aa=", "!"),
    (r"(?:x(?:a+)+y)*", "x", "a", "!"),
    (r"(?:a{1,40}){1,40}", "", "a", "!"),
    (r"(?:a|b|[ab]{2}){0,40}", "", "ab", "!"),
    (r"(?:.*a){20}", "", "a", "!"),
    (r"(?:(?:a?)*b)*c", "", "b", "!"),
    (r"(?:(?:a*)?b)*c", "", "b", "!"),
    (r"(?:b(?:a?)+)*c", "", "b", "!"),
    (r"(?=(?:a+)+b)a*", "", "a", "!"),
    (r"(?s:.*\n)*x", "", "\n", "!"),
    (r"(?:kz?|\u212a)*x", "", "k", "!"),
    (r"(?:[\u0431-\u044f]z?|\u0416)*x", "", "\u0436", "!"),
]
POLYNOMIAL = [
    (r"(.*)(.*)(.*)x", "", "a", ""),
    (r"\d+\d+\d+x", "", "1", ""),
    (r".*-.*-.*-x", "", "-", ""),
    (r"\w*_\w*_\w*_\w*x", "", "_", ""),
    (r"(\w+-?){0,3}", "", "a", "!"),
    (r".*(?!.*a.*b)x", "", "a", ""),
    (r"(?:(?!.*x.*y)x)*y", "", "x", ""),
    (r"(.*),?\1.*.*x", "", "a", ""),
    (r"(?:ab)*(?:ab)*(?:ab)*(?:ab)*x", "", "ab", ""),
    (r".{0,250}.{0,250}.{0,250}x", "", "a", ""),
    (r"\w{1,16}\w{1,16}\w{1,16}\w{1,16}\w{1,16}\w{1,16}x", "", "a", ""),
    (r"(?:[A-Z]{1,14}-?){0,6}", "", "a", "!"),
    (r"a?" * 24 + "x", "", "a", ""),
]
FINE = [
    r"",
    r"a|b",
    r"^(ab)+$",
    r"\w+-\d+",
    r"a{0,40}b",
    r".*x",
    r".*,.*",
    r"(\w+-?){0,2}",
    r"a*b*c*d*e*",
    r"a*x|.*y|\w*z|.*",
    r"(?:\.\d+)*",
    r"(?:\.\d{1,3}){1,30}",
    r"(?:(?:ab){2})*",
    r"(?:[0-9A-F]{32} ?)+",
    r"(?:a?b|aab)*",
    r"(?:.*\n)*",
    r"(?:[A-Z0-9]{1,4}[-_]?){0,8}",
    r"[A-Z]{1,12}[A-Z]{1,12}[A-Z]{1,12}",
    r"(?:(?!aa)a|b)*",
    r"(?P<a>\S+)(?: (?P=a))?\s+1",
    r"(?<=PIN: )\d+",
    r"(?!)(?:a+)",
    r"(.*),?\1.*x",
    r"(a)?(?(1)b|c)*",
    # from the profiles
    r"\d+\s+Activated\s+\S+\s+(?P<number>\d\d\.\d\d\.\d{3}\S{0,8})\s+\d+\s.*",
    r"(?:(?:Revision|VERSION): ?)?(?P<core>(?P<family>BC\d{2})(?P<series>GR?|B\d{1,2})?[A-Z]{2}R\d{2}A\d{2}[A-Z0-9]*"
    r"(?:[_-][A-Z0-9]+)*?)(?P<tail>_[0-9A-Z]{2}\.\d{3}(?:\.[0-9A-Z]{2}(?:\.\d{3})?)?(?:[_.][A-Z0-9]+)*)?",
    r"(?:BD|CR)_(?!\w{0,16}(?:ME36|GM\d))(?P<customer>[A-Z0-9]{2,10}?)?_?(?P<model>M[CFU]\d{2,4}[A-Z]{0,3}\d?|ZM\d{4})"
    r"(?:MOD)?V(?P<release>\d{1,2}\.\d{1,2}\.\d{1,2}B\d{2})(?P<tail>[A-Z0-9_.]{1,24})?",
]
HOSTILE = ["a", "b", "1", "_", "-", ",", "ab", "a-", "a ", "1.", ".1", "-a", "_a", " 1", "a\n", "aA1_", "0"]

# A match cannot be stopped by a deadline of its own, but the signal of a timer is seen within it.
SLOW = """
import json, re, signal, sys
class Slow(Exception): pass
def slow(*_): raise Slow
signal.signal(signal.SIGALRM, slow)
quick = []
for pattern, text in json.load(sys.stdin):
    compiled = re.compile(pattern, re.I)
    signal.setitimer(signal.ITIMER_REAL, float(sys.argv[1]))
    try:
        compiled.fullmatch(text)
        quick.append(pattern)
    except Slow:
        pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
print(json.dumps(quick))
"""


def quick_ones(examples: list[tuple[str, str, str, str]], seconds: float) -> list[str]:
    """Those patterns that are done with their hostile text in that time."""
    room = [(pattern, start, unit, end, MAX_TEXT - len(start) - len(end)) for pattern, start, unit, end in examples]
    texts = [(pattern, start + unit * (size // len(unit)) + end) for pattern, start, unit, end, size in room]
    code = [sys.executable, "-c", SLOW, str(seconds)]
    done = subprocess.run(code, input=json.dumps(texts), capture_output=True, text=True, timeout=60, check=True)
    quick: list[str] = json.loads(done.stdout)
    return quick


@pytest.mark.parametrize("pattern", [example[0] for example in EXPONENTIAL])
def test_exponential_ones_are_refused(pattern: str) -> None:
    assert "exponentially many ways" in (backtracks(pattern) or "")


@pytest.mark.parametrize("pattern", [example[0] for example in POLYNOMIAL])
def test_cubic_ones_are_refused(pattern: str) -> None:
    assert backtracks(pattern)


def test_what_is_refused_is_slow() -> None:
    # A busy machine only makes a match slower: this cannot fail by chance.
    assert quick_ones(EXPONENTIAL, 0.1) == []
    assert quick_ones(POLYNOMIAL, 0.01) == []


@pytest.mark.parametrize("pattern", FINE)
def test_fine_ones_are_accepted(pattern: str) -> None:
    assert backtracks(pattern) is None


def test_what_is_accepted_is_fast() -> None:
    compiled = [re.compile(pattern, re.I) for pattern in FINE]
    start = time.process_time()
    for pattern in compiled:
        for unit in HOSTILE:
            pattern.fullmatch((unit * MAX_TEXT)[: MAX_TEXT - 1] + "!")
    assert time.process_time() - start < 10  # in truth some 0.1 seconds; one bad pattern takes years


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("x(a+)+", "(a+)+ can match one text in exponentially many ways"),
        ("(?:_(?P<a>[a-z]+)*)?", "([a-z]+)* can match one text in exponentially many ways"),
        (
            r"\d+x?\d+\d+",
            r"\d+ ... \d+ ... \d+: repeats in a row that match the same characters, time grows with the power 3",
        ),
        (
            "a*a*b*b*",
            "a* ... a* ... b* ... b*: repeats in a row that match the same characters, time grows with the power 3",
        ),
        (
            r".{0,250}.{,250}.{1,250}",
            ".{0,250} ... .{0,250} ... .{1,250}: repeats in a row that match the same characters, "
            "some 2e+07 steps for one text",
        ),
        (r"(?:(.)\1)*", r"\1 refers back to a group from inside a repeat, which cannot be judged"),
        ("a" * 5000, "the pattern is too large to judge"),
    ],
)
def test_the_reason_names_the_part(pattern: str, reason: str) -> None:
    assert backtracks(pattern) == reason


def test_one_long_body_is_judged_too() -> None:
    assert backtracks(f"(?:{'a' * 100}b?)*") is None
    assert backtracks(f"(?:{'a' * 100}a?)*") is None  # five rounds at most


def test_deep_nesting_is_refused_or_judged() -> None:
    assert backtracks("(" * 50 + "a" + ")" * 50) is None
    assert backtracks("(" * 90 + "a+" + ")+" * 90)
    assert backtracks("(" * 3000 + "a" + ")" * 3000) == "the pattern is nested too deeply to judge"


def test_the_text_is_as_long_as_the_rules_allow() -> None:
    assert _backtracking._TEXT == MAX_TEXT


def test_the_projects_own_patterns_are_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATPROBE_STATE_DIR", str(tmp_path))
    knowledge = load(default_root())
    patterns = {*knowledge.unsolicited, *knowledge.redact}
    for profile in knowledge.profiles.values():
        answers = [rule for command in profile.commands for rule in command.answers]
        rules = (*profile.labels, *profile.models, *profile.firmware, *profile.dialect, *answers)
        patterns |= {rule.pattern for rule in rules} | set(profile.never)
        patterns |= {command.for_models for command in profile.commands if command.for_models}
    assert len(patterns) > 100
    assert {pattern: reason for pattern in patterns if (reason := backtracks(pattern))} == {}
