"""The journal: a record is there as soon as the call that wrote it returned, and stays, whatever happens then."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import pytest

from atprobe.lockdown import JOURNAL, Journal, JournalError, _journal
from atprobe.model import Change, ModulePlan, Stage, Step
from tests.lockdown.bench import IMEIS
from tests.lockdown.power import (
    SECTOR,
    Event,
    Image,
    Make,
    Recorder,
    Remove,
    Sync,
    SyncFolder,
    Write,
    read_image,
    recording,
    write_image,
)

HOME = Path("home/state")
"""The journal's folder on the disk that loses its power; the journal makes both."""
HOT = f"{HOME}/{JOURNAL}-journal"

Content = tuple[tuple[Change, tuple[tuple[str, Stage, str | None], ...]], ...]
"""Every change, with its history."""


def _step(number: int) -> Step:
    return Step(
        f"surface-{number}",
        f"Surface \u00e4 {number}",
        "AT+X={n},{m}",
        "AT+X?",
        (("n", "3"), ("m", '"a;b"')),
        (("n", "0"), ("m", "")),
        'AT+X=0,""',
        'AT+X=3,"a;b"',
        "effect " * number,
        None,
        "risk" if number % 2 else None,
        "yes",
        "no",
        "documented",
        "made up",
    )


PLANS = (
    ModulePlan(IMEIS[0], "simcom", "A7670E", "V1", "/dev/ttyUSB2", tuple(map(_step, range(1, 5)))),
    ModulePlan(IMEIS[1], "quectel", None, None, "/dev/ttyUSB5", tuple(map(_step, range(5, 8)))),
)


def _clock() -> Callable[[], str]:
    ticks = iter(range(10**6))
    return lambda: f"2026-01-01T00:00:00.{next(ticks):06}Z"


def _content(journal: Journal) -> Content:
    return tuple((change, tuple(journal.history(change))) for change in journal.changes())


@dataclass(frozen=True, slots=True)
class Mark:
    """A call had returned when there were so many events; from then on this is what the journal holds."""

    events: int
    content: Content


class Story:
    """Calls of a journal on a recorded disk, and after each what the journal has to hold by what it returned."""

    def __init__(self, recorder: Recorder, content: Content = ()) -> None:
        self.recorder = recorder
        self.marks = [Mark(0, content)]

    def returned(self, *changes: Change) -> None:
        """A call returned these."""
        held = {change.id: (change, history) for change, history in self.marks[-1].content}
        for change in changes:
            history = held[change.id][1] if change.id in held else ()
            held[change.id] = change, (*history, (change.time, change.stage, change.detail))
        self.marks.append(Mark(len(self.recorder.events), tuple(held[key] for key in sorted(held))))


def _tell(recorder: Recorder) -> Story:
    """A journal is made, begins, notes a lot, is opened again, begins and notes more."""
    story = Story(recorder)
    chance, clock = Random(1), _clock()
    for run in range(2):
        with Journal(recorder.root / HOME, clock) as journal:
            story.returned()
            changes = journal.begin(f"plan-{run}", PLANS[run:])
            story.returned(*changes)
            for turn in range(7 - 4 * run):
                number = chance.randrange(len(changes))
                # From nothing to more than a page, so that pages are split and chained.
                detail = None if turn % 4 == 0 else "d" * chance.randrange(700) if turn != 6 else "d" * 9000
                changes[number] = journal.note(changes[number], chance.choice(list(Stage)), detail)
                story.returned(changes[number])
        story.returned()
    return story


@dataclass(frozen=True, slots=True)
class Cut:
    """What a cut left after so many events, and which."""

    events: int
    what: str
    image: Image


