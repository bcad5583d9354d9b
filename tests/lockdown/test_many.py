"""Two hundred modules, a plan for twenty of them: the others are read and nothing else."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from atprobe.at import normalise
from atprobe.emulator import Emulator, Memory, Spec
from atprobe.fingerprint import probe
from atprobe.knowledge import Knowledge
from atprobe.lockdown import Tools, apply, make_plan, restore
from atprobe.model import Exchange, Module, ModulePlan, Stage, Transcript, is_imei
from atprobe.report import now
from tests.lockdown.bench import Bench, known_module

MODULES, PLANNED = 200, 20
SWITCHES = (
    ("simcom", "capfota"),
    ("quectel", "qlwfotaind"),
    ("ublox", "ublox-lwm2m"),
    ("openluat", "luat-upgrade"),
    ("eigencomm", "eigencomm-autoregcfg"),
    ("telit", "telit-smsatrun"),
    ("motorola", "motorola-mfota"),
    ("cinterion", "cinterion-mods"),
)
"""Makers, each with a surface that its modules here have."""
FILES = 6 * MODULES
"""What the emulator and a run over all ports may have open at once."""
PATIENCE = 5.0
"""Seconds for one answer: all share a few processors, and nobody is deaf."""


@pytest.fixture
def _many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < FILES:
        if hard != resource.RLIM_INFINITY and hard < FILES:
            pytest.skip(f"this system allows {hard} open files, and {FILES} are needed")
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _imei(number: int) -> str:
    """A made-up one: the first of a type allocation that differs from all others here."""
    body = f"{35045000 + number}000000"
    return next(f"{body}{check}" for check in range(10) if is_imei(f"{body}{check}"))


def _of(said: Transcript, imei: str) -> Transcript:
    """The same module with another IMEI."""
    kept = [each for each in said.exchanges if each.send not in ("AT+CGSN", "AT+GSN")]
    given = [Exchange(send, (imei, "OK")) for send in ("AT+CGSN", "AT+GSN")]
    return replace(said, exchanges=(*kept, *given))


def _specs(knowledge: Knowledge) -> tuple[list[Spec], list[Memory]]:
    specs, memories = [], []
    for number in range(MODULES):
        slug, name = SWITCHES[number % len(SWITCHES)]
        rule = next(each for each in knowledge.surfaces_of(slug) if each.id == name)
        said, identity = known_module(slug, rule)
        memory = Memory(knowledge.surfaces_of(slug, identity.model), reading=knowledge.reading)
        memories.append(memory)
        specs.append(Spec(_of(said, _imei(number)), memory=memory, name=f"module-{number}"))
    return specs, memories


def _swap(one: Path, other: Path) -> None:
    """Each of two ports gets the name of the other, as after a restart of both."""
    targets = one.readlink(), other.readlink()
    for link, target in ((one, targets[1]), (other, targets[0])):
        link.unlink()
        link.symlink_to(target)


@pytest.mark.usefixtures("_many_files")
def test_only_what_is_in_the_plan_is_written_to(knowledge: Knowledge, tmp_path: Path) -> None:
    specs, memories = _specs(knowledge)
    names = {name for _, name in SWITCHES}
    with Emulator(specs, link_dir=tmp_path / "links") as emulator:
        it = Bench(knowledge, emulator, memories, tmp_path / "state", [])

        def found() -> dict[str, Module]:
            modules = probe(it.targets(), knowledge, timeout=PATIENCE).modules
            return {str(module.identity.imei): module for module in modules}

        before = [memory.snapshot() for memory in memories]
        modules = found()
        assert set(modules) == {_imei(number) for number in range(MODULES)}
        # Every seventh: all makers are among them, and of each there are some that are left alone.
        chosen = [_imei(number) for number in range(0, MODULES, 7)][:PLANNED]
        plan = make_plan([modules[imei] for imei in chosen], names, knowledge, now())
        assert [module.imei for module in plan.modules if module.steps] == chosen
        assert len({module.maker for module in plan.modules}) == len(SWITCHES)
        _swap(*(Path(it.targets()[number].paths[0]) for number in (0, len(SWITCHES))))
        with it.journal() as journal:
            tools: Tools = replace(it.tools(journal), timeout=PATIENCE, write_seconds=PATIENCE)
            result = apply(plan, tuple(modules.values()), tools)
            assert {change.stage for change in result.changes} == {Stage.DONE}
            planned = {module.imei: module for module in plan.modules}
            for number, memory in enumerate(memories):
                steps = planned[_imei(number)].steps if _imei(number) in planned else ()
                assert memory.writes == [step.command for step in steps], number
                _only_reads_else(knowledge, emulator, number, planned.get(_imei(number)))
            back = restore(journal.changes(), tuple(modules.values()), tools)
        assert {change.stage for change in back.changes} == {Stage.UNDONE}
        assert [memory.snapshot() for memory in memories] == before
        for number, memory in enumerate(memories):
            steps = planned[_imei(number)].steps if _imei(number) in planned else ()
            assert memory.writes == [*(s.command for s in steps), *(s.undo for s in reversed(steps))], number


def _only_reads_else(knowledge: Knowledge, emulator: Emulator, number: int, planned: ModulePlan | None) -> None:
    """On the port of that module nothing arrived but reading commands and those of its plan."""
    lines = [normalise(line) for _, line in emulator.log[emulator.ports[number]]]
    assert lines
    written = [line for line in lines if line != "AT" and line not in knowledge.reading]
    assert written == [normalise(step.command) for step in (planned.steps if planned else ())]
