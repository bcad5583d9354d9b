"""The exit codes that scripts rely on, and which one wins."""

from __future__ import annotations

import pytest

from atprobe.cli._exit import Exit, exit_code


def test_numbers() -> None:
    assert [int(code) for code in Exit] == [0, 1, 2, 3, 4, 5, 6, 130]


@pytest.mark.parametrize(
    ("holding", "code"),
    [
        ([], 0),
        ([Exit.NOTHING], 4),
        ([Exit.FINDINGS, Exit.NOTHING], 1),
        ([Exit.INCOMPLETE, Exit.FINDINGS, Exit.NOTHING], 3),
        ([Exit.PUT_BACK, Exit.INCOMPLETE, Exit.FINDINGS], 5),
        ([Exit.NOT_KNOWN, Exit.PUT_BACK, Exit.INCOMPLETE], 6),
        ([Exit.INTERRUPTED, Exit.NOT_KNOWN, Exit.NOTHING], 130),
    ],
)
def test_precedence(holding: list[Exit], code: int) -> None:
    assert exit_code({each: each in holding for each in Exit}) == code