def _cuts(story: Story, chance: Random, random_cuts: int, spread: int | None = None) -> Iterator[Cut]:
    """The power fails after every event, and while a write was on its way after 0, 1, 7, 512, ... of its bytes.

    `spread`: also after every so many of its bytes; None: not inside a write.
    """
    disk, events = story.recorder.disk(), story.recorder.events
    for count in range(len(events) + 1):
        for image in disk.corners():
            yield Cut(count, "between", image)
        for _ in range(random_cuts):
            yield Cut(count, "random", disk.any_of_it(chance))
        if count < len(events):
            event = events[count]
            if isinstance(event, Write) and spread is not None:
                size = len(event.data)
                some = {0, 1, 7, SECTOR, size // 2, size - 1}
                for length in sorted((some | {*range(0, size, spread)}) & {*range(size)}):
                    images = disk.corners(replace(event, data=event.data[:length]))
                    for image in images if length in some else images[:2]:
                        yield Cut(count, f"{length} of {size} bytes", image)
            disk.take(event)


def _is_hot(image: Image) -> bool:
    """True where SQLite has to take back a write that was half done."""
    return bool(image.get(f"{HOME}/{JOURNAL}")) and (image.get(HOT) or b"\0")[0] != 0


def _key(image: Image) -> bytes:
    digest = hashlib.blake2b()
    for path, data in sorted(image.items()):
        digest.update(f"{path}:{-1 if data is None else len(data)}:".encode())
        digest.update(data or b"")
    return digest.digest()


class Judge:
    """Opens what a cut left. The same image is opened once."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.cuts = self.rolled_back = 0
        self._seen: dict[bytes, Content | str] = {}

    @property
    def images(self) -> int:
        """How many different ones there were."""
        return len(self._seen)

    def fault(self, story: Story, cut: Cut) -> str | None:
        """What is wrong with it; None where nothing is."""
        self.cuts += 1
        key = _key(cut.image)
        if key not in self._seen:
            self._seen[key] = self._open(cut.image)
        found = self._seen[key]
        if isinstance(found, str):
            return f"after event {cut.events}, {cut.what}: {found}"
        number = max(number for number, mark in enumerate(story.marks) if mark.events <= cut.events)
        # What had returned, or that with all of the call that was under way.
        if found in [mark.content for mark in story.marks[number : number + 2]]:
            return None
        return f"after event {cut.events}, {cut.what}: call {number} had returned, but there is {found}"

    def _open(self, image: Image) -> Content | str:
        folder = self.work / HOME
        write_image(image, self.work)
        read: Content | None = None
        try:
            # Whoever comes first puts right what the cut left, and that may be one who only reads.
            if len(self._seen) % 2 and (folder / JOURNAL).exists():
                with Journal(folder, _clock(), readonly=True) as journal:
                    read = _content(journal)
            with Journal(folder, _clock()) as journal:
                found = _content(journal)
            with closing(sqlite3.connect(folder / JOURNAL)) as connection:
                verdict = connection.execute("PRAGMA integrity_check").fetchall()
        except (JournalError, sqlite3.Error) as error:
            return str(error)
        if read not in (None, found):
            return f"read only it was {read}, then {found}"
        self.rolled_back += _is_hot(image)
        return found if verdict == [("ok",)] else str(verdict)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Where thousands of folders are made one after the other: in memory where there is such a place."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as folder:
        yield Path(folder)


@pytest.fixture
def disk(place: Path) -> Path:
    """The folder that stands for a disk."""
    folder = place / "disk"
    folder.mkdir()
    return folder


def test_a_record_survives_a_power_cut_at_any_byte(disk: Path, place: Path) -> None:
    with recording(disk) as recorder:
        story = _tell(recorder)
    assert {type(event) for event in recorder.events} >= {Write, Sync, Make, Remove, SyncFolder}
    judge = Judge(place / "cut")
    for cut in _cuts(story, Random(2), random_cuts=6, spread=97):
        assert (fault := judge.fault(story, cut)) is None, fault
    # Else it would have proved nothing.
    assert len(recorder.events) > 250
    assert judge.cuts > 10000
    assert judge.images > 5000
    assert judge.rolled_back > 1000


@pytest.mark.parametrize("synchronous", ["OFF", "NORMAL", "FULL"])
def test_with_less_than_synchronous_extra_a_record_is_lost(disk: Path, place: Path, synchronous: str) -> None:
    with recording(disk, synchronous) as recorder:
        story = _tell(recorder)
    judge = Judge(place / "cut")
    faults = (judge.fault(story, cut) for cut in _cuts(story, Random(2), random_cuts=1))
    assert any(fault is not None and "had returned" in fault for fault in faults)


def test_where_the_folders_above_are_not_put_on_the_disk_a_record_is_lost(
    disk: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_journal, "_settle", lambda path: None)
    with recording(disk) as recorder:
        story = _tell(recorder)
    judge = Judge(place / "cut")
    faults = (judge.fault(story, cut) for cut in _cuts(story, Random(2), random_cuts=0))
    assert any(fault is not None and fault.endswith("there is ()") for fault in faults)


@pytest.mark.parametrize("readonly", [False, True])
def test_a_second_cut_while_the_first_is_put_right(disk: Path, place: Path, readonly: bool) -> None:
    with recording(disk) as recorder:
        story = Story(recorder)
        with Journal(disk / HOME, _clock()) as journal:
            story.returned()
            changes = journal.begin("plan", PLANS[1:])
            story.returned(*changes)
            for detail in ("d" * 300, None):
                story.returned(journal.note(changes[0], Stage.SENDING, detail))
    hot = {_key(cut.image): cut for cut in _cuts(story, Random(3), random_cuts=1, spread=4096) if _is_hot(cut.image)}
    judge, second = Judge(place / "cut"), Judge(place / "cut again")
    for cut in list(hot.values())[::8]:
        assert judge.fault(story, cut) is None
        write_image(cut.image, disk)
        with recording(disk) as recorder:
            if readonly:
                with Journal(disk / HOME, _clock(), readonly=True) as journal:
                    journal.changes()
            with Journal(disk / HOME, _clock()) as journal:
                next_story = Story(recorder, _content(journal))
                next_story.returned()
                next_story.returned(*journal.begin("plan again", PLANS[1:]))
        for again in _cuts(next_story, Random(4), random_cuts=2):
            assert (fault := second.fault(next_story, again)) is None, f"{cut.events}, {cut.what}: {fault}"
    assert second.rolled_back > 200


@pytest.mark.parametrize("once", [False, True], ids=["from then on", "once"])
@pytest.mark.parametrize("kinds", [(Write, Make), (Write, Make, Sync, Remove, SyncFolder)], ids=["full", "broken"])
def test_a_disk_that_is_full_or_broken_is_a_journal_error(
    place: Path, kinds: tuple[type[Event], ...], once: bool
) -> None:
    tried = refused = 0
    ended = False
    while not ended:
        disk = place / f"{tried}"
        disk.mkdir()
        with recording(disk) as recorder:
            story, left = Story(recorder), [tried]

            def refuse(event: Event, left: list[int] = left) -> bool:
                left[0] -= isinstance(event, kinds)
                return isinstance(event, kinds) and (left[0] == -1 if once else left[0] < 0)

            recorder.refuse = refuse
            try:
                with Journal(disk / HOME, _clock()) as journal:
                    story.returned()
                    changes = journal.begin("plan", PLANS[1:])
                    story.returned(*changes)
                    try:
                        for detail in ("d" * 5000, None):
                            story.returned(journal.note(changes[0], Stage.SENDING, detail))
                    except JournalError:
                        refused += 1
                        # What it still says is true.
                        if once:
                            assert _is_there(story, _content(journal))
                ended = left[0] >= 0
            except JournalError:
                refused += 1
        with Journal(disk / HOME, _clock()) as journal:
            assert _is_there(story, _content(journal))
        tried += 1
    assert tried > 50
    assert refused >= tried - 10


def _is_there(story: Story, content: Content) -> bool:
    """True where all is there that was returned, and nothing else but the whole of the call that failed."""
    returned = story.marks[-1].content
    steps = [change.step for change, _ in content]
    stages = [[stage for _, stage, _ in history] for _, history in content]
    if not returned:
        return not steps or (steps == [*PLANS[1].steps] and stages == [[Stage.PLANNED]] * len(steps))
    (_, history), *rest = content
    (_, first), *others = returned
    return rest == others and history[: len(first)] == first and stages[0][len(first) :] in ([], [Stage.SENDING])


WRITER = """
import sys
from pathlib import Path
from atprobe.lockdown import Journal, JournalError
from atprobe.model import Stage
number = 0
with Journal(Path(sys.argv[1]), lambda: "now") as journal:
    change = journal.changes()[0]
    number = len(journal.history(change))
    while True:
        try:
            journal.note(change, Stage.SENDING, f"{number}" + "." * 500)
        except JournalError as error:
            sys.exit(f"JournalError: {error}")
        print(number, flush=True)
        number += 1
"""


def _numbers(folder: Path, *, readonly: bool) -> list[int]:
    with Journal(folder, _clock(), readonly=readonly) as journal:
        (_, *rest) = journal.history(journal.changes()[0])
    return [int((detail or "").rstrip(".")) for _, _, detail in rest]


def test_what_a_killed_process_wrote_is_there(tmp_path: Path) -> None:
    with Journal(tmp_path, _clock()) as journal:
        journal.begin("plan", PLANS[:1])
    chance, before = Random(5), 1
    for turn in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            first = child.stdout.readline()
            time.sleep(chance.uniform(0, 0.1))
            child.send_signal(signal.SIGKILL)
            printed = [int(line) for line in [first, *child.stdout] if line.endswith("\n")]
        assert child.returncode == -signal.SIGKILL
        assert printed == list(range(before, before + len(printed)))
        found = _numbers(tmp_path, readonly=turn % 2 == 0)
        # One more was perhaps written, and the process killed before it could say so.
        assert found in (list(range(1, printed[-1] + 1)), list(range(1, printed[-1] + 2)))
        before = found[-1] + 1


def test_a_real_file_that_cannot_grow_is_a_journal_error(tmp_path: Path) -> None:
    with Journal(tmp_path, _clock()) as journal:
        journal.begin("plan", PLANS[:1])
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))\n{WRITER}"
    child = subprocess.run([sys.executable, "-c", limited, str(tmp_path)], capture_output=True, text=True, check=False)
    assert child.returncode == 1
    assert child.stderr.startswith("JournalError: the journal ")
    printed = [int(line) for line in child.stdout.split()]
    assert printed == list(range(1, len(printed) + 1))
    assert len(printed) > 10
    assert _numbers(tmp_path, readonly=True) == printed


def test_two_connections_take_turns(tmp_path: Path) -> None:
    with Journal(tmp_path, _clock()) as journal:
        changes = journal.begin("plan", PLANS[:1])
    problems: list[Exception] = []

    def write(change: Change) -> None:
        try:
            with Journal(tmp_path, _clock()) as own:
                for number in range(20):
                    own.note(change, Stage.SENDING, str(number))
        except JournalError as error:
            problems.append(error)

    threads = [threading.Thread(target=write, args=(change,)) for change in changes[:3]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    with Journal(tmp_path, _clock()) as journal:
        for change in changes[:3]:
            assert [detail for _, _, detail in journal.history(change)] == [None, *map(str, range(20))]


def test_one_waits_while_another_writes(tmp_path: Path) -> None:
    with Journal(tmp_path, _clock()) as journal:
        (change, *_) = journal.begin("plan", PLANS[:1])
        other = sqlite3.connect(tmp_path / JOURNAL, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        let_go = threading.Timer(0.3, other.execute, ("ROLLBACK",))
        let_go.start()
        started = time.monotonic()
        journal.note(change, Stage.SENDING)
        assert time.monotonic() - started > 0.25
        let_go.join()
        other.close()
        assert journal.changes()[0].stage is Stage.SENDING


def test_another_that_does_not_let_go_is_a_journal_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def impatient(path: Path, *, timeout: float, isolation_level: None) -> sqlite3.Connection:
        assert timeout == 10
        return sqlite3.connect(path, timeout=0.05, isolation_level=isolation_level)

    monkeypatch.setattr(_journal, "sqlite3", SimpleNamespace(connect=impatient, Error=sqlite3.Error))
    with Journal(tmp_path, _clock()) as journal, closing(_raw(tmp_path)) as other:
        (change, *_) = journal.begin("plan", PLANS[:1])
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match="locked"):
            journal.note(change, Stage.SENDING)
        assert journal.changes()[0].stage is Stage.PLANNED
        other.execute("ROLLBACK")
        # One who reads while it is to be written down: the change waits, and is not there as long as it does.
        reading = other.execute("SELECT * FROM change")
        reading.fetchone()
        with pytest.raises(JournalError, match="locked"):
            journal.note(change, Stage.SENDING)
        reading.close()
        assert journal.changes()[0].stage is Stage.PLANNED
        assert journal.note(change, Stage.DONE) == journal.changes()[0]


def _raw(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(folder / JOURNAL, isolation_level=None)


def test_what_was_begun_is_what_was_planned(tmp_path: Path) -> None:
    with Journal(tmp_path, _clock()) as journal:
        first, second = journal.begin("one", PLANS), journal.begin("two", PLANS[:1])
        assert journal.begin("none", ()) == []
        assert journal.changes() == [*first, *second]
        assert [change.id for change in first] == list(range(1, 8))
        assert [
            (change.imei, change.maker, change.model, change.firmware, change.port, change.step) for change in first
        ] == [
            (plan.imei, plan.maker, plan.model, plan.firmware, plan.port, step) for plan in PLANS for step in plan.steps
        ]
        assert {(change.run, change.plan, change.stage) for change in first} == {(1, "one", Stage.PLANNED)}
        assert {(change.run, change.plan) for change in second} == {(2, "two")}
        # One run is one moment.
        assert len({change.time for change in first}) == 1


def test_of_a_change_the_last_stage_counts(tmp_path: Path) -> None:
    with Journal(tmp_path, _clock()) as journal:
        first, second, *_ = journal.begin("plan", PLANS)
        noted = journal.note(first, Stage.SENDING, "\x00 \u00e4 '\n")
        assert noted == replace(first, stage=Stage.SENDING, time=noted.time, detail="\x00 \u00e4 '\n") != first
        done = journal.note(second, Stage.DONE)
        noted = journal.note(noted, Stage.UNKNOWN)
        assert noted.detail is None
        assert journal.changes()[:2] == [noted, done]
        assert [stage for _, stage, _ in journal.history(first)] == [Stage.PLANNED, Stage.SENDING, Stage.UNKNOWN]


def test_a_stage_of_no_change_is_a_journal_error(tmp_path: Path) -> None:
    with Journal(tmp_path, _clock()) as journal:
        changes = journal.begin("plan", PLANS)
        with pytest.raises(JournalError):
            journal.note(replace(changes[0], id=99), Stage.DONE)
        assert journal.changes() == changes


def test_what_cannot_be_written_as_a_whole_is_not_written_at_all(tmp_path: Path) -> None:
    # A lone surrogate is no text; it is in the last of the steps.
    broken = replace(PLANS[0], steps=(*PLANS[0].steps, replace(_step(9), surface="\udc80")))
    with Journal(tmp_path, _clock()) as journal:
        with pytest.raises(JournalError):
            journal.begin("plan", (PLANS[1], broken))
        assert journal.changes() == []
        assert [change.run for change in journal.begin("plan", PLANS[:1])] == [1] * 4


def test_it_is_nobody_elses_business(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with Journal(tmp_path, _clock()) as journal, journal._transaction():
            journal._insert("INSERT INTO run (time, plan) VALUES ('', '')")
            modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes == {JOURNAL: 0o600, f"{JOURNAL}-journal": 0o600}


@pytest.mark.parametrize("readonly", [False, True])
def test_a_folder_that_cannot_be_used(tmp_path: Path, readonly: bool) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot be used"):
        Journal(tmp_path / "file" / "state", _clock(), readonly=readonly)
    (tmp_path / JOURNAL).mkdir()
    with pytest.raises(JournalError, match="cannot be used"):
        Journal(tmp_path, _clock(), readonly=readonly)


@contextmanager
def _somebody() -> Iterator[Path]:
    """A folder of a user who is not root, as whom everything inside runs."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as name:
        root = os.geteuid() == 0
        if root:
            os.chown(name, 65534, 65534)
            os.seteuid(65534)
        try:
            yield Path(name)
        finally:
            if root:
                os.seteuid(0)


def test_a_folder_that_may_not_be_written() -> None:
    with _somebody() as folder:
        with Journal(folder / "old", _clock()) as journal:
            changes = journal.begin("plan", PLANS)
        for each in (folder / "new", folder / "old"):
            each.mkdir(exist_ok=True)
            each.chmod(0o500)
        with pytest.raises(JournalError, match="cannot be used"):
            Journal(folder / "new", _clock())
        (folder / "old" / JOURNAL).chmod(0o400)
        with pytest.raises(JournalError, match="cannot be used"):
            Journal(folder / "old", _clock())
        with Journal(folder / "old", _clock(), readonly=True) as journal:
            assert journal.changes() == changes
        for each in (folder / "new", folder / "old"):
            each.chmod(0o700)


@pytest.mark.parametrize("readonly", [False, True])
def test_a_file_that_is_no_database(tmp_path: Path, readonly: bool) -> None:
    (tmp_path / JOURNAL).write_text("no database\n" * 100)
    before = read_image(tmp_path)
    with pytest.raises(JournalError, match="not a database"):
        Journal(tmp_path, _clock(), readonly=readonly)
    assert read_image(tmp_path) == before


@pytest.mark.parametrize("readonly", [False, True])
def test_a_database_of_another_version(tmp_path: Path, readonly: bool) -> None:
    with Journal(tmp_path, _clock()), closing(_raw(tmp_path)) as connection:
        connection.execute("PRAGMA user_version=2")
    before = read_image(tmp_path)
    with pytest.raises(JournalError, match="another version"):
        Journal(tmp_path, _clock(), readonly=readonly)
    assert read_image(tmp_path) == before


def test_reading_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="unable to open"):
        Journal(tmp_path, _clock(), readonly=True)
    with pytest.raises(JournalError, match="unable to open"):
        Journal(tmp_path / "missing", _clock(), readonly=True)
    assert read_image(tmp_path) == {}


