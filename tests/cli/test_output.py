"""Files are written all or nothing, and what is not a plain file is never replaced."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from atprobe.cli._exit import Fatal
from atprobe.cli._output import write


def test_a_new_file_has_the_usual_permissions(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        write("text\n", tmp_path / "report")
    finally:
        os.umask(mask)
    assert (tmp_path / "report").read_text() == "text\n"
    assert stat.S_IMODE((tmp_path / "report").stat().st_mode) == 0o640


def test_an_old_file_is_replaced_and_keeps_its_permissions(tmp_path: Path) -> None:
    file = tmp_path / "report"
    file.write_text("old")
    file.chmod(0o604)
    write("new", file)
    assert file.read_text() == "new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o604
    assert os.listdir(tmp_path) == ["report"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "report"
    file.write_text("old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Fatal, match="report could not be written: No space left on device") as caught:
        write("new", file)
    assert caught.value.code == 3
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["report"]


def test_an_interrupt_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write("new", tmp_path / "report")
    assert os.listdir(tmp_path) == []


def test_a_symlink_stays_one(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "report")
    (tmp_path / "report").write_text("old")
    write("new", tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "report").read_text() == "new"


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    write("text", pipe)
    reader.join(10)
    assert got == ["text"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_text_that_is_no_unicode_is_written_all_the_same(tmp_path: Path) -> None:
    write("a\udcffb", tmp_path / "report")
    assert (tmp_path / "report").read_text() == "a\\udcffb"
