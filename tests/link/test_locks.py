"""UUCP lock files, in a folder of the test's own."""

import fcntl
import os
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from atprobe.link import PortError, _locks, open_port
from atprobe.link._locks import lock, locks
from atprobe.model import ProblemKind

DEVICE = "/dev/ttyNOSUCH7"


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """A living process that is not ours."""
    with subprocess.Popen(["sleep", "60"]) as process:
        while Path(f"/proc/{process.pid}/comm").read_text() != "sleep\n":  # it has its name a moment after its number
            time.sleep(0.001)
        yield process
        process.kill()


def dead() -> int:
    """The number of a process that is gone."""
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


def busy(path: str, folder: Path) -> PortError:
    with pytest.raises(PortError) as caught:
        lock(path, [folder])
    assert caught.value.kind is ProblemKind.BUSY
    return caught.value


def test_the_lock_names_us_in_hdb_form_and_goes_away(tmp_path: Path) -> None:
    unlock = lock(DEVICE, [tmp_path])
    file = tmp_path / "LCK..ttyNOSUCH7"
    assert file.read_bytes() == f"{os.getpid():>10}\n".encode()
    assert file.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [file]
    unlock()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", ["hdb", "words", "bare", "binary"])
def test_the_lock_of_a_living_process_is_respected(form: str, tmp_path: Path, other: subprocess.Popen[bytes]) -> None:
    content = {
        "hdb": b"%10d\n" % other.pid,
        "words": b"%10d minicom root\n" % other.pid,
        "bare": b"%d" % other.pid,
        "binary": struct.pack("=i", other.pid),
    }[form]
    (tmp_path / "LCK..ttyNOSUCH7").write_bytes(content)
    error = busy(DEVICE, tmp_path)
    assert error.message == f"is locked by sleep (pid {other.pid})"
    assert "LCK..ttyNOSUCH7" in error.hint
    assert (tmp_path / "LCK..ttyNOSUCH7").read_bytes() == content