def test_reading_writes_nothing(tmp_path: Path) -> None:
    # A folder whose name means something in a URI.
    folder = tmp_path / "a?mode=memory#b%20c"
    with Journal(folder, _clock()) as journal:
        changes = journal.begin("plan", PLANS)
    before = read_image(folder)
    with Journal(folder, _clock(), readonly=True) as journal:
        assert journal.changes() == changes
        with pytest.raises(JournalError, match="readonly"):
            journal.note(changes[0], Stage.DONE)
        with pytest.raises(JournalError, match="readonly"):
            journal.begin("plan", PLANS)
        assert journal.changes() == changes
    assert read_image(folder) == before


def test_an_empty_file_holds_no_changes(tmp_path: Path) -> None:
    (tmp_path / JOURNAL).touch()
    with Journal(tmp_path, _clock(), readonly=True) as journal:
        assert journal.changes() == []
    assert read_image(tmp_path) == {JOURNAL: b""}
    with Journal(tmp_path, _clock()) as journal:
        assert len(journal.begin("plan", PLANS)) == 7


@pytest.mark.parametrize("step", ["{", "null", "[]", "{}", '"x"', "[" * 100000, '{"surface": 1}', b"\xff", 7])
def test_a_step_that_is_damaged(tmp_path: Path, step: object) -> None:
    with Journal(tmp_path, _clock()) as journal:
        journal.begin("plan", PLANS)
        with closing(_raw(tmp_path)) as connection:
            connection.execute("UPDATE change SET step = ? WHERE id = 3", (step,))
        with pytest.raises(JournalError, match="cannot be used"):
            journal.changes()


