"""The one place that makes text from outside safe to show to a person.

Whatever a module, a USB descriptor or a file says may hold escape sequences that drive a terminal, marks that
reorder a line, or line ends that forge one. All of these become visible escapes. Machine formats do not come
here: JSON has escapes of its own and keeps the exact text.
"""

from __future__ import annotations

import unicodedata

LIMIT = 400
"""Characters shown of one text; the longest line seen from a real module is about as long."""

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"}


def visible(text: str, limit: int = LIMIT) -> str:
    """`text` with everything that is not a printable character written as an escape (`\\x1b`, `\\u202e`).

    Escaped are control characters, line ends, format characters (bidi and zero-width marks), blanks other than
    the space, combining marks, surrogates and code points without a meaning. A backslash stays what it is:
    the result is for reading, not for turning back. At most `limit` characters are kept; where there were more,
    the result ends in a note of how many were left out.
    """
    shown: list[str] = []
    room = limit
    for index, character in enumerate(text):
        piece = character if _harmless(character) else _escape(character)
        room -= len(piece)
        if room < 0:
            shown.append(f"... ({len(text) - index} more characters)")
            break
        shown.append(piece)
    return "".join(shown)


def _harmless(character: str) -> bool:
    if character.isascii():
        return character.isprintable()
    return character.isprintable() and not unicodedata.category(character).startswith("M")


def _escape(character: str) -> str:
    code = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
