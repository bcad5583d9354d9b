"""The commands of lockdown, as a user has them: on an emulated module of a real maker."""

from __future__ import annotations

import json
import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from atprobe import knowledge
from atprobe.emulator import Emulator, Memory, Spec, Trouble
from atprobe.lockdown import JOURNAL
from atprobe.model import Exchange, Transcript, Truth
from tests.cli.conftest import Cli, Probing, Result, finish, start, wait_for

IMEI = "350457790000002"
LINES = ("Manufacturer: INCORPORATED", "Model: A7670E-FASE", "Revision: A7670M7_V1.11.1", f"IMEI: {IMEI}", "OK")
MODULE = Transcript("simcom", "lines", Truth(), (Exchange("ATI", LINES), Exchange("AT+CGSN", (IMEI, "OK"))))


class Bench:
    """An emulated module, the commands on it, and a state folder of their own."""

    def __init__(self, cli: Cli, emulator: Emulator, memory: Memory, folder: Path) -> None:
        self.cli, self.emulator, self.memory, self.folder = cli, emulator, memory, folder
        self.port = str(emulator.links[0])
        self.plan_file = folder / "plan.json"

    def lockdown(self, *arguments: str) -> Result:
        return self.cli("lockdown", *arguments, "--timeout", "0.5")

    def plan(self, *arguments: str) -> Result:
        return self.lockdown("plan", "--port", self.port, "--output", str(self.plan_file), *arguments)

    def apply(self, *arguments: str) -> Result:
        return self.lockdown("apply", str(self.plan_file), *arguments)


@pytest.fixture
def bench(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("ATPROBE_STATE_DIR", str(tmp_path / "state"))
    known = knowledge.load()
    memory = Memory(known.surfaces_of("simcom", "A7670E-FASE"), reading=known.reading)
    with Emulator([Spec(MODULE, memory=memory, name="module")], link_dir=tmp_path / "links") as emulator:
        yield Bench(cli, emulator, memory, tmp_path)


class TestPlan:
    def test_it_says_what_it_would_send_and_what_not(self, bench: Bench) -> None:
        result = bench.plan()
        assert result.code == 0
        assert "AT+CAPFOTA=0" in result.out and "AT+CAPFOTA=1" in result.out
        assert "add --include simcom-autoreg to plan it" in result.out
        assert "1 command to 1 of 1 modules" in result.out
        assert f"lockdown apply {bench.plan_file}" in result.err
        assert bench.memory.writes == []

    def test_the_file_and_json_are_the_same_plan(self, bench: Bench) -> None:
        result = bench.plan("--format", "json")
        assert json.loads(result.out) == json.loads(bench.plan_file.read_text())
        (module,) = json.loads(result.out)["modules"]
        assert (module["imei"], module["maker"], module["firmware"]) == (IMEI, "simcom", "A7670M7_V1.11.1")
        (step,) = module["steps"]
        assert (step["before"], step["after"]) == ({"open": "1"}, {"open": "0"})

    def test_include(self, bench: Bench) -> None:
        assert 'AT+AUTOREGCFG="CTCC","DISABLE"' in bench.plan("--include", "simcom-autoreg").out

    def test_a_name_that_no_profile_has(self, bench: Bench) -> None:
        result = bench.plan("--include", "nonsense")
        assert result.code == 2
        assert "no profile has a surface nonsense" in result.err

    def test_nobody_answers(self, bench: Bench) -> None:
        bench.memory.troubles = {Trouble.DEAD}
        result = bench.plan()
        assert result.code == 3
        assert "did not answer AT" in result.err


class TestApply:
    def test_and_back(self, bench: Bench) -> None:
        before = bench.memory.snapshot()
        bench.plan()
        applied = bench.apply("--yes")
        assert applied.code == 0
        assert "done" in applied.out
        assert "capfota: sending: AT+CAPFOTA=0" in applied.err
        shown = bench.cli("lockdown", "status", "--format", "json")
        (change,) = json.loads(shown.out)["changes"]
        assert (change["imei"], change["state"], change["open"]) == (IMEI, "done", False)
        assert shown.code == 0
        restored = bench.lockdown("restore", "--yes")
        assert restored.code == 0
        assert "undone" in restored.out
        assert bench.memory.snapshot() == before
        assert "Nothing is changed" in bench.cli("lockdown", "status").out
        assert "undone" in bench.cli("lockdown", "status", "--all").out

    def test_nobody_to_ask(self, bench: Bench) -> None:
        bench.plan()
        result = bench.apply()
        assert result.code == 2
        assert "--yes" in result.err
        assert bench.memory.writes == []

    def test_the_world_moved(self, bench: Bench) -> None:
        bench.plan()
        bench.memory.answer("AT+CAPFOTA=0")
        bench.memory.writes.clear()
        result = bench.apply("--yes")
        assert result.code == 3
        assert f"{IMEI}: capfota: it was open 1 and is open 0" in result.err
        assert "make a new one" in result.err
        assert bench.memory.writes == []

    def test_a_module_that_says_ok_and_does_nothing(self, bench: Bench) -> None:
        bench.plan()
        bench.memory.troubles = {Trouble.IGNORE}
        result = bench.apply("--yes")
        assert result.code == 5
        assert "unchanged" in result.out

    def test_a_lost_port_is_not_known_until_resume(self, bench: Bench) -> None:
        bench.plan()
        bench.memory.troubles = {Trouble.DROP}
        result = bench.apply("--yes", "--wait", "0.5")
        assert result.code == 6
        assert "'atprobe lockdown resume'" in result.out
        assert bench.cli("lockdown", "status").code == 6
        bench.memory.troubles = set()
        assert bench.lockdown("resume", "--yes").code == 3  # still unplugged
        bench.emulator.replug(0)
        resumed = bench.lockdown("resume", "--undo", "--yes")
        assert resumed.code == 0
        assert bench.cli("lockdown", "status").code == 0

    def test_a_folder_for_the_journal_that_cannot_be_written(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        bench.plan()
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("ATPROBE_STATE_DIR", str(tmp_path / "file"))
        result = bench.apply("--yes")
        assert result.code == 2
        assert "nothing was sent" in result.err and "ATPROBE_STATE_DIR" in result.err
        assert bench.memory.writes == []

    def test_the_journal_is_nobody_elses_business(self, bench: Bench) -> None:
        bench.plan()
        bench.apply("--yes")
        file = Path(os.environ["ATPROBE_STATE_DIR"]) / JOURNAL
        assert stat.S_IMODE(file.stat().st_mode) == 0o600

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ("", "it is no JSON"),
            ("[]", "it is no plan"),
            ('{"schema": "atprobe.plan/1"}', "it is damaged"),
            ('{"schema": "atprobe.report/1"}', "it is no plan"),
            ("\x00\xff", "it is no JSON"),
        ],
    )
    def test_a_file_that_is_no_plan(self, bench: Bench, content: str, said: str) -> None:
        bench.plan_file.write_text(content)
        result = bench.apply("--yes")
        assert result.code == 2
        assert said in result.err

    def test_a_command_that_was_slipped_in(self, bench: Bench) -> None:
        bench.plan()
        text = bench.plan_file.read_text()
        bench.plan_file.write_text(text.replace('"command": "AT+CAPFOTA=0"', '"command": "AT+CFUN=0"'))
        result = bench.apply("--yes")
        assert result.code == 2
        assert "'AT+CFUN=0' is not what the profile of simcom has" in result.err
        assert bench.memory.writes == []

    def test_a_file_that_is_not_there(self, bench: Bench) -> None:
        assert "lockdown plan" in bench.apply("--yes").err