@pytest.mark.parametrize(("name", "value"), [("before", None), ("after", [["n", "0"]]), ("undo", None), ("risk", 1)])
def test_a_step_with_a_damaged_value(tmp_path: Path, name: str, value: object) -> None:
    with Journal(tmp_path, _clock()) as journal:
        journal.begin("plan", PLANS)
        with closing(_raw(tmp_path)) as connection:
            (text,) = connection.execute("SELECT step FROM change WHERE id = 3").fetchone()
            text = json.dumps({**json.loads(text), name: value})
            connection.execute("UPDATE change SET step = ? WHERE id = 3", (text,))
        with pytest.raises(JournalError, match="cannot be used"):
            journal.changes()


def test_a_stage_that_does_not_exist(tmp_path: Path) -> None:
    with Journal(tmp_path, _clock()) as journal:
        (change, *_) = journal.begin("plan", PLANS)
        with closing(_raw(tmp_path)) as connection:
            connection.execute("UPDATE stage SET stage = 'nonsense' WHERE change = 1")
        with pytest.raises(JournalError, match="nonsense"):
            journal.changes()
        with pytest.raises(JournalError, match="nonsense"):
            journal.history(change)


def test_a_database_that_is_damaged_inside(tmp_path: Path) -> None:
    with Journal(tmp_path, _clock()) as journal:
        journal.begin("plan", PLANS)
    path = tmp_path / JOURNAL
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\xee" * (len(data) - 4096))
    with Journal(tmp_path, _clock()) as journal, pytest.raises(JournalError, match="malformed"):
        journal.changes()


def test_a_closed_journal_is_a_journal_error(tmp_path: Path) -> None:
    with Journal(tmp_path, _clock()) as journal:
        (change, *_) = journal.begin("plan", PLANS)
    for call in (journal.changes, lambda: journal.note(change, Stage.DONE), lambda: journal.begin("plan", PLANS)):
        with pytest.raises(JournalError, match="closed"):
            call()
