"""Every switch of every profile on an emulated module: off, read back, put back, and nothing else is changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from atprobe.at import normalise
from atprobe.emulator import Emulator, Memory, Spec
from atprobe.knowledge import Knowledge, Query, SettingRule, SurfaceRule, load
from atprobe.lockdown import apply, restore
from atprobe.model import Exchange, Stage, State, Surface
from tests.lockdown.bench import MAKER, MODEL, Bench, known_module, made_up, transcript

Images = dict[str, dict[str, tuple[str, ...] | None]]

CHIPS = ("asr", "mediatek", "unisoc", "xinyi")
"""Their names alone decide no maker, and nothing else is known of them: their surfaces go to a made-up module."""
OTHERS = {("netgear", "airvantage"): "Netgear's models are none of those that have it"}
"""Surfaces of a platform that no module of the maker can have."""


def _switches() -> list[tuple[str, SurfaceRule]]:
    knowledge = load()
    return [
        (slug, rule)
        for slug in knowledge.profiles
        for rule in knowledge.surfaces_of(slug)
        if rule.switch is not None and rule.switch.automated and (slug, rule.id) not in OTHERS
    ]


def _switchable(rule: SurfaceRule) -> SurfaceRule:
    """The rule with those examples alone in which no update is under way and something is left to switch off."""
    settings = rule.switch.settings if rule.switch else ()

    def fits(query: Query, lines: tuple[str, ...]) -> bool:
        own = [(each, values) for each in settings if each.read == query.send and (values := each.values(lines))]
        allowed = [
            pattern
            for each in settings
            for read, pattern in each.only_if
            if read == query.send != each.read and not each.holds(pattern, lines)
        ]
        return not allowed and (not own or not all(each.same(values, each.with_off(values)) for each, values in own))

    queries = [
        replace(query, examples=tuple(e for e in query.examples if fits(query, e[0])) or query.examples)
        for query in rule.queries
    ]
    return replace(rule, queries=tuple(queries))


@contextmanager
def served(
    knowledge: Knowledge, tmp_path: Path, slug: str, rule: SurfaceRule, start: Sequence[str] = ()
) -> Iterator[Bench]:
    """A module of that maker with `rule` on and all the surfaces it may have; `start` was written to it before."""
    if slug in CHIPS:
        rules = knowledge.profiles[slug].surfaces
        knowledge = made_up(knowledge, *rules, reboot=knowledge.profiles[slug].reboot)
        slug, model, said = MAKER, MODEL, transcript()
    else:
        said, identity = known_module(slug, rule)
        model = str(identity.model)
        rules = knowledge.surfaces_of(slug, model)
    examples = [_switchable(each) if each.id == rule.id else each for each in rules]
    memory = Memory(examples, knowledge.profiles[slug].reboot, {rule.id: State.ON}, reading=knowledge.reading)
    for line in start:
        memory.answer(line)
    memory.writes.clear()
    spec = Spec(said, memory=memory, boot_seconds=0.1, name="module")
    with Emulator([spec], link_dir=tmp_path / "links") as emulator:
        yield Bench(knowledge, emulator, [memory], tmp_path / "state", [])


def surface(it: Bench, name: str) -> Surface:
    """What the module says of one surface now."""
    (module,) = it.probe()
    return next(each for each in module.surfaces if each.id == name)


def readable(it: Bench, rule: SurfaceRule) -> list[tuple[SettingRule, tuple[tuple[str, str], ...]]]:
    """The settings of a switch that the module shows now, with their values."""
    assert rule.switch is not None
    found = [(each, each.values(it.reads(each.read) or ())) for each in rule.switch.settings]
    return [(each, values) for each, values in found if values is not None]


@pytest.mark.parametrize("power_cut", [False, True], ids=["", "power cut"])
@pytest.mark.parametrize(("slug", "rule"), [pytest.param(s, r, id=f"{s}/{r.id}") for s, r in _switches()])
def test_off_and_back(knowledge: Knowledge, tmp_path: Path, slug: str, rule: SurfaceRule, power_cut: bool) -> None:
    with served(knowledge, tmp_path, slug, rule) as it, it.journal() as journal:
        before = it.memory.snapshot()
        plan = it.plan(rule.id)
        steps = [step for module in plan.modules for step in module.steps]
        assert rule.id in {step.surface for step in steps}
        result = apply(plan, it.probe(), it.tools(journal))
        assert [change.stage for change in result.changes] == [Stage.DONE] * len(steps)
        assert it.memory.writes == [step.command for step in steps]
        settings = readable(it, rule)
        assert settings
        for setting, values in settings:
            assert setting.same(values, setting.with_off(values)), setting.write
        _only(before, it.memory.snapshot(), {normalise(step.read) for step in steps})
        if power_cut:
            it.emulator.pull(0)
            it.emulator.replug(0)
        back = restore(journal.changes(), it.probe(), it.tools(journal))
        assert [change.stage for change in back.changes] == [Stage.UNDONE] * len(steps)
        assert it.memory.snapshot() == before


def _only(before: Images, after: Images, reads: set[str]) -> None:
    """Nothing but the answers to `reads` has changed, and each of them has, in force at least."""
    for image, answers in before.items():
        changed = {send for send, answer in answers.items() if after[image][send] != answer}
        assert changed <= reads
        assert image != "in force" or changed == reads


def _rule(knowledge: Knowledge, slug: str, name: str) -> SurfaceRule:
    return next(rule for rule in knowledge.profiles[slug].surfaces if rule.id == name)


class TestTheTwoKitsOfXinYi:
    """One command, and 0 and 1 the other way round: only the prefix of the answer tells which kit it is."""

    @pytest.mark.parametrize(
        ("name", "answer", "lines"),
        [
            ("xinyi-fota-mode", "+FOTA:0", ["AT+FOTACTR=1", "AT+FOTACTR=0"]),
            ("xinyi-fota-permit", "+FOTACTR:0,1", ["AT+FOTACTR=0", "AT+FOTACTR=1"]),
        ],
    )
    def test_each_is_switched_its_own_way(
        self, knowledge: Knowledge, tmp_path: Path, name: str, answer: str, lines: list[str]
    ) -> None:
        with served(knowledge, tmp_path, "xinyi", _rule(knowledge, "xinyi", name)) as it, it.journal() as journal:
            assert it.reads("AT+FOTACTR?") == (answer,)
            result = apply(it.plan(), it.probe(), it.tools(journal))
            assert [each for each in it.memory.writes if "FOTACTR" in each] == lines[:1]
            assert surface(it, name).state is State.OFF
            assert {change.step.surface for change in result.changes} >= {name}
            restore(journal.changes(), it.probe(), it.tools(journal))
            assert [each for each in it.memory.writes if "FOTACTR" in each] == lines
            assert it.reads("AT+FOTACTR?") == (answer,)

    def test_an_update_that_is_running_is_never_touched(self, knowledge: Knowledge, tmp_path: Path) -> None:
        rules = knowledge.profiles["xinyi"].surfaces
        own = made_up(knowledge, *rules, reboot=None)
        memory = Memory(rules)
        said = transcript()
        answers = {**memory.snapshot()["in force"], "AT+FOTACTR?": ("+FOTACTR:1,1",)}
        told = [Exchange(send, (*answer, "OK") if answer else ("ERROR",)) for send, answer in answers.items()]
        played = replace(said, exchanges=(*said.exchanges, *told))
        with Emulator([Spec(played, name="module")], link_dir=tmp_path / "links") as emulator:
            it = Bench(own, emulator, [memory], tmp_path / "state", [])
            found = surface(it, "xinyi-fota-permit")
            assert (found.state, found.switch) == (State.ON, None)
            (module,) = it.plan(*(rule.id for rule in rules)).modules
            assert all("FOTACTR" not in step.command for step in module.steps)
            assert "xinyi-fota-permit" in {each.surface for each in module.advice}


def test_ulwm2m_is_inverted(knowledge: Knowledge, tmp_path: Path) -> None:
    rule = _rule(knowledge, "ublox", "ublox-lwm2m")
    with served(knowledge, tmp_path, "ublox", rule) as it, it.journal() as journal:
        assert it.reads("AT+ULWM2M?") == ("+ULWM2M: 0",)
        assert surface(it, rule.id).state is State.ON
        apply(it.plan(rule.id), it.probe(), it.tools(journal))
        assert it.reads("AT+ULWM2M?") == ("+ULWM2M: 1",)
        assert "AT+ULWM2M=1" in it.memory.writes
        assert surface(it, rule.id).state is State.OFF
        restore(journal.changes(), it.probe(), it.tools(journal))
        assert it.memory.writes.count("AT+ULWM2M=0") == 1
        assert it.reads("AT+ULWM2M?") == ("+ULWM2M: 0",)


def test_agreements_of_airvantage_hold_and_leave_it_on(knowledge: Knowledge, tmp_path: Path) -> None:
    rule = _rule(knowledge, "sierra", "airvantage")
    with served(knowledge, tmp_path, "sierra", rule) as it, it.journal() as journal:
        apply(it.plan(rule.id), it.probe(), it.tools(journal))
        asked = dict(line.removeprefix("+WDSC: ").split(",", 1) for line in it.reads("AT+WDSC?") or ())
        assert {mode: asked.get(mode) for mode in "0123"} == {"0": "1", "1": "1", "2": "1", "3": "0"}
        found = surface(it, rule.id)
        assert found.state is State.ON
        assert found.switch is not None and found.switch.commands == ()


@pytest.mark.parametrize("operator", [0, 1, 2])
def test_only_the_operator_that_was_on_is_written(knowledge: Knowledge, tmp_path: Path, operator: int) -> None:
    rule = _rule(knowledge, "unisoc", "unisoc-selfregister")
    others = [f"AT+SELFREGISTER={each},0" for each in range(3) if each != operator]
    with served(knowledge, tmp_path, "unisoc", rule, others) as it, it.journal() as journal:
        apply(it.plan(), it.probe(), it.tools(journal))
        off = [line for line in it.memory.writes if "SELFREGISTER" in line]
        assert off == [f"AT+SELFREGISTER={operator},0"]
        restore(journal.changes(), it.probe(), it.tools(journal))
        assert [line for line in it.memory.writes if "SELFREGISTER" in line] == [*off, f"AT+SELFREGISTER={operator},1"]


@pytest.mark.parametrize("rule", [pytest.param(r, id=r.id) for r in {r.id: r for _, r in _switches()}.values()])
def test_an_example_shows_every_setting(rule: SurfaceRule) -> None:
    assert rule.switch is not None
    examples = {query.send: [lines for lines, _ in query.examples] for query in rule.queries}
    for setting in rule.switch.settings:
        assert any(setting.line(lines) for lines in examples[setting.read]), (setting.read, setting.pattern)
        for read, pattern in setting.only_if:
            assert any(setting.holds(pattern, lines) for lines in examples[read]), (read, pattern)


def test_what_is_left_out_has_a_reason(knowledge: Knowledge) -> None:
    for slug, name in OTHERS:
        rule = next(rule for rule in knowledge.surfaces_of(slug) if rule.id == name)
        with pytest.raises(LookupError):
            known_module(slug, rule)
    for slug in CHIPS:
        with pytest.raises(LookupError):
            known_module(slug)