@pytest.mark.parametrize("content", [b"%10d\n", b"%d"])
def test_a_stale_lock_is_taken_over(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "LCK..ttyNOSUCH7"
    file.write_bytes(content % dead())
    unlock = lock(DEVICE, [tmp_path])
    assert file.read_bytes() == b"%10d\n" % os.getpid()
    unlock()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_left_by_an_earlier_process_with_our_number_is_stale(tmp_path: Path) -> None:
    file = tmp_path / "LCK..ttyNOSUCH7"
    file.write_bytes(b"%10d\n" % os.getpid())
    lock(DEVICE, [tmp_path])()
    assert not file.exists()


def test_a_lock_of_our_own_is_busy_and_stays(tmp_path: Path) -> None:
    unlock = lock(DEVICE, [tmp_path])
    assert "this very program" in busy(DEVICE, tmp_path).message
    assert (tmp_path / "LCK..ttyNOSUCH7").exists()
    unlock()
    lock(DEVICE, [tmp_path])()


@pytest.mark.parametrize("content", [b"", b"rubbish\n", b"0\n", b"99999999999\n"])
def test_a_lock_without_a_process_counts_while_it_is_new(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "LCK..ttyNOSUCH7"
    file.write_bytes(content)
    assert busy(DEVICE, tmp_path).message == "is being locked by another program"
    long_ago = time.time() - 60
    os.utime(file, (long_ago, long_ago))
    lock(DEVICE, [tmp_path])()


def test_a_pipe_in_the_locks_place_does_not_hang_us(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "LCK..ttyNOSUCH7")
    busy(DEVICE, tmp_path)


def test_a_link_in_the_locks_place_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("as it was")
    folder = tmp_path / "lock"
    folder.mkdir()
    (folder / "LCK..ttyNOSUCH7").symlink_to(precious)
    busy(DEVICE, folder)
    assert precious.read_text() == "as it was"


def test_a_lock_that_is_no_longer_ours_is_left(tmp_path: Path, other: subprocess.Popen[bytes]) -> None:
    unlock = lock(DEVICE, [tmp_path])
    file = tmp_path / "LCK..ttyNOSUCH7"
    file.write_bytes(b"%10d\n" % other.pid)
    unlock()
    assert file.read_bytes() == b"%10d\n" % other.pid


@pytest.mark.parametrize("name", ["LCK..modem", "LCK..pts_NOSUCH", "LCK..NOSUCH"])
def test_all_names_of_a_device_count(name: str, tmp_path: Path, other: subprocess.Popen[bytes]) -> None:
    link = tmp_path / "modem"
    link.symlink_to("/dev/pts/NOSUCH")
    (tmp_path / name).write_bytes(b"%10d\n" % other.pid)
    busy(str(link), tmp_path)


def test_a_device_below_a_folder_of_dev(tmp_path: Path) -> None:
    unlock = lock("/dev/pts/NOSUCH", [tmp_path])
    assert [file.name for file in tmp_path.iterdir()] == ["LCK..pts_NOSUCH"]
    unlock()


def test_without_a_folder_we_go_on(tmp_path: Path) -> None:
    lock(DEVICE, [tmp_path / "nosuch"])()


def test_a_folder_that_may_only_be_read(other: subprocess.Popen[bytes]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)  # root may write everywhere; nobody may not
        try:
            lock(DEVICE, [folder])()
        finally:
            if root:
                os.seteuid(0)
        folder.chmod(0o755)
        (folder / "LCK..ttyNOSUCH7").write_bytes(b"%10d\n" % other.pid)
        folder.chmod(0o555)
        busy(DEVICE, folder)
        folder.chmod(0o755)


def test_a_stale_lock_that_somebody_else_takes_over_first_is_theirs(
    tmp_path: Path, other: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "LCK..ttyNOSUCH7"
    file.write_bytes(b"%10d\n" % dead())

    def too_late(*_: object) -> None:
        theirs = tmp_path / "theirs"
        theirs.write_bytes(b"%10d\n" % other.pid)
        theirs.rename(file)

    monkeypatch.setattr(fcntl, "flock", too_late)
    busy(DEVICE, tmp_path)
    assert file.read_bytes() == b"%10d\n" % other.pid


@pytest.mark.parametrize("stale", [True, False])
def test_of_many_that_want_a_lock_one_gets_it(stale: bool, tmp_path: Path) -> None:
    if stale:
        (tmp_path / "LCK..ttyNOSUCH7").write_bytes(b"%10d\n" % dead())
    code = """if True:
        import sys
        from pathlib import Path
        from atprobe.link import PortError
        from atprobe.link._locks import lock, locks
        print("ready", flush=True)
        input()
        try:
            lock(sys.argv[1], [Path(sys.argv[2])])
            print("got it", flush=True)
        except PortError as error:
            print(error.kind, flush=True)
        input()
    """
    command = [sys.executable, "-c", code, DEVICE, str(tmp_path)]
    rivals = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(6)]

    def tell(rival: subprocess.Popen[str]) -> None:
        assert rival.stdin is not None
        rival.stdin.write("\n")
        rival.stdin.flush()

    def hear(rival: subprocess.Popen[str]) -> str:
        assert rival.stdout is not None
        return rival.stdout.readline().strip()

    assert {hear(rival) for rival in rivals} == {"ready"}
    for rival in rivals:
        tell(rival)
    said = [hear(rival) for rival in rivals]
    for rival in rivals:
        rival.communicate("\n")
    assert sorted(said) == ["busy"] * 5 + ["got it"]


def test_threads_that_want_one_lock(tmp_path: Path) -> None:
    got = []

    def want() -> None:
        with suppress(PortError):
            got.append(lock(DEVICE, [tmp_path]))

    threads = [threading.Thread(target=want) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1
    got[0]()


def test_a_port_is_locked_while_it_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: subprocess.Popen[bytes]
) -> None:
    monkeypatch.setattr(_locks, "FOLDERS", (tmp_path,))
    master, slave = os.openpty()
    path = os.ttyname(slave)
    file = tmp_path / f"LCK..pts_{os.path.basename(path)}"
    port = open_port(path)
    assert file.exists()
    port.close()
    assert not file.exists()
    file.write_bytes(b"%10d\n" % other.pid)
    with pytest.raises(PortError, match="locked by sleep"):
        open_port(path)
    file.unlink()
    # A port that cannot be opened leaves no lock behind.
    monkeypatch.setattr("atprobe.link.transport._claimed", lambda fd: True)
    with pytest.raises(PortError):
        open_port(path)
    assert list(tmp_path.iterdir()) == []
    os.close(slave)
    os.close(master)


class TestLooking:
    """What locks there are, without taking or removing one."""

    def look(self, folder: Path, content: bytes, age: float = 60) -> tuple[str, int | None, str]:
        file = folder / "LCK..ttyNOSUCH7"
        file.write_bytes(content)
        os.utime(file, (time.time() - age,) * 2)
        (found,) = locks(DEVICE, [folder])
        assert found.file == file
        assert file.read_bytes() == content
        return found.state, found.pid, found.name

    def test_living(self, tmp_path: Path, other: subprocess.Popen[bytes]) -> None:
        assert self.look(tmp_path, b"%10d\n" % other.pid) == ("held", other.pid, "sleep")

    def test_stale(self, tmp_path: Path) -> None:
        gone = dead()
        assert self.look(tmp_path, b"%10d\n" % gone)[:2] == ("stale", gone)
        assert self.look(tmp_path, b"")[:2] == ("stale", None)

    def test_unfinished(self, tmp_path: Path) -> None:
        assert self.look(tmp_path, b"", age=0)[:2] == ("unfinished", None)

    def test_not_to_be_read(self, tmp_path: Path) -> None:
        (tmp_path / "LCK..ttyNOSUCH7").mkdir()
        assert [each.state for each in locks(DEVICE, [tmp_path])] == ["unreadable"]

    def test_ours(self, tmp_path: Path) -> None:
        unlock = lock(DEVICE, [tmp_path])
        assert [each.state for each in locks(DEVICE, [tmp_path])] == ["ours"]
        unlock()
        assert locks(DEVICE, [tmp_path]) == ()
