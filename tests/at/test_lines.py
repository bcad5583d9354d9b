"""Bytes to lines: every line end, and bounded memory whatever comes."""

import itertools
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from atprobe.at import MAX_LINE
from atprobe.at._lines import Line, LineBuffer


def lines_of(*chunks: bytes) -> list[Line]:
    buffer = LineBuffer()
    found = [line for chunk in chunks for line in buffer.feed(chunk)]
    return found + buffer.flush()


def test_every_line_end_is_one() -> None:
    for end in (b"\r\n", b"\r", b"\n", b"\r\r\n", b"\r\n\r\n\r\n"):
        assert [line.text for line in lines_of(b"one" + end + b"two" + end)] == ["one", "two"]


def test_a_digit_closed_by_a_bare_cr_is_numeric_and_by_crlf_is_not() -> None:
    assert lines_of(b"0\r") == [Line("0", numeric=True)]
    assert lines_of(b"0\r\n") == [Line("0", numeric=False)]
    assert lines_of(b"0\r", b"\n") == [Line("0", numeric=False)]
    assert lines_of(b"0\r", b"4\r") == [Line("0", numeric=True), Line("4", numeric=True)]
    assert lines_of(b"10\r") == [Line("10", numeric=False)]


def test_nul_and_foreign_bytes_survive() -> None:
    assert lines_of(b"\0Model:\0 EC25\r\n") == [Line("Model: EC25")]
    assert lines_of("EM7455 Snapdragon™\r\n".encode()) == [Line("EM7455 Snapdragon™")]
    assert lines_of(b"Snapdragon\xae\r\n") == [Line("Snapdragon®")]


def test_a_line_without_end_keeps_a_bounded_part() -> None:
    buffer = LineBuffer()
    tracemalloc.start()
    for _ in range(256):
        assert buffer.feed(b"x" * 4096) == []
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 * 1024
    (line,) = buffer.feed(b"\r\n")
    assert line.cut
    assert line.text == "x" * MAX_LINE


def test_a_flood_of_blank_lines_is_nothing() -> None:
    assert lines_of(b"\r\n" * 1_000_000, b"OK\r\n") == [Line("OK")]


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=6))
def test_cuts_change_nothing(data: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[a:b] for a, b in itertools.pairwise(places)]
    assert lines_of(*pieces) == lines_of(data)
