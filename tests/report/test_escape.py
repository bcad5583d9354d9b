"""Nothing that is not a plain printable character comes through."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atprobe.report.escape import LIMIT, visible
from tests.report.samples import HOSTILE

ANY_TEXT = st.text(st.characters(exclude_categories=()))


def is_safe(text: str) -> bool:
    return all(character == " " or unicodedata.category(character)[0] not in "CZM" for character in text)


@given(ANY_TEXT)
def test_what_is_shown_is_printable(text: str) -> None:
    assert is_safe(visible(text))


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=LIMIT))
def test_printable_ascii_is_left_alone(text: str) -> None:
    assert visible(text) == text


@given(ANY_TEXT, st.integers(0, 50))
def test_length_is_bounded(text: str, limit: int) -> None:
    assert len(visible(text, limit)) <= limit + len("... (4294967296 more characters)")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text(name: str) -> None:
    shown = visible(HOSTILE[name])
    assert is_safe(shown)
    assert len(shown) < LIMIT + 40


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31m", "\\x1b[31m"),
        ("\x9b", "\\x9b"),
        ("\x7f", "\\x7f"),
        ("a\nb\rc\td\0", "a\\nb\\rc\\td\\0"),
        ("\u202e", "\\u202e"),
        ("\u2028", "\\u2028"),
        ("e\u0301", "e\\u0301"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("\xa0", "\\xa0"),
        ("F:\\build", "F:\\build"),
        ("移远 é", "移远 é"),
    ],
)
def test_escapes_say_which_character_it_was(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_what_was_left_out_is_counted() -> None:
    assert visible("x" * 100_000, 10) == "x" * 10 + "... (99990 more characters)"
    assert visible("x" * 10, 10) == "x" * 10


def test_an_escape_is_never_cut_in_two() -> None:
    assert visible("ab\x1b", 5) == "ab... (1 more characters)"
