"""Apply, restore and resume, where all goes well and where the module does something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from atprobe.cli._exit import Exit
from atprobe.cli.lockdown import verdict
from atprobe.emulator import Trouble
from atprobe.knowledge import Knowledge
from atprobe.lockdown import apply, moved, restore, resume
from atprobe.model import Stage
from atprobe.report import PLAIN
from atprobe.report.lockdown import plan_table
from tests.lockdown.bench import CLOUD, GUESSED, IMEIS, LATER, ONE, TWO, bench, made_up


def test_apply_and_restore_leave_the_module_as_it_was(knowledge: Knowledge, tmp_path: Path) -> None:
    with bench(knowledge, tmp_path, ONE, TWO) as it, it.journal() as journal:
        before = it.memory.snapshot()
        result = apply(it.plan(), it.probe(), it.tools(journal))
        assert [change.stage for change in result.changes] == [Stage.DONE] * 3
        assert result.failed == () == result.problems
        assert (it.reads("AT+XONE?"), it.reads("AT+XTWO?")) == (("+XONE: 0",), ("+XTWO: a,0", "+XTWO: b,0"))
        assert it.memory.writes == ["AT+XONE=0", "AT+XTWO=a,0", "AT+XTWO=b,0"]
        back = restore(journal.changes(), it.probe(), it.tools(journal))
        assert [change.stage for change in back.changes] == [Stage.UNDONE] * 3
        assert it.memory.snapshot() == before
        assert it.memory.writes[3:] == ["AT+XTWO=b,5", "AT+XTWO=a,4", "AT+XONE=3"]


def test_every_stage_is_in_the_journal_before_the_next_byte_is_sent(knowledge: Knowledge, tmp_path: Path) -> None:
    with bench(knowledge, tmp_path, ONE) as it, it.journal() as journal:
        written = {}

        def look(change: object) -> None:
            with it.journal() as second:
                written[second.changes()[0].stage] = list(it.memory.writes)

        it.on_stage = look
        apply(it.plan(), it.probe(), it.tools(journal))
        assert written == {Stage.SENDING: [], Stage.ANSWERED: ["AT+XONE=0"], Stage.DONE: ["AT+XONE=0"]}
        (change,) = journal.changes()
        stages = [stage for _, stage, _ in journal.history(change)]
        assert stages == [Stage.PLANNED, Stage.SENDING, Stage.ANSWERED, Stage.DONE]


@pytest.mark.parametrize("trouble", [Trouble.IGNORE, Trouble.REFUSE, Trouble.BUSY, Trouble.SWALLOW])
def test_a_command_that_does_nothing_is_found_out(knowledge: Knowledge, tmp_path: Path, trouble: Trouble) -> None:
    with bench(knowledge, tmp_path, ONE) as it, it.journal() as journal:
        before = it.memory.snapshot()
        plan = it.plan()
        it.memory.troubles = {trouble}
        result = apply(plan, it.probe(), it.tools(journal))
        assert [change.stage for change in result.changes] == [Stage.UNCHANGED]
        assert result.failed == result.changes
        assert it.memory.snapshot() == before


def test_a_surface_is_switched_as_a_whole_or_not_at_all(knowledge: Knowledge, tmp_path: Path) -> None:
    with bench(knowledge, tmp_path, TWO, ONE) as it, it.journal() as journal:
        before = it.memory.snapshot()
        plan = it.plan()
        it.memory.troubles, it.memory.after = {Trouble.REFUSE}, 1

        def relent(change: object) -> None:
            if it.stages[-1].stage is Stage.UNDOING:
                it.memory.troubles = set()

        it.on_stage = relent
        result = apply(plan, it.probe(), it.tools(journal))
        assert [change.stage for change in result.changes] == [Stage.UNDONE, Stage.UNCHANGED, Stage.NOT_SENT]
        assert it.memory.snapshot() == before


def test_another_value_than_asked_for_is_put_back(knowledge: Knowledge, tmp_path: Path) -> None:
    with bench(knowledge, tmp_path, ONE) as it, it.journal() as journal:
        before = it.memory.snapshot()
        plan = it.plan()
        it.memory.troubles = {Trouble.OTHER}

        def relent(change: object) -> None:
            if it.stages[-1].stage is Stage.UNDOING:
                it.memory.troubles = set()

        it.on_stage = relent
        result = apply(plan, it.probe(), it.tools(journal))
        assert [change.stage for change in result.changes] == [Stage.UNDONE]
        assert it.memory.snapshot() == before


class TestReboot:
    def test_it_is_waited_for_on_its_new_port_and_read_again(self, knowledge: Knowledge, tmp_path: Path) -> None:
        with bench(knowledge, tmp_path, LATER, ONE) as it, it.journal() as journal:
            port = it.emulator.ports[0]
            result = apply(it.plan(), it.probe(), it.tools(journal, back_seconds=5.0), reboot=True)
            assert [change.stage for change in result.changes] == [Stage.DONE] * 2
            assert it.emulator.ports[0] != port
            stages = [stage for _, stage, _ in journal.history(result.changes[0])]
            assert stages[-2:] == [Stage.REBOOTING, Stage.DONE]

    def test_a_module_that_forgets_is_found_out(self, knowledge: Knowledge, tmp_path: Path) -> None:
        with bench(knowledge, tmp_path, LATER, ONE) as it, it.journal() as journal:
            it.memory.forgetful = {"one"}
            result = apply(it.plan(), it.probe(), it.tools(journal, back_seconds=5.0), reboot=True)
            assert [change.stage for change in result.changes] == [Stage.DONE, Stage.REVERTED]
            assert [change.step.surface for change in result.failed] == ["one"]

    def test_no_restart_without_need(self, knowledge: Knowledge, tmp_path: Path) -> None:
        with bench(knowledge, tmp_path, ONE) as it, it.journal() as journal:
            (change,) = apply(it.plan(), it.probe(), it.tools(journal), reboot=True).changes
            assert it.memory.writes == ["AT+XONE=0"]
            assert "restart" not in (change.detail or "")

    def test_a_change_that_waits_for_a_restart_says_so(self, knowledge: Knowledge, tmp_path: Path) -> None:
        with bench(knowledge, tmp_path, LATER) as it, it.journal() as journal:
            for result in (
                apply(it.plan(), it.probe(), it.tools(journal)),
                restore(journal.changes(), it.probe(), it.tools(journal)),
            ):
                (change,) = result.changes
                assert (change.detail or "").endswith("it takes effect at the next restart")

    def test_no_restart_that_no_profile_describes(self, knowledge: Knowledge, tmp_path: Path) -> None:
        with bench(knowledge, tmp_path, LATER, reboot=None) as it, it.journal() as journal:
            (change,) = apply(it.plan(), it.probe(), it.tools(journal), reboot=True).changes
            assert change.stage is Stage.DONE and "next restart" in (change.detail or "")
            assert it.memory.writes == ["AT+XLATER=0"]


class TestTheWorldMoved:
    def test_another_value_stops_everything(self, knowledge: Knowledge, tmp_path: Path) -> None:
        with bench(knowledge, tmp_path, ONE, imeis=IMEIS) as it, it.journal() as journal:
            plan = it.plan()
            it.memories[1].answer("AT+XONE=7")
            result = apply(plan, it.probe(), it.tools(journal))
            assert [(each.imei, each.text) for each in result.moved] == [(IMEIS[1], "one: it was n 3 and is n 7")]
            assert it.memories[0].writes == [] == journal.changes()

    def test_a_module_that_is_gone_stops_everything(self, knowledge: Knowledge, tmp_path: Path) -> None:
        with bench(knowledge, tmp_path, ONE, imeis=IMEIS) as it, it.journal() as journal:
            plan = it.plan()
            it.emulator.pull(1)
            result = apply(plan, it.probe(), it.tools(journal))
            assert [each.text for each in result.moved] == ["no module with this IMEI answers"]
            assert it.memories[0].writes == [] == journal.changes()

    def test_what_changes_between_the_question_and_the_command(self, knowledge: Knowledge, tmp_path: Path) -> None:
        with bench(knowledge, tmp_path, ONE) as it, it.journal() as journal:
            plan, modules = it.plan(), it.probe()
            it.memory.answer("AT+XONE=7")
            it.memory.writes.clear()
            (change,) = apply(plan, modules, it.tools(journal)).changes
            assert change.stage is Stage.NOT_SENT
            assert it.memory.writes == []

    def test_the_plan_still_fits(self, knowledge: Knowledge, tmp_path: Path) -> None:
        with bench(knowledge, tmp_path, ONE, TWO) as it:
            assert moved(it.plan(), it.probe()) == ()


class TestRestore:
    def test_what_others_changed_since_is_left_alone(self, knowledge: Knowledge, tmp_path: Path) -> None:
        with bench(knowledge, tmp_path, ONE) as it, it.journal() as journal:
            apply(it.plan(), it.probe(), it.tools(journal))
            it.memory.answer("AT+XONE=7")
            result = restore(journal.changes(), it.probe(), it.tools(journal))
            assert [change.stage for change in result.changes] == [Stage.DONE]
            assert "changed by others" in (result.changes[0].detail or "")
            assert result.failed == result.changes
            assert verdict(result) is Exit.INCOMPLETE
            assert it.reads("AT+XONE?") == ("+XONE: 7",)

    def test_what_has_its_old_value_needs_no_command(self, knowledge: Knowledge, tmp_path: Path) -> None:
        with bench(knowledge, tmp_path, ONE) as it, it.journal() as journal:
            apply(it.plan(), it.probe(), it.tools(journal))
            it.memory.answer("AT+XONE=3")
            it.memory.writes.clear()
            result = restore(journal.changes(), it.probe(), it.tools(journal))
            assert [change.stage for change in result.changes] == [Stage.UNDONE]
            assert it.memory.writes == []


@pytest.mark.parametrize("meanwhile", [False, True])
def test_a_module_that_moved_to_another_port_is_found_by_its_imei(
    knowledge: Knowledge, tmp_path: Path, meanwhile: bool
) -> None:
    with bench(knowledge, tmp_path, ONE, imeis=IMEIS) as it, it.journal() as journal:
        plan, modules = it.plan(), it.probe()
        first, second = (link for link in it.emulator.links if link is not None)
        ports = first.readlink(), second.readlink()
        for link, port in zip((second, first), ports, strict=True):
            link.unlink()
            link.symlink_to(port)
        # Only the second one's plan: its port is now that of the first.
        other = type(plan)(plan.id, plan.made, plan.profiles, plan.modules[1:])
        # Or even the probe was before that.
        result = apply(other, modules if meanwhile else it.probe(), it.tools(journal))
        assert [change.stage for change in result.changes] == [Stage.DONE]
        assert (it.memories[0].writes, it.memories[1].writes) == ([], ["AT+XONE=0"])


class TestResume:
    def test_there_is_nothing_to_do_where_all_was_done(self, knowledge: Knowledge, tmp_path: Path) -> None:
        with bench(knowledge, tmp_path, ONE) as it, it.journal() as journal:
            apply(it.plan(), it.probe(), it.tools(journal))
            it.memory.writes.clear()
            result = resume(journal.changes(), it.probe(), it.tools(journal), undo=False)
            assert [change.stage for change in result.changes] == [Stage.DONE]
            assert it.memory.writes == []

    @pytest.mark.parametrize("undo", [False, True])
    def test_what_was_only_written_down(self, knowledge: Knowledge, tmp_path: Path, undo: bool) -> None:
        with bench(knowledge, tmp_path, TWO) as it, it.journal() as journal:
            plan = it.plan()
            journal.begin(plan.id, plan.modules)
            result = resume(journal.changes(), it.probe(), it.tools(journal), undo=undo)
            stage = Stage.UNCHANGED if undo else Stage.DONE
            assert [change.stage for change in result.changes] == [stage] * 2
            assert it.reads("AT+XTWO?") == (("+XTWO: a,4", "+XTWO: b,5") if undo else ("+XTWO: a,0", "+XTWO: b,0"))


def test_only_what_the_owner_named_and_a_source_supports_is_sent(knowledge: Knowledge, tmp_path: Path) -> None:
    with bench(knowledge, tmp_path, ONE, CLOUD, GUESSED) as it:
        (module,) = it.plan().modules
        assert [step.surface for step in module.steps] == ["one"]
        assert {each.surface: each.text for each in module.advice} == {
            "cloud": "Switching it off can cut a service of the product (telemetry); add --include cloud to plan it",
            "guessed": "A switch is only inferred (AT+XGUESS=0), so it is not sent",
        }
        (named,) = it.plan("cloud", "guessed").modules
        assert [step.surface for step in named.steps] == ["one", "cloud"]


def test_what_the_profiles_no_longer_describe_is_left_alone(knowledge: Knowledge, tmp_path: Path) -> None:
    with bench(knowledge, tmp_path, ONE) as it, it.journal() as journal:
        apply(it.plan(), it.probe(), it.tools(journal))
        modules = it.probe()
        it.knowledge = made_up(knowledge, TWO)
        it.memory.writes.clear()
        (change,) = restore(journal.changes(), modules, it.tools(journal)).changes
        assert (change.stage, change.detail) == (
            Stage.DONE,
            "left alone: the profiles do not describe this setting any more",
        )
        assert it.memory.writes == []


def test_a_module_of_which_nothing_is_known_is_in_the_plan_with_nothing_to_send(
    knowledge: Knowledge, tmp_path: Path
) -> None:
    with bench(knowledge, tmp_path) as it:
        (module,) = it.plan().modules
        assert (module.steps, module.advice) == ((), ())
        assert "Nothing to send" in plan_table(it.plan(), PLAIN)


def test_two_modules_with_one_imei_are_not_planned(knowledge: Knowledge, tmp_path: Path) -> None:
    with bench(knowledge, tmp_path, ONE, imeis=[IMEIS[0]] * 2) as it:
        plan = it.plan()
        assert [module.steps for module in plan.modules] == [(), ()]
        assert "same IMEI" in plan.modules[0].advice[0].text
