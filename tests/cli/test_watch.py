"""`atprobe watch`: what it prints, what it hands to --exec, and how it ends."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from atprobe import fingerprint, report
from atprobe.cli import _interrupt
from atprobe.discover import Choice
from atprobe.model import Device, Event, EventKind, Identity, Module, Port, Role, UsbInfo
from atprobe.report import table
from tests.cli.conftest import Cli, finish, start, wait_for
from tests.report.samples import BUILD, HOSTILE, IMEI, MODULE, PROBLEM, hostile

SCHEMA: dict[str, Any] = json.loads(report.schema())
EVENT = Draft202012Validator({"$defs": SCHEMA["$defs"], "$ref": "#/$defs/event"})
ADDED = Event(EventKind.ADDED, MODULE.device)
IDENTIFIED = Event(EventKind.IDENTIFIED, MODULE.device, MODULE)
REMOVED = Event(EventKind.REMOVED, MODULE.device, MODULE)
FAILED = Event(EventKind.FAILED, MODULE.device, problems=(PROBLEM,))

Choose = Callable[[Device], Choice | None]


class Watched:
    """Stands in for the watching: gives the events, keeps how devices are chosen."""

    def __init__(self) -> None:
        self.events: list[Event] = [ADDED, IDENTIFIED, REMOVED]
        self.choose: Choose = lambda device: None

    def __call__(self, knowledge: object, choose: Choose, ask: object, stop: threading.Event) -> Iterator[Event]:
        self.choose = choose
        yield from self.events
        stop.set()


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    fake = Watched()
    monkeypatch.setattr(fingerprint, "watch", fake)
    return fake


class TestOutput:
    def test_a_line_for_each_module_that_comes_and_goes(self, cli: Cli, watched: Watched) -> None:
        result = cli("watch")
        came, went = result.out.splitlines()
        assert came[8:] == f"  identified  usb 1-1.2  /dev/ttyUSB2 quectel EC25-E {BUILD} {IMEI}"
        assert "removed" in went
        assert "EC25-E" in went
        assert result.code == 130
        assert result.err == "atprobe: stopped\n"

    def test_verbose_shows_what_is_not_identified_yet(self, cli: Cli, watched: Watched) -> None:
        assert "added       usb 1-1.2  2c7c:0125 Quectel EC25-E" in cli("watch", "-v").out.splitlines()[0]

    def test_what_stood_in_the_way(self, cli: Cli, watched: Watched) -> None:
        watched.events = [FAILED]
        assert PROBLEM.message in cli("watch").out

    def test_the_device_is_named_once(self, cli: Cli, watched: Watched) -> None:
        problem = replace(PROBLEM, port="usb 1-1.2", message="no driver is bound")
        watched.events = [replace(FAILED, problems=(problem,))]
        assert cli("watch").out[8:] == "  failed      usb 1-1.2  no driver is bound. Check the cable.\n"

    def test_jsonl_is_as_the_schema_says(self, cli: Cli, watched: Watched) -> None:
        watched.events = [ADDED, IDENTIFIED, FAILED, REMOVED]
        lines = [json.loads(line) for line in cli("watch", "--format", "jsonl").out.splitlines()]
        for line in lines:
            EVENT.validate(line)
        assert [line["event"] for line in lines] == ["added", "identified", "failed", "removed"]
        assert lines[1]["module"]["identity"]["model"] == "EC25"
        assert lines[3]["module"] == lines[1]["module"]

    @pytest.mark.parametrize("kind", HOSTILE)
    def test_hostile_texts_are_shown_as_escapes(self, cli: Cli, watched: Watched, kind: str) -> None:
        shown = hostile(HOSTILE[kind])
        module = shown.modules[0]
        watched.events = [
            Event(EventKind.ADDED, module.device),
            Event(EventKind.FAILED, module.device, problems=shown.problems),
            Event(EventKind.IDENTIFIED, module.device, module),
        ]
        lines = cli("watch", "-v").out.split("\n")
        assert len(lines) == 4
        assert all(line.isprintable() for line in lines)


class TestSelection:
    MODEM = Device(
        "usb", (Port("/dev/ttyUSB2", Role.AT), Port("/dev/ttyUSB3")), UsbInfo("2c7c", "0125"), "/sys/1", True
    )
    STRANGER = Device("usb", (Port("/dev/ttyACM0"),), UsbInfo("2341", "0043"), "/sys/2")

    @pytest.mark.parametrize(
        ("options", "modem", "stranger"),
        [
            ([], ("/dev/ttyUSB2",), None),
            (["--usb", "2c7c:0125"], ("/dev/ttyUSB2",), None),
            (["--usb", "1199:9071"], None, None),
            (["--all"], ("/dev/ttyUSB2",), ("/dev/ttyACM0",)),
            (["--port", "/dev/ttyUSB3"], ("/dev/ttyUSB3",), None),
        ],
    )
    def test_as_with_probe(
        self,
        cli: Cli,
        watched: Watched,
        options: list[str],
        modem: tuple[str, ...] | None,
        stranger: tuple[str, ...] | None,
    ) -> None:
        cli("watch", *options)
        for device, paths in ((self.MODEM, modem), (self.STRANGER, stranger)):
            choice = watched.choose(device)
            assert (None if choice is None else choice.paths) == paths


class TestExec:
    def test_gets_the_event(self, cli: Cli, watched: Watched, tmp_path: Path) -> None:
        file = tmp_path / "got"
        names = "$ATPROBE_EVENT $ATPROBE_PORT $ATPROBE_PATH $ATPROBE_MAKER $ATPROBE_MODEL $ATPROBE_IMEI"
        cli("watch", "--exec", f'cat >> {shlex.quote(str(file))}; echo "{names}" >> {shlex.quote(str(file))}')
        lines = file.read_text().splitlines()
        assert [json.loads(line)["event"] for line in lines[::2]] == ["added", "identified", "removed"]
        assert lines[1] == "added /dev/ttyUSB2 1-1.2   "
        assert lines[3] == "identified /dev/ttyUSB2 1-1.2 quectel EC25 490154200000000"

    def test_what_a_module_says_is_never_run(self, cli: Cli, watched: Watched, tmp_path: Path) -> None:
        model = f"'; touch {tmp_path}/bad; $(touch {tmp_path}/bad)\0`touch {tmp_path}/bad`"
        module = replace(MODULE, identity=Identity(model=model))
        watched.events = [Event(EventKind.IDENTIFIED, MODULE.device, module)]
        cli("watch", "--exec", f'printf %s "$ATPROBE_MODEL" > {shlex.quote(str(tmp_path / "got"))}')
        assert (tmp_path / "got").read_text() == model.replace("\0", "")
        assert not (tmp_path / "bad").exists()

    @pytest.mark.parametrize("kind", HOSTILE)
    def test_any_text_reaches_it(self, cli: Cli, watched: Watched, kind: str) -> None:
        module = hostile(HOSTILE[kind][:1000]).modules[0]
        watched.events = [Event(EventKind.IDENTIFIED, module.device, module)]
        assert cli("watch", "--exec", "cat > /dev/null").err == "atprobe: stopped\n"

    def test_a_command_that_fails_ends_nothing(self, cli: Cli, watched: Watched) -> None:
        result = cli("watch", "--exec", "exit 7")
        assert result.err.count("the command ended with 7") == 3
        assert len(result.out.splitlines()) == 2


class TestEnd:
    def test_after_as_many_modules_as_asked_for(self, cli: Cli, watched: Watched) -> None:
        watched.events = [IDENTIFIED, REMOVED, IDENTIFIED, REMOVED, IDENTIFIED]
        result = cli("watch", "--count", "2")
        assert result.code == 0
        assert len(result.out.splitlines()) == 3
        assert not _interrupt.stop.is_set()

    def test_a_signal(self) -> None:
        process = start("watch", "--format", "jsonl")
        wait_for(lambda: _catches_signals(process.pid), "signal handler")
        process.terminate()
        assert finish(process).code == 130

    def test_a_reader_that_has_seen_enough(self, tmp_path: Path) -> None:
        # The module of another process cannot be replaced from here: a small program does what main() does.
        body = (
            "import threading\n"
            "from atprobe import fingerprint\n"
            "from atprobe.cli import main\n"
            "from tests.cli.test_watch import IDENTIFIED\n"
            "def forever(*_):\n"
            "    while True: yield IDENTIFIED\n"
            "fingerprint.watch = forever\n"
            "import sys; sys.argv = ['atprobe', 'watch']; sys.exit(main())\n"
        )
        with subprocess.Popen([sys.executable, "-c", body], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.stdout.close()
            assert process.wait(60) == 0


def _catches_signals(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) & (1 << 14))


def test_a_module_without_a_port_that_was_asked() -> None:
    module = Module(Device("pci", (Port("/dev/wwan0at0", Role.AT),)), Identity(), MODULE.timing)
    assert "unknown" in table.event_line(Event(EventKind.IDENTIFIED, module.device, module), report.now(), report.PLAIN)