def test_a_module_that_does_not_answer_is_restored_when_it_does(bench: Bench) -> None:
    bench.plan()
    bench.apply("--yes")
    bench.memory.troubles = {Trouble.DEAD}
    assert bench.lockdown("restore", "--yes").code == 3
    bench.memory.troubles = set()
    assert bench.lockdown("restore", "--yes").code == 0


def test_nobody_is_there(cli: Cli, machine: Probing) -> None:
    result = cli("lockdown", "plan")
    assert result.code == 4
    assert "no modem is known here" in result.err


def test_nothing_to_put_back(bench: Bench) -> None:
    for what in ("restore", "resume"):
        result = bench.lockdown(what, "--yes")
        assert result.code == 0
        assert "there is nothing to" in result.err
    assert (
        bench.cli("lockdown", "status").out
        == "Nothing is changed; 'atprobe lockdown status --all' also shows what was put back.\n"
    )


def test_only_the_named_surface_is_put_back(bench: Bench) -> None:
    bench.plan("--include", "simcom-autoreg")
    bench.apply("--yes")
    bench.memory.writes.clear()
    assert bench.lockdown("restore", "--surface", "simcom-autoreg", "--port", bench.port, "--yes").code == 0
    assert bench.memory.writes == ['AT+AUTOREGCFG="CTCC","ENABLE"']


@pytest.mark.parametrize("command", ["plan", "apply", "status", "restore", "resume"])
def test_help_has_examples(cli: Cli, command: str) -> None:
    assert f"atprobe lockdown {command}" in cli("lockdown", command, "--help").out


def on_stdin(answer: str, *arguments: str) -> Result:
    """Run a command for somebody at a terminal who types `answer`."""
    master, slave = os.openpty()
    process = start(*arguments, stdin=slave)
    os.close(slave)
    os.write(master, answer.encode())
    try:
        return finish(process)
    finally:
        os.close(master)


class TestAsking:
    def test_no_sends_nothing(self, bench: Bench) -> None:
        bench.plan()
        result = on_stdin("n\n", "lockdown", "apply", str(bench.plan_file))
        assert result.code == 130
        assert "AT+CAPFOTA=0" in result.err and "nothing was sent" in result.err
        assert bench.memory.writes == []

    def test_yes_sends(self, bench: Bench) -> None:
        bench.plan()
        result = on_stdin("y\n", "lockdown", "apply", str(bench.plan_file))
        assert result.code == 0
        assert bench.memory.writes == ["AT+CAPFOTA=0"]


def test_a_signal_ends_the_run_between_two_changes(bench: Bench) -> None:
    bench.plan("--include", "simcom-autoreg")
    bench.memory.troubles = {Trouble.MUTE}  # the write is waited for, so that there is time for a signal
    process = start("lockdown", "apply", str(bench.plan_file), "--yes", "--format", "json", "--timeout", "0.5")
    wait_for(lambda: bool(bench.memory.writes), "write")
    process.send_signal(signal.SIGINT)
    bench.memory.troubles = set()
    result = finish(process)
    states = {each["surface"]: each["state"] for each in json.loads(result.out)["changes"]}
    assert states == {"capfota": "done", "simcom-autoreg": "not-sent"}
    assert result.code == 130
    assert bench.memory.writes == ["AT+CAPFOTA=0"]
